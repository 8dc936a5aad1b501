//! Tables: the same rows give the same bytes, however they are written.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use dag_engine::{
    Declaration, Fault, Inputs, OutputDecl, PipelineBuilder, Registry, RunOptions, StageContext,
    StageError, StageKind, Table, canon,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::world::World;

/// Rows, written in batches of a size that must not matter.
struct Rows;

#[derive(Serialize, Deserialize, JsonSchema)]
struct RowsSettings {
    rows: i64,
    batch: usize,
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("text", DataType::Utf8, true),
    ]))
}

impl StageKind for Rows {
    type Settings = RowsSettings;

    const NAME: &'static str = "rows";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "rows, for tests";
    const VERB: &'static str = "Wrote";

    fn declare(settings: &RowsSettings) -> Declaration {
        // Both are semantic, so that both are run.
        let RowsSettings { rows, batch } = settings;
        Declaration::new().key(canon::Value::List(vec![
            canon::Value::Int(*rows),
            canon::Value::Int(*batch as i64),
        ]))
    }

    fn outputs(_: &RowsSettings, _: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        Ok(vec![OutputDecl::table("main", schema())])
    }

    fn run(settings: &RowsSettings, cx: &mut StageContext) -> Result<(), StageError> {
        let mut writer = cx.table_writer("main", schema())?;
        let all: Vec<i64> = (0..settings.rows).collect();
        for part in all.chunks(settings.batch) {
            let text: StringArray = part
                .iter()
                .map(|n| (n % 5 != 0).then(|| format!("row {n}")))
                .collect();
            writer.write(&RecordBatch::try_new(
                schema(),
                vec![Arc::new(Int64Array::from(part.to_vec())), Arc::new(text)],
            )?)?;
        }
        writer.finish()?;
        Ok(())
    }
}

#[test]
fn the_size_of_batches_reaches_neither_bytes_nor_content() {
    let world = World::with(Vec::new());
    let mut builder = PipelineBuilder::new("test", &world.path("pipeline.toml"));
    for (name, batch) in [("one", 1), ("odd", 777), ("all", 10_000)] {
        builder = builder.stage::<Rows>(name, RowsSettings { rows: 3_000, batch });
    }
    let summary = dag_engine::run(
        &builder.build().unwrap(),
        &Registry::new().with::<Rows>(),
        &world.cache,
        &RunOptions::cpus(2),
        Arc::new(dag_engine::event::NoEvents),
        &dag_engine::Cancel::new(),
    )
    .unwrap();
    let output = |stage: &str| summary.records[stage].outputs["main"].clone();
    assert_eq!(output("one"), output("odd"));
    assert_eq!(output("one"), output("all"));
    assert_eq!(output("one").rows, Some(3_000));
    assert_ne!(summary.records["one"].key, summary.records["odd"].key);

    let table = Table::open(&world.cache.blob_path(&output("one").bytes).unwrap()).unwrap();
    assert_eq!(
        (table.rows(), table.schema().as_ref()),
        (3_000, schema().as_ref())
    );
    let mut next = 0;
    for batch in table.columns(&["n"]).unwrap() {
        for n in batch
            .unwrap()
            .column(0)
            .as_primitive::<Int64Type>()
            .values()
        {
            assert_eq!(*n, next);
            next += 1;
        }
    }
    assert_eq!(next, 3_000);
    let error = table.columns(&["prompt"]).err().unwrap();
    assert_eq!(
        error.to_string(),
        "the table has no column `prompt`; it has n, text"
    );
}
