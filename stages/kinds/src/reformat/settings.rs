//! What `reformat` takes from a pipeline file.

use dag_engine::{ModelRef, StageRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::style::TagStyle;

/// Settings of `reformat`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReformatSettings {
    /// The traces: `id`, `prompt`, `response`, and `reasoning` and `domain` if they have them. Semantic.
    pub from: StageRef,
    /// The column with the responses, for tables that are no traces: a data set of worked solutions has them in
    /// `solution`. Default `response`. Semantic.
    #[serde(
        default = "default_response",
        skip_serializing_if = "is_default_response"
    )]
    pub response: String,
    /// The tags around thought and solution. Default `begin_of_thought`. Semantic.
    #[serde(default)]
    pub style: TagStyle,
    /// The text with which a solution begins (`"Answer:"`), for responses without tags; its last
    /// occurrence counts, and without one the last code block. Default: a heading such as `**Final Answer**`, else the last code block, else
    /// the paragraph with the answer. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solution_starts: Option<String>,
    /// A model that rewrites the responses instead of the rules. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<RewriteSettings>,
    /// The system message of the training rows. Default none. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The user message of the training rows, with the row's columns. Default `"{{ prompt }}"`. Semantic.
    #[serde(default = "default_template")]
    pub template: String,
    /// Whether the final answer must be in the solution and what it was before. Default true. Semantic.
    #[serde(default = "yes")]
    pub same_answer: bool,
}

/// Settings of `reformat.rewrite`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewriteSettings {
    /// The model that rewrites. What it is, is semantic; its server is operational.
    pub model: ModelRef,
    /// The system message it gets. Semantic.
    #[serde(default = "default_rewrite_system")]
    pub system: String,
    /// The user message it gets, with the row's columns. Its answer must come in the four tags of
    /// `begin_of_thought`, whatever `style` is. Semantic.
    #[serde(default = "default_rewrite_template")]
    pub template: String,
    /// 0 is greedy. Default 0.7. Semantic.
    #[serde(default = "default_temperature")]
    pub temperature: f64,
    /// The longest answer, in tokens. Default 16384. Semantic.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: u32,
    /// The share of rows, 0 to 1, that may go without an answer before the stage fails. Default 0.1.
    /// Operational.
    #[serde(default = "default_max_failed")]
    pub max_failed: f64,
}

fn yes() -> bool {
    true
}

fn default_response() -> String {
    "response".to_owned()
}

pub(super) fn is_default_response(column: &String) -> bool {
    *column == default_response()
}

fn default_template() -> String {
    "{{ prompt }}".to_owned()
}

fn default_temperature() -> f64 {
    0.7
}

fn default_max_tokens() -> u32 {
    16_384
}

fn default_max_failed() -> f64 {
    0.1
}

fn default_rewrite_system() -> String {
    "You sort written solutions into a thought and a solution without changing what they say."
        .to_owned()
}

fn default_rewrite_template() -> String {
    "Below is an answer to a problem, in which thinking and solution are mixed. Sort it into two \
     sections. The first is the thought: every step, check, doubt and correction, in the author's own \
     words and order, nothing left out. The second is the solution: a clean write-up of the steps that \
     hold, with the final answer exactly as it stands below; if the answer is a program, the solution \
     holds it once, in one code block. Add nothing of your own. Write exactly this, and nothing before \
     or after it:\n\n\
     <|begin_of_thought|>\n\n(the thought)\n\n<|end_of_thought|>\n\n\
     <|begin_of_solution|>\n\n(the solution)\n\n<|end_of_solution|>\n\n\
     The problem:\n\n{{ prompt }}\n\nThe answer:\n\n{{ response }}"
        .to_owned()
}
