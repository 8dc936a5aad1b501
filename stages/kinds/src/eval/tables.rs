//! The two tables that `eval` puts out.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use dag_data::ProblemRows;
use dag_engine::{StageError, extend_schema};

use super::benchmarks::Benchmark;
use super::scoring::Score;
use super::settings::EvalSettings;
use super::{Answer, Graded, Row};

pub(super) fn scores_schema() -> SchemaRef {
    let field = |name: &str, kind: DataType, nullable| Field::new(name, kind, nullable);
    Arc::new(Schema::new(vec![
        field("model", DataType::Utf8, false),
        field("benchmark", DataType::Utf8, false),
        field("family", DataType::Utf8, false),
        field("problems", DataType::Int64, false),
        field("samples", DataType::Int64, false),
        field("k", DataType::Int32, false),
        field("rate", DataType::Float64, false),
        field("low", DataType::Float64, false),
        field("high", DataType::Float64, false),
        field("majority", DataType::Float64, true),
        field("mean_tokens", DataType::Float64, true),
        field("truncated", DataType::Float64, false),
        field("base", DataType::Utf8, true),
        field("difference", DataType::Float64, true),
        field("difference_low", DataType::Float64, true),
        field("difference_high", DataType::Float64, true),
        field("p", DataType::Float64, true),
    ]))
}

fn whole_number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn score_rows(scores: &[Score], base: Option<&str>) -> Result<RecordBatch, StageError> {
    let text = |pick: &dyn Fn(&Score) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(scores.iter().map(pick)))
    };
    let count = |pick: fn(&Score) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            scores.iter().map(|s| whole_number(pick(s))),
        ))
    };
    let number = |pick: fn(&Score) -> Option<f64>| -> ArrayRef {
        Arc::new(scores.iter().map(pick).collect::<Float64Array>())
    };
    let ks: Vec<i32> = scores
        .iter()
        .map(|score| i32::try_from(score.k).unwrap_or(i32::MAX))
        .collect();
    Ok(RecordBatch::try_new(
        scores_schema(),
        vec![
            text(&|s| s.model.clone()),
            text(&|s| s.benchmark.clone()),
            text(&|s| s.family.clone()),
            count(|s| s.problems),
            count(|s| s.samples),
            Arc::new(Int32Array::from(ks)),
            number(|s| Some(s.rate)),
            number(|s| Some(s.interval.low)),
            number(|s| Some(s.interval.high)),
            number(|s| s.majority),
            number(|s| s.mean_tokens),
            number(|s| Some(s.truncated)),
            Arc::new(scores.iter().map(|_| base).collect::<StringArray>()),
            number(|s| s.difference.map(|d| d.difference)),
            number(|s| s.difference.map(|d| d.interval.low)),
            number(|s| s.difference.map(|d| d.interval.high)),
            number(|s| s.difference.map(|d| d.p)),
        ],
    )?)
}

pub(super) fn samples_schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    extend_schema(
        &dag_data::schema(),
        [
            text("benchmark", false),
            text("model", false),
            Field::new("replicate", DataType::Int32, false),
            text("response", false),
            text("reasoning", true),
            text("finish_reason", true),
            Field::new("prompt_tokens", DataType::Int64, true),
            Field::new("completion_tokens", DataType::Int64, true),
            text("verdict", false),
            text("rule", false),
            text("reason", false),
            text("extracted", true),
        ],
    )
}

pub(super) fn samples(
    settings: &EvalSettings,
    model: &str,
    benchmark: &Benchmark,
    rows: &[Row],
    judged: &[Graded],
) -> Result<RecordBatch, StageError> {
    let mut problems = ProblemRows::default();
    for problem in &benchmark.problems {
        for _ in 0..settings.n {
            problems.push(problem);
        }
    }
    let problems = problems.take()?;
    let same = |text: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|_| text)))
    };
    fn said<'a>(rows: &'a [Row], pick: impl Fn(&'a Answer) -> Option<&'a str>) -> ArrayRef {
        Arc::new(
            rows.iter()
                .map(|row| row.as_ref().ok().and_then(&pick))
                .collect::<StringArray>(),
        )
    }
    let tokens = |pick: fn(&Answer) -> Option<u64>| -> ArrayRef {
        Arc::new(
            rows.iter()
                .map(|row| row.as_ref().ok().and_then(pick).map(whole_number))
                .collect::<Int64Array>(),
        )
    };
    let n = i32::try_from(settings.n).unwrap_or(i32::MAX);
    let replicates: Vec<i32> = benchmark.problems.iter().flat_map(|_| 0..n).collect();
    let responses = rows
        .iter()
        .map(|row| row.as_ref().map_or("", |answer| answer.text.as_str()));
    let mut columns = problems.columns().to_vec();
    columns.extend([
        same(&benchmark.name),
        same(model),
        Arc::new(Int32Array::from(replicates)) as ArrayRef,
        Arc::new(StringArray::from_iter_values(responses)),
        said(rows, |answer| answer.reasoning.as_deref()),
        said(rows, |answer| answer.finish_reason.as_deref()),
        tokens(|answer| answer.prompt_tokens),
        tokens(|answer| answer.completion_tokens),
        Arc::new(StringArray::from_iter_values(
            judged.iter().map(|judged| judged.verdict.as_str()),
        )),
        Arc::new(StringArray::from_iter_values(
            judged.iter().map(|judged| judged.rule.as_str()),
        )),
        Arc::new(StringArray::from_iter_values(
            judged.iter().map(|judged| judged.reason.as_str()),
        )),
        Arc::new(
            judged
                .iter()
                .map(|judged| judged.extracted.as_deref())
                .collect::<StringArray>(),
        ),
    ]);
    Ok(RecordBatch::try_new(samples_schema(), columns)?)
}
