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

use crate::Verdict;

pub use extract::{ExtractOptions, ExtractRule, Extracted, extract};
pub use policy::{ListOrder, Percent, Policy, Units};

/// What was decided about one response, and by which rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graded {
    /// The decision.
    pub verdict: Verdict,
    /// The extraction rule and the deciding rung, as `boxed+exact`.
    pub rule: String,
    /// Why it is no pass; empty for a pass.
    pub reason: String,
    /// The answer found in the response.
    pub extracted: Option<String>,
}

/// The longest response without a mark that is read as a bare answer, in bytes.
const BARE_ANSWER: usize = 200;

/// Grades a response, or a bare answer, against the gold answer.
pub fn grade(gold: &str, response: &str, policy: &Policy) -> Graded {
    let options = ExtractOptions {
        whole_up_to: BARE_ANSWER,
        ..ExtractOptions::default()
    };
    let gold = match extract(gold, &options) {
        Some(found) => found.text,
        None => gold.to_owned(),
    };
    let options = ExtractOptions {
        last_number: policy.last_number,
        ..options
    };
    let Some(found) = extract(response, &options) else {
        // A gold that does not read is told even where the response has no answer.
        let (verdict, reason) = match equal::readable(&gold) {
            Ok(()) => (Verdict::Unparsable, "no answer in the response".to_owned()),
            Err(reason) => (
                Verdict::Error,
                format!("the gold answer does not read: {reason}"),
            ),
        };
        return Graded {
            verdict,
            rule: "none".to_owned(),
            reason,
            extracted: None,
        };
    };
    let decision = equal::decide(&gold, &found.text, policy);
    Graded {
        verdict: decision.verdict,
        rule: format!("{}+{}", found.rule, decision.rung),
        reason: decision.reason,
        extracted: Some(found.text),
    }
}

#[cfg(test)]
mod tests;
