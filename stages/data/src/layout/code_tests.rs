//! Unit tests of problems. What their published layouts mean is known where tests are graded, and this crate knows no
//! grading: whoever turns rows into problems brings it along as [`CodeTests`].

use serde_json::Value;

use crate::rows::SourceRow;

/// Tests, with what of the row could not be used; or why there are none.
pub type NotedTests = Result<(String, Option<&'static str>), String>;
/// Tests, with the assertions as the prompt shows them; or why there are none.
pub type ShownTests = Result<(String, String), String>;

/// How data sets keep unit tests, turned into the text of the `tests` column. Each gives the reason, as a short
/// sentence, where there are no tests. Without any (the default), rows of programming problems are refused.
#[derive(Debug, Clone, Copy)]
pub struct CodeTests {
    /// APPS and TACO: the field `input_output`.
    pub contest: fn(&Value) -> Result<String, String>,
    /// LiveCodeBench: a row.
    pub live_code_bench: fn(&SourceRow) -> NotedTests,
    /// MBPP: assertions, and what sets them up.
    pub assertions: fn(&Value, &str) -> ShownTests,
}

impl Default for CodeTests {
    fn default() -> Self {
        const UNKNOWN: &str = "unit tests are not read here";
        Self {
            contest: |_| Err(UNKNOWN.to_owned()),
            live_code_bench: |_| Err(UNKNOWN.to_owned()),
            assertions: |_, _| Err(UNKNOWN.to_owned()),
        }
    }
}
