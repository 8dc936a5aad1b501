//! The last number of a text: what is left where an answer has no mark. It counts only where the caller declares it.

use std::sync::LazyLock;

use regex::Regex;

use super::formulas::formulas;
use super::sentence::{denies, tail};

/// How much before the last digit is read, in bytes: a longer number is none.
const WINDOW: usize = 120;

/// The last number with its sign, separators, fraction, power of ten, percent sign, and a sign of money or degrees behind it.
pub(super) fn last_number(text: &str) -> Option<String> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?x)
            [-−]?
            (?: \d{1,2}:\d\d(?::\d\d)? | \d{1,3}(?:(?:,|\{,\}|,\\!|\ )\d{3})+(?:[.,]\d+)? | \d+(?:[.,]\d+)? | \.\d+ )
            (?: \s?(?:×|x|\*|\\times|\\cdot)\s?10\^?\{?-?\d+\}? | \s\d+/\d+ | \s?/\s?\d+ )?
            (?: \s?\\?% )?",
        )
        .expect("a constant pattern")
    });
    let last = text.rfind(|c: char| c.is_ascii_digit())?;
    let end = text[last..]
        .find(|c: char| c.is_whitespace() || "$*)".contains(c))
        .map_or(text.len(), |len| last + len);
    // A percent sign may stand apart.
    let rest = text[end..].trim_start_matches([' ', '$']);
    let end = match rest.strip_prefix('\\').unwrap_or(rest).starts_with('%') {
        true => text.len() - rest.len() + rest.find('%').map_or(0, |at| at + 1),
        false => end,
    };
    let window = tail(&text[..end], WINDOW);
    let found = NUMBER.find_iter(window).last()?;
    let number = found.as_str().trim();
    let before = window[..found.start()].split_whitespace().next_back();
    if before.is_some_and(denies) {
        return None;
    }
    // The dash of "3-4" joins, it does not negate.
    let joined = window[..found.start()].ends_with(|c: char| c.is_alphanumeric() || c == ')');
    let number = if joined {
        number.trim_start_matches(['-', '−'])
    } else {
        number
    };
    // `1,000.99€`: letters that stand to it may be a unit or a variable, so they are left.
    let sign = window[found.end()..]
        .chars()
        .next()
        .filter(|sign| "€£¥°".contains(*sign));
    Some(number.chars().chain(sign).collect())
}

/// The number that a text begins with, if words follow it and no other number outside of formulas:
/// `18 of them are left`, `12 pairs $(a, b)$`.
pub(super) fn leading_number(text: &str) -> Option<&str> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"^[$€£]?([-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?(?:\s?\\?%)?)\s+[A-Za-z]{2}",
        )
        .expect("a constant pattern")
    });
    let mut found = formulas(text).into_iter().peekable();
    let (number, mut at) = match found.next_if(|first| first.outer.start == 0) {
        Some(first) => {
            let plain = format!(
                "{} {}",
                &text[first.inner],
                text[first.outer.end..].trim_start()
            );
            let len = NUMBER.captures(&plain)?.get(1)?.len();
            let number = text
                .get(1..)?
                .trim_start_matches(['$', '(', ' '])
                .get(..len)?;
            (number, first.outer.end)
        }
        None => {
            let number = NUMBER.captures(text)?.get(1)?;
            (number.as_str(), number.end())
        }
    };
    for formula in found {
        if formula.outer.start < at || has_number(text.get(at..formula.outer.start)?) {
            return None;
        }
        at = formula.outer.end;
    }
    (!has_number(text.get(at..)?)).then(|| number.trim())
}

fn has_number(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit() || "\\=+^*".contains(c))
}
