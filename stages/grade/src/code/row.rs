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
use serde_json::{Map, Value, json};

use super::{
    CallCase, Detail, Language, Limits, SandboxError, StdioCase, Tests, extract_program, run,
    unpack_private_tests,
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
            Value::String(code) => Ok(assertions(setup, code)),
            Value::Array(lines) => {
                let lines: Option<Vec<&str>> = lines.iter().map(Value::as_str).collect();
                let lines = lines.ok_or("a test is no text")?;
                Ok(assertions(setup, &lines.join("\n")))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                Err("`tests` is neither text, list nor object".to_owned())
            }
        };
    }
    if let (Some(test), Some(name)) = (text(row, "test"), text(row, "entry_point")) {
        return Ok(assertions(test, &format!("check({name})")));
    }
    if let Some(field) = row
        .get("input_output")
        .or_else(|| row.get("input_output_field"))
    {
        return input_output(field);
    }
    if row.contains_key("public_test_cases") || row.contains_key("private_test_cases") {
        return live_code_bench(row);
    }
    Err("the row has no tests in a layout that is known".to_owned())
}

fn assertions(setup: &str, code: &str) -> Tests {
    Tests::Assert {
        language: Language::Python,
        code: if setup.trim().is_empty() {
            code.to_owned()
        } else {
            format!("{}\n{code}", setup.trim_end())
        },
    }
}

fn stdio(cases: Vec<StdioCase>) -> Tests {
    Tests::Stdio {
        language: Language::Python,
        cases,
        tolerance: None,
    }
}

/// `{"inputs": […], "outputs": […], "fn_name"?}`, or its JSON text.
fn input_output(field: &Value) -> Result<Tests, String> {
    let parsed;
    let tests = match field {
        Value::String(text) => {
            parsed = serde_json::from_str::<Value>(text)
                .map_err(|fault| format!("`input_output` is no JSON: {fault}"))?;
            &parsed
        }
        other => other,
    };
    let list = |name: &str| tests.get(name).and_then(Value::as_array);
    let (Some(inputs), Some(outputs)) = (list("inputs"), list("outputs")) else {
        return Err("`input_output` has no `inputs` and `outputs`".to_owned());
    };
    if inputs.is_empty() || inputs.len() != outputs.len() {
        let (inputs, outputs) = (inputs.len(), outputs.len());
        return Err(format!("{inputs} test inputs and {outputs} outputs"));
    }
    let pairs = inputs.iter().zip(outputs);
    let Some(fn_name) = tests.get("fn_name").and_then(Value::as_str) else {
        return Ok(stdio(
            pairs
                .map(|(input, output)| StdioCase {
                    stdin: lines(input),
                    stdout: lines(output),
                })
                .collect(),
        ));
    };
    let mut cases = Vec::with_capacity(inputs.len());
    for (input, output) in pairs {
        let args = input
            .as_array()
            .ok_or("the input of a call is no list of arguments")?;
        // The sets wrap a result in a list of one, and nothing but custom tells it from a result that is one.
        let expected = match output.as_array().map(Vec::as_slice) {
            Some([one]) => one,
            Some(_) | None => output,
        };
        cases.push(CallCase {
            args: args.clone(),
            expected: expected.clone(),
        });
    }
    Ok(Tests::Call {
        fn_name: fn_name.to_owned(),
        language: Language::Python,
        cases,
    })
}

/// A text as it is; a list is one line an item.
fn lines(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(|item| lines(item) + "\n").collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn live_code_bench(row: &Map<String, Value>) -> Result<Tests, String> {
    let mut cases = Vec::new();
    for name in ["public_test_cases", "private_test_cases"] {
        let list = match row.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) if text.trim().is_empty() => continue,
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(list) => list,
                Err(_) => {
                    let text = unpack_private_tests(text).map_err(|fault| fault.to_string())?;
                    serde_json::from_str(&text).unwrap_or(Value::Null)
                }
            },
            Some(list) => list.clone(),
        };
        match list {
            Value::Array(list) => cases.extend(list),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => {
                return Err(format!("`{name}` is no list"));
            }
        }
    }
    let parsed;
    let metadata = match row.get("metadata") {
        Some(Value::String(text)) => {
            parsed = serde_json::from_str(text).unwrap_or(json!({}));
            Some(&parsed)
        }
        other => other,
    };
    let fn_name = metadata
        .and_then(|metadata| metadata.get("func_name"))
        .and_then(Value::as_str);
    let part = |case: &Value, name: &str| -> Result<String, String> {
        let part = case.get(name).and_then(Value::as_str);
        part.map(str::to_owned)
            .ok_or_else(|| format!("a test has no `{name}`"))
    };
    let functional = cases
        .iter()
        .any(|case| case.get("testtype").and_then(Value::as_str) == Some("functional"));
    if !functional {
        let read = cases.iter().map(|case| {
            Ok(StdioCase {
                stdin: part(case, "input")?,
                stdout: part(case, "output")?,
            })
        });
        return Ok(stdio(read.collect::<Result<_, String>>()?));
    }
    let json = |text: &str| {
        serde_json::from_str::<Value>(text)
            .map_err(|_| "the arguments or result of a test are no JSON".to_owned())
    };
    let mut calls = Vec::with_capacity(cases.len());
    for case in &cases {
        // A line is an argument.
        let input = part(case, "input")?;
        let args = input.lines().filter(|line| !line.trim().is_empty());
        calls.push(CallCase {
            args: args.map(json).collect::<Result<_, _>>()?,
            expected: json(&part(case, "output")?)?,
        });
    }
    Ok(Tests::Call {
        fn_name: fn_name.ok_or("`metadata` has no `func_name`")?.to_owned(),
        language: Language::Python,
        cases: calls,
    })
}

#[cfg(test)]
mod tests {
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
