//! Finding the answer in a response, in one pass over the text.
//!
//! The rules are tried from the most deliberate mark to the least: a box, `####`, "the answer is",
//! a choice letter, and, only where the caller declares it, the last number. Which one fired is told.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

/// The mark by which an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExtractRule {
    /// The last `\boxed{…}` or `\fbox{…}`, or the last run of them ("`\boxed{2}, \boxed{3}`").
    Boxed,
    /// What follows the last `####` on its line.
    Hashes,
    /// What follows the last "the answer is", "final answer:" and the like.
    Phrase,
    /// The last letter that stands alone or in brackets.
    Choice,
    /// The last number of the text.
    LastNumber,
    /// The text is short and has no mark: it is the answer itself.
    Whole,
}

impl ExtractRule {
    /// The word that stands in verdicts.
    pub fn as_str(self) -> &'static str {
        match self {
            ExtractRule::Boxed => "boxed",
            ExtractRule::Hashes => "hashes",
            ExtractRule::Phrase => "phrase",
            ExtractRule::Choice => "choice",
            ExtractRule::LastNumber => "last-number",
            ExtractRule::Whole => "whole",
        }
    }
}

impl fmt::Display for ExtractRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What may count as a mark.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExtractOptions {
    /// The answer is one of the letters A to J.
    pub choice: bool,
    /// With no mark at all, take the last number.
    pub last_number: bool,
    /// With no mark at all, a text of one line and at most this many bytes is the answer itself; 0 for never.
    pub whole_up_to: usize,
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
/// ```
/// use dag_grade::answer::{ExtractOptions, ExtractRule, extract};
///
/// let found = extract(r"Then \boxed{\frac{1}{2}}.", &ExtractOptions::default()).unwrap();
/// assert_eq!((found.text.as_str(), found.rule), (r"\frac{1}{2}", ExtractRule::Boxed));
/// assert_eq!(extract("I saw 7 birds.", &ExtractOptions::default()), None);
/// ```
pub fn extract(text: &str, options: &ExtractOptions) -> Option<Extracted> {
    let marked = boxed(text)
        .map(|found| (found, ExtractRule::Boxed))
        .or_else(|| hashes(text).map(|found| (found, ExtractRule::Hashes)))
        .or_else(|| phrase(text).map(|found| (found, ExtractRule::Phrase)));
    let found = if options.choice {
        // A mark around something that is no letter does not hide a letter elsewhere.
        match marked.and_then(|(found, rule)| Some((choice_letter(&found)?, rule))) {
            Some(found) => Some(found),
            None => choice_letter(text).map(|letter| (letter, ExtractRule::Choice)),
        }
    } else {
        marked
            .or_else(|| whole(text, options.whole_up_to).map(|t| (t, ExtractRule::Whole)))
            .or_else(|| {
                let number = options.last_number.then(|| last_number(text)).flatten()?;
                Some((number, ExtractRule::LastNumber))
            })
    };
    let (text, rule) = found?;
    let text = text.trim();
    (!text.is_empty()).then(|| Extracted {
        text: text.to_owned(),
        rule,
    })
}

/// The contents of the last run of complete boxes. One pass with a stack of open braces, so that a text
/// of nothing but unclosed boxes costs no more than any other.
fn boxed(text: &str) -> Option<String> {
    struct Box {
        mark: usize,
        start: usize,
        end: usize,
    }
    let bytes = text.as_bytes();
    let mut open: Vec<Option<(usize, usize)>> = Vec::new();
    let mut boxes: Vec<Box> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => {
                let rest = &bytes[at + 1..];
                let name = if rest.starts_with(b"boxed") {
                    5
                } else if rest.starts_with(b"fbox") {
                    4
                } else {
                    at += 2;
                    continue;
                };
                let mut next = at + 1 + name;
                while next < bytes.len() && bytes[next].is_ascii_whitespace() {
                    next += 1;
                }
                if bytes.get(next) == Some(&b'{') {
                    open.push(Some((at, next + 1)));
                    at = next + 1;
                } else {
                    // `\boxed 5`: the next word is the box.
                    let end = text[next..]
                        .find(|c: char| {
                            c.is_whitespace() || matches!(c, '$' | '.' | ',' | '\\' | '}')
                        })
                        .map_or(text.len(), |len| next + len);
                    if next > at + 1 + name && end > next {
                        boxes.push(Box {
                            mark: at,
                            start: next,
                            end,
                        });
                    }
                    at = end.max(at + 1 + name);
                }
            }
            b'{' => {
                open.push(None);
                at += 1;
            }
            b'}' => {
                if let Some(Some((mark, start))) = open.pop() {
                    while boxes.last().is_some_and(|inner| inner.mark > mark) {
                        boxes.pop();
                    }
                    boxes.push(Box {
                        mark,
                        start,
                        end: at,
                    });
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    let last = boxes.last()?;
    let mut first = boxes.len() - 1;
    while first > 0 {
        let between = boxes[first - 1].end + 1..boxes[first].mark;
        if !text.get(between).is_some_and(is_join) {
            break;
        }
        first -= 1;
    }
    if first + 1 == boxes.len() {
        return Some(text[last.start..last.end].to_owned());
    }
    let parts: Vec<&str> = boxes[first..]
        .iter()
        .map(|b| text[b.start..b.end].trim())
        .collect();
    Some(parts.join(", "))
}

/// Whether what stands between two boxes only joins them into one answer.
fn is_join(between: &str) -> bool {
    static JOIN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:\s|[$,;]|\\quad|\\qquad|\\text|\\[,;:! ()]|[{}]|and|or|\+)*$")
            .expect("a constant pattern")
    });
    // A blank line ends a statement: what stands before it was another one.
    between.len() <= 64 && !between.contains("\n\n") && JOIN.is_match(between)
}

fn hashes(text: &str) -> Option<String> {
    let start = text.rfind("####")? + 4;
    let line = text[start..].lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

fn phrase(text: &str) -> Option<String> {
    static PHRASE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)\b(?:(?:final|correct|right)\s+(?:answer|result|choice|option)(?:\s+is|\s*:)|answer\s+is|answer\s*:)\s*:?\s*(?:\*\*)?\s*",
        )
        .expect("a constant pattern")
    });
    static END: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\*\*|\n|[.!?](?:\s|$)|,?\s+(?:because|since|as|so|which|where|i hope)\b|;\s|\s+\(")
            .expect("a constant pattern")
    });
    let start = PHRASE.find_iter(text).last()?.end();
    let rest = &text[start..];
    for (open, close) in [("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]")] {
        if let Some(inner) = rest.strip_prefix(open)
            && let Some(end) = inner.find(close)
            && !inner[..end].contains("\n\n")
        {
            return Some(inner[..end].to_owned());
        }
    }
    // A sentence that opens with a bracket keeps it: `(0, 1)` and `(B)` are answers.
    let end = END
        .find_iter(rest)
        .find(|m| m.start() > 0)
        .map_or(rest.len(), |m| m.start());
    let found = rest[..end].trim().trim_end_matches('.');
    (!found.is_empty()).then(|| found.to_owned())
}

fn choice_letter(text: &str) -> Option<String> {
    static LETTER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:^|[^A-Za-z0-9'’])\(?([A-J])\)?(?:[^A-Za-z0-9'’]|$)")
            .expect("a constant pattern")
    });
    static LOWER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\s*\(?([a-j])\)?[.:]?\s*$").expect("a constant pattern"));
    if let Some(found) = LOWER.captures(text) {
        return Some(found[1].to_uppercase());
    }
    let bytes = text.len();
    let found = LETTER.captures_iter(text).filter(|found| {
        // "A" and "I" open English sentences: they count in brackets, or with nothing but marks around them.
        let letter = found.get(1).expect("the pattern has one group");
        if !matches!(letter.as_str(), "A" | "I") {
            return true;
        }
        let whole = found.get(0).expect("group 0 is the match");
        whole.as_str().contains(['(', ')', '*', '{', '$', ':', '.']) || letter.end() + 1 >= bytes
    });
    found.last().map(|found| found[1].to_owned())
}

fn whole(text: &str, up_to: usize) -> Option<String> {
    let text = text.trim();
    (text.len() <= up_to && !text.contains('\n')).then(|| text.to_owned())
}

fn last_number(text: &str) -> Option<String> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?\s?%?|[-−]?\.\d+")
            .expect("a constant pattern")
    });
    let found = NUMBER.find_iter(text).last()?;
    let number = found.as_str().trim();
    // The dash of "3-4" joins, it does not negate.
    let joined = text[..found.start()].ends_with(|c: char| c.is_alphanumeric() || c == ')');
    let number = if joined {
        number.trim_start_matches(['-', '−'])
    } else {
        number
    };
    Some(number.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, ExtractRule)>) {
        let options = ExtractOptions {
            last_number: true,
            ..ExtractOptions::default()
        };
        let found = extract(text, &options);
        assert_eq!(
            found.as_ref().map(|f| (f.text.as_str(), f.rule)),
            expected,
            "{text}"
        );
    }

    #[test]
    fn a_box_wins_over_every_other_mark() {
        check(
            r"The answer is 3. #### 4 then \boxed{5}",
            Some(("5", ExtractRule::Boxed)),
        );
        check(
            r"\boxed{\frac{1}{\sqrt{2}}} is it",
            Some((r"\frac{1}{\sqrt{2}}", ExtractRule::Boxed)),
        );
        check(r"\fbox {7}", Some(("7", ExtractRule::Boxed)));
        check(r"\boxed 7$", Some(("7", ExtractRule::Boxed)));
        check(r"\boxed{\{1,2\}}", Some((r"\{1,2\}", ExtractRule::Boxed)));
    }

    #[test]
    fn a_run_of_boxes_is_one_answer_and_a_later_box_replaces_an_earlier_one() {
        check(r"\boxed{2}, \boxed{3}", Some(("2, 3", ExtractRule::Boxed)));
        check(
            r"\boxed{2} and $\boxed{3}$",
            Some(("2, 3", ExtractRule::Boxed)),
        );
        check(
            r"first \boxed{2}, but wait, it is \boxed{3}",
            Some(("3", ExtractRule::Boxed)),
        );
    }

    #[test]
    fn a_truncated_box_is_no_answer() {
        check(r"\boxed{2} wait \boxed{3", Some(("2", ExtractRule::Boxed)));
        check(r"\boxed{\frac{1}{", Some(("1", ExtractRule::LastNumber)));
    }

    #[test]
    fn an_empty_box_holds_nothing() {
        assert_eq!(extract(r"\boxed{}", &ExtractOptions::default()), None);
    }

    #[test]
    fn phrases_end_where_the_reason_begins() {
        check(
            "The answer is 7 because 3+4",
            Some(("7", ExtractRule::Phrase)),
        );
        check(
            "The final answer is $x^2. y$. I hope it is correct.",
            Some(("x^2. y", ExtractRule::Phrase)),
        );
        check("**Answer:** 1,000", Some(("1,000", ExtractRule::Phrase)));
        check(
            "So the answer is (0, 1).",
            Some(("(0, 1)", ExtractRule::Phrase)),
        );
        check("the answer is 3.5.", Some(("3.5", ExtractRule::Phrase)));
        check(
            "He paid 5.\n#### 1,200\n",
            Some(("1,200", ExtractRule::Hashes)),
        );
    }

    #[test]
    fn the_last_number_is_taken_only_where_declared() {
        check(
            "I saw 7 birds and 1,000 fish",
            Some(("1,000", ExtractRule::LastNumber)),
        );
        assert_eq!(extract("I saw 7 birds", &ExtractOptions::default()), None);
    }

    #[test]
    fn choices_are_letters_that_stand_alone() {
        let options = ExtractOptions {
            choice: true,
            ..ExtractOptions::default()
        };
        let letter = |text| extract(text, &options).map(|f| f.text);
        assert_eq!(letter(r"\boxed{\text{(C)}}"), Some("C".into()));
        assert_eq!(letter("The correct answer is (B) Mars."), Some("B".into()));
        assert_eq!(letter("Answer: d"), Some("D".into()));
        assert_eq!(
            letter("A man walks. It must be option C, I think"),
            Some("C".into())
        );
        assert_eq!(letter("Nothing here"), None);
    }

    #[test]
    fn a_hundred_thousand_characters_take_no_time() {
        let start = std::time::Instant::now();
        for piece in [
            r"\boxed{",
            "the answer is ",
            "#### ",
            "{",
            "1,",
            "A ",
            r"\boxed{1}, ",
        ] {
            let text = piece.repeat(100_000 / piece.len());
            for choice in [false, true] {
                extract(
                    &text,
                    &ExtractOptions {
                        choice,
                        last_number: true,
                        whole_up_to: 100,
                    },
                );
            }
        }
        assert!(start.elapsed().as_secs() < 20, "took {:?}", start.elapsed());
    }
}
