//! One row of a file of programs: where its program and its tests stand, and what became of it.
//!
//! A row's program is `program`, taken as it is; or the last program in `completion` or `response`, which are what
//! a model wrote. Its tests stand in one of these layouts, the first that fits:
//!
//! | fields | tests |
//! |---|---|
//! | `tests`, an object or its JSON text with `kind` | as [`Tests`] |
//! | `tests`, other text; or a list of texts | Python assertions (MBPP), after `test_setup_code` |
//! | `test_list` | the same under MBPP's own name |
//! | `test` and `entry_point` | HumanEval: the test code, then `check(entry_point)`; a program that does not define that name is put after `prompt` |
//! | `input_output` or `input_output_field` | APPS and TACO: `inputs`, `outputs`, and `fn_name` where a function is called |
//! | `public_test_cases`, `private_test_cases`, `metadata` | LiveCodeBench; nothing is unpickled |
//!
//! `id` is handed through; it may also be called `task_id`, `problem_id` or `question_id`. Other fields are not read.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Detail, Language, Limits, SandboxError, Tests, assertion_tests, extract_program,
    input_output_tests, live_code_bench_tests, run,
};
use crate::Verdict;

/// What became of one row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowVerdict {
    /// The row's own name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// Only [`Verdict::Pass`] is a pass. [`Verdict::Error`] says that the row itself is at fault.
    pub verdict: Verdict,
    /// What judged: `stdio`, `call`, `assert`; `row` where nothing could.
    pub rule: String,
    /// How the program came to its verdict. None where it was not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
    /// The first case that does not hold, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_case: Option<usize>,
    /// A short sentence.
    pub reason: String,
    /// The isolating layers that this machine lacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_layers: Vec<&'static str>,
}

/// Grades the program of one JSON row. A row that cannot be read has a verdict, [`Verdict::Error`]; an error is that
/// no program can be judged here: no interpreter, no isolation.
///
/// ```no_run
/// use dag_grade::code::{Limits, grade_row};
///
/// let row = r#"{"id": 7, "program": "def f(n): return 2 * n", "tests": "assert f(2) == 4"}"#;
/// let graded = grade_row(row, &Limits::default(), false)?;
/// assert_eq!(
///     serde_json::to_string(&graded).unwrap(),
///     r#"{"id":7,"verdict":"pass","rule":"assert","detail":"passed","reason":"every assertion holds"}"#
/// );
/// # Ok::<(), dag_grade::code::SandboxError>(())
/// ```
pub fn grade_row(row: &str, limits: &Limits, unsafe_ok: bool) -> Result<RowVerdict, SandboxError> {
    let row = match serde_json::from_str::<Value>(row) {
        Ok(Value::Object(row)) => row,
        Ok(_) => return Ok(unread(None, Verdict::Error, "the row is no JSON object")),
        Err(fault) => {
            let reason = format!("the row is no JSON: {fault}");
            return Ok(unread(None, Verdict::Error, &reason));
        }
    };
    let id = ["id", "task_id", "problem_id", "question_id"]
        .iter()
        .find_map(|name| row.get(*name))
        .cloned();
    let tests = match row_tests(&row) {
        Ok(tests) => tests,
        Err(fault) => return Ok(unread(id, Verdict::Error, &fault)),
    };
    let program = match row_program(&row, tests.language()) {
        Ok(Some(program)) => program,
        Ok(None) => {
            let reason = "no program in the response";
            return Ok(unread(id, Verdict::Unparsable, reason));
        }
        Err(fault) => return Ok(unread(id, Verdict::Error, &fault)),
    };
    match run(&tests, &program, limits, unsafe_ok) {
        Ok(judged) => Ok(RowVerdict {
            id,
            verdict: judged.verdict,
            rule: judged.rule,
            detail: Some(judged.detail),
            failing_case: judged.failing_case,
            reason: judged.reason,
            missing_layers: judged.missing_layers,
        }),
        Err(SandboxError::Tests(fault)) => {
            let reason = format!("the tests are malformed: {fault}");
            Ok(unread(id, Verdict::Error, &reason))
        }
        Err(error) => Err(error),
    }
}

fn unread(id: Option<Value>, verdict: Verdict, reason: &str) -> RowVerdict {
    RowVerdict {
        id,
        verdict,
        rule: "row".to_owned(),
        detail: None,
        failing_case: None,
        reason: reason.to_owned(),
        missing_layers: Vec::new(),
    }
}

fn text<'a>(row: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    row.get(name).and_then(Value::as_str)
}

/// The program of a row. None where a model's text holds none.
fn row_program(row: &Map<String, Value>, language: Language) -> Result<Option<String>, String> {
    let program = match text(row, "program") {
        Some(program) => program.to_owned(),
        None => {
            let Some(said) = text(row, "completion").or_else(|| text(row, "response")) else {
                return Err("the row has no `program`, `completion` or `response`".to_owned());
            };
            match extract_program(said, language, true) {
                Some(program) => program,
                None => return Ok(None),
            }
        }
    };
    // HumanEval's completions go on where the prompt, a program without its end, stops.
    if let (Some(prompt), Some(name)) = (text(row, "prompt"), text(row, "entry_point")) {
        let defined = format!("def {name}");
        if !program.contains(&defined) && prompt.contains(&defined) {
            return Ok(Some(format!("{prompt}{program}")));
        }
    }
    Ok(Some(program))
}

fn row_tests(row: &Map<String, Value>) -> Result<Tests, String> {
    let setup = text(row, "test_setup_code").unwrap_or("");
    if let Some(tests) = row.get("tests").or_else(|| row.get("test_list")) {
        return match tests {
            Value::Object(_) => Tests::parse(&tests.to_string()),
            Value::String(code) if code.trim_start().starts_with('{') => Tests::parse(code),
            other => assertion_tests(other, setup),
        };
    }
    if let (Some(test), Some(name)) = (text(row, "test"), text(row, "entry_point")) {
        let code = format!("{}\ncheck({name})", test.trim_end());
        return Tests::Assert {
            language: Language::Python,
            code,
        }
        .checked();
    }
    if let Some(field) = row
        .get("input_output")
        .or_else(|| row.get("input_output_field"))
    {
        return input_output_tests(field);
    }
    if row.contains_key("public_test_cases") || row.contains_key("private_test_cases") {
        let (tests, unread) = live_code_bench_tests(row)?;
        // A part of the tests is no verdict.
        return unread.map_or(Ok(tests), |fault| Err(fault.to_string()));
    }
    Err("the row has no tests in a layout that is known".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(row: Value) -> Result<Value, String> {
        let Value::Object(row) = row else {
            panic!("no row")
        };
        row_tests(&row).map(|tests| serde_json::to_value(tests).unwrap())
    }

    #[test]
    fn the_original_layouts_are_read() {
        let assertion =
            json!({"kind": "assert", "language": "python", "code": "x = 1\nassert f()"});
        let check = |row: Value, tests: &Value| assert_eq!(read(row).as_ref(), Ok(tests));
        check(json!({"tests": "x = 1\nassert f()"}), &assertion);
        check(
            json!({"test_list": ["assert f()"], "test_setup_code": "x = 1"}),
            &assertion,
        );
        check(json!({ "tests": assertion.clone() }), &assertion);
        check(json!({ "tests": assertion.to_string() }), &assertion);
        check(
            json!({"test": "def check(c): assert c()", "entry_point": "f"}),
            &json!({"kind": "assert", "language": "python", "code": "def check(c): assert c()\ncheck(f)"}),
        );
        let stdio = json!({"kind": "stdio", "language": "python", "tolerance": null,
            "cases": [{"stdin": "1\n2\n", "stdout": "3\n"}]});
        check(
            json!({"input_output": r#"{"inputs": ["1\n2\n"], "outputs": ["3\n"]}"#}),
            &stdio,
        );
        check(
            json!({"input_output_field": {"inputs": [["1", "2"]], "outputs": [["3"]]}}),
            &stdio,
        );
        check(
            json!({"public_test_cases": r#"[{"input": "1\n2\n", "output": "3\n", "testtype": "stdin"}]"#, "private_test_cases": ""}),
            &stdio,
        );
        let call = json!({"kind": "call", "fn_name": "f", "language": "python",
            "cases": [{"args": [1, [2]], "expected": [3]}]});
        check(
            json!({"input_output": {"inputs": [[1, [2]]], "outputs": [[[3]]], "fn_name": "f"}}),
            &call,
        );
        check(
            json!({"public_test_cases": [{"input": "1\n[2]", "output": "[3]", "testtype": "functional"}], "metadata": r#"{"func_name": "f"}"#}),
            &call,
        );
    }

    #[test]
    fn rows_without_tests_say_so() {
        for row in [
            json!({}),
            json!({"tests": 3}),
            json!({"tests": [1]}),
            json!({"input_output": "{"}),
            json!({"input_output": {"inputs": [], "outputs": []}}),
            json!({"input_output": {"inputs": ["1"], "outputs": []}}),
            json!({"public_test_cases": "[]", "private_test_cases": "AAAA"}),
            json!({"public_test_cases": [{"input": "1", "output": "1", "testtype": "functional"}]}),
        ] {
            assert!(read(row.clone()).is_err(), "{row}");
        }
    }

    #[test]
    fn a_completion_that_goes_on_from_the_prompt_is_put_after_it() {
        let program = |row: Value| row_program(row.as_object().unwrap(), Language::Python);
        let prompt = "def f(n):\n";
        assert_eq!(
            program(json!({"completion": "    return n\n", "prompt": prompt, "entry_point": "f"})),
            Ok(Some("def f(n):\n    return n\n".to_owned()))
        );
        assert_eq!(
            program(
                json!({"completion": "```python\ndef f(n): return n\n```", "prompt": prompt, "entry_point": "f"})
            ),
            Ok(Some("def f(n): return n\n".to_owned()))
        );
        assert_eq!(program(json!({"response": "   "})), Ok(None));
        assert!(program(json!({})).is_err());
    }
}
