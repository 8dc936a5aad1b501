//! Is this answer that answer? Extraction, reading, and a ladder of decisions.
//!
//! A gold that does not read is an [`Verdict::Error`] of the data set; a response without a readable
//! answer, or a pair that no rung decides, is [`Verdict::Unparsable`], never a pass.

mod equal;
mod expression;
mod extract;
mod float;
mod lex;
mod normal;
mod numeric;
mod parse;
mod policy;
mod row;

use serde::Serialize;

use crate::Verdict;

pub use extract::{ExtractOptions, ExtractRule, Extracted, extract};
pub use policy::{ListOrder, Percent, Policy, Units};
pub use row::{RowError, SelfTestFailure, grade_row, row_id, selftest};

/// What was decided about one response, and by which rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Graded {
    /// The decision.
    pub verdict: Verdict,
    /// The extraction rule and the deciding rung, as `boxed+exact`.
    pub rule: String,
    /// Why, in a short sentence.
    pub reason: String,
    /// The answer found in the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extracted: Option<String>,
}

/// The longest response without a mark that is read as a bare answer, in bytes.
const BARE_ANSWER: usize = 200;

/// Grades a response, or a bare answer, against the gold answer.
pub fn grade(gold: &str, response: &str, policy: &Policy) -> Graded {
    let options = ExtractOptions {
        closing: true,
        whole_up_to: BARE_ANSWER,
        last_number: policy.last_number,
        ..ExtractOptions::default()
    };
    let found = extract(response, &options);
    // A gold that does not read is told even where the response has no answer.
    let faulty = |reason: String| Graded {
        verdict: Verdict::Error,
        rule: "gold".to_owned(),
        reason,
        extracted: found.as_ref().map(|found| found.text.clone()),
    };
    let Some(gold) = gold_answer(gold) else {
        return faulty("the gold has no answer".to_owned());
    };
    let Some(found) = &found else {
        return match equal::readable(&gold) {
            Ok(()) => Graded {
                verdict: Verdict::Unparsable,
                rule: "none".to_owned(),
                reason: "no answer in the response".to_owned(),
                extracted: None,
            },
            Err(reason) => faulty(format!("the gold answer does not read: {reason}")),
        };
    };
    let (gold, answer) = without_letters(gold, found.text.clone());
    let decision = equal::decide(&gold, &answer, policy);
    Graded {
        verdict: decision.verdict,
        rule: format!("{}+{}", found.rule, decision.rung),
        reason: decision.reason,
        extracted: Some(answer),
    }
}

/// The answer of a gold, which may be a worked solution.
fn gold_answer(gold: &str) -> Option<String> {
    let options = ExtractOptions {
        closing: true,
        whole_up_to: BARE_ANSWER,
        unclosed_box: true,
        ..ExtractOptions::default()
    };
    extract(gold, &options).map(|found| found.text)
}

/// Of a choice with what it says, `(C) 24`, the side that the other one has: the letter or what it says. Two choices
/// of different letters differ, whatever they say.
fn without_letters(gold: String, answer: String) -> (String, String) {
    let is_letter = |text: &str| {
        let text: String = text.chars().filter(char::is_ascii_alphabetic).collect();
        matches!(
            text.trim_start_matches("text"),
            "A" | "B" | "C" | "D" | "E" | "F" | "G" | "H" | "I" | "J"
        )
    };
    match (extract::lettered(&gold), extract::lettered(&answer)) {
        (Some((one, _)), Some((other, _))) if one != other => (one, other),
        (Some((_, gold)), Some((_, answer))) => (gold, answer),
        (Some((letter, _)), None) if is_letter(&answer) => (letter, answer),
        (Some((_, gold)), None) => (gold, answer),
        (None, Some((letter, _))) if is_letter(&gold) => (gold, letter),
        (None, Some((_, answer))) => (gold, answer),
        (None, None) => (gold, answer),
    }
}

#[cfg(test)]
mod tests;
