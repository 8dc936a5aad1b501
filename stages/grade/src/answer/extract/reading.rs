//! Is a text an answer, or prose that holds one?

use std::sync::LazyLock;

use regex::Regex;

use super::super::expression::Expression;
use super::super::lex::Commas;
use super::super::parse::parse;
use super::formulas::{Formula, formulas};
use super::number::leading_number;

/// How a text reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Mathematics: a value, a relation, a collection.
    Maths,
    /// A few words without a number or a formula: an answer in words, if nothing in it is better.
    Words,
    /// Neither, or an answer with words around it.
    Prose,
}

/// The longest answer in words, in words.
const WORDS: usize = 8;
/// The longest unit, in words: `5 miles per hour`.
const UNIT_WORDS: usize = 4;

/// How a text reads. The reader of answers decides, but for words around a formula: these make prose of it.
pub(super) fn reading(text: &str) -> Reading {
    let text = text.trim();
    if text.is_empty() || has_words_around(text) {
        return Reading::Prose;
    }
    if let Some(number) = leading_number(text)
        && !text
            .split_once(number)
            .is_some_and(|(_, words)| is_unit(words))
    {
        return Reading::Prose;
    }
    match parse(text, Commas::Thousands) {
        Err(_) => Reading::Prose,
        Ok(Expression::Text(words)) => {
            let digits = words.contains(|c: char| c.is_ascii_digit());
            if digits || words.split_whitespace().count() > WORDS {
                Reading::Prose
            } else {
                Reading::Words
            }
        }
        Ok(Expression::Quantity(_, unit)) if !is_unit(&unit.written) => Reading::Prose,
        Ok(_) => Reading::Maths,
    }
}

/// Whether a text is a value with a unit.
pub(super) fn is_quantity(text: &str) -> bool {
    matches!(parse(text, Commas::Thousands), Ok(Expression::Quantity(..)))
}

/// Whether the words behind a value may be its unit: few, and none that only sentences have.
fn is_unit(words: &str) -> bool {
    const OF_SENTENCES: [&str; 24] = [
        "of", "them", "that", "which", "who", "left", "are", "is", "was", "were", "in", "on", "to",
        "for", "from", "with", "the", "and", "or", "than", "have", "has", "can", "such",
    ];
    words.split_whitespace().count() <= UNIT_WORDS
        && !words
            .split(|c: char| !c.is_alphabetic())
            .any(|word| OF_SENTENCES.contains(&word.to_lowercase().as_str()))
}

/// Whether words stand before or between the formulas of a text, or around the numbers of one without formulas.
fn has_words_around(text: &str) -> bool {
    let found = formulas(text);
    let Some(last) = found.last() else {
        return plain_words(text) > UNIT_WORDS && text.contains(|c: char| c.is_ascii_digit());
    };
    let mut start = 0;
    let mut between = found.iter().map(|formula| {
        let gap = text.get(start..formula.outer.start).unwrap_or_default();
        start = formula.outer.end;
        gap
    });
    if between.any(|gap| plain_words(gap) > 0) {
        return true;
    }
    let after = text.get(last.outer.end..).unwrap_or_default();
    // What follows may be a unit; "and", with words behind it, goes on with the sentence.
    let goes_on = after
        .split_whitespace()
        .any(|word| matches!(word, "and" | "or"));
    plain_words(after) > if goes_on { 0 } else { UNIT_WORDS }
}

/// How many words a text has, without `and` and `or`, LaTeX commands and what `\text` holds. A letter is no word.
pub(in crate::answer) fn plain_words(text: &str) -> usize {
    static COMMANDS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\\(?:text[a-z]*|mbox|mathrm|begin|end)\s*\{[^{}]*\}|\\[A-Za-z]+")
            .expect("a constant pattern")
    });
    COMMANDS
        .replace_all(text, " ")
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| word.chars().nth(1).is_some() && !matches!(*word, "and" | "or"))
        .count()
}

/// Whether a formula is a mere name, `n` or `f(x)` or `\triangle ABC`: what a sentence is about, not what it says.
pub(super) fn is_name(formula: &Formula, text: &str) -> bool {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^\s*(?:\\[a-zA-Z]+\s*)?[A-Za-z]{0,4}'*(?:_\{?\w+\}?)?\s*(?:\([A-Za-z](?:\s*,\s*[A-Za-z])*\))?\s*$")
            .expect("a constant pattern")
    });
    NAME.is_match(text.get(formula.inner.clone()).unwrap_or_default())
}
