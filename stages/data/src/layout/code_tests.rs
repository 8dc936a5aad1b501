//! Unit tests as data sets keep them, turned into the one form that grading reads.
//!
//! `{"kind":"stdio", …}` runs a program on inputs, `{"kind":"call", …}` calls a function, `{"kind":"assert", …}` runs
//! assertions after it. Nothing here is executed or unpickled.

use serde_json::{Value, json};

use crate::rows::SourceRow;

/// Why tests cannot be used.
#[derive(Debug)]
pub(super) struct TestsFault(pub(super) String);

fn fault<T>(reason: impl Into<String>) -> Result<T, TestsFault> {
    Err(TestsFault(reason.into()))
}

/// APPS and TACO: `{"inputs": […], "outputs": […], "fn_name"?}`, as JSON text or as it is.
pub(super) fn input_output_tests(field: &Value) -> Result<String, TestsFault> {
    let parsed;
    let tests = match field {
        Value::String(text) if text.trim().is_empty() => return fault("the row has no tests"),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(value) => {
                parsed = value;
                &parsed
            }
            Err(error) => return fault(format!("`input_output` is no JSON: {error}")),
        },
        value => value,
    };
    let list = |name: &str| tests.get(name).and_then(Value::as_array);
    let (Some(inputs), Some(outputs)) = (list("inputs"), list("outputs")) else {
        return fault("`input_output` has no `inputs` and `outputs`");
    };
    if inputs.is_empty() || inputs.len() != outputs.len() {
        return fault(format!(
            "the row has {} test inputs and {} outputs",
            inputs.len(),
            outputs.len()
        ));
    }
    let pairs = inputs.iter().zip(outputs);
    if let Some(name) = tests.get("fn_name").and_then(Value::as_str) {
        let cases = pairs
            .map(|(input, output)| call_case(input, output))
            .collect::<Result<Vec<_>, _>>()?;
        return Ok(call(name, &cases));
    }
    let cases: Vec<Value> = pairs
        .map(|(input, output)| json!({ "stdin": lines_of(input), "stdout": lines_of(output) }))
        .collect();
    Ok(stdio(&cases))
}

/// A call's arguments are a list; its result is often wrapped in a list of one, which is told apart by nothing but
/// custom: APPS wraps every result.
fn call_case(input: &Value, output: &Value) -> Result<Value, TestsFault> {
    let Some(args) = input.as_array() else {
        return fault("the input of a call is no list of arguments");
    };
    let expected = match output.as_array().map(Vec::as_slice) {
        Some([one]) => one,
        Some(_) | None => output,
    };
    Ok(json!({ "args": args, "expected": expected }))
}

/// A text as it is; a list of texts is one line each.
fn lines_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().map(|line| lines_of(line) + "\n").collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn stdio(cases: &[Value]) -> String {
    json!({ "kind": "stdio", "language": "python", "cases": cases, "tolerance": null }).to_string()
}

fn call(name: &str, cases: &[Value]) -> String {
    json!({ "kind": "call", "fn_name": name, "language": "python", "cases": cases }).to_string()
}

/// What is said of LiveCodeBench rows whose private tests are a pickle.
const PICKLED: &str = "private tests are a Python pickle, which could run code when read: only the public tests are used";

/// LiveCodeBench: public tests, and private ones where they are JSON.
pub(super) fn livecodebench_tests(
    row: &SourceRow,
) -> Result<(String, Option<&'static str>), TestsFault> {
    let mut cases = match row.get("public_test_cases").map(json_list) {
        Some(Some(cases)) => cases,
        Some(None) => return fault("`public_test_cases` is no JSON list"),
        None => Vec::new(),
    };
    let note = match row.get("private_test_cases") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(private) => match json_list(private) {
            Some(private) => {
                cases.extend(private);
                None
            }
            None => Some(PICKLED),
        },
    };
    if cases.is_empty() {
        return fault("the row has no readable tests");
    }
    let text = |case: &Value, name: &str| case.get(name).and_then(Value::as_str).map(str::to_owned);
    let functional = cases
        .iter()
        .any(|case| text(case, "testtype").as_deref() == Some("functional"));
    let mut converted = Vec::with_capacity(cases.len());
    for case in &cases {
        let (Some(input), Some(output)) = (text(case, "input"), text(case, "output")) else {
            return fault("a test has no `input` and `output`");
        };
        converted.push(if functional {
            // one JSON value a line, one line an argument
            let args: Result<Vec<Value>, _> = input
                .lines()
                .filter(|line| !line.trim().is_empty())
                .map(serde_json::from_str)
                .collect();
            match (args, serde_json::from_str::<Value>(&output)) {
                (Ok(args), Ok(expected)) => json!({ "args": args, "expected": expected }),
                _ => return fault("the arguments or result of a test are no JSON"),
            }
        } else {
            json!({ "stdin": input, "stdout": output })
        });
    }
    if !functional {
        return Ok((stdio(&converted), note));
    }
    let metadata = row
        .get("metadata")
        .and_then(Value::as_str)
        .and_then(|text| serde_json::from_str::<Value>(text).ok());
    match metadata
        .as_ref()
        .or(row.get("metadata"))
        .and_then(|metadata| metadata.get("func_name"))
        .and_then(Value::as_str)
    {
        Some(name) => Ok((call(name, &converted), note)),
        None => fault("`metadata` has no `func_name`"),
    }
}

fn json_list(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(list) => Some(list.clone()),
        Value::String(text) => serde_json::from_str(text).ok(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// MBPP: a list of assertions or their text. Also gives the assertions as the prompt shows them.
pub(super) fn assert_tests(list: &Value, setup: &str) -> Result<(String, String), TestsFault> {
    let asserts = match list {
        Value::String(text) => text.trim().to_owned(),
        Value::Array(lines) => {
            let lines: Option<Vec<&str>> = lines.iter().map(Value::as_str).collect();
            lines
                .ok_or_else(|| TestsFault("a test is no text".to_owned()))?
                .join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return fault("the tests are no texts");
        }
    };
    if !asserts.contains("assert") {
        return fault("the row has no assertion");
    }
    let code = if setup.trim().is_empty() {
        asserts.clone()
    } else {
        format!("{}\n{asserts}", setup.trim_end())
    };
    Ok((
        json!({ "kind": "assert", "language": "python", "code": code }).to_string(),
        asserts,
    ))
}
