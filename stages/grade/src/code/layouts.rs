//! How published data sets keep tests, turned into [`Tests`]. The one place that knows; readers of data sets and the
//! grading of single rows both ask here. Nothing is executed or unpickled, and tests that check nothing are refused.

use serde_json::{Map, Value};

use super::{CallCase, Language, PackedFault, StdioCase, Tests, unpack_private_tests};

/// APPS and TACO: `{"inputs": […], "outputs": […], "fn_name"?}`, as JSON text or as it is.
///
/// # Errors
/// The reason why it is none, as a short sentence.
///
/// ```
/// use dag_grade::code::input_output_tests;
///
/// let field = serde_json::json!(r#"{"inputs": ["1\n"], "outputs": ["2\n"]}"#);
/// assert_eq!(input_output_tests(&field).unwrap().rule(), "stdio");
/// ```
pub fn input_output_tests(field: &Value) -> Result<Tests, String> {
    let parsed;
    let tests = match field {
        Value::String(text) if text.trim().is_empty() => {
            return Err("the row has no tests".to_owned());
        }
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
        return Err(format!(
            "the row has {inputs} test inputs and {outputs} outputs"
        ));
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
    Ok(call(fn_name, cases))
}

/// LiveCodeBench: `public_test_cases`, `private_test_cases` and `metadata` of a row; lists, their JSON text, or that
/// text packed as [`unpack_private_tests`] reads it. Beside the tests stands why private ones could not be unpacked:
/// then the tests are the public ones alone.
///
/// # Errors
/// The reason why the row has no tests, as a short sentence.
pub fn live_code_bench_tests(
    row: &Map<String, Value>,
) -> Result<(Tests, Option<PackedFault>), String> {
    let mut cases = match row.get("public_test_cases") {
        None | Some(Value::Null) => Vec::new(),
        Some(public) => json_list(public).ok_or("`public_test_cases` is no JSON list")?,
    };
    let mut unread = None;
    match row.get("private_test_cases") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if text.trim().is_empty() => {}
        Some(private) => match (json_list(private), private) {
            (Some(private), _) => cases.extend(private),
            (None, Value::String(packed)) => match unpack_private_tests(packed) {
                Ok(text) => cases.extend(
                    json_list(&Value::String(text))
                        .ok_or("`private_test_cases` is no JSON list")?,
                ),
                Err(fault) => unread = Some(fault),
            },
            (None, _) => return Err("`private_test_cases` is no JSON list".to_owned()),
        },
    }
    if cases.is_empty() {
        return Err("the row has no readable tests".to_owned());
    }
    let part = |case: &Value, name: &str| -> Result<String, String> {
        let part = case.get(name).and_then(Value::as_str);
        part.map(str::to_owned)
            .ok_or_else(|| "a test has no `input` and `output`".to_owned())
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
        return Ok((stdio(read.collect::<Result<_, String>>()?), unread));
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
    let name = func_name(row.get("metadata")).ok_or("`metadata` has no `func_name`")?;
    Ok((call(&name, calls), unread))
}

/// MBPP and its like: assertions as text or as a list of texts, after the code that sets them up.
///
/// # Errors
/// The reason why these are no assertions, as a short sentence.
pub fn assertion_tests(list: &Value, setup: &str) -> Result<Tests, String> {
    let asserts = match list {
        Value::String(text) => text.trim().to_owned(),
        Value::Array(lines) => {
            let lines: Option<Vec<&str>> = lines.iter().map(Value::as_str).collect();
            lines.ok_or("a test is no text")?.join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err("the tests are no texts".to_owned());
        }
    };
    if !asserts.contains("assert") {
        return Err("the row has no assertion".to_owned());
    }
    Ok(Tests::Assert {
        language: Language::Python,
        code: if setup.trim().is_empty() {
            asserts
        } else {
            format!("{}\n{asserts}", setup.trim_end())
        },
    })
}

/// A list, or the JSON text of one.
fn json_list(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(list) => Some(list.clone()),
        Value::String(text) => serde_json::from_str(text).ok(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

fn func_name(metadata: Option<&Value>) -> Option<String> {
    let parsed;
    let metadata = match metadata? {
        Value::String(text) => {
            parsed = serde_json::from_str::<Value>(text).ok()?;
            &parsed
        }
        other => other,
    };
    metadata
        .get("func_name")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

/// A text as it is; a list is one line an item.
fn lines(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(|item| lines(item) + "\n").collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn stdio(cases: Vec<StdioCase>) -> Tests {
    Tests::Stdio {
        language: Language::Python,
        cases,
        tolerance: None,
    }
}

fn call(fn_name: &str, cases: Vec<CallCase>) -> Tests {
    Tests::Call {
        fn_name: fn_name.to_owned(),
        language: Language::Python,
        cases,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// python3: `base64.b64encode(zlib.compress(pickle.dumps(json.dumps(cases))))`, which is how LiveCodeBench packs
    /// `[{"input": "3\n", "output": "6\n", "testtype": "stdin"}, {"input": "-1\n", "output": "-2\n", …}]`.
    const PACKED: &str = "eJxrYJlaxgABPUXR1UqZeQWlJUpWCkrGMXlKOgpK+aUlUAEziEBJanFJSWVBKkiouCQlM0+pVkcBSZ+uIbpGXSOcOmOn6AEARBQmGA==";

    fn live(row: Value) -> Result<(Value, Option<PackedFault>), String> {
        let (tests, unread) = live_code_bench_tests(row.as_object().unwrap())?;
        Ok((serde_json::to_value(tests).unwrap(), unread))
    }

    #[test]
    fn packed_private_tests_follow_the_public_ones() {
        let public = r#"[{"input": "1\n", "output": "2\n", "testtype": "stdin"}]"#;
        let row = json!({
            "question_id": "1", "public_test_cases": public, "private_test_cases": PACKED, "metadata": "{}",
        });
        let cases = json!([
            {"stdin": "1\n", "stdout": "2\n"},
            {"stdin": "3\n", "stdout": "6\n"},
            {"stdin": "-1\n", "stdout": "-2\n"},
        ]);
        let (tests, unread) = live(row).unwrap();
        assert_eq!((&tests["cases"], unread), (&cases, None));
    }

    #[test]
    fn private_tests_that_cannot_be_unpacked_are_said() {
        let public = r#"[{"input": "1", "output": "2", "testtype": "stdin"}]"#;
        let check = |private: Value, said: Result<Option<PackedFault>, &str>| {
            let row = json!({"public_test_cases": public, "private_test_cases": private.clone()});
            let read = live(row).map(|(_, unread)| unread);
            assert_eq!(read, said.map_err(str::to_owned), "{private}");
        };
        check(json!(null), Ok(None));
        check(json!(" "), Ok(None));
        check(json!([]), Ok(None));
        check(json!("eJxrYJ0="), Ok(Some(PackedFault::Zlib)));
        check(json!("?"), Ok(Some(PackedFault::Base64)));
        check(json!(7), Err("`private_test_cases` is no JSON list"));
        let alone = live(json!({"private_test_cases": "?"}));
        assert_eq!(alone, Err("the row has no readable tests".to_owned()));
    }

    #[test]
    fn contest_tests_are_programs_or_calls() {
        let read = |field: Value| {
            input_output_tests(&field).map(|tests| serde_json::to_value(tests).unwrap())
        };
        let io = json!({"inputs": ["1\n", ["2", "3"]], "outputs": ["1\n", 4]});
        let cases = json!([{"stdin": "1\n", "stdout": "1\n"}, {"stdin": "2\n3\n", "stdout": "4"}]);
        assert_eq!(read(json!(io.to_string())).unwrap()["cases"], cases);
        let io = json!({"fn_name": "f", "inputs": [[1, 2], [3]], "outputs": [[3], [1, 2]]});
        let cases = json!([{"args": [1, 2], "expected": 3}, {"args": [3], "expected": [1, 2]}]);
        assert_eq!(read(io).unwrap()["cases"], cases);
        let check = |field: Value, reason: &str| assert_eq!(read(field).unwrap_err(), reason);
        check(
            json!({"inputs": ["1"], "outputs": []}),
            "the row has 1 test inputs and 0 outputs",
        );
        check(json!(" "), "the row has no tests");
        check(json!({}), "`input_output` has no `inputs` and `outputs`");
        check(
            json!({"inputs": [1], "outputs": [1], "fn_name": "f"}),
            "the input of a call is no list of arguments",
        );
    }

    #[test]
    fn functional_tests_need_a_name() {
        let public = json!([{ "input": "[1, 2]\n3", "output": "true", "testtype": "functional" }]);
        let row = |metadata: Value| json!({"public_test_cases": public, "metadata": metadata});
        for metadata in [json!(r#"{"func_name": "f"}"#), json!({"func_name": "f"})] {
            let (tests, _) = live(row(metadata)).unwrap();
            let cases = json!([{"args": [[1, 2], 3], "expected": true}]);
            assert_eq!((&tests["fn_name"], &tests["cases"]), (&json!("f"), &cases));
        }
        assert!(live(row(json!("{}"))).unwrap_err().contains("func_name"));
        assert!(live(row(json!(null))).unwrap_err().contains("func_name"));
    }

    #[test]
    fn assertions_come_after_what_sets_them_up() {
        let code = |list: Value, setup: &str| match assertion_tests(&list, setup) {
            Ok(Tests::Assert { code, .. }) => Ok(code),
            Ok(other) => panic!("{other:?}"),
            Err(fault) => Err(fault),
        };
        assert_eq!(
            code(json!(["assert f()", "assert g()"]), "x = 1\n").unwrap(),
            "x = 1\nassert f()\nassert g()"
        );
        assert_eq!(code(json!("assert f()\n"), " ").unwrap(), "assert f()");
        for list in [json!(3), json!([1]), json!("f()"), json!([])] {
            assert!(code(list, "").is_err());
        }
    }
}
