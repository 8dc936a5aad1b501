//! `\boxed{…}` and `\fbox{…}`: the mark of an answer that models are asked for.
//!
//! One pass over the text, with only the boxes that are open and the boxes of the last run in memory: a text of
//! nothing but unclosed boxes costs no more than any other.

use std::collections::{BTreeSet, VecDeque};

use std::sync::LazyLock;

use regex::Regex;

use super::super::equal;
use super::super::policy::Policy;
use super::doubt::{denied_before, retracted, unequal};
use super::join::{Between, joins};
use super::reading::{self, Reading};
use crate::Verdict;

/// How many open boxes are remembered, and how many boxes one run may have.
const MOST: usize = 256;
/// How many boxes of a run are compared by value, so that an answer that is written twice is one answer.
const COMPARED: usize = 6;

/// What the boxes of a text hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Boxes {
    /// There is none that is closed.
    None,
    /// There are only empty ones: the answer was left out.
    Empty,
    /// The contents of the last box, or of the last run of boxes, joined by commas.
    Held(String),
    /// What the last ones hold is denied or taken back: where the last box ends.
    Denied(usize),
}

/// A closed box: where its command begins, its contents, and where it ends.
struct Closed {
    mark: usize,
    start: usize,
    end: usize,
    after: usize,
}

/// A box without its closing brace: where its command and its contents begin, and how many braces stood open.
struct Open {
    mark: usize,
    start: usize,
    depth: usize,
}

/// Reads the boxes of a text. With `unclosed`, a last box that the text ends in counts too.
pub(super) fn boxes(text: &str, unclosed: bool) -> Boxes {
    let bytes = text.as_bytes();
    let mut open: VecDeque<Open> = VecDeque::new();
    let mut run: Vec<Closed> = Vec::new();
    let (mut at, mut depth, mut empty) = (0, 0usize, false);
    let mut denied = None;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => match command(bytes, at) {
                Some(after) => {
                    let start = skip_white(bytes, after);
                    if bytes.get(start) == Some(&b'{') {
                        if open.len() == MOST {
                            open.pop_front();
                        }
                        open.push_back(Open {
                            mark: at,
                            start: start + 1,
                            depth,
                        });
                        depth += 1;
                        at = start + 1;
                    } else {
                        // `\boxed 5`: the next word is the box.
                        let end = text.get(start..).map_or(start, |rest| {
                            rest.find(|c: char| c.is_whitespace() || "$.,\\}".contains(c))
                                .map_or(text.len(), |len| start + len)
                        });
                        if start > after && end > start {
                            let mark = at;
                            let closed = Closed {
                                mark,
                                start,
                                end,
                                after: end,
                            };
                            if is_denied(&closed, text) {
                                denied = Some(end);
                            } else {
                                push(&mut run, closed, text);
                            }
                        }
                        at = end.max(after);
                    }
                }
                None => at += 2,
            },
            b'{' => {
                depth += 1;
                at += 1;
            }
            b'}' => {
                depth = depth.saturating_sub(1);
                while open.back().is_some_and(|open| open.depth > depth) {
                    open.pop_back();
                }
                if open.back().is_some_and(|open| open.depth == depth)
                    && let Some(Open { mark, start, .. }) = open.pop_back()
                {
                    if bare(text.get(start..at).unwrap_or_default()).is_empty() {
                        empty = true;
                    } else {
                        let closed = Closed {
                            mark,
                            start,
                            end: at,
                            after: at + 1,
                        };
                        if is_denied(&closed, text) {
                            denied = Some(closed.after);
                            // Of two boxes that differ neither is said to be the answer.
                            if text.get(..closed.mark).is_some_and(unequal) {
                                run.clear();
                            }
                        } else {
                            push(&mut run, closed, text);
                        }
                    }
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    let last_closed = run.last().map_or(0, |closed| closed.after);
    if let Some(last) = open.back().filter(|open| open.start >= last_closed)
        && let Some(held) = unfinished(text.get(last.start..).unwrap_or_default(), unclosed)
    {
        return Boxes::Held(held);
    }
    if let Some(last) = run.last()
        && text.get(last.after..).is_some_and(retracted)
    {
        return Boxes::Denied(denied.unwrap_or(0).max(last.after));
    }
    match (joined(&run, text), denied) {
        (Some(held), _) => Boxes::Held(held),
        (None, Some(after)) => Boxes::Denied(after),
        (None, None) if empty => Boxes::Empty,
        (None, None) => Boxes::None,
    }
}

/// Whether the words before a box say that it is not the answer, or a factor stands there that it is but a part of.
fn is_denied(closed: &Closed, text: &str) -> bool {
    let before = text.get(..closed.mark).unwrap_or_default();
    let ends = before.trim_end();
    [r"\times", r"\cdot", "×", r"\sqrt{", r"\frac{"]
        .iter()
        .any(|sign| ends.ends_with(sign))
        || denied_before(before)
}

/// A box with the sign before it and with what multiplies or raises it: of `-\boxed{5} \times 10^3` all.
fn with_factors(held: String, closed: &Closed, text: &str) -> String {
    static SIGN: LazyLock<Regex> = LazyLock::new(|| {
        // A dash that stands apart is one of a list, but behind `=` or a dollar sign it is a sign.
        Regex::new(r"(?:(?:^|[\s(\[{:])[-−]|(?:[=$]|\\\(|\\\[)\s*[-−]\s*)$")
            .expect("a constant pattern")
    });
    static FACTORS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"^(?:\s*(?:\\times\b|\\cdot\b|×)\s*(?:\\?[A-Za-z]+|\d+(?:\.\d+)?)(?:\s*\^\s*(?:\{[^{}]*\}|[-−]?\d+|\w))?|\s*\^\s*(?:\{[^{}]*\}|\\circ\b|\w))+",
        )
        .expect("a constant pattern")
    });
    let before = super::sentence::tail(text.get(..closed.mark).unwrap_or_default(), 8);
    let sign = if SIGN.is_match(before) { "-" } else { "" };
    let after = super::sentence::head(text.get(closed.after..).unwrap_or_default(), 80);
    let factors = FACTORS.find(after).map_or("", |found| found.as_str());
    if sign.is_empty() && factors.is_empty() {
        return held;
    }
    let simple = held.chars().all(|c| c.is_ascii_digit() || c == '.');
    match simple {
        true => format!("{sign}{held}{factors}"),
        false => format!("{sign}({held}){factors}"),
    }
}

/// Where the name of a box command that begins at this backslash ends. A second backslash before the name is an
/// escape that was written twice.
fn command(bytes: &[u8], at: usize) -> Option<usize> {
    let mut name = at + 1;
    if bytes.get(name) == Some(&b'\\') {
        name += 1;
    }
    let rest = bytes.get(name..)?;
    ["boxed", "fbox", "framebox"]
        .into_iter()
        .find(|word| rest.starts_with(word.as_bytes()))
        .map(|word| name + word.len())
}

fn skip_white(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Adds a box to the run that it belongs to, or begins another run with it.
fn push(run: &mut Vec<Closed>, closed: Closed, text: &str) {
    while run.last().is_some_and(|inner| inner.mark > closed.mark) {
        run.pop();
    }
    let belongs = run.last().is_some_and(|last| {
        text.get(last.after..closed.mark)
            .is_some_and(|between| joins(between, Between::Boxes))
    });
    if !belongs || run.len() == MOST {
        run.clear();
    }
    run.push(closed);
}

/// The contents of a run, one answer each; an answer that is boxed twice is there once.
fn joined(run: &[Closed], text: &str) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    for closed in run {
        let held = bare(text.get(closed.start..closed.end)?);
        let mut held = with_factors(held.to_owned(), closed, text);
        if is_percent(text.get(closed.after..)?) && !held.ends_with('%') {
            held.push_str(r"\%");
        }
        if seen.insert(held.split_whitespace().collect::<String>()) {
            parts.push(held);
        }
    }
    if (2..=COMPARED).contains(&parts.len()) {
        let policy = Policy::default();
        let mut kept: Vec<String> = Vec::new();
        for part in parts {
            if !kept
                .iter()
                .any(|other| equal::decide(other, &part, &policy).verdict == Verdict::Pass)
            {
                kept.push(part);
            }
        }
        parts = kept;
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The contents without a box of their own around them.
fn bare(held: &str) -> &str {
    let mut held = held.trim();
    loop {
        let bytes = held.as_bytes();
        let Some(after) = command(bytes, 0).filter(|_| bytes.first() == Some(&b'\\')) else {
            return held;
        };
        let start = skip_white(bytes, after);
        match held.get(start..).and_then(|rest| rest.strip_prefix('{')) {
            Some(rest) => match rest.strip_suffix('}') {
                Some(inner) => held = inner.trim(),
                None => return held,
            },
            None => return held,
        }
    }
}

/// Whether a percent sign or word follows the box directly.
fn is_percent(after: &str) -> bool {
    let rest = after.trim_start_matches(['$', ' ']);
    let rest = rest.strip_prefix('\\').unwrap_or(rest);
    ["%", "pct", "percent"]
        .into_iter()
        .any(|sign| rest.starts_with(sign))
}

/// The contents of a box without its closing brace. The end of the formula or of the line ends them; the end of the
/// text does only where the caller says so, since a text may have been cut off in the middle of a number.
fn unfinished(rest: &str, unclosed: bool) -> Option<String> {
    let end = ["$", r"\]", r"\)", "\n", r"\end{"]
        .into_iter()
        .filter_map(|mark| rest.find(mark))
        .min();
    let held = match end {
        Some(end) => rest.get(..end)?,
        None if unclosed => rest,
        None => return None,
    };
    let held = held.trim().trim_end_matches('.');
    let reads = reading::reading(held) == Reading::Maths;
    (reads || unclosed && !held.is_empty()).then(|| held.to_owned())
}
