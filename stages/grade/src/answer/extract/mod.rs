//! Finding the answer in a response, in one pass over the text.
//!
//! The rules are tried from the most deliberate mark to the least: `<answer>`, a box, `####`, "the answer is", then,
//! only where the caller declares it, the text as a whole, the last sentence, the last formula or number. Which one
//! fired is told. What a mark holds is taken whole only if it reads as an answer; else the answer is looked for
//! inside of it. No rule ever sees the gold answer, and none is tried after another one has fired.

use std::fmt;

use serde::{Deserialize, Serialize};

mod announce;
mod boxes;
mod doubt;
mod formulas;
mod join;
mod letters;
mod number;
mod reading;
mod response;
mod result;
mod sentence;

use announce::Announced;
use boxes::{Boxes, boxes};
use formulas::formulas;
use letters::choice_letter;
use number::last_number;
use reading::{Reading, is_name, reading};
use result::{concluded, result, settled};
use sentence::Found;

pub(super) use letters::lettered;
pub(super) use reading::plain_words;

/// The longest text that is read as a bare formula, in bytes.
const LONGEST_FORMULA: usize = 8192;

/// The mark by which an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtractRule {
    /// The last `<answer>…</answer>`.
    Tag,
    /// The last `\boxed{…}` or `\fbox{…}`, or the last run of them ("`\boxed{2}, \boxed{3}`").
    Boxed,
    /// What follows the last `####` on its line.
    Hashes,
    /// What follows the last "the answer is", "final answer:" and the like.
    Phrase,
    /// The last letter that stands alone or in brackets.
    Choice,
    /// The text has no mark and reads as an answer: it is the answer itself.
    Whole,
    /// What the last sentence says something is ("the sum is 12").
    Statement,
    /// The last formula.
    Formula,
    /// The last number of the text.
    LastNumber,
}

impl ExtractRule {
    /// Every rule, from the most deliberate mark to the least.
    pub const ALL: [ExtractRule; 9] = [
        ExtractRule::Tag,
        ExtractRule::Boxed,
        ExtractRule::Hashes,
        ExtractRule::Phrase,
        ExtractRule::Choice,
        ExtractRule::Whole,
        ExtractRule::Statement,
        ExtractRule::Formula,
        ExtractRule::LastNumber,
    ];

    /// The word that stands in verdicts.
    pub fn as_str(self) -> &'static str {
        match self {
            ExtractRule::Tag => "tag",
            ExtractRule::Boxed => "boxed",
            ExtractRule::Hashes => "hashes",
            ExtractRule::Phrase => "phrase",
            ExtractRule::Choice => "choice",
            ExtractRule::Whole => "whole",
            ExtractRule::Statement => "statement",
            ExtractRule::Formula => "formula",
            ExtractRule::LastNumber => "last_number",
        }
    }
}

impl fmt::Display for ExtractRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What may count as a mark. By default only what was meant as one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExtractOptions {
    /// The answer is one of the letters A to J.
    pub choice: bool,
    /// With no mark at all, take the last formula or number, wherever it stands, and a number inside of prose.
    pub last_number: bool,
    /// With no mark at all, take what the last sentence says, if the text is finished.
    pub closing: bool,
    /// With no mark at all, a text of one line and at most this many bytes is the answer itself, and so is a longer
    /// one that is a formula and nothing else; 0 for never.
    pub whole_up_to: usize,
    /// A last box that the text ends in without closing it counts. Not for responses: they may have been cut off in
    /// the middle of a number.
    pub unclosed_box: bool,
}

/// An answer found in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// The answer as written, without its mark.
    pub text: String,
    /// The mark by which it was found.
    pub rule: ExtractRule,
}

/// Finds the answer of a response. None where no rule applies or what it marks is empty.
///
/// Thoughts (`<think>…</think>`) and what follows the end of a turn are read only where the rest has no mark.
///
/// ```
/// use dag_grade::answer::{ExtractOptions, ExtractRule, extract};
///
/// let found = extract(r"Then \boxed{\frac{1}{2}}.", &ExtractOptions::default()).unwrap();
/// assert_eq!((found.text.as_str(), found.rule), (r"\frac{1}{2}", ExtractRule::Boxed));
/// assert_eq!(extract("I saw 7 birds.", &ExtractOptions::default()), None);
/// ```
pub fn extract(text: &str, options: &ExtractOptions) -> Option<Extracted> {
    let mut empty = false;
    let marked = response::parts(text)
        .into_iter()
        .find_map(|part| marked(part, options, &mut empty));
    let marked = match marked {
        Some(Marked::Found(found, rule)) => Some((found, rule)),
        // Of what was taken back nothing counts, only what follows it.
        Some(Marked::Denied(after)) => Some(instead(after, options)?),
        None => None,
    };
    let (text, rule) = if options.choice {
        // A mark around something that is no letter does not hide a letter elsewhere.
        marked
            .and_then(|(found, rule)| Some((choice_letter(&found)?, rule)))
            .or_else(|| choice_letter(text).map(|letter| (letter, ExtractRule::Choice)))?
    } else if marked.is_none() && empty {
        // The place for the answer was left empty.
        return None;
    } else {
        marked.or_else(|| unmarked(text, options))?
    };
    let text = text.trim();
    (!text.is_empty()).then(|| Extracted {
        text: text.to_owned(),
        rule,
    })
}

/// What a mark that was meant as one holds.
enum Marked<'a> {
    Found(String, ExtractRule),
    /// The text denies it or takes it back: what follows.
    Denied(&'a str),
}

/// The answer by a mark that was meant as one.
fn marked<'a>(text: &'a str, options: &ExtractOptions, empty: &mut bool) -> Option<Marked<'a>> {
    let numbers = options.last_number;
    if let Some(tagged) = tagged(text) {
        return Some(match boxes(tagged, true) {
            Boxes::Held(held) => Marked::Found(or_inside(&held, numbers), ExtractRule::Boxed),
            Boxes::Denied(after) => Marked::Denied(tagged.get(after..)?),
            Boxes::None | Boxes::Empty => {
                Marked::Found(or_inside(tagged, numbers), ExtractRule::Tag)
            }
        });
    }
    match boxes(text, options.unclosed_box) {
        Boxes::Held(held) => {
            return Some(Marked::Found(or_inside(&held, numbers), ExtractRule::Boxed));
        }
        Boxes::Denied(after) => return Some(Marked::Denied(text.get(after..)?)),
        Boxes::Empty => *empty = true,
        Boxes::None => {}
    }
    if let Some(line) = hashes(text) {
        return Some(Marked::Found(or_inside(line, numbers), ExtractRule::Hashes));
    }
    Some(match announce::announced(text, numbers)? {
        Announced::Found(found) => Marked::Found(found, ExtractRule::Phrase),
        Announced::Denied(after) => Marked::Denied(text.get(after..)?),
    })
}

/// The answer that a text gives after it took one back.
fn instead(after: &str, options: &ExtractOptions) -> Option<(String, ExtractRule)> {
    match marked(after, options, &mut false) {
        Some(Marked::Found(found, rule)) => Some((found, rule)),
        Some(Marked::Denied(_)) => None,
        // What is left of the sentence, as it is, is no answer.
        None => unmarked(after, options).filter(|(_, rule)| *rule != ExtractRule::Whole),
    }
}

/// What a mark holds: as it is, or the answer inside of it where it is prose.
fn or_inside(held: &str, numbers: bool) -> String {
    let held = concluded(held.trim());
    // A sentence in `\text{…}` is a sentence too.
    if let Some(Announced::Found(found)) = announce::announced(held, numbers) {
        return found;
    }
    if plain_words(held) > 0
        && reading(held) == Reading::Prose
        && let Some((found, _)) = sentence::inside(held, numbers)
    {
        return found;
    }
    held.to_owned()
}

/// The contents of the last `<answer>…</answer>` that has some.
fn tagged(text: &str) -> Option<&str> {
    let mut before = text;
    // A text that speaks about the tag has it more than once.
    for _ in 0..4 {
        let start = before.rfind("<answer>")?;
        let inner = &text[start + "<answer>".len()..];
        // Without its end it may have been cut in the middle of a number.
        let Some((inner, _)) = inner.split_once("</answer>") else {
            before = &before[..start];
            continue;
        };
        let inner = inner.trim();
        if inner.contains(char::is_alphanumeric) {
            return Some(inner);
        }
        before = &before[..start];
    }
    None
}

/// The line after the last `####`, unless it is a heading.
fn hashes(text: &str) -> Option<&str> {
    let mut before = text;
    for _ in 0..4 {
        let start = before.rfind("####")?;
        let line = text[start + 4..].lines().next()?.trim();
        let last = text[start + 4..].trim().len() == line.len();
        before = before[..start].trim_end_matches('#');
        if !line.is_empty() && (last || reading(line) == Reading::Maths) {
            return Some(line);
        }
    }
    None
}

/// The answer of a text without a mark.
fn unmarked(text: &str, options: &ExtractOptions) -> Option<(String, ExtractRule)> {
    // `= 12` goes on from a line that is not here.
    let closing = response::closing(text).trim_start_matches(['=', '∴', '⇒', ' ']);
    let short = closing.len() <= options.whole_up_to;
    let one_line = short && !closing.contains('\n');
    if options.whole_up_to > 0 && closing.len() <= LONGEST_FORMULA {
        match reading(closing) {
            Reading::Maths => return Some((concluded(closing).to_owned(), ExtractRule::Whole)),
            Reading::Words if one_line => {
                let stated = sentence::outright(closing)
                    .or_else(|| sentence::stated_words(closing))
                    .filter(|_| options.closing);
                return Some(match stated {
                    Some(words) => (words.to_owned(), ExtractRule::Statement),
                    None => (closing.to_owned(), ExtractRule::Whole),
                });
            }
            // What has no words is no prose, though it does not read.
            Reading::Prose if plain_words(closing) == 0 => {
                return Some((concluded(closing).to_owned(), ExtractRule::Whole));
            }
            Reading::Words | Reading::Prose => {}
        }
    }
    let (sentences, finished) = sentence::last_sentences(closing);
    if options.last_number || options.closing && (finished || short) {
        for sentence in &sentences {
            if doubt::says_nothing(sentence) {
                break;
            }
            if let Some((found, place)) = sentence::inside(sentence, options.last_number) {
                let rule = match place {
                    Found::Statement => ExtractRule::Statement,
                    Found::Formula => ExtractRule::Formula,
                    Found::Number => ExtractRule::LastNumber,
                };
                return Some((found, rule));
            }
            if sentence.contains(|c: char| c.is_ascii_digit()) {
                break;
            }
        }
    }
    if options.last_number
        && let Some(found) = last_anywhere(closing)
    {
        return Some(found);
    }
    if options.closing
        && finished
        && let Some(words) = sentences
            .first()
            .and_then(|last| sentence::stated_words(last))
    {
        return Some((words.to_owned(), ExtractRule::Statement));
    }
    one_line.then(|| (closing.to_owned(), ExtractRule::Whole))
}

/// The last formula or the last number, whichever stands later.
fn last_anywhere(text: &str) -> Option<(String, ExtractRule)> {
    let found = formulas(text);
    let formula = found.iter().rev().find(|formula| !is_name(formula, text));
    let after = formula.map_or(0, |formula| formula.outer.end);
    if let Some(number) = last_number(text.get(after..)?) {
        return Some((number, ExtractRule::LastNumber));
    }
    let inner = text.get(formula?.inner.clone())?;
    Some((settled(&result(inner)), ExtractRule::Formula))
}

#[cfg(test)]
mod tests;
