//! Which part of a response is its answer: not what it thought before, nor what it went on with after its turn.

use std::sync::LazyLock;

use regex::Regex;

/// Where a model's thoughts end.
const THOUGHTS: [&str; 4] = [
    "</think>",
    "</thought>",
    "</reasoning>",
    "<|end_of_thought|>",
];

/// Where they begin.
const OPENINGS: [&str; 4] = [
    "<think>",
    "<thought>",
    "<reasoning>",
    "<|begin_of_thought|>",
];

/// What no answer contains: the end of a turn in the templates of chat models.
const ENDS: [&str; 7] = [
    "<|im_end|>",
    "<|im_start|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|end_of_solution|>",
    "</s>",
];

/// The parts of a response in which to look for a mark, the likeliest first; the last one is all of it.
///
/// A thought that opens and never closes was cut: nothing in it counts. Neither does a thought after which the text
/// says that it has no answer.
pub(super) fn parts(text: &str) -> Vec<&str> {
    static NONE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:(?:could|can)(?:not|n['’]t|['’]t|\s+not)\s+(?:solve|find|determine|answer|figure)|(?:unable|failed)\s+to\s+(?:solve|find|determine|answer|figure)|do(?:n['’]t|\s+not)\s+know)\b")
            .expect("a constant pattern")
    });
    let text = uncut(text);
    let turn = turn(text);
    let solution = solution(turn);
    let mut parts = Vec::new();
    // Another problem may follow in a text that goes on by itself.
    if let Some(before) = before_the_next_problem(solution) {
        parts.push(before);
    }
    let gives_up =
        solution.len() < turn.len() && NONE.is_match(super::sentence::tail(solution, 300));
    for part in [solution, turn, text] {
        if gives_up && part.len() > solution.len() {
            break;
        }
        if parts.last() != Some(&part) {
            parts.push(part);
        }
    }
    parts
}

/// The part of a response that its last sentence is looked for in.
pub(super) fn closing(text: &str) -> &str {
    static COURTESY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(?:\bi hope (?:it|this|that)\b[^.!\n]{0,60}[.!]?|\blet me know\b[^.!\n]{0,80}[.!]?)\s*$")
            .expect("a constant pattern")
    });
    let mut rest = without_drawing(untagged(solution(turn(uncut(text)))).trim());
    // Only the end is read, whatever the length.
    for _ in 0..3 {
        let mut start = rest.len().saturating_sub(200);
        while !rest.is_char_boundary(start) {
            start += 1;
        }
        match COURTESY.find(&rest[start..]) {
            Some(found) => rest = rest[..start + found.start()].trim(),
            None => break,
        }
    }
    rest
}

/// A text without the drawing or the program that it ends in.
fn without_drawing(text: &str) -> &str {
    for (open, close) in [("[asy]", "[/asy]"), ("```", "```")] {
        if let Some(inside) = text.strip_suffix(close)
            && let Some(start) = inside.rfind(open)
            && !inside[..start].trim().is_empty()
        {
            return inside[..start].trim_end();
        }
    }
    text
}

/// A text before the thought that it was cut in.
fn uncut(text: &str) -> &str {
    let opened = OPENINGS
        .iter()
        .filter_map(|mark| text.rfind(mark))
        // A text that speaks of thoughts names the tag in the midst of a line.
        .filter(|at| {
            let line = text[..*at].rsplit('\n').next().unwrap_or_default();
            line.trim().is_empty() || line.trim_end().ends_with(['>', '.', '}'])
        })
        .max();
    match opened {
        Some(at) if !THOUGHTS.iter().any(|mark| text[at..].contains(mark)) => &text[..at],
        _ => text,
    }
}

/// A text before an `<answer>` that it was cut in.
fn untagged(text: &str) -> &str {
    match text.rfind("<answer>") {
        Some(at) if !text[at..].contains("</answer>") => &text[..at],
        _ => text,
    }
}

/// The model's own turn: without the template before it, and without what it went on with.
fn turn(text: &str) -> &str {
    const ASSISTANT: &str = "<|im_start|>assistant";
    let mut turn = text.trim_start();
    if turn.starts_with("<|im_start|>")
        && let Some(start) = turn.find(ASSISTANT)
    {
        turn = &turn[start + ASSISTANT.len()..];
    }
    let speaker = ["\nHuman:", "\nUser:", "\n### Human:", "\n### Instruction:"];
    let end = ENDS
        .iter()
        .chain(speaker.iter())
        .filter_map(|mark| turn.find(mark))
        .filter(|end| !turn[..*end].trim().is_empty())
        .min();
    &turn[..end.unwrap_or(turn.len())]
}

/// What follows the thoughts, if anything does.
fn solution(turn: &str) -> &str {
    THOUGHTS
        .iter()
        .filter_map(|mark| Some(turn.rfind(mark)? + mark.len()))
        .max()
        .map(|start| &turn[start..])
        .filter(|rest| !rest.trim().is_empty())
        .unwrap_or(turn)
}

fn before_the_next_problem(text: &str) -> Option<&str> {
    let end = ["\n\nQuestion:", "\n\nProblem:", "\n\nQ:", "\n\nExercise:"]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min()?;
    Some(&text[..end]).filter(|before| !before.trim().is_empty())
}
