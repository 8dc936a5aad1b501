//! The formulas of a text: `$…$`, `$$…$$`, `\(…\)`, `\[…\]`, and environments.
//!
//! A dollar sign may also be money. One that has no partner before the blank line, or whose partner stands before a
//! digit or behind prose, opens nothing. One pass; only the last formulas are kept.

use super::join::{Between, joins};
use std::collections::VecDeque;
use std::ops::Range;

/// How many formulas are kept, from the end of the text.
const KEPT: usize = 64;

/// Environments whose rows are steps: the last row is the result.
pub(super) const STEPS: [&str; 13] = [
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
