//! One row of a file of answers, and a file's golds against themselves.
//!
//! | field | also called | what |
//! |---|---|---|
//! | `gold` | `answer` | the gold answer, or a worked solution that marks it |
//! | `pred` | `completion`, `response` | a bare answer, or what a model wrote |
//! | `id` | `task_id`, `problem_id`, `question_id` | handed through |
//!
//! Numbers are read as their text. Other fields, `suite` among them, are for the caller.

use std::borrow::Cow;

use serde_json::Value;

use super::{Graded, Policy, equal, gold_answer, grade};
use crate::Verdict;

/// Why a row holds nothing to grade.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The row is another kind of JSON.
    #[error("the row is no JSON object")]
    NoObject,
    /// The field, under each of its names, is missing.
    #[error("the row has no `{0}`")]
    Missing(&'static str),
    /// The field is neither text nor a number.
    #[error("`{0}` is neither text nor a number")]
    NoText(&'static str),
}

/// Grades the answer of one row.
///
/// # Errors
/// The row is no object, or lacks its gold or its answer; never because of what these say, which is a verdict.
///
/// ```
/// use dag_grade::{Verdict, answer::{Policy, grade_row}};
///
/// let row = serde_json::json!({"id": 7, "gold": "1/2", "pred": r"so \boxed{0.5}"});
/// let graded = grade_row(&row, &Policy::default())?;
/// assert_eq!(graded.verdict, Verdict::Pass);
/// # Ok::<(), dag_grade::answer::RowError>(())
/// ```
pub fn grade_row(row: &Value, policy: &Policy) -> Result<Graded, RowError> {
    if !row.is_object() {
        return Err(RowError::NoObject);
    }
    let gold = field(row, &["gold", "answer"])?;
    let answer = field(row, &["pred", "completion", "response"])?;
    Ok(grade(&gold, &answer, policy))
}

/// The row's own name, where it has one.
pub fn row_id(row: &Value) -> Option<&Value> {
    ["id", "task_id", "problem_id", "question_id"]
        .iter()
        .find_map(|name| row.get(*name))
}

/// The text of the first of these fields that the row has.
fn field<'a>(row: &'a Value, names: &[&'static str]) -> Result<Cow<'a, str>, RowError> {
    let first = names.first().copied().unwrap_or_default();
    let (name, value) = names
        .iter()
        .find_map(|name| Some((*name, row.get(*name)?)))
        .ok_or(RowError::Missing(first))?;
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text)),
        Value::Number(number) => Ok(Cow::Owned(number.to_string())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(RowError::NoText(name))
        }
    }
}

/// A gold that is not equal to itself: nobody can answer it right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfTestFailure {
    /// Its place among the golds, from 0.
    pub index: usize,
    /// The gold as given.
    pub gold: String,
    /// What grading it against itself gave.
    pub graded: Graded,
}

/// Grades every gold against itself, and gives those that do not pass, and those that pass only because the writing is
/// the same: what does not read can be met by no other writing.
///
/// ```
/// use dag_grade::answer::{Policy, selftest};
///
/// let failures = selftest([r"\frac12", r"\frac{1"], &Policy::default());
/// assert_eq!(failures.len(), 1);
/// assert_eq!(failures[0].index, 1);
/// ```
pub fn selftest<'a>(
    golds: impl IntoIterator<Item = &'a str>,
    policy: &Policy,
) -> Vec<SelfTestFailure> {
    golds
        .into_iter()
        .enumerate()
        .filter_map(|(index, gold)| {
            let mut graded = grade(gold, gold, policy);
            let read = gold_answer(gold).map(|answer| equal::readable(&answer));
            if let (true, Some(Err(reason))) = (graded.verdict.is_pass(), read) {
                graded.verdict = Verdict::Error;
                graded.reason = format!("the gold answer does not read: {reason}");
            }
            (!graded.verdict.is_pass()).then(|| SelfTestFailure {
                index,
                gold: gold.to_owned(),
                graded,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_go_by_their_usual_names() {
        for row in [
            json!({"gold": "5", "pred": "5"}),
            json!({"answer": "He has 5.\n#### 5", "response": r"so \boxed{5}"}),
            json!({"gold": 5, "completion": 5.0, "suite": "default"}),
        ] {
            let graded = grade_row(&row, &Policy::default()).unwrap();
            assert_eq!(graded.verdict, Verdict::Pass, "{row}: {graded:?}");
        }
        assert_eq!(row_id(&json!({"task_id": "a/1"})), Some(&json!("a/1")));
        assert_eq!(row_id(&json!({})), None);
    }

    #[test]
    fn a_row_without_gold_or_answer_is_told() {
        for (row, error) in [
            (json!([]), "the row is no JSON object"),
            (json!({"pred": "5"}), "the row has no `gold`"),
            (json!({"gold": "5"}), "the row has no `pred`"),
            (
                json!({"gold": "5", "response": null}),
                "`response` is neither text nor a number",
            ),
        ] {
            let found = grade_row(&row, &Policy::default()).unwrap_err();
            assert_eq!(found.to_string(), error);
        }
    }
}
