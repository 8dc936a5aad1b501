//! Benchmarks that are known by name: which data set of the hub, which of its rows, and how they become problems.
//! `problems` and `eval` read them.

use std::borrow::Cow;

use dag_data::Problem;
use dag_data::hub::DataFiles;
use dag_data::layout::{Layout, LayoutSettings, Mapped, problem_of};
use dag_data::rows::SourceRow;
use dag_engine::Fault;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code_tests::CODE_TESTS;

/// A data set known by name.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// The data set on the hub; its revision is in the lock file.
    pub(crate) id: &'static str,
    config: Option<&'static str>,
    split: Option<&'static str>,
    /// Files by name, instead of a split.
    files: &'static [&'static str],
    /// Which of its rows.
    pub(crate) condition: Option<&'static str>,
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
pub(crate) static KNOWN: [Known; 6] = [
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
pub(crate) fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

/// What is wrong with a name of a benchmark, if it is none.
pub(crate) fn fault(field: &str, name: &str) -> Option<Fault> {
    if known(name).is_some() {
        return None;
    }
    let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
    Some(
        Fault::field(field, format!("benchmark `{name}` is not known"))
            .hint(format!("known are {}", names.join(", "))),
    )
}

impl Known {
    /// Its files in the data set.
    pub(crate) fn files(&self) -> Vec<DataFiles> {
        let wanted = |file: Option<&str>| DataFiles {
            config: self.config.map(str::to_owned),
            split: self.split.map(str::to_owned),
            file: file.map(str::to_owned),
        };
        if self.files.is_empty() {
            vec![wanted(None)]
        } else {
            self.files.iter().map(|file| wanted(Some(file))).collect()
        }
    }

    /// A row of its files as a problem.
    pub(crate) fn problem(&self, row: &SourceRow) -> Result<Mapped, String> {
        let layout = match &self.rows {
            Rows::Gpqa => {
                let problem = gpqa(row).ok_or("the row has no question with four choices")?;
                return Ok(Mapped {
                    problem,
                    note: None,
                });
            }
            Rows::Layout(layout) => LayoutSettings {
                layout: Some(*layout),
                ..LayoutSettings::default()
            },
            Rows::ProblemAnswer => LayoutSettings {
                columns: [("prompt".to_owned(), "problem".to_owned())].into(),
                domain: Some("math".into()),
                family: Some(self.name.into()),
                ..LayoutSettings::default()
            },
        };
        problem_of(row, &layout, self.id, &CODE_TESTS)
    }
}

/// The schema of a benchmark's name: one of [`KNOWN`].
pub(crate) struct Name;

impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Benchmark".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
        json_schema!({ "type": "string", "enum": names })
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use dag_data::Condition;

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
