//! The test kind: a table of numbers, made from its inputs and settings. What it is told to do
//! besides (sleep, fail, panic, wait) is operational, so that it never changes the key.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use dag_engine::{
    Declaration, Fault, Inputs, ModelRef, OutputDecl, Registry, RowKey, RowMemo, StageContext,
    StageError, StageKind, StageRef, Usage, canon,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What ran, by probe.
static CALLS: LazyLock<Mutex<HashMap<String, Vec<String>>>> = LazyLock::new(Mutex::default);

/// Stages that ran under a probe since the last question, in the order they began.
pub(crate) fn calls(probe: &str) -> Vec<String> {
    CALLS.lock().unwrap().remove(probe).unwrap_or_default()
}

/// Settings of [`Numbers`].
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NumbersSettings {
    /// Tables to put before the own numbers.
    pub(crate) from: Vec<StageRef>,
    /// A model whose identity is part of the key.
    pub(crate) model: Option<ModelRef>,
    /// Own numbers. Semantic.
    pub(crate) values: Vec<i64>,
    /// Leave out larger ones; they go to `rejected`. Semantic.
    pub(crate) max: Option<i64>,
    /// A file that is read. Its content is semantic.
    pub(crate) file: Option<PathBuf>,
    /// Under which name to count calls. Operational.
    pub(crate) probe: String,
    /// Sleep so long. Operational.
    pub(crate) sleep_ms: u64,
    /// CPUs to take. Operational.
    pub(crate) cpus: u32,
    /// A limit to take one of. Operational.
    pub(crate) limit: Option<String>,
    /// A file that may hold trouble: `fail`, `panic`, `abort`, `wait`. Operational.
    pub(crate) trouble: Option<PathBuf>,
    /// USD to spend, one at a time, until drained. Operational.
    pub(crate) usd: u32,
    /// Say that each dollar is foreseen. Operational.
    pub(crate) foreseen: bool,
    /// Want a process of its own. Operational.
    pub(crate) isolate: bool,
    /// Keep each number as a row of the memo, and take it from there. Operational.
    pub(crate) memo: bool,
}

pub(crate) struct Numbers;

pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

impl StageKind for Numbers {
    type Settings = NumbersSettings;

    const NAME: &'static str = "numbers";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "numbers, for tests";
    const VERB: &'static str = "Numbered";

    fn declare(settings: &Self::Settings) -> Declaration {
        let Self::Settings {
            from,
            model,
            values,
            max,
            file,
            probe: _,
            sleep_ms: _,
            cpus,
            limit,
            trouble: _,
            usd: _,
            foreseen: _,
            isolate,
            memo,
        } = settings;
        let mut declaration = Declaration::new()
            .input("from", from)
            .optional_model("model", model.as_ref())
            .cpus(*cpus)
            .key(canon::Value::Map(
                [
                    (
                        "values".to_owned(),
                        canon::Value::List(values.iter().map(|n| canon::Value::Int(*n)).collect()),
                    ),
                    (
                        "max".to_owned(),
                        max.map_or(canon::Value::Null, canon::Value::Int),
                    ),
                ]
                .into(),
            ));
        if let Some(file) = file {
            declaration = declaration.file("file", file);
        }
        if let Some(limit) = limit {
            declaration = declaration.limit(limit, 1);
        }
        if *isolate {
            declaration = declaration.isolated();
        }
        if *memo {
            declaration = declaration.with_memo();
        }
        declaration
    }

    fn outputs(_: &Self::Settings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        for (slot, shapes) in inputs.slots() {
            if !shapes.is_empty() {
                inputs.need(slot, &["n"]).map_err(|fault| vec![fault])?;
            }
        }
        Ok(vec![
            OutputDecl::table("main", schema()),
            OutputDecl::table("rejected", schema()),
        ])
    }

    fn estimate(
        settings: &Self::Settings,
        _: &dag_engine::EstimateContext<'_>,
    ) -> dag_engine::Estimate {
        dag_engine::Estimate {
            usd: settings.foreseen.then(|| f64::from(settings.usd)),
            ..dag_engine::Estimate::default()
        }
    }

    fn run(settings: &Self::Settings, cx: &mut StageContext) -> Result<(), StageError> {
        CALLS
            .lock()
            .unwrap()
            .entry(settings.probe.clone())
            .or_default()
            .push(cx.stage().to_owned());
        std::thread::sleep(Duration::from_millis(settings.sleep_ms));
        match settings
            .trouble
            .as_ref()
            .and_then(|path| fs_err::read_to_string(path).ok())
            .as_deref()
        {
            Some("fail") => {
                return Err(StageError::failed("row 7 has no answer").with_hint("add one"));
            }
            Some("panic") => panic!("index 7 is out of bounds"),
            Some("abort") => std::process::abort(),
            Some("checkpoint") => {
                fs_err::write(cx.checkpoints()?.join("half"), "done")?;
                return Err(StageError::environment("the power went"));
            }
            Some("wait") => {
                while !cx.cancel().draining() {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            Some("deaf") => {
                while !cx.cancel().stopping() {
                    std::thread::sleep(Duration::from_millis(2));
                }
                return Err(StageError::Interrupted);
            }
            _ => {}
        }
        for _ in 0..settings.usd {
            if cx.cancel().draining() {
                return Err(StageError::Interrupted);
            }
            cx.usage(Usage {
                requests: 1,
                usd: 1.0,
                ..Usage::default()
            });
        }
        if cx.checkpoints()?.join("half").exists() {
            cx.note("went on from a checkpoint");
        }
        let mut kept = cx.table_writer("main", schema())?;
        let mut rejected = cx.table_writer("rejected", schema())?;
        let memo = match settings.memo {
            true => Some(cx.memo()?.clone()),
            false => None,
        };
        let mut put = |numbers: &Int64Array| -> Result<(), StageError> {
            let numbers = match &memo {
                Some(memo) => &from_memo(memo, cx, numbers)?,
                None => numbers,
            };
            let fits = |n: i64| settings.max.is_none_or(|max| n <= max);
            for (writer, keep) in [(&mut kept, true), (&mut rejected, false)] {
                let part: Int64Array = numbers
                    .values()
                    .iter()
                    .copied()
                    .filter(|n| fits(*n) == keep)
                    .map(Some)
                    .collect();
                cx.count(if keep { "kept" } else { "rejected" }, part.len() as u64);
                writer.write(&RecordBatch::try_new(schema(), vec![Arc::new(part)])?)?;
            }
            Ok(())
        };
        for input in cx.inputs("from") {
            for batch in cx.open_table(input)?.batches()? {
                put(batch?.column(0).as_primitive::<Int64Type>())?;
            }
        }
        let mut own = settings.values.clone();
        if settings.file.is_some() {
            own.push(fs_err::read_to_string(cx.file("file")?)?.len() as i64);
        }
        put(&Int64Array::from(own))?;
        kept.finish()?;
        rejected.finish()?;
        cx.metric("values", settings.values.len() as f64);
        Ok(())
    }
}

/// The same numbers, each as its row in the memo says. Rows that are not there are made, and counted.
fn from_memo(
    memo: &RowMemo,
    cx: &StageContext,
    numbers: &Int64Array,
) -> Result<Int64Array, StageError> {
    let mut rows: Vec<i64> = Vec::with_capacity(numbers.len());
    for number in numbers.values() {
        let key = RowKey(canon::digest("test number", &canon::Value::Int(*number)));
        let row = match memo.get(&key)? {
            Some(row) => row,
            None => {
                cx.count("made", 1);
                let row = number.to_string().into_bytes();
                memo.put(key, &row)?;
                row
            }
        };
        let row = String::from_utf8(row).ok().and_then(|row| row.parse().ok());
        rows.push(row.ok_or_else(|| StageError::failed("a row that is no number"))?);
    }
    Ok(Int64Array::from(rows))
}

pub(crate) fn registry() -> Registry {
    Registry::new().with::<Numbers>()
}
