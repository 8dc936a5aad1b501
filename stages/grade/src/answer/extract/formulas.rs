//! The formulas of a text: `$…$`, `$$…$$`, `\(…\)`, `\[…\]`, and environments.
//!
//! A dollar sign may also be money. One that has no partner before the blank line, or whose partner stands before a
//! digit or behind prose, opens nothing. One pass; only the last formulas are kept.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::join::{Between, joins};

/// How many formulas are kept, from the end of the text.
const KEPT: usize = 64;

/// Environments whose rows are steps: the last row is the result.
const STEPS: [&str; 13] = [
    "align",
    "align*",
    "aligned",
    "equation",
    "equation*",
    "gather",
    "gather*",
    "eqnarray",
    "eqnarray*",
    "displaymath",
    "math",
    "multline",
    "multline*",
];
/// Environments that are a value.
const VALUES: [&str; 8] = [
    "pmatrix", "bmatrix", "vmatrix", "Bmatrix", "Vmatrix", "matrix", "array", "cases",
];

/// A formula: where it stands with its marks, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Formula {
    pub(super) outer: Range<usize>,
    pub(super) inner: Range<usize>,
}

enum Opening<'a> {
    Dollar,
    Dollars,
    Round,
    Square,
    /// The environment's name, and how many of the same name are open.
    Environment(&'a str, usize),
}

/// The last formulas of a text, in order.
pub(super) fn formulas(text: &str) -> Vec<Formula> {
    let bytes = text.as_bytes();
    let mut found: VecDeque<Formula> = VecDeque::new();
    let mut open: Option<(Opening<'_>, usize, usize)> = None;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let (mut close, mut step) = (None, 1);
        match byte {
            b'\n'
                if rest.starts_with(b"\n\n")
                    && !matches!(open, Some((Opening::Environment(..), ..))) =>
            {
                open = None;
            }
            b'$' => {
                let double = rest.starts_with(b"$$");
                match &open {
                    None if double => {
                        open = Some((Opening::Dollars, at, at + 2));
                        step = 2;
                    }
                    None => open = Some((Opening::Dollar, at, at + 1)),
                    Some((Opening::Dollars, ..)) if double => {
                        close = Some(2);
                        step = 2;
                    }
                    Some((Opening::Dollar, _, start)) => {
                        if is_money(text.get(*start..at).unwrap_or_default(), bytes.get(at + 1)) {
                            open = Some((Opening::Dollar, at, at + 1));
                        } else {
                            close = Some(1);
                        }
                    }
                    Some(_) => {}
                }
            }
            b'\\' => {
                step = 2;
                match (bytes.get(at + 1), &mut open) {
                    (Some(b'('), None | Some((Opening::Dollar, ..))) => {
                        open = Some((Opening::Round, at, at + 2));
                    }
                    (Some(b'['), None | Some((Opening::Dollar, ..))) => {
                        open = Some((Opening::Square, at, at + 2));
                    }
                    (Some(b')'), Some((Opening::Round, ..)))
                    | (Some(b']'), Some((Opening::Square, ..))) => close = Some(2),
                    (Some(b'b'), None) => {
                        if let Some((name, len)) = environment(text, at, r"\begin{") {
                            let steps = STEPS.contains(&name);
                            let start = if steps { at + len } else { at };
                            if steps || VALUES.contains(&name) {
                                open = Some((Opening::Environment(name, 1), at, start));
                            }
                            step = len;
                        }
                    }
                    (Some(b'b'), Some((Opening::Environment(name, depth), ..))) => {
                        if let Some((other, len)) = environment(text, at, r"\begin{") {
                            *depth += usize::from(other == *name);
                            step = len;
                        }
                    }
                    (Some(b'e'), Some((Opening::Environment(name, depth), ..))) => {
                        if let Some((other, len)) = environment(text, at, r"\end{") {
                            step = len;
                            *depth -= usize::from(other == *name);
                            if *depth == 0 {
                                close = Some(len);
                            }
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        if let Some(len) = close
            && let Some((opening, outer, start)) = open.take()
        {
            // A value's environment is part of what it says.
            let whole = matches!(opening, Opening::Environment(..)) && outer == start;
            let end = if whole { at + len } else { at };
            if text
                .get(start..end)
                .is_some_and(|inner| !inner.trim().is_empty())
            {
                if found.len() == KEPT {
                    found.pop_front();
                }
                found.push_back(Formula {
                    outer: outer..at + len,
                    inner: start..end,
                });
            }
        }
        at += step;
    }
    found.into()
}

/// The name of the environment that `\begin{` or `\end{` here names, and the length of the command.
fn environment<'a>(text: &'a str, at: usize, command: &str) -> Option<(&'a str, usize)> {
    let rest = text.get(at..)?.strip_prefix(command)?;
    let end = rest.bytes().take(16).position(|byte| byte == b'}')?;
    Some((rest.get(..end)?, command.len() + end + 1))
}

/// Whether what stands between two dollar signs tells that the first was money.
fn is_money(between: &str, next: Option<&u8>) -> bool {
    if next.is_some_and(u8::is_ascii_digit)
        && between
            .trim_start()
            .starts_with(|c: char| c.is_ascii_digit())
    {
        return true;
    }
    let words = between
        .split_whitespace()
        .filter(|piece| {
            piece.len() > 2
                && !matches!(*piece, "and" | "or")
                && piece
                    .trim_end_matches(['.', ','])
                    .chars()
                    .all(char::is_alphabetic)
        })
        .take(3)
        .count();
    words == 3 && !between.contains(r"\text") && !between.contains(r"\mbox")
}

/// The last formula of a text, or the last run of formulas that only "and", "or" and commas part.
pub(super) fn last_run<'a>(found: &'a [Formula], text: &str) -> &'a [Formula] {
    let mut first = found.len().saturating_sub(1);
    while first > 0 {
        let between = found[first - 1].outer.end..found[first].outer.start;
        if !text
            .get(between)
            .is_some_and(|between| !between.trim().is_empty() && joins(between, Between::Formulas))
        {
            break;
        }
        first -= 1;
    }
    found.get(first..).unwrap_or_default()
}

/// Space before a row.
static SPACE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(?:\s|\\q?quad\b|~)+").expect("a constant pattern"));

/// An arrow between steps.
static ARROW: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\\(?:implies|Rightarrow|Longrightarrow|therefore)\b|⇒|∴")
        .expect("a constant pattern")
});
/// What has letters in its name and stands for no unknown.
static LETTERS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\\(?:[dtc]?frac|sqrt|cdot|times|div|pi|left|right|q?quad|approx|circ|degree|[,;:! $%])|\\text\{[^{}]*\}|\\mbox\{[^{}]*\}")
        .expect("a constant pattern")
});

/// What a formula says in the end: of steps the last row, after an arrow its right side, of a sum that is worked out
/// its value; without the marks of a sentence at its end.
pub(super) fn result(inner: &str) -> String {
    static REMARK: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\\(?:tag\*?|label)\s*\{[^{}]*\}|\\(?:nonumber|notag)\b")
            .expect("a constant pattern")
    });
    let rows = REMARK.replace_all(inner, "");
    let rows = unwrapped(rows.trim());
    let row = if rows.contains(r"\begin{") {
        rows.to_owned()
    } else {
        let last = rows
            .rsplit(r"\\")
            .map(str::trim)
            .find(|row| !row.is_empty())
            .unwrap_or_default();
        // `&` aligns, but in `\&` it is itself.
        last.replace('&', "")
    };
    let row = ARROW.split(&row).last().unwrap_or_default();
    let row = SPACE.replace(row, "");
    settled(row.trim().trim_end_matches(['.', ',', ';', ' ']))
}

/// The rows of steps without the environment around all of them.
fn unwrapped(rows: &str) -> &str {
    STEPS
        .iter()
        .find_map(|name| {
            rows.strip_prefix(&format!(r"\begin{{{name}}}"))?
                .strip_suffix(&format!(r"\end{{{name}}}"))
        })
        .unwrap_or(rows)
}

/// The right side of a calculation, `3 + 4 = 7` or `a + b = 3 + 4 = 7`, and of a row that goes on from the one
/// before, `= 7`. Two sides with letters are an equation and stay whole; so does what gives a name its value.
pub(super) fn settled(text: &str) -> String {
    static RELATION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:\\q?quad\s*)*(?:=|≈|\\approx\b|\\equiv\b|\\to\b)\s*")
            .expect("a constant pattern")
    });
    let text = RELATION.replace(text.trim(), "");
    let text = exact_side(&text);
    let sides = sides(text);
    let calculation = sides.len() > 1
        && !LETTERS
            .replace_all(text, " ")
            .contains(|c: char| c.is_alphabetic() || c == '\\');
    match sides.last() {
        Some(last) if (calculation || is_worked(&sides)) && !last.trim().is_empty() => {
            let last = last.split(r"\pmod").next().unwrap_or_default();
            last.trim().to_owned()
        }
        _ => text.trim().to_owned(),
    }
}

/// A name, a function of names, or a tuple of names: what an equation gives a value.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(?:\\?[A-Za-z]+(?:_\{?\w+\}?)?(?:\([A-Za-z, ]*\))?|\([A-Za-z, ]+\))\s*$")
        .expect("a constant pattern")
});

/// Whether these are the sides of a calculation with letters: more than two, and the first is no name.
fn is_worked(sides: &[&str]) -> bool {
    sides.len() > 2 && is_one_value(sides)
}

/// Whether the first of these sides is no name, and the others belong to it.
fn is_one_value(sides: &[&str]) -> bool {
    let Some((_, before)) = sides.split_last() else {
        return false;
    };
    // `a = 1, b = 2` are two equations.
    let one = !before.iter().any(|side| side.contains([',', ';', '$']));
    one && before.first().is_some_and(|first| !NAME.is_match(first))
}

/// Of `a + b = 7`, which says what `a + b` is, the 7; other text as it is.
pub(super) fn value_side(text: &str) -> &str {
    let ordered = ["<", ">", r"\l", r"\g", r"\ne"]
        .iter()
        .any(|sign| text.contains(sign));
    let sides = sides(text);
    match sides.as_slice() {
        [_, value] if !ordered && is_one_value(&sides) && !value.trim().is_empty() => value.trim(),
        _ => text,
    }
}

/// Whether a formula has more than two sides, and so derives something.
pub(super) fn derives(inner: &str) -> bool {
    sides(inner).len() > 2
}

/// The right side of an arrow between two relations, `x^2 = 4 \implies x = 2`; other text as it is.
pub(super) fn concluded(text: &str) -> &str {
    let relation = |side: &str| {
        side.contains(['=', '<', '>']) || side.contains(r"\le") || side.contains(r"\ge")
    };
    let mut sides = ARROW.split(text);
    let (first, last) = (sides.next().unwrap_or_default(), sides.last());
    match last {
        Some(last) if relation(first) && relation(last) => last.trim(),
        _ => text,
    }
}

/// Of `√2 ≈ 1.414` the exact side; of `x ≈ 1.4` and `3.7 · 5.2 ≈ 19` the number.
fn exact_side(text: &str) -> &str {
    let near = text
        .rfind(r"\approx")
        .map(|at| (at, at + r"\approx".len()))
        .or_else(|| text.rfind('≈').map(|at| (at, at + '≈'.len_utf8())));
    let Some((end, start)) = near else {
        return text;
    };
    let (Some(left), Some(right)) = (text.get(..end), text.get(start..)) else {
        return text;
    };
    let left = sides(left).last().map_or("", |side| side.trim());
    let closed_form = [r"\sqrt", "frac", r"\pi"]
        .iter()
        .any(|name| left.contains(name))
        && !LETTERS
            .replace_all(left, " ")
            .contains(|c: char| c.is_alphabetic() || c == '\\');
    if closed_form { left } else { right.trim() }
}

/// The text between the signs `=`, `≈` and `≡` that stand outside of braces.
fn sides(text: &str) -> Vec<&str> {
    if text.contains(r"\equiv") && !text.contains('=') {
        return text.split(r"\equiv").collect();
    }
    let mut sides = Vec::new();
    let (mut depth, mut start, mut before, mut earlier) = (0usize, 0, ' ', ' ');
    for (at, c) in text.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            // `2!=2` ends a factorial.
            '=' | '≈'
                if depth == 0
                    && (!matches!(before, '<' | '>' | '!')
                        || before == '!' && earlier.is_ascii_digit()) =>
            {
                sides.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
        earlier = before;
        before = c;
    }
    sides.push(&text[start..]);
    sides
}
