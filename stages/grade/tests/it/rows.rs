//! Rows in the layouts of the data sets, and the faults of other graders, each a test.

use std::path::Path;

use dag_grade::Verdict;
use dag_grade::code::{Detail, Language, Limits, RowVerdict, grade_row};
use serde_json::{Value, json};

use crate::code::ready;

fn limits() -> Limits {
    Limits {
        cpu_s: 1.0,
        wall_s: 10.0,
        memory_mb: 256,
        ..Limits::default()
    }
}

fn graded(row: &Value) -> RowVerdict {
    grade_row(&row.to_string(), &limits(), false).unwrap()
}

/// Two cases, as APPS and TACO keep them.
fn double(program: &str) -> Value {
    json!({"problem_id": 3, "program": program,
        "input_output": "{\"inputs\": [\"2\\n\", \"5\\n\"], \"outputs\": [\"4\\n\", \"10\\n\"]}"})
}

fn check(row: &Value, verdict: Verdict, detail: Detail, failing_case: Option<usize>) {
    if ready(Language::Python) {
        let graded = graded(row);
        let seen = (graded.verdict, graded.detail, graded.failing_case);
        assert_eq!(seen, (verdict, Some(detail), failing_case), "{graded:?}");
    }
}

#[test]
fn a_syntax_error_is_no_pass() {
    let row = double("n = int(input()\nprint(2 * n)");
    check(&row, Verdict::Fail, Detail::CompileError, Some(0));
}

#[test]
fn a_runtime_error_in_every_test_is_no_pass() {
    let row = double("raise ValueError");
    check(&row, Verdict::Fail, Detail::RuntimeError, Some(0));
}

#[test]
fn a_loop_without_end_is_no_pass() {
    let row = double("while True: pass");
    check(
        &row,
        Verdict::Timeout,
        Detail::Timeout { cpu: true },
        Some(0),
    );
}

#[test]
fn a_called_function_that_does_not_compile_or_never_returns_is_no_pass() {
    let call = |program: &str| {
        json!({"program": program,
            "input_output": {"fn_name": "f", "inputs": [[2], [5]], "outputs": [[4], [10]]}})
    };
    let fail = Verdict::Fail;
    check(
        &call("def f(n) return 2 * n"),
        fail,
        Detail::CompileError,
        Some(0),
    );
    check(
        &call("def f(n): return 1 / 0"),
        fail,
        Detail::RuntimeError,
        Some(0),
    );
    check(
        &call("def f(n): return 2 + n"),
        fail,
        Detail::WrongAnswer,
        Some(1),
    );
    let endless = call("def f(n):\n    while True: pass");
    check(
        &endless,
        Verdict::Timeout,
        Detail::Timeout { cpu: true },
        Some(0),
    );
    check(
        &call("def f(n): return 2 * n"),
        Verdict::Pass,
        Detail::Passed,
        None,
    );
}

#[test]
fn a_wrong_output_is_no_pass_and_a_right_one_is() {
    let wrong = double("print(2 + int(input()))");
    check(&wrong, Verdict::Fail, Detail::WrongAnswer, Some(1));
    let right = double("print(2 * int(input()))");
    check(&right, Verdict::Pass, Detail::Passed, None);
}

#[test]
fn a_limit_in_the_last_case_only_is_found_there() {
    let row = double("n = int(input())\nwhile n == 5: pass\nprint(2 * n)");
    check(
        &row,
        Verdict::Timeout,
        Detail::Timeout { cpu: true },
        Some(1),
    );
    let row = double("n = int(input())\nif n == 5: print('x' * (1 << 24))\nprint(2 * n)");
    check(&row, Verdict::Fail, Detail::OutputLimit, Some(1));
}

#[test]
fn human_eval_rows_are_graded() {
    let row = |completion: &str| {
        json!({"task_id": "T/0", "prompt": "def f(n):\n    \"\"\"Twice n.\"\"\"\n", "entry_point": "f",
            "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(5) == 10\n",
            "completion": completion})
    };
    check(
        &row("    return 2 * n\n"),
        Verdict::Pass,
        Detail::Passed,
        None,
    );
    check(
        &row("    return 4\n"),
        Verdict::Fail,
        Detail::WrongAnswer,
        Some(1),
    );
}

#[test]
fn rows_that_cannot_be_graded_say_so() {
    for (row, verdict) in [
        ("", Verdict::Error),
        ("[]", Verdict::Error),
        (r#"{"id": 1}"#, Verdict::Error),
        (r#"{"id": 1, "program": "x", "tests": ""}"#, Verdict::Error),
        (
            r#"{"id": 1, "program": 3, "tests": "assert f()"}"#,
            Verdict::Error,
        ),
        (
            r#"{"id": 1, "response": "", "tests": "assert f()"}"#,
            Verdict::Unparsable,
        ),
    ] {
        let graded = grade_row(row, &limits(), false).unwrap();
        assert_eq!(graded.verdict, verdict, "{row}: {graded:?}");
        assert!(!graded.reason.is_empty());
    }
    // Assertions that are there but never reached check nothing.
    if ready(Language::Python) {
        let row = json!({"id": "a", "program": "def f(n): return n",
            "tests": "def check(c):\n    assert c(1) == 2\n"});
        let graded = graded(&row);
        assert_eq!(graded.verdict, Verdict::Error, "{graded:?}");
        assert_eq!(graded.id, Some(json!("a")));
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn samples_of_the_original_sets_are_graded_as_their_labels_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/code/apps_taco_samples.json");
    let Ok(text) = fs_err::read_to_string(&file) else {
        eprintln!("skipped: {} is not here", file.display());
        return;
    };
    if !ready(Language::Python) {
        return;
    }
    let samples: Value = serde_json::from_str(&text).unwrap();
    for labelled in samples["RESPONSE_AND_SCORES"].as_array().unwrap() {
        // The sample keeps its response in a list's text.
        let mut row = samples["APPS_EXAMPLE"].clone();
        let said = labelled[0].as_str().unwrap();
        let said = serde_json::from_str::<Vec<String>>(said)
            .map_or_else(|_| said.to_owned(), |said| said.join("\n"));
        row["response"] = said.into();
        let graded = graded(&row);
        assert_eq!(
            graded.verdict.is_pass(),
            labelled[1].as_bool().unwrap(),
            "{graded:?}"
        );
    }
    let mut row = samples["TACO_EXAMPLE"].clone();
    row["response"] = row["formatted_response"].clone();
    let graded = graded(&row);
    assert_eq!(
        (graded.rule.as_str(), graded.detail),
        ("stdio", Some(Detail::WrongAnswer)),
        "{graded:?}"
    );
}
