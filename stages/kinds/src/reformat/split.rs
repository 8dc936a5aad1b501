//! Telling thought from solution, by rule. The surest mark goes first: a reasoning column, tags, the
//! author's own mark, a heading, and last the paragraph that holds the answer.

use std::sync::LazyLock;

use regex::Regex;

use super::style::{Sections, TagStyle};

/// A line that begins the solution: `**Final Answer**`, `### Solution:`, `Final Answer:`.
static HEADING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?mi)^[ \t]*(?:#{1,6}[ \t]*|\*\*[ \t]*)(?:the[ \t]+)?(?:final[ \t]+)?(?:answer|solution)\b[^\n]*$|^[ \t]*final[ \t]+(?:answer|solution)[ \t]*:[^\n]*$")
        .expect("the pattern is a constant that the tests use")
});

/// Splits a response. `mark` is the text with which a solution begins, where the author knows it.
/// The error says what was looked for.
pub(crate) fn split(
    reasoning: Option<&str>,
    response: &str,
    mark: Option<&str>,
) -> Result<Sections, String> {
    if let Some(reasoning) = reasoning.filter(|reasoning| !reasoning.trim().is_empty()) {
        return Ok(Sections::of(reasoning, response));
    }
    for style in TagStyle::TAGGED {
        if let Some(sections) = tagged(style, response) {
            return sections;
        }
    }
    if let Some(mark) = mark {
        // a program needs no mark: its block is one
        let at = response
            .rfind(mark)
            .or_else(|| last_block(response))
            .ok_or_else(|| format!("`{mark}`, which begins the solution, is missing"))?;
        return both(&response[..at], &response[at..]);
    }
    if let Some(heading) = HEADING.find_iter(response).last()
        && let Ok(sections) = both(&response[..heading.start()], &response[heading.start()..])
    {
        return Ok(sections);
    }
    match last_block(response) {
        Some(at) => both(&response[..at], &response[at..]),
        None => Err("nothing tells the thought from the solution".to_owned()),
    }
}

/// The sections between a style's tags; `None` if the text has none of them. The opening tag of a
/// thought may be missing: chat templates put it at the end of the prompt.
fn tagged(style: TagStyle, response: &str) -> Option<Result<Sections, String>> {
    let tags = style.tags();
    if !tags.iter().any(|tag| response.contains(tag)) {
        return None;
    }
    let opening = tags.first()?;
    if response.contains(opening) {
        return Some(style.unwrap(response));
    }
    Some(style.unwrap(&format!("{opening}{response}")))
}

/// Where the last fenced code block begins, or the last paragraph with a box, or just the last one.
fn last_block(response: &str) -> Option<usize> {
    let text = response.trim_end();
    if let Some(at) = last_fence(text) {
        return Some(at);
    }
    let boxed = text.rfind(r"\boxed").or_else(|| text.rfind(r"\fbox"));
    let until = boxed.unwrap_or(text.len());
    let at = text[..until].rfind("\n\n")? + 2;
    Some(at)
}

/// The beginning of the last complete block between lines of three backticks.
fn last_fence(text: &str) -> Option<usize> {
    let mut fences = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            fences.push(at);
        }
        at += line.len();
    }
    // Fences come in pairs; one that is open at the end is no block.
    let pairs = fences.len() / 2;
    let opening = fences.get((2 * pairs).checked_sub(2)?)?;
    Some(*opening)
}

fn both(thought: &str, solution: &str) -> Result<Sections, String> {
    let sections = Sections::of(thought, solution);
    if sections.thought.is_empty() {
        return Err("no thought stands before the solution".to_owned());
    }
    if sections.solution.is_empty() {
        return Err("no solution stands after the thought".to_owned());
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(response: &str, expect: Result<(&str, &str), &str>) {
        let expect = expect
            .map(|(thought, solution)| Sections::of(thought, solution))
            .map_err(str::to_owned);
        assert_eq!(split(None, response, None), expect, "{response}");
    }

    #[test]
    fn tags_go_first() {
        check("<think>\nhm\n</think>\n\n4", Ok(("hm", "4")));
        check("hm\n</think>\n\n4", Ok(("hm", "4")));
        check("<thinking>hm</thinking>4", Ok(("hm", "4")));
        let four =
            "<|begin_of_thought|>hm<|end_of_thought|><|begin_of_solution|>4<|end_of_solution|>";
        check(four, Ok(("hm", "4")));
        check(
            "<think>a</think>b</think>4",
            Err("`</think>` is there 2 times"),
        );
        check("<think>never ends", Err("`</think>` is missing"));
    }

    #[test]
    fn headings_and_the_paragraph_of_the_answer_are_next() {
        check(
            "We add.\n\n**Final Answer**\n\n4",
            Ok(("We add.", "**Final Answer**\n\n4")),
        );
        check(
            "We add.\n### Solution: 4",
            Ok(("We add.", "### Solution: 4")),
        );
        check(
            "We add.\nFinal answer: 4",
            Ok(("We add.", "Final answer: 4")),
        );
        check(
            "We add.\n\nSo it is \\boxed{4}.\n\nYes.",
            Ok(("We add.", "So it is \\boxed{4}.\n\nYes.")),
        );
        check("We add.\n\nIt is 4.", Ok(("We add.", "It is 4.")));
        check(
            "Loop.\n```python\nx\n```\nor\n```python\ny\n```\nDone.",
            Ok(("Loop.\n```python\nx\n```\nor", "```python\ny\n```\nDone.")),
        );
        check(
            "It is 4.",
            Err("nothing tells the thought from the solution"),
        );
        check(
            "**Final Answer** 4",
            Err("nothing tells the thought from the solution"),
        );
    }

    #[test]
    fn the_authors_mark_is_taken_at_its_word() {
        let by = |response| split(None, response, Some("Answer:"));
        assert_eq!(by("2+2 Answer: 4"), Ok(Sections::of("2+2", "Answer: 4")));
        assert_eq!(
            by("2+2"),
            Err("`Answer:`, which begins the solution, is missing".to_owned())
        );
        assert_eq!(
            by("Answer: 4"),
            Err("no thought stands before the solution".to_owned())
        );
    }

    #[test]
    fn a_reasoning_column_is_the_thought() {
        assert_eq!(split(Some("hm"), "4", None), Ok(Sections::of("hm", "4")));
    }

    proptest! {
        #[test]
        fn nothing_panics_or_gives_an_empty_section(text in "(?s).{0,60}|[a<>/|`\n*#]{0,40}") {
            if let Ok(sections) = split(None, &text, None) {
                prop_assert!(!sections.thought.is_empty() && !sections.solution.is_empty());
            }
        }
    }
}
