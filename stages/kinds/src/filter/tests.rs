//! What `filter` keeps and what it says of the rest, case by case.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use dag_engine::event::Collect;
use dag_engine::{Cache, Cancel, PipelineBuilder, Registry, RunOptions, StageOutcome};
use proptest::prelude::{
    Just, ProptestConfig, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::strategy::Strategy as Draw;

use super::*;
use crate::columns::{optional_text, text};

/// A trace as the tests write it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Trace {
    id: String,
    domain: String,
    family: String,
    response: String,
    answer: Option<String>,
    tests: Option<String>,
    finish_reason: Option<String>,
}

fn trace(id: &str, domain: &str, answer: &str, response: &str) -> Trace {
    Trace {
        id: id.into(),
        domain: domain.into(),
        family: format!("{domain}-easy"),
        answer: Some(answer.into()),
        response: response.into(),
        ..Trace::default()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct TracesSettings {
    rows: Vec<Trace>,
}

/// A source of traces, so that the filter runs inside a pipeline.
struct Traces;

fn traces_schema() -> SchemaRef {
    let field = |name| Field::new(name, DataType::Utf8, true);
    let mut fields: Vec<Field> = [
        "id",
        "domain",
        "family",
        "response",
        "answer",
        "tests",
        "finish_reason",
    ]
    .into_iter()
    .map(field)
    .collect();
    fields.push(Field::new("replicate", DataType::Int32, false));
    Arc::new(Schema::new(fields))
}

impl StageKind for Traces {
    type Settings = TracesSettings;
    const NAME: &'static str = "traces";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "traces as written";
    const VERB: &'static str = "Wrote";

    fn declare(settings: &TracesSettings) -> Declaration {
        Declaration::new().key(canon::Value::from(&serde_json::to_value(settings).unwrap()))
    }

    fn outputs(_: &TracesSettings, _: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        Ok(vec![OutputDecl::table("main", traces_schema())])
    }

    fn run(settings: &TracesSettings, cx: &mut StageContext) -> Result<(), StageError> {
        let rows = &settings.rows;
        let words = |word: fn(&Trace) -> Option<&str>| -> ArrayRef {
            Arc::new(rows.iter().map(word).collect::<StringArray>())
        };
        let columns = vec![
            words(|row| Some(&row.id)),
            words(|row| Some(&row.domain)),
            words(|row| Some(&row.family)),
            words(|row| Some(&row.response)),
            words(|row| row.answer.as_deref()),
            words(|row| row.tests.as_deref()),
            words(|row| row.finish_reason.as_deref()),
            Arc::new((0..).take(rows.len()).collect::<Int32Array>()) as ArrayRef,
        ];
        let mut writer = cx.table_writer("main", traces_schema())?;
        writer.write(&RecordBatch::try_new(traces_schema(), columns)?)?;
        writer.finish()?;
        Ok(())
    }
}

/// A filter that ran: its record and its tables.
struct Ran {
    record: Arc<dag_cache::Record>,
    kept: Vec<RecordBatch>,
    rejected: Vec<RecordBatch>,
}

fn settings(more: serde_json::Value) -> FilterSettings {
    let mut settings = serde_json::json!({ "from": "traces" });
    for (name, value) in more.as_object().into_iter().flatten() {
        settings[name] = value.clone();
    }
    serde_json::from_value(settings).unwrap()
}

fn run_in(folder: &std::path::Path, rows: &[Trace], more: serde_json::Value) -> Ran {
    let cache = Cache::open(&folder.join("cache")).unwrap();
    let pipeline = PipelineBuilder::new("test", &folder.join("pipeline.toml"))
        .stage::<Traces>(
            "traces",
            TracesSettings {
                rows: rows.to_vec(),
            },
        )
        .stage::<Filter>("kept", settings(more))
        .build()
        .unwrap();
    let registry = Registry::new().with::<Traces>().with::<Filter>();
    let sink = Arc::new(Collect::default());
    let summary = dag_engine::run(
        &pipeline,
        &registry,
        &cache,
        &RunOptions::cpus(2),
        sink,
        &Cancel::new(),
    )
    .unwrap();
    assert_ne!(
        summary.outcome_of("kept"),
        Some(StageOutcome::Failed),
        "{:?}",
        summary.stages
    );
    let record = Arc::clone(&summary.records["kept"]);
    let read = |output: &str| {
        let path = cache.blob_path(&record.outputs[output].bytes).unwrap();
        Table::open(&path)
            .unwrap()
            .batches()
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let (kept, rejected) = (read("main"), read(REJECTED));
    Ran {
        record,
        kept,
        rejected,
    }
}

fn run(rows: &[Trace], more: serde_json::Value) -> Ran {
    run_in(tempfile::tempdir().unwrap().path(), rows, more)
}

/// Rows as lines: id, verdict, rule, extracted, reason.
fn lines(batches: &[RecordBatch]) -> String {
    let mut lines = String::new();
    for batch in batches {
        let names = ["id", "verdict", "rule", "extracted", "reason"];
        let columns = names.map(|name| optional_text(batch, name).unwrap().unwrap());
        for row in 0..batch.num_rows() {
            let cells = columns.each_ref().map(|column| filled_or_dash(column, row));
            writeln!(lines, "{}", cells.join(" | ")).unwrap();
        }
    }
    lines
}

fn filled_or_dash(column: &StringArray, row: usize) -> String {
    crate::columns::filled(Some(column), row)
        .unwrap_or("-")
        .replace('\n', "⏎")
}

fn responses(batches: &[RecordBatch]) -> Vec<String> {
    let of = |batch| {
        text(batch, "response")
            .unwrap()
            .iter()
            .flatten()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

fn sums() -> Vec<Trace> {
    vec![
        trace("0a", "math", "4", r"2+2 is \boxed{4}."),
        trace("0a", "math", "4", r"2+2 is \boxed{5}."),
        trace("1b", "choice", "C", "Well, who knows?"),
        trace("0a", "math", "4", r"\boxed{4}"),
        Trace {
            finish_reason: Some("length".into()),
            ..trace("2c", "math", "7", r"\boxed{7}, but wait")
        },
        trace("3d", "text", "Paris", r"The answer is paris."),
        Trace {
            answer: None,
            ..trace("4e", "math", "", r"\boxed{7}")
        },
    ]
}

#[test]
fn the_rows_of_the_page_come_out_as_it_says() {
    let ran = run(&sums(), serde_json::json!({}));
    insta::assert_snapshot!(lines(&ran.kept));
    insta::assert_snapshot!(lines(&ran.rejected));
    insta::assert_json_snapshot!((&ran.record.counts, &ran.record.metrics));
    insta::assert_snapshot!(ran.record.outputs["main"].content);
}

#[test]
fn the_first_and_the_shortest_of_a_problem_are_kept_and_the_rest_is_told_why() {
    let first = run(&sums(), serde_json::json!({ "keep": "first" }));
    assert_eq!(
        responses(&first.kept),
        [r"2+2 is \boxed{4}.", "The answer is paris."]
    );
    assert!(lines(&first.rejected).contains(
        "pass | boxed+text | 4 | the same writing; an earlier response of the problem was kept"
    ));
    let shortest = run(&sums(), serde_json::json!({ "keep": "shortest" }));
    assert_eq!(
        responses(&shortest.kept),
        [r"\boxed{4}", "The answer is paris."]
    );
    assert!(
        lines(&shortest.rejected)
            .contains("pass | boxed+text | 4 | the same writing; a shorter response")
    );
    assert_eq!(first.record.counts["pass"], shortest.record.counts["pass"]);
}

#[test]
fn a_response_that_was_cut_passes_only_where_the_settings_say_so() {
    let cut = r"\boxed{7}, but wait".to_owned();
    assert!(!responses(&run(&sums(), serde_json::json!({})).kept).contains(&cut));
    assert!(
        responses(&run(&sums(), serde_json::json!({ "truncated": "grade" })).kept).contains(&cut)
    );
}

#[test]
fn every_semantic_setting_is_in_the_key_and_the_cores_are_not() {
    let key = |more| Filter::declare(&settings(more)).key;
    let plain = key(serde_json::json!({}));
    for more in [
        serde_json::json!({ "strategy": "none" }),
        serde_json::json!({ "keep": "first" }),
        serde_json::json!({ "policy": "skythought" }),
        serde_json::json!({ "truncated": "grade" }),
        serde_json::json!({ "timeout_s": 7 }),
        serde_json::json!({ "memory_mb": 7 }),
        serde_json::json!({ "unsafe_ok": true }),
    ] {
        assert_ne!(key(more.clone()), plain, "{more}");
    }
    assert_eq!(
        key(serde_json::json!({ "cpus": 1, "from": "elsewhere" })),
        plain
    );
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let faults = Filter::check(&settings(
        serde_json::json!({ "policy": "qwen", "timeout_s": 0, "memory_mb": 0, "cpus": 0 }),
    ));
    let fields: Vec<_> = faults
        .iter()
        .filter_map(|fault| fault.field.as_deref())
        .collect();
    assert_eq!(fields, ["policy", "timeout_s", "memory_mb", "cpus"]);
    assert!(faults[0].hint.as_ref().unwrap().contains("qwen2.5-math"));
}

#[test]
fn an_empty_table_gives_empty_tables() {
    let ran = run(&[], serde_json::json!({ "keep": "shortest" }));
    assert_eq!((ran.record.counts["in"], ran.record.counts["kept"]), (0, 0));
    assert!(!ran.record.metrics.contains_key("pass_rate"));
}

fn any_trace() -> impl Draw<Value = Trace> {
    let response = prop_oneof![
        Just(r"\boxed{4}".to_owned()),
        Just(r"so it is \boxed{5}".to_owned()),
        Just("The answer is B.".to_owned()),
        "[a-z ]{0,12}",
        Just("no mark here ".repeat(40)),
    ];
    let domain = prop_oneof![Just("math"), Just("choice"), Just("text"), Just("other")];
    (
        0..4_u8,
        domain,
        prop_oneof![Just("4"), Just("B"), Just("")],
        response,
        any::<bool>(),
    )
        .prop_map(|(id, domain, answer, response, cut)| Trace {
            finish_reason: cut.then(|| "length".to_owned()),
            ..trace(&id.to_string(), domain, answer, &response)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn strategies_nest_and_no_row_is_lost(rows in prop::collection::vec(any_trace(), 0..40)) {
        let folder = tempfile::tempdir().unwrap();
        let mut within: Option<BTreeSet<i32>> = None;
        for strategy in ["rejection", "parsable", "none"] {
            for keep in ["first", "shortest", "all"] {
                let ran = run_in(folder.path(), &rows, serde_json::json!({ "strategy": strategy, "keep": keep }));
                let (kept, rejected) = (places(&ran.kept), places(&ran.rejected));
                prop_assert!(kept.is_sorted() && rejected.is_sorted());
                prop_assert_eq!(kept.len() + rejected.len(), rows.len());
                let kept: BTreeSet<i32> = kept.into_iter().collect();
                prop_assert!(rejected.iter().all(|place| !kept.contains(place)));
                if keep == "all" {
                    prop_assert!(within.is_none_or(|within| within.is_subset(&kept)));
                    within = Some(kept);
                }
            }
        }
        prop_assert_eq!(within.map(|all| all.len()), Some(rows.len()));
    }
}

fn places(batches: &[RecordBatch]) -> Vec<i32> {
    use arrow::array::AsArray;
    use arrow::datatypes::Int32Type;
    let of = |batch: &RecordBatch| {
        batch["replicate"]
            .as_primitive::<Int32Type>()
            .values()
            .to_vec()
    };
    batches.iter().flat_map(of).collect()
}
