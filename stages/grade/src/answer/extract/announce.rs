//! The phrase that announces an answer: "the answer is", "Final Answer:", a heading.

use std::sync::LazyLock;

use regex::Regex;

use super::doubt::{denied_before, faulted, reckoned, retracted, supposed_before};
use super::number::leading_number;
use super::reading::{Reading, reading};
use super::sentence::{
    WINDOW, first_sentence, full_sentence, head, inside, opens_no_answer, outright, said,
    stated_words, tail,
};

/// How many announcements are looked at, from the end of the text.
const LOOKED_AT: usize = 24;

/// What a text announces.
pub(super) enum Announced {
    /// The answer.
    Found(String),
    /// An answer that is denied or taken back, or that does not read: where it ends.
    Denied(usize),
}

/// What follows the last "the answer is", "Answer:", "the final result is" and the like that announces an answer.
/// A number inside of prose counts only with `numbers`.
pub(super) fn announced(text: &str, numbers: bool) -> Option<Announced> {
    static AFTER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?ix)^s?(?:
                \s*(?:\*\*|\}|\s)*\s*[:：=]
              | [^\w.\n:$\\!?][^.\n:$\\!?]{0,60}?\b(?:is|are|was|equals|(?:would|should|must|will|can\s+only)\s+be)\b
              | \s+[-–—]\s | \s*[→⇒⟹]
              | [\s*_\#]*\n
            )[\s:*}]*(?:(?:option|choice|therefore|thus|then|hence|also|simply|now)\b,?\s*)?",
        )
        .expect("a constant pattern")
    });
    static HEADING: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(?:^|\n)[\s#*_\\a-z{]{0,20}$").expect("a constant pattern")
    });
    let mut words = None;
    for (start, end, kind) in announcements(text) {
        let before = tail(&text[..start], 40);
        let denied = denied_before(&text[..start]) || supposed_before(&text[..start]);
        let after = head(&text[end..], 200);
        let rest = match kind {
            Announcement::Chinese => end,
            Announcement::Answer | Announcement::Result => {
                let Some(found) = AFTER.find(after) else {
                    // "Final answer 5"
                    let named = before.trim_end().to_lowercase().ends_with("final");
                    let sentence = first_sentence(head(&text[end..], WINDOW));
                    if named && reading(sentence) == Reading::Maths {
                        return Some(Announced::Found(said(sentence)));
                    }
                    continue;
                };
                // Without a colon or a verb it must be the heading of what follows.
                let plain = found
                    .as_str()
                    .trim_matches(|c: char| c.is_whitespace() || "*_#".contains(c));
                if matches!(plain, "" | "s") && !HEADING.is_match(before) {
                    continue;
                }
                end + found.end()
            }
        };
        let sentence = first_sentence(head(&text[rest..], WINDOW));
        if sentence.is_empty() || opens_no_answer(sentence) {
            continue;
        }
        let stands = text[rest..].find(sentence).unwrap_or(0);
        let after = rest + stands + sentence.len();
        if denied || faulted(sentence) || reckoned(sentence) || retracted(&text[after..]) {
            return Some(Announced::Denied(after));
        }
        match reading(sentence) {
            // "The largest one is reached for $x = 2$ and is 8": a sentence of its own, which goes on.
            Reading::Words if stated_words(sentence).is_some() => {
                let full = full_sentence(head(&text[rest..], WINDOW));
                match inside(full, numbers) {
                    Some((found, _)) => return Some(Announced::Found(found)),
                    None => {
                        words.get_or_insert(sentence);
                    }
                }
            }
            Reading::Maths => return Some(Announced::Found(said(sentence))),
            Reading::Words if !sentence.contains(['$', '\\']) => {
                words.get_or_insert(sentence);
            }
            Reading::Words | Reading::Prose => {
                if let Some(number) = leading_number(sentence) {
                    return Some(Announced::Found(number.to_owned()));
                }
                if let Some((found, _)) = inside(sentence, numbers) {
                    return Some(Announced::Found(found));
                }
                // Words that hold nothing else are what was announced, if nothing better was.
                words.get_or_insert(sentence);
            }
        }
    }
    words.map(|words| Announced::Found(outright(words).unwrap_or(words).to_owned()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announcement {
    /// "answer".
    Answer,
    /// "result", "choice", "option", "value", "solution" after "final", "correct" and the like.
    Result,
    /// 答案是, 答案为, 答案：
    Chinese,
}

/// The words that may announce an answer, from the end of the text: where each begins and ends.
fn announcements(text: &str) -> Vec<(usize, usize, Announcement)> {
    const WORDS: [(&str, Announcement); 7] = [
        ("answer", Announcement::Answer),
        ("ans:", Announcement::Answer),
        ("result", Announcement::Result),
        ("choice", Announcement::Result),
        ("option", Announcement::Result),
        ("solution", Announcement::Result),
        ("答案", Announcement::Chinese),
    ];
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:final|correct|right|best)\W{1,3}$").expect("a constant pattern")
    });
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    for at in (0..bytes.len()).rev() {
        if found.len() == LOOKED_AT {
            break;
        }
        let rest = &bytes[at..];
        let first = rest[0].to_ascii_lowercase();
        if !matches!(first, b'a' | b'r' | b'c' | b'o' | b's' | 0xe7) {
            continue;
        }
        let word = WORDS.iter().find(|(word, _)| {
            rest.get(..word.len())
                .is_some_and(|here| here.eq_ignore_ascii_case(word.as_bytes()))
        });
        if let Some((word, kind)) = word {
            let joined = at > 0 && bytes[at - 1].is_ascii_alphanumeric();
            // The colon of "Ans:" belongs to what follows the word.
            let mut end = at + word.trim_end_matches(':').len();
            if *kind == Announcement::Chinese {
                let mut rest = text[end..].chars();
                match rest.next() {
                    Some(c @ ('是' | '为' | '：' | ':')) => end += c.len_utf8(),
                    _ => continue,
                }
            }
            // "The solution is provided" announces nothing; "the final solution is" does.
            let plain = *kind == Announcement::Result && !BEFORE.is_match(tail(&text[..at], 12));
            if !joined && !plain {
                found.push((at, end, *kind));
            }
        }
    }
    found
}
