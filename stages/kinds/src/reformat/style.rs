//! The tags around thought and solution: writing them, and proving that what is written can be read
//! back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How thought and solution are marked in a training row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TagStyle {
    /// `<|begin_of_thought|>` … `<|end_of_thought|>`, `<|begin_of_solution|>` … `<|end_of_solution|>`,
    /// as Sky-T1 and STILL-2.
    #[default]
    BeginOfThought,
    /// `<think>` … `</think>`, then the solution, as DeepSeek-R1 and QwQ.
    Think,
    /// `<thinking>` … `</thinking>`, then the solution.
    Thinking,
    /// No tags: the thought, an empty line, the solution.
    None,
}

/// A thought and the solution it leads to, without any tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sections {
    pub(crate) thought: String,
    pub(crate) solution: String,
}

impl Sections {
    pub(crate) fn of(thought: &str, solution: &str) -> Self {
        Self {
            thought: thought.trim().to_owned(),
            solution: solution.trim().to_owned(),
        }
    }
}

impl TagStyle {
    /// Every style that has tags.
    pub(crate) const TAGGED: [Self; 3] = [Self::BeginOfThought, Self::Think, Self::Thinking];

    /// The tags, in the order in which they stand.
    pub(crate) fn tags(self) -> &'static [&'static str] {
        match self {
            Self::BeginOfThought => &[
                "<|begin_of_thought|>",
                "<|end_of_thought|>",
                "<|begin_of_solution|>",
                "<|end_of_solution|>",
            ],
            Self::Think => &["<think>", "</think>"],
            Self::Thinking => &["<thinking>", "</thinking>"],
            Self::None => &[],
        }
    }

    /// Puts the tags around.
    pub(crate) fn wrap(self, sections: &Sections) -> String {
        let Sections { thought, solution } = sections;
        match self.tags() {
            [open, close, begin, end] => {
                format!("{open}\n\n{thought}\n\n{close}\n\n{begin}\n\n{solution}\n\n{end}")
            }
            [open, close] => format!("{open}\n{thought}\n{close}\n\n{solution}"),
            _ => format!("{thought}\n\n{solution}").trim().to_owned(),
        }
    }

    /// Reads tagged text back. The tags must each be there once, in their order, with text between
    /// them and none outside. Without tags there is nothing to read.
    pub(crate) fn unwrap(self, text: &str) -> Result<Sections, String> {
        let tags = self.tags();
        for tag in tags {
            match text.matches(tag).count() {
                1 => {}
                0 => return Err(format!("`{tag}` is missing")),
                many => return Err(format!("`{tag}` is there {many} times")),
            }
        }
        let mut parts = Vec::with_capacity(tags.len() + 1);
        let mut rest = text;
        for tag in tags {
            let (before, after) = rest
                .split_once(tag)
                .ok_or_else(|| format!("`{tag}` is out of order"))?;
            parts.push(before.trim());
            rest = after;
        }
        parts.push(rest.trim());
        let sections = match parts.as_slice() {
            [before, thought, between, solution, after] => {
                if let Some(stray) = [before, between, after]
                    .into_iter()
                    .find(|part| !part.is_empty())
                {
                    return Err(format!("text outside the tags: `{}`", shortened(stray)));
                }
                Sections::of(thought, solution)
            }
            [before, thought, solution] => {
                if !before.is_empty() {
                    return Err(format!("text outside the tags: `{}`", shortened(before)));
                }
                Sections::of(thought, solution)
            }
            _ => return Err("the style has no tags".to_owned()),
        };
        if sections.thought.is_empty() {
            return Err("the thought is empty".to_owned());
        }
        if sections.solution.is_empty() {
            return Err("the solution is empty".to_owned());
        }
        Ok(sections)
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_four_markers_stand_as_sky_t1_wrote_them() {
        let text = TagStyle::BeginOfThought.wrap(&Sections::of("hm", "4"));
        assert_eq!(
            text,
            "<|begin_of_thought|>\n\nhm\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n4\n\n<|end_of_solution|>"
        );
    }

    proptest! {
        #[test]
        fn what_is_wrapped_is_read_back(thought in "[a-z<>|/ \n]{1,40}", solution in "[a-z<>|/ \n]{1,40}") {
            let sections = Sections::of(&thought, &solution);
            prop_assume!(!sections.thought.is_empty() && !sections.solution.is_empty());
            for style in TagStyle::TAGGED {
                prop_assert_eq!(style.unwrap(&style.wrap(&sections)), Ok(sections.clone()));
            }
        }
    }

    #[test]
    fn what_cannot_be_read_back_says_why() {
        let check = |text: &str, expect: &str| {
            assert_eq!(TagStyle::Think.unwrap(text).unwrap_err(), expect, "{text}");
        };
        check("4", "`<think>` is missing");
        check("<think>a</think>b</think>4", "`</think>` is there 2 times");
        check("</think>a<think>4", "`</think>` is out of order");
        check("so <think>a</think>4", "text outside the tags: `so`");
        check("<think> </think>4", "the thought is empty");
        check("<think>a</think>\n", "the solution is empty");
        let slow = "<|begin_of_slow_thought|>a<|end_of_slow_thought|>\
                    <|begin_of_solution|>4<|end_of_solution|>";
        assert_eq!(
            TagStyle::BeginOfThought.unwrap(slow).unwrap_err(),
            "`<|begin_of_thought|>` is missing"
        );
    }
}
