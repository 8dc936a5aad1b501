//! What a formula says in the end: the last of its steps, the right side of a calculation.

use std::sync::LazyLock;

use regex::Regex;

use super::formulas::STEPS;

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
