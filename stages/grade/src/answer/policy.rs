//! Policies: what counts as the same answer where reasonable people disagree.
//!
//! Graders of the field differ on these points silently; here each is a setting with a default, and the
//! habits of a known suite are a preset under the suite's name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether 50 % may stand for something other than one half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Percent {
    /// `50%` is 1/2 and nothing else.
    Exact,
    /// `50%` is 1/2, and 50 where the other side has no percent sign (default).
    Sign,
    /// Besides, 50 is the same as 0.5 with no sign on either side.
    Any,
}

/// Whether the order of an unbracketed list matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListOrder {
    /// `1, 2` is not `2, 1`.
    Ordered,
    /// `1, 2` is `2, 1`: a list of solutions (default).
    Unordered,
}

/// What becomes of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Units {
    /// `5 cm` is `5`; `5 cm` and `5 m` differ (default).
    Strip,
    /// `5 cm` is `5 cm` only.
    Keep,
}

/// The settings of an answer comparison. All of them are semantic: they decide verdicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Percent against fraction. Default `sign`.
    pub percent: Percent,
    /// Order of an unbracketed list. Default `unordered`.
    pub list_order: ListOrder,
    /// Units of measure, money and degrees. Default `strip`.
    pub units: Units,
    /// Largest difference between two numbers that are not both whole, as a part of the larger one.
    /// Default 0: 0.333 is not 1/3.
    pub relative_tolerance: f64,
    /// How many significant digits a decimal must have to stand for every number that rounds to it: with 3,
    /// `0.333` is 1/3 and `0.33` is not. Default none: a decimal is its value and nothing else.
    pub rounded_to: Option<u32>,
    /// Whether `1,5` may be one and a half, besides two numbers. Default false.
    pub decimal_comma: bool,
    /// Whether `x = 5` may stand for `5`, and `x > 3` for the interval. Default true.
    pub assignment: bool,
    /// Whether the letters in a function's brackets matter where the function itself is the answer: `f(x)` is not
    /// `f(y)`. Default true.
    pub argument_names: bool,
    /// Whether the case of text matters. Default false.
    pub case_sensitive: bool,
    /// Whether the last number of a text without any marked answer is taken for its answer. Default false.
    pub last_number: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            percent: Percent::Sign,
            list_order: ListOrder::Unordered,
            units: Units::Strip,
            relative_tolerance: 0.0,
            rounded_to: None,
            decimal_comma: false,
            assignment: true,
            argument_names: true,
            case_sensitive: false,
            last_number: false,
        }
    }
}

impl Policy {
    /// The names that [`Policy::preset`] knows.
    pub const PRESETS: [&'static str; 7] = [
        "default",
        "math-verify",
        "hendrycks-math",
        "skythought",
        "olympiadbench",
        "open-r1",
        "qwen2.5-math",
    ];

    /// The policy of a known suite: what its own grader takes for the same answer, where that is a habit and no
    /// accident.
    pub fn preset(name: &str) -> Option<Policy> {
        let base = Policy::default();
        Some(match name {
            "default" => base,
            // Math-Verify and open-r1, which calls it, round numbers before they compare them, read a decimal comma,
            // compare functions by their names, and fall back to the last number of a text.
            "math-verify" | "open-r1" => Policy {
                // What binary floating point makes of a decimal.
                relative_tolerance: 1e-9,
                rounded_to: Some(2),
                decimal_comma: true,
                argument_names: false,
                last_number: true,
                ..base
            },
            // MATH's `is_equiv` compares strings: units, dollars and percent signs are stripped, but lists keep
            // their order and words their case.
            "hendrycks-math" => Policy {
                list_order: ListOrder::Ordered,
                case_sensitive: true,
                ..base
            },
            // SkyThought's `math_equal` tries a number as a percentage too and allows one part in a thousand.
            "skythought" => Policy {
                percent: Percent::Any,
                relative_tolerance: 1e-3,
                last_number: true,
                ..base
            },
            // OlympiadBench's judge keeps units, tries percentages, and compares numbers to a precision that is
            // given with each problem; here that precision is the one in which the decimal is written.
            "olympiadbench" => Policy {
                percent: Percent::Any,
                units: Units::Keep,
                relative_tolerance: 1e-8,
                rounded_to: Some(3),
                ..base
            },
            // Qwen2.5-Math's `math_equal`: percentages too, and one part in ten thousand.
            "qwen2.5-math" => Policy {
                percent: Percent::Any,
                relative_tolerance: 1e-4,
                last_number: true,
                ..base
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_a_policy_and_no_other_name_has_one() {
        for name in Policy::PRESETS {
            assert!(Policy::preset(name).is_some(), "{name}");
        }
        assert!(Policy::preset("qwen").is_none());
    }
}
