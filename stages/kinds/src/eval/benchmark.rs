//! Benchmarks: tables of the pipeline, or data sets of the hub that are known by name.

use dag_data::hub::{DataFiles, Hub, HubConfig};
use dag_data::layout::{Layout, LayoutSettings, problem_of};
use dag_data::rows::{Format, SourceRow, read_files};
use dag_data::{Condition, Problem};
use dag_engine::{InputArtifact, StageContext, StageError};

use crate::columns::{filled, optional_text, text};

/// A data set known by name.
pub(super) struct Known {
    pub(super) name: &'static str,
    /// The data set on the hub; its revision is in the lock file.
    pub(super) id: &'static str,
    config: Option<&'static str>,
    split: Option<&'static str>,
    /// Files by name, instead of a split.
    files: &'static [&'static str],
    condition: Option<&'static str>,
    rows: Rows,
}

/// How the rows of a data set become problems.
enum Rows {
    Layout(Layout),
    /// `problem` and `answer`.
    ProblemAnswer,
    /// `Question`, `Correct Answer` and three wrong ones, which are put in an order that the question decides.
    Gpqa,
}

/// The benchmarks known by name.
pub(super) const KNOWN: [Known; 6] = [
    Known {
        name: "math500",
        id: "qq8933/MATH500",
        config: None,
        split: Some("test"),
        files: &[],
        condition: None,
        rows: Rows::Layout(Layout::Math500),
    },
    Known {
        name: "aime24",
        id: "AI-MO/aimo-validation-aime",
        config: None,
        split: Some("train"),
        files: &[],
        condition: Some("url LIKE '%2024%'"),
        rows: Rows::ProblemAnswer,
    },
    Known {
        name: "amc23",
        id: "AI-MO/aimo-validation-amc",
        config: None,
        split: Some("train"),
        files: &[],
        condition: Some("url LIKE '%2023%'"),
        rows: Rows::ProblemAnswer,
    },
    // release_v2: 511 problems
    Known {
        name: "livecodebench",
        id: "livecodebench/code_generation_lite",
        config: None,
        split: None,
        files: &["test.jsonl", "test2.jsonl"],
        condition: None,
        rows: Rows::Layout(Layout::Livecodebench),
    },
    Known {
        name: "gpqa-diamond",
        id: "Idavidrein/gpqa",
        config: Some("gpqa_diamond"),
        split: Some("train"),
        files: &[],
        condition: None,
        rows: Rows::Gpqa,
    },
    Known {
        name: "gsm8k",
        id: "openai/gsm8k",
        config: Some("main"),
        split: Some("test"),
        files: &[],
        condition: None,
        rows: Rows::Layout(Layout::Gsm8k),
    },
];

/// The data set of that name.
pub(super) fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

/// Fetches a known benchmark and reads it.
pub(super) fn fetch(known: &Known, cx: &StageContext) -> Result<Vec<Problem>, StageError> {
    let place = cx.hub(&format!("benchmarks.{}", known.name))?;
    cx.progress().set_message(format!("fetching {}", place.id));
    let hub = Hub::from_env_values(HubConfig::from_env(|name| std::env::var(name).ok()));
    let wanted = |file: Option<&str>| DataFiles {
        config: known.config.map(str::to_owned),
        split: known.split.map(str::to_owned),
        file: file.map(str::to_owned),
    };
    let all: Vec<DataFiles> = if known.files.is_empty() {
        vec![wanted(None)]
    } else {
        known.files.iter().map(|file| wanted(Some(file))).collect()
    };
    let mut files = Vec::new();
    for wanted in &all {
        let paths = hub
            .fetch_dataset_files(&place.id, &place.revision, wanted)
            .map_err(|error| {
                let hint = error.hint();
                let failure =
                    StageError::environment(format!("benchmark `{}`: {error}", known.name));
                match hint {
                    Some(hint) => failure.with_hint(hint),
                    None => failure,
                }
            })?;
        for path in paths {
            let Some(format) = Format::of(&path) else {
                return Err(StageError::failed(format!(
                    "{} is neither .jsonl nor .parquet",
                    path.display()
                )));
            };
            files.push((path, format));
        }
    }
    let condition = known
        .condition
        .map(Condition::parse)
        .transpose()
        .map_err(|fault| {
            StageError::bug(format!(
                "the condition of benchmark `{}`: {fault}",
                known.name
            ))
        })?;
    let mut problems = Vec::new();
    let mut skipped = 0_u64;
    for row in read_files(files) {
        let row = row
            .map_err(|error| StageError::failed(format!("benchmark `{}`: {error}", known.name)))?;
        let Ok(row) = row else {
            skipped += 1;
            continue;
        };
        if condition
            .as_ref()
            .is_some_and(|condition| !condition.holds(&row))
        {
            continue;
        }
        match problem(&row, known) {
            Some(problem) => problems.push(problem),
            None => skipped += 1,
        }
    }
    if skipped > 0 {
        cx.note(&format!(
            "{skipped} rows of benchmark `{}` are no problems and were left out",
            known.name
        ));
    }
    if problems.is_empty() {
        return Err(StageError::failed(format!(
            "benchmark `{}` holds no problem",
            known.name
        )));
    }
    Ok(problems)
}

fn problem(row: &SourceRow, known: &Known) -> Option<Problem> {
    let layout = match &known.rows {
        Rows::Gpqa => return gpqa(row),
        Rows::Layout(layout) => LayoutSettings {
            layout: Some(*layout),
            ..LayoutSettings::default()
        },
        Rows::ProblemAnswer => LayoutSettings {
            columns: [("prompt".to_owned(), "problem".to_owned())].into(),
            domain: Some("math".into()),
            family: Some(known.name.into()),
            ..LayoutSettings::default()
        },
    };
    problem_of(row, &layout, known.id)
        .ok()
        .map(|mapped| mapped.problem)
}

/// The choices stand in an order that depends on the question alone, so that letters do not change with the seed or with
/// the rows around.
fn gpqa(row: &SourceRow) -> Option<Problem> {
    let field = |name: &str| {
        row.get(name)
            .and_then(|value| value.as_str())
            .map(str::trim)
    };
    let question = field("Question")?;
    let right = field("Correct Answer")?;
    let mut choices = vec![right];
    for name in [
        "Incorrect Answer 1",
        "Incorrect Answer 2",
        "Incorrect Answer 3",
    ] {
        choices.push(field(name)?);
    }
    choices
        .sort_by_key(|choice| *blake3::hash(format!("{question}\n{choice}").as_bytes()).as_bytes());
    let letters = ["A", "B", "C", "D"];
    let answer = letters[choices.iter().position(|choice| *choice == right)?];
    let lines: Vec<String> = letters
        .iter()
        .zip(&choices)
        .map(|(letter, choice)| format!("{letter}) {choice}"))
        .collect();
    let family = field("High-level domain").unwrap_or("gpqa");
    Some(
        Problem {
            domain: "choice".into(),
            family: family.to_owned(),
            source: "Idavidrein/gpqa".into(),
            prompt: format!("{question}\n\n{}", lines.join("\n")),
            answer: Some(answer.into()),
            ..Problem::default()
        }
        .identified(),
    )
}

/// Reads the problems of a table.
pub(super) fn read(input: &InputArtifact, cx: &StageContext) -> Result<Vec<Problem>, StageError> {
    let table = cx.open_table(input)?;
    let mut problems = Vec::new();
    for batch in table.batches()? {
        let batch = batch?;
        let (id, prompt) = (text(&batch, "id")?, text(&batch, "prompt")?);
        let optional = |name: &str| optional_text(&batch, name);
        let (domain, family, source) = (
            optional("domain")?,
            optional("family")?,
            optional("source")?,
        );
        let (answer, tests) = (optional("answer")?, optional("tests")?);
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
                difficulty: None,
                prompt: filled(Some(&prompt), row).unwrap_or_default().to_owned(),
                answer: filled(answer.as_ref(), row).map(str::to_owned),
                tests,
                solution: None,
            });
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letters_of_a_choice_depend_on_the_question_alone() {
        let row = serde_json::json!({ "Question": "q", "Correct Answer": "r", "Incorrect Answer 1": "x", "Incorrect Answer 2": "y", "Incorrect Answer 3": "z" });
        let other = serde_json::json!({ "Question": "q", "Correct Answer": "r", "Incorrect Answer 1": "z", "Incorrect Answer 2": "x", "Incorrect Answer 3": "y" });
        let (a, b) = (
            gpqa(row.as_object().unwrap()).unwrap(),
            gpqa(other.as_object().unwrap()).unwrap(),
        );
        assert_eq!(a, b);
        let letter = a.answer.unwrap();
        assert!(a.prompt.contains(&format!("{letter}) r")), "{}", a.prompt);
        assert!(gpqa(serde_json::json!({ "Question": "q" }).as_object().unwrap()).is_none());
    }

    #[test]
    fn the_conditions_of_known_benchmarks_are_conditions() {
        for known in &KNOWN {
            assert!(
                known
                    .condition
                    .is_none_or(|condition| Condition::parse(condition).is_ok()),
                "{}",
                known.name
            );
        }
    }
}
