//! What a text denies, takes back, or only supposes: none of that is its answer.
//!
//! Only what stands beside a mark is read, at most [`NEAR`] bytes to either side, so a long text costs no more. In
//! doubt there is a denial: an answer that is missed can be seen, one that nobody gave cannot.

use std::sync::LazyLock;

use regex::Regex;

use super::formulas::formulas;
use super::sentence::{denies, head, tail};

/// How far around a mark its denial is looked for, in bytes.
const NEAR: usize = 300;
/// How many words may stand between a mark and the word that denies or supposes it.
const LINKS: usize = 10;

/// Whether the words right before a mark deny it: "is not", "it is false that the answer is", `\ne`.
pub(super) fn denied_before(before: &str) -> bool {
    linked(before, |word| {
        // "at most" a box is the box.
        denies(word) && !matches!(word, "than" | "least" | "most")
            || matches!(
                word,
                "cannot"
                    | "nor"
                    | "neither"
                    | "unlikely"
                    | "hardly"
                    | "impossible"
                    | "false"
                    | "wrong"
                    | "incorrect"
                    | "doubt"
                    | "doubtful"
                    | "deny"
                    | "except"
                    | "unlike"
            )
    })
}

/// Whether the words right before "the answer is" only suppose it, or ask for it.
pub(super) fn supposed_before(before: &str) -> bool {
    linked(before, |word| {
        matches!(
            word,
            "suppose"
                | "supposing"
                | "assume"
                | "assuming"
                | "imagine"
                | "if"
                | "unless"
                | "whether"
                | "why"
                | "pretend"
                | "say"
                | "let"
        )
    })
}

/// Whether a text ends in a sign that says that two values differ.
pub(super) fn unequal(before: &str) -> bool {
    let near = before.trim_end();
    near.ends_with('≠') || near.ends_with(r"\ne") || near.ends_with(r"\neq")
}

/// Whether one of these words stands before the end of a text with nothing between but words that link.
fn linked(before: &str, is: impl Fn(&str) -> bool) -> bool {
    const LINKING: [&str; 36] = [
        "be",
        "been",
        "is",
        "are",
        "was",
        "equal",
        "equals",
        "to",
        "as",
        "the",
        "a",
        "an",
        "that",
        "it",
        "value",
        "answer",
        "number",
        "result",
        "solution",
        "of",
        "x",
        "n",
        "final",
        "correct",
        "right",
        "true",
        "my",
        "our",
        "your",
        "their",
        "necessarily",
        "exactly",
        "simply",
        "actually",
        "really",
        "just",
    ];
    let near = tail(before, 120);
    let near =
        near.trim_end_matches(|c: char| c.is_whitespace() || "$*([{=".contains(c) || c == '\\');
    if unequal(near) {
        return is("not");
    }
    for word in near.split_whitespace().rev().take(LINKS) {
        // Another clause, or a formula.
        if word.ends_with([',', '.', ';', ':', '!', '?', '$']) || word.contains(['\\', '=']) {
            return false;
        }
        let word = word
            .trim_matches(|c: char| !c.is_alphanumeric())
            .replace('’', "'")
            .to_lowercase();
        if is(&word) {
            return true;
        }
        if !LINKING.contains(&word.as_str()) {
            return false;
        }
    }
    false
}

/// What says of something that it is not so, after its subject: "is wrong", "cannot be right", "does not work".
const FAULT: &str = r"(?:(?:is|are|was|were|be|seems?|looks?|must\s+be|would\s+be)\s+(?:(?:clearly|obviously|definitely|certainly|simply|also|actually|of\s+course|the|an?)\s+)*(?:wrong|incorrect|impossible|false|mistaken|invalid|absurd|nonsense|a?\s*mistake|error|too\s+(?:big|small|large|high|low))\b|(?:(?:is|are|was|were)\s+not|isn['’]t|aren['’]t|wasn['’]t|can(?:not|['’]t|\s+not)\s+be)\s+(?:actually\s+|really\s+|quite\s+)?(?:(?:the|a|an)\s+)?(?:correct|right|true|valid|possible|it\b|answer|solution|allowed|what)|(?:does\s+not|doesn['’]t|do\s+not|don['’]t|did\s+not|didn['’]t)\s+(?:work|satisfy|hold|fit|make\s+sense)|contradicts\b|fails\b)";

/// Whether a sentence says of what it is about that it is wrong.
pub(super) fn faulted(sentence: &str) -> bool {
    static FAULTED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(&format!(r"(?i)(?:\b|\s){FAULT}")).expect("a constant pattern")
    });
    FAULTED.is_match(head(sentence, NEAR))
}

/// Whether what follows a mark denies it or takes it back: "is wrong", "No wait, it's 13", "but it is 13".
pub(super) fn retracted(after: &str) -> bool {
    static OWN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(&format!(
            r"(?ix)^(?:[\s$}}*)\].`]|\\[)\]])*(?:\([^()]*\)\s*)?,?\s*(?:(?:which|that|and\s+(?:this|that|it))\s+)?{}",
            FAULT.replace(' ', r"\ ")
        ))
        .expect("a constant pattern")
    });
    // "but it is 13": a value of its own.
    static INSTEAD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)^[^.!?\n]{0,40}?\b(?:but|no|wait|actually)\b,?\s+(?:really\s+|actually\s+|in\s+fact\s+)?(?:it|that|this|the\s+(?:\w+\s+)?(?:answer|value|result))(?:['’]s|\s+(?:is|should\s+be|must\s+be|would\s+be|should\s+have\s+been))\s+(?:really\s+|actually\s+|in\s+fact\s+)?(?:\$|\\\(|\\boxed|[-−]?\d)",
        )
        .expect("a constant pattern")
    });
    // The next sentence: with a word that takes back, or about the one before.
    static NEXT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(&format!(
            r"(?i)^(?:[\s$}}*)\].!?`]|\\[)\]])*(?:(?:but|so|and|however|yet|hmm+|oh|well),?\s+)*(?:this|that|it|which|the\s+(?:above|previous|last)\s+\w+)\s+{FAULT}"
        ))
        .expect("a constant pattern")
    });
    static TURN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)^(?:[\s$}*)\].!?`–—-]|\\[)\]])*(?:(?:but|so|and|hmm+|oh|ah|um|uh|well)\b[\s,.!…]*)*(?:no|nope|wait|actually|oops|sorry|hold\s+on|correction|scratch\s+that)\b",
        )
        .expect("a constant pattern")
    });
    static BACK: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)\b(?:wrong|incorrect|mistake|mistaken|error|impossible|contradict\w*|not\s+(?:correct|right|valid|true|possible|it)|recompute|recalculate|reconsider|redo|rethink)\b|n['’]t\s+(?:be\s+)?(?:correct|right|valid|true|possible)\b|(?:\b(?:it|that|this|answer|value|result))(?:['’]s|\s+(?:is|should\s+be|must\s+be|would\s+be|should\s+have\s+been))\s+(?:really\s+|actually\s+|in\s+fact\s+)?(?:\$|\\\(|\\boxed|[-−]?\d)",
        )
        .expect("a constant pattern")
    });
    let near = head(after, NEAR);
    OWN.is_match(near)
        || INSTEAD.is_match(near)
        || NEXT.is_match(near)
        || TURN
            .find(near)
            .is_some_and(|turn| BACK.is_match(&near[turn.end()..]))
}

/// Whether a closing sentence says nothing that could be an answer: it asks, supposes, repeats what is given, or
/// speaks of what cannot be.
pub(super) fn says_nothing(sentence: &str) -> bool {
    static SUPPOSES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)^[\W_]*(?:(?:so|now|then|thus|and|but|first|next|well|also|for\s+example),?\s+)*(?:let(?:['’]s)?|suppose|supposing|assume|assuming|imagine|pretend|consider|say)\b",
        )
        .expect("a constant pattern")
    });
    static GIVEN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)^[\W_]*(?:(?:now|first|but|and),?\s+)*(?:if|given|when|recall|we\s+(?:already\s+)?(?:know|are\s+given|are\s+told|were\s+given|were\s+told)|it\s+is\s+given|i\s+(?:know|guess\s+whether))\b",
        )
        .expect("a constant pattern")
    });
    // What follows from a supposition may be said.
    static FOLLOWS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)[,;:—]\s+(?:then|so|we|the|this|it|there|that|thus|hence|therefore|which|giving|gives)\b|\b(?:then|so|hence|therefore)\b|[,;:]\s+\S+\s+(?:is|are|equals|gives)\b")
            .expect("a constant pattern")
    });
    // After "if", a comma is enough.
    static CLAUSE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)[,;:—]\s|\b(?:then|so|hence|thus|therefore)\b")
            .expect("a constant pattern")
    });
    static NOTHING: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)\b(?:whether|contradicts?|contradiction|contradicting|excluded|(?:cannot|can['’]t|can\s+not|could\s+not|couldn['’]t|unable\s+to)\s+(?:determine|decide|tell|say|know|find|conclude|be\s+sure)|fails\s+(?:for|at|when|if)|(?:unlikely|wrong|incorrect|false)\s+(?:to\s+be|if))\b",
        )
        .expect("a constant pattern")
    });
    let sentence = sentence.trim();
    let ends = sentence.trim_end_matches(['$', '*', '"', ')', ' ']);
    if ends.ends_with('?') {
        return true;
    }
    let found = formulas(sentence);
    let outside = |at: usize| !found.iter().any(|formula| formula.outer.contains(&at));
    let has = |pattern: &Regex| {
        pattern
            .find_iter(sentence)
            .any(|part| part.start() > 0 && outside(part.start()))
    };
    if SUPPOSES.is_match(sentence) && !has(&FOLLOWS) || GIVEN.is_match(sentence) && !has(&CLAUSE) {
        return true;
    }
    // What is said of the last value.
    let value = found
        .last()
        .map(|formula| formula.outer.start)
        .max(sentence.rfind(|c: char| c.is_ascii_digit()))
        .unwrap_or(0);
    let start = CLAUSE
        .find_iter(sentence)
        .filter(|part| part.end() <= value && outside(part.start()))
        .last()
        .map_or(0, |part| part.end());
    let clause = &sentence[start..];
    NOTHING.is_match(head(clause, NEAR))
        || retracted(&sentence[value_end(sentence, value, &found)..])
}

/// Where the value that begins or ends here ends.
fn value_end(sentence: &str, at: usize, found: &[super::formulas::Formula]) -> usize {
    let formula = found.iter().find(|formula| formula.outer.contains(&at));
    formula.map_or_else(
        || {
            sentence[at..]
                .chars()
                .next()
                .map_or(at, |c| at + c.len_utf8())
        },
        |formula| formula.outer.end,
    )
}

/// Whether a number has words behind it that make another value of it: "12 squared", "12 more than x".
pub(super) fn reckoned(text: &str) -> bool {
    static RECKONED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?ix)^[\s$(*]*(?:\\\(|\\\[)?\s*[-−]?\d[\d,.]*(?:/\d+)?\s*(?:\$|\\\)|\\\]|\*)*\s+(?:\w+\s+)?(?:
                squared | cubed | factorial | plus | minus | dozens? | score | gross
              | times\s+(?:the|as|\d|that|this|those|his|her|its|their|some|what|more|less|[a-z]\b(?:[^\x20a-z]|$)) | multiplied | divided
              | (?:and\s+)?(?:a|one|two|three)\s+(?:half|third|quarter|fifth|thirds|quarters)
              | (?:more|less|fewer|greater|larger|smaller|bigger)\s+than
              | (?:tenths|hundredths|thousandths|halves|thirds|quarters|fifths|sixths|sevenths|eighths|ninths)
              | or\s+(?:more|less|fewer) | to\s+the\s+(?:power|\w+th)
            )\b",
        )
        .expect("a constant pattern")
    });
    RECKONED.is_match(head(text, 120))
}
