//! What the engine itself costs: 1,000 trivial stages, cold and with nothing to do, as a fan and
//! as a chain; and the plan of a chain of 100,000. `cargo bench -p dag-engine --bench thousand`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints figures"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use dag_engine::event::NoEvents;
use dag_engine::{
    Cache, CacheLookups, Cancel, Capacity, Declaration, Fault, Graph, Inputs, OutputDecl, Pipeline,
    PipelineBuilder, Plan, Registry, RunOptions, Scope, StageContext, StageError, StageKind,
    StageOutcome, StageRef, Table, canon,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A document that says its number.
struct Trivial;

#[derive(Serialize, Deserialize, JsonSchema)]
struct TrivialSettings {
    from: Vec<StageRef>,
    number: i64,
}

impl StageKind for Trivial {
    type Settings = TrivialSettings;

    const NAME: &'static str = "trivial";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "a document that says its number";
    const VERB: &'static str = "Said";

    fn declare(settings: &TrivialSettings) -> Declaration {
        let TrivialSettings { from, number } = settings;
        Declaration::new()
            .input("from", from)
            .key(canon::Value::Int(*number))
    }

    fn outputs(_: &TrivialSettings, _: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        Ok(vec![OutputDecl::document("main")])
    }

    fn run(settings: &TrivialSettings, cx: &mut StageContext) -> Result<(), StageError> {
        cx.put_document("main", "text/plain", settings.number.to_string().as_bytes())
    }
}

/// A table of so many rows of text.
struct Rows;

#[derive(Serialize, Deserialize, JsonSchema)]
struct RowsSettings {
    rows: i64,
}

fn columns() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("text", DataType::Utf8, false),
    ]))
}

impl StageKind for Rows {
    type Settings = RowsSettings;

    const NAME: &'static str = "rows";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "rows of text";
    const VERB: &'static str = "Wrote";

    fn declare(settings: &RowsSettings) -> Declaration {
        let RowsSettings { rows } = settings;
        Declaration::new().key(canon::Value::Int(*rows))
    }

    fn outputs(_: &RowsSettings, _: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        Ok(vec![OutputDecl::table("main", columns())])
    }

    fn run(settings: &RowsSettings, cx: &mut StageContext) -> Result<(), StageError> {
        let mut writer = cx.table_writer("main", columns())?;
        for from in (0..settings.rows).step_by(1_000) {
            let numbers: Vec<i64> = (from..settings.rows.min(from + 1_000)).collect();
            let text: StringArray = numbers
                .iter()
                .map(|n| Some(format!("{n} times {} is {}; ", n * 7, n * n * 7).repeat(20)))
                .collect();
            writer.write(&RecordBatch::try_new(
                columns(),
                vec![Arc::new(Int64Array::from(numbers)), Arc::new(text)],
            )?)?;
        }
        writer.finish()?;
        Ok(())
    }
}

/// Most memory this process ever had, in MiB.
fn peak_mib() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

fn table() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let pipeline = PipelineBuilder::new("bench", std::path::Path::new("/nowhere/pipeline.toml"))
        .stage::<Rows>("rows", RowsSettings { rows: 1_000_000 })
        .build()
        .unwrap();
    let registry = Registry::new().with::<Rows>();
    let (options, cancel) = (RunOptions::cpus(2), Cancel::new());
    let began = Instant::now();
    let summary = dag_engine::run(
        &pipeline,
        &registry,
        &cache,
        &options,
        Arc::new(NoEvents),
        &cancel,
    )
    .unwrap();
    println!("1000000 rows written:         {:>9.3?}", began.elapsed());
    let began = Instant::now();
    let output = &summary.records["rows"].outputs["main"];
    let table = Table::open(&cache.blob_path(&output.bytes).unwrap()).unwrap();
    let rows: usize = table
        .batches()
        .unwrap()
        .map(|batch| batch.unwrap().num_rows())
        .sum();
    assert_eq!(rows, 1_000_000);
    println!("1000000 rows read:            {:>9.3?}", began.elapsed());
    println!(
        "peak memory:                  {:>5} MiB ({} MiB of Parquet)",
        peak_mib(),
        output.size >> 20
    );
}

fn pipeline(stages: i64, chain: bool) -> Pipeline {
    let path = std::path::Path::new("/nowhere/pipeline.toml");
    let two = PipelineBuilder::new("bench", path)
        .stage::<Trivial>(
            "s0",
            TrivialSettings {
                from: vec![],
                number: 0,
            },
        )
        .stage::<Trivial>(
            "s1",
            TrivialSettings {
                from: vec!["s0".into()],
                number: 1,
            },
        )
        .build()
        .unwrap();
    let mut pipeline = two.clone();
    for number in 2..stages {
        let mut stage = two.stages[1].clone();
        stage.name = format!("s{number}");
        stage.declaration.key = canon::Value::Int(number);
        stage.settings_json = serde_json::json!({ "from": ["s0"], "number": number });
        if chain {
            stage.inputs[0].stage = format!("s{}", number - 1);
        }
        pipeline.stages.push(stage);
    }
    pipeline
}

fn run(pipeline: &Pipeline, cache: &Cache) -> (Duration, usize) {
    let registry = Registry::new().with::<Trivial>();
    let began = Instant::now();
    let summary = dag_engine::run(
        pipeline,
        &registry,
        cache,
        &RunOptions::cpus(2),
        Arc::new(NoEvents),
        &Cancel::new(),
    )
    .unwrap();
    (began.elapsed(), summary.ended(StageOutcome::Ran).len())
}

fn main() {
    table();
    for (shape, chain) in [("fan", false), ("chain", true)] {
        let folder = tempfile::tempdir().unwrap();
        let pipeline = pipeline(1_000, chain);
        let cold = run(&pipeline, &Cache::open(folder.path()).unwrap());
        assert_eq!(cold.1, 1_000);
        println!(
            "1000 stages, {shape}, cold:    {:>9.3?} a stage",
            cold.0 / 1_000
        );
        let mut again: Vec<Duration> = (0..11)
            .map(|_| {
                let (took, ran) = run(&pipeline, &Cache::open(folder.path()).unwrap());
                assert_eq!(ran, 0);
                took
            })
            .collect();
        again.sort_unstable();
        println!(
            "1000 stages, {shape}, no-op:   {:>9.3?} (median of 11)",
            again[5]
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let long = pipeline(100_000, true);
    let began = Instant::now();
    let graph = Graph::of(&long).unwrap();
    let lookups = CacheLookups::new(&cache);
    let plan = Plan::of(&long, &graph, &Scope::all(), &Capacity::cpus(2), &lookups).unwrap();
    println!(
        "plan of {} stages in a chain: {:>9.3?}",
        plan.stages.len(),
        began.elapsed()
    );
}
