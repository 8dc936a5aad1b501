//! What a sentence says: the answer inside of prose.

use std::sync::LazyLock;

use regex::Regex;

use super::super::equal;
use super::super::policy::Policy;
use super::doubt::reckoned;
use super::formulas::{Formula, formulas, last_run};
use super::number::{last_number, leading_number};
use super::reading::{Reading, is_name, is_quantity, plain_words, reading};
use super::result::{derives, result, settled, value_side};
use crate::Verdict;

/// How much of a text may follow an announcement or make a sentence, in bytes.
pub(super) const WINDOW: usize = 4_000;
/// How many ends of a sentence are tried as answers.
const TRIED: usize = 40;

/// Where in a sentence an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Its last formula, or run of formulas.
    Formula,
    /// What it says something is.
    Statement,
    /// Its last number.
    Number,
}

/// Whether what follows an announcement speaks about the answer and does not say it.
pub(super) fn opens_no_answer(sentence: &str) -> bool {
    const ABOUT: [&str; 25] = [
        "correct",
        "right",
        "wrong",
        "incorrect",
        "valid",
        "invalid",
        "reasonable",
        "consistent",
        "plausible",
        "unclear",
        "clear",
        "clearly",
        "obvious",
        "given",
        "as",
        "below",
        "above",
        "found",
        "indeed",
        "in",
        "that",
        "supposed",
        "expected",
        "likely",
        "still",
    ];
    // No value that follows these is the answer.
    const DENIED: [&str; 9] = [
        "not",
        "never",
        "unlikely",
        "hardly",
        "neither",
        "wrong",
        "incorrect",
        "invalid",
        "impossible",
    ];
    const ADVERBS: [&str; 6] = [
        "definitely",
        "certainly",
        "clearly",
        "obviously",
        "very",
        "probably",
    ];
    let mut words = sentence.split_whitespace().map(|word| {
        word.trim_matches(|c: char| !c.is_alphabetic())
            .to_lowercase()
    });
    let Some(first) = words.next() else {
        return false;
    };
    let denied = match ADVERBS.contains(&first.as_str()) {
        true => words
            .next()
            .is_some_and(|next| DENIED.contains(&next.as_str())),
        false => DENIED.contains(&first.as_str()),
    };
    denied || ABOUT.contains(&first.as_str()) && inside(sentence, false).is_none()
}

/// The first sentence of a text, up to where a reason or a remark begins; without the marks around it.
pub(super) fn first_sentence(text: &str) -> &str {
    static END: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)\*\*|\n|[.!?](?:\s|\*|$)|。|,?\s+(?:because|since|as|so|which|where|for|when|i hope|but|with)\b|,\s+(?:not|the|an?)\b|,?\s+(?:i\.e\.|that\s+is\b|namely\b)|\s[-–—]\s+(?:this|that|because|it|so|which|we|as|since|the|and)\b|;\s|\s+\(",
        )
        .expect("a constant pattern")
    });
    let found = formulas(text);
    let end = END
        .find_iter(text)
        .find(|end| {
            // A sentence that opens with a bracket keeps it: `(0, 1)` and `(B)` are answers.
            !text[..end.start()].trim().is_empty()
                && !found
                    .iter()
                    .any(|formula| formula.outer.contains(&end.start()))
                && !is_open(&text[..end.start()])
        })
        .map_or(text.len(), |end| end.start());
    unquoted(&text[..end])
}

/// The first sentence of a text with its reasons and remarks.
pub(super) fn full_sentence(text: &str) -> &str {
    static END: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[.!?]\s|\n|。").expect("a constant pattern"));
    let found = formulas(text);
    let end = END
        .find_iter(text)
        .find(|end| {
            !found
                .iter()
                .any(|formula| formula.outer.contains(&end.start()))
        })
        .map_or(text.len(), |end| end.start());
    unquoted(&text[..end])
}

/// Whether a bracket is open at the end of a text: a list between brackets has marks of its own.
fn is_open(text: &str) -> bool {
    let count = |marks: [char; 2]| text.matches(marks).count();
    count(['(', '[']) > count([')', ']'])
}

/// A text without quotes, emphasis and full stops around it.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let text = text
        .trim_start_matches(['"', '“', '”', '*', '`', '_', ' ', ':'])
        .trim_start_matches(r#"\""#)
        .trim();
    text.trim_end_matches(['"', '“', '”', '*', '`', '_', ' ', '.', '!', '。', '\n'])
        .trim_end_matches('\\')
        .trim()
}

/// The answer inside of a sentence, where there is one.
pub(super) fn inside(sentence: &str, numbers: bool) -> Option<(String, Found)> {
    let sentence = without_reason(sentence);
    let found = formulas(sentence);
    // Without words it is a formula that does not read, and a piece of that is another formula.
    if found.is_empty() && plain_words(sentence) == 0 {
        return None;
    }
    // Where the subject is an equation, an equation is what is said.
    let valued = |said: String| match about_equations(sentence) {
        true => said,
        false => value_side(&said).to_owned(),
    };
    if let Some(stated) = stated(sentence, &found) {
        return Some((valued(said(stated)), Found::Statement));
    }
    let run = last_run(&found, sentence);
    // Derivations beside each other are steps, not a list.
    let run = match run {
        [first, ..] if qualified(sentence.get(..first.outer.start).unwrap_or_default()) => &[],
        [.., last]
            if run
                .iter()
                .any(|part| derives(&sentence[part.inner.clone()])) =>
        {
            std::slice::from_ref(last)
        }
        _ => run,
    };
    let named = run.iter().all(|formula| is_name(formula, sentence));
    let formula = || {
        let parts: Vec<String> = run
            .iter()
            .map(|formula| result(sentence.get(formula.inner.clone()).unwrap_or_default()))
            .filter(|part| !part.is_empty())
            .collect();
        match parts.as_slice() {
            [] => None,
            [only] => Some((valued(only.clone()), Found::Formula)),
            _ => Some((parts.join(", "), Found::Formula)),
        }
    };
    if !named && let Some(found) = formula() {
        return Some(found);
    }
    let after = run.last().map_or(0, |formula| formula.outer.end);
    let rest = sentence.get(after..).unwrap_or_default();
    if numbers && let Some(end) = readable_end(rest) {
        return Some((said(end), Found::Statement));
    }
    if numbers && let Some(number) = last_number(rest) {
        return Some((number, Found::Number));
    }
    formula()
}

/// A text that reads, without the marks of the formula that it may be; of `3/4, or 75%` the first.
pub(super) fn said(text: &str) -> String {
    static OR: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r",?\s+or\s+").expect("a constant pattern"));
    let sides: Vec<&str> = OR.split(text).collect();
    if let [first, second] = sides.as_slice()
        && equal::decide(first, second, &Policy::default()).verdict == Verdict::Pass
    {
        return said(first);
    }
    match formulas(text).as_slice() {
        [only] if only.outer.start == 0 => {
            let (inner, unit) = (&text[only.inner.clone()], &text[only.outer.end..]);
            let value = result(inner);
            match unit.trim().is_empty() {
                true => value,
                false if value == inner.trim() => text.to_owned(),
                false => format!("${value}${unit}"),
            }
        }
        [] => with_unit(text).unwrap_or_else(|| settled(text)),
        _ => text.to_owned(),
    }
}

/// `1,000.99m²` or `5 m` in a sentence is a number with its unit, not a product, where that reads. A single letter
/// that stands to a whole number, as in `3m`, may be a variable.
fn with_unit(text: &str) -> Option<String> {
    static UNIT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^([-−]?\d[\d,]*(\.\d+)?)(\s?)([mgshLNJWV]|[A-Za-z]{2,3})(\^\{?[23]\}?|[²³])?$")
            .expect("a constant pattern")
    });
    let found = UNIT.captures(text)?;
    let group = |number| found.get(number).map_or("", |group| group.as_str());
    let (number, letters, power) = (group(1), group(4), group(5));
    let whole = group(2).is_empty() && !number.contains(',');
    if letters.len() == 1 && whole && group(3).is_empty() && !power.starts_with(['²', '³']) {
        return None;
    }
    let written = format!(r"{number}\text{{ {letters}}}{power}");
    is_quantity(&written).then_some(written)
}

/// Whether a word says that what follows is not it.
pub(super) fn denies(word: &str) -> bool {
    let word = word.to_lowercase();
    matches!(
        word.as_str(),
        "not" | "no" | "never" | "than" | "least" | "most"
    ) || word.ends_with("n't")
}

/// Whether the words before a value make something else of it: "except 3", "at least 3", "cannot be 3".
fn qualified(before: &str) -> bool {
    const QUALIFIERS: [&str; 17] = [
        "except",
        "excluding",
        "besides",
        "without",
        "least",
        "most",
        "between",
        "beyond",
        "cannot",
        "neither",
        "nor",
        "mod",
        "modulo",
        "multiple",
        "multiples",
        "divisible",
        "unless",
    ];
    const COPULAS: [&str; 8] = ["is", "are", "was", "were", "be", "it's", "equal", "equals"];
    let mut copula = false;
    for word in before.split_whitespace().rev().take(3) {
        let bare = word
            .trim_matches(|c: char| !c.is_alphanumeric())
            .to_lowercase();
        if word.ends_with([',', ';', ':', '.']) || word.contains(|c: char| c.is_ascii_digit()) {
            return false;
        }
        if denies(&bare) || QUALIFIERS.contains(&bare.as_str()) {
            return true;
        }
        // What is said before the verb's subject is another matter.
        if copula {
            return false;
        }
        copula = COPULAS.contains(&bare.as_str());
    }
    false
}

/// Whether a sentence speaks of an equation or of what one describes.
fn about_equations(sentence: &str) -> bool {
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)\b(?:equations?|lines?|planes?|circles?|curves?|parabolas?|hyperbolas?|ellipses?|relations?|identity|identities|conditions?|constraints?|formulas?|asymptotes?|tangents?|graphs?|functions?|solutions?|systems?|laws?|axis|directrix|locus)\b",
        )
        .expect("a constant pattern")
    });
    WORDS.is_match(sentence)
}

/// A sentence without the reason that it gives in the end.
fn without_reason(sentence: &str) -> &str {
    static REASON: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?i),?\s+(?:because|since)\b").expect("a constant pattern"));
    let found = formulas(sentence);
    REASON
        .find_iter(sentence)
        .map(|reason| &sentence[..reason.start()])
        .find(|before| {
            let cut = before.len();
            says_a_value(before) && !found.iter().any(|formula| formula.outer.contains(&cut))
        })
        .unwrap_or(sentence)
}

/// What stands after the last verb or sign that says what something is, if that reads as mathematics by itself.
fn stated<'a>(sentence: &'a str, found: &[Formula]) -> Option<&'a str> {
    static COPULA: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)(?:\b(?:is|are|was|were|be|being|equals?|becomes?|gives?|gets?|obtains?|yields?|makes?|totals?|costs?|leaves|have|has|had|(?:equal|simplif\w+|reduces?|evaluates?|comes|comes\s+out|leads|amounts?|sums\s+up|adds\s+up|rounds?)\s+to)\b|=|:(?:\s|$))[\s*]*(?:(?:approximately|about|exactly|simply|just|equal|given|to|by|therefore|thus|either|only|at)\s+)*|^\s*(?:approximately|about|roughly|exactly|only|just)\s+",
        )
        .expect("a constant pattern")
    });
    let mut starts: Vec<usize> = COPULA
        .find_iter(sentence)
        .filter(|verb| {
            !found
                .iter()
                .any(|formula| formula.outer.contains(&verb.start()))
        })
        .map(|verb| verb.end())
        .collect();
    starts.reverse();
    starts.into_iter().take(3).find_map(|start| {
        let rest = first_sentence(&sentence[start..]);
        if rest.split_whitespace().next().is_some_and(denies) || qualified(&sentence[..start]) {
            return None;
        }
        // What a later formula says comes after.
        let end = start + sentence[start..].find(rest).unwrap_or(0) + rest.len();
        if found
            .iter()
            .any(|formula| formula.outer.start >= end && !is_name(formula, sentence))
        {
            return None;
        }
        let named = match formulas(rest).as_slice() {
            [only] => only.outer == (0..rest.len()) && is_name(only, rest),
            _ => false,
        };
        if !named && says_a_value(rest) && reading(rest) == Reading::Maths {
            return (!reckoned(rest)).then_some(rest);
        }
        leading_number(rest).filter(|_| !reckoned(rest))
    })
}

/// The word that answers by itself: of "Yes, it is", `Yes`.
pub(super) fn outright(words: &str) -> Option<&str> {
    let (first, rest) = words.split_once([',', '.', ';', '!'])?;
    let known = ["yes", "no", "true", "false"];
    let outright = known
        .iter()
        .any(|word| first.trim().eq_ignore_ascii_case(word));
    (outright && !rest.trim().is_empty()).then(|| first.trim())
}

/// The words that a sentence without numbers and formulas says something is: "the fastest one is Evelyn".
pub(super) fn stated_words(sentence: &str) -> Option<&str> {
    static COPULA: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?i)\b(?:is|are|was|were)\s").expect("a constant pattern"));
    let start = COPULA.find_iter(sentence).last()?.end();
    let words = first_sentence(&sentence[start..]);
    let few = words.split_whitespace().count() <= 3;
    (few && !opens_no_answer(words) && reading(words) == Reading::Words).then_some(words)
}

/// The longest end of a sentence that reads as mathematics.
fn readable_end(sentence: &str) -> Option<&str> {
    let mut starts: Vec<usize> = sentence
        .char_indices()
        .filter(|(at, c)| {
            // After a word: what follows a sign is the rest of a formula that does not read.
            let before = &sentence[..*at];
            !c.is_whitespace()
                && before.ends_with(char::is_whitespace)
                && before
                    .split_whitespace()
                    .next_back()
                    .is_some_and(|word| plain_words(word) == 1 && !denies(word))
        })
        .map(|(at, _)| at)
        .collect();
    let skipped = starts.len().saturating_sub(TRIED);
    starts.drain(..skipped);
    starts.into_iter().find_map(|start| {
        let end = unquoted(&sentence[start..]);
        let mathematical =
            !end.starts_with(|c: char| c.is_alphabetic()) || end.contains(['=', '<', '>', '^']);
        (mathematical && says_a_value(end) && reading(end) == Reading::Maths).then_some(end)
    })
}

/// Whether there is anything in a text that a letter alone is not.
fn says_a_value(text: &str) -> bool {
    text.contains(|c: char| c.is_numeric() || "\\$π√∞=".contains(c))
}

/// The last sentences of a text, the last one first, and whether the last one is finished.
pub(super) fn last_sentences(text: &str) -> (Vec<&str>, bool) {
    static END: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[.!?]\s|\n\s*\n").expect("a constant pattern"));
    let text = text.trim();
    let text = tail(text, WINDOW);
    let finished = text.ends_with(['.', '!', '$', ']', ')', '}', '"', '*'])
        || formulas(text)
            .last()
            .is_some_and(|last| last.outer.end == text.len());
    let found = formulas(text);
    let ends: Vec<usize> = END
        .find_iter(text)
        .filter(|end| {
            !found
                .iter()
                .any(|formula| formula.outer.contains(&end.start()))
        })
        .map(|end| end.end())
        .collect();
    let mut sentences = Vec::new();
    let mut end = text.len();
    for start in ends.into_iter().rev().chain([0]) {
        let sentence = text[start..end].trim();
        end = start;
        if !sentence.is_empty() {
            sentences.push(sentence);
        }
        if sentences.len() == 3 {
            break;
        }
    }
    (sentences, finished)
}

pub(super) fn head(text: &str, len: usize) -> &str {
    let mut end = text.len().min(len);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

pub(super) fn tail(text: &str, len: usize) -> &str {
    let mut start = text.len().saturating_sub(len);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}
