//! The benchmarks of an evaluation: tables of the pipeline, and data sets known by name.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int32Type;
use dag_data::rows::read_files;
use dag_data::{Condition, Problem};
use dag_engine::{InputArtifact, StageContext, StageError};

use super::settings::EvalSettings;
use crate::benchmark::{self, Known};
use crate::columns::{filled, optional_text, text};
use crate::hub;

/// A benchmark that has been read.
pub(super) struct Benchmark {
    pub(super) name: String,
    pub(super) problems: Vec<Problem>,
}

/// Reads every benchmark that the settings name.
pub(super) fn read(
    settings: &EvalSettings,
    cx: &StageContext,
) -> Result<Vec<Benchmark>, StageError> {
    let mut benchmarks = Vec::new();
    for input in cx.inputs("from") {
        benchmarks.push(Benchmark {
            name: input.stage.clone(),
            problems: table(input, cx)?,
        });
    }
    for (name, _) in settings.benchmarks.tables() {
        for input in cx.inputs(&format!("benchmarks.{name}")) {
            benchmarks.push(Benchmark {
                name: name.clone(),
                problems: table(input, cx)?,
            });
        }
    }
    for known in settings
        .benchmarks
        .known()
        .filter_map(|name| benchmark::known(name))
    {
        benchmarks.push(Benchmark {
            name: known.name.to_owned(),
            problems: fetch(known, cx)?,
        });
    }
    for benchmark in benchmarks
        .iter()
        .filter(|benchmark| benchmark.problems.is_empty())
    {
        cx.note(&format!(
            "benchmark `{}` was skipped: it holds no problem",
            benchmark.name
        ));
    }
    benchmarks.retain(|benchmark| !benchmark.problems.is_empty());
    Ok(benchmarks)
}

/// Fetches a known benchmark and reads it.
fn fetch(known: &Known, cx: &StageContext) -> Result<Vec<Problem>, StageError> {
    let name = known.name;
    let files = hub::data_files(cx, &format!("benchmarks.{name}"), &known.files())?;
    let condition = known
        .condition
        .map(Condition::parse)
        .transpose()
        .map_err(|fault| {
            StageError::bug(format!("the condition of benchmark `{name}`: {fault}"))
        })?;
    let mut problems = Vec::new();
    let mut skipped = 0_u64;
    for row in read_files(files) {
        let row =
            row.map_err(|error| StageError::failed(format!("benchmark `{name}`: {error}")))?;
        let Ok(row) = row else {
            skipped += 1;
            continue;
        };
        if !condition
            .as_ref()
            .is_none_or(|condition| condition.holds(&row))
        {
            continue;
        }
        match known.problem(&row) {
            Ok(mapped) => problems.push(mapped.problem),
            Err(_) => skipped += 1,
        }
    }
    if skipped > 0 {
        cx.note(&format!(
            "{skipped} rows of benchmark `{name}` are no problems and were left out"
        ));
    }
    if problems.is_empty() {
        return Err(StageError::failed(format!(
            "benchmark `{name}` holds no problem"
        )));
    }
    Ok(problems)
}

/// Reads the problems of a table.
fn table(input: &InputArtifact, cx: &StageContext) -> Result<Vec<Problem>, StageError> {
    let mut problems = Vec::new();
    for batch in cx.open_table(input)?.batches()? {
        let batch = batch?;
        let (id, prompt) = (text(&batch, "id")?, text(&batch, "prompt")?);
        let optional = |name: &str| optional_text(&batch, name);
        let (domain, family, source) = (
            optional("domain")?,
            optional("family")?,
            optional("source")?,
        );
        let (answer, tests) = (optional("answer")?, optional("tests")?);
        let solution = optional("solution")?;
        // a table that is none of ours may hold anything under this name
        let difficulty = batch
            .column_by_name("difficulty")
            .and_then(|column| column.as_primitive_opt::<Int32Type>());
        for row in 0..batch.num_rows() {
            let or = |column: &Option<arrow::array::StringArray>, default: &str| {
                filled(column.as_ref(), row).unwrap_or(default).to_owned()
            };
            let tests = filled(tests.as_ref(), row).map(str::to_owned);
            problems.push(Problem {
                id: filled(Some(&id), row).unwrap_or_default().to_owned(),
                domain: or(&domain, if tests.is_some() { "code" } else { "math" }),
                family: or(&family, "all"),
                source: or(&source, &input.stage),
                difficulty: difficulty
                    .filter(|column| column.is_valid(row))
                    .map(|column| column.value(row)),
                prompt: filled(Some(&prompt), row).unwrap_or_default().to_owned(),
                answer: filled(answer.as_ref(), row).map(str::to_owned),
                tests,
                solution: filled(solution.as_ref(), row).map(str::to_owned),
            });
        }
    }
    Ok(problems)
}
