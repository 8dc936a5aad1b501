//! What `layout` promises, case by case.

use std::path::PathBuf;

use serde_json::json;

use super::*;

fn map(layout: Option<Layout>, row: Value) -> Result<Mapped, String> {
    problem_of(
        row.as_object().unwrap(),
        &LayoutSettings {
            layout,
            ..Default::default()
        },
        "here",
    )
}

fn tests_of(mapped: &Mapped) -> Value {
    serde_json::from_str(mapped.problem.tests.as_deref().unwrap()).unwrap()
}

#[test]
fn numina_takes_the_last_box_and_refuses_empty_ones() {
    let row =
        |solution: &str| json!({ "problem": "p", "solution": solution, "source": "olympiads" });
    let mapped = map(
        Some(Layout::Numina),
        row(r"\boxed{1}, no: \boxed {\frac{1}{\{2\}}} done"),
    )
    .unwrap()
    .problem;
    assert_eq!(
        (
            mapped.answer.as_deref(),
            mapped.family.as_str(),
            mapped.source.as_str()
        ),
        (Some(r"\frac{1}{\{2\}}"), "olympiads", "here")
    );
    for (solution, reason) in [
        ("QED", "the solution has no closed \\boxed{}"),
        (r"\boxed{}", "the \\boxed{} of the solution is empty"),
        (r"\boxed{3", "the solution has no closed \\boxed{}"),
    ] {
        assert_eq!(
            map(Some(Layout::Numina), row(solution)).unwrap_err(),
            reason
        );
    }
}

#[test]
fn contest_tests_are_calls_or_programs() {
    let row = |io: Value| json!({ "question": "q", "starter_code": "def f(a):", "input_output": io.to_string(), "solutions": "[\"s\"]", "difficulty": "interview" });
    let stdio = map(
        Some(Layout::Apps),
        row(json!({ "inputs": ["1\n", ["2", "3"]], "outputs": ["1\n", 4] })),
    )
    .unwrap();
    assert_eq!(
        tests_of(&stdio)["cases"],
        json!([{ "stdin": "1\n", "stdout": "1\n" }, { "stdin": "2\n3\n", "stdout": "4" }])
    );
    assert_eq!(
        (
            stdio.problem.prompt.as_str(),
            stdio.problem.solution.as_deref()
        ),
        ("q\ndef f(a):", Some("s"))
    );
    let call = map(
        Some(Layout::Taco),
        row(json!({ "fn_name": "f", "inputs": [[1, 2]], "outputs": [[3]] })),
    )
    .unwrap();
    assert_eq!(
        (&tests_of(&call)["kind"], &tests_of(&call)["cases"]),
        (&json!("call"), &json!([{ "args": [1, 2], "expected": 3 }]))
    );
    let uneven = map(
        Some(Layout::Apps),
        row(json!({ "inputs": ["1"], "outputs": [] })),
    );
    assert_eq!(
        uneven.unwrap_err(),
        "the row has 1 test inputs and 0 outputs"
    );
}

#[test]
fn pickled_private_tests_are_named_and_left_alone() {
    let public = json!([{ "input": "1\n", "output": "2\n", "testtype": "stdin" }]).to_string();
    let row = json!({ "question_content": "q", "public_test_cases": public, "private_test_cases": "eJxrYJ0=", "difficulty": "hard" });
    let mapped = map(Some(Layout::Livecodebench), row).unwrap();
    assert!(mapped.note.unwrap().contains("pickle"));
    assert_eq!(tests_of(&mapped)["cases"].as_array().unwrap().len(), 1);

    let both = json!({
        "question_content": "q", "metadata": "{\"func_name\":\"f\"}",
        "public_test_cases": json!([{ "input": "[1,2]\n3", "output": "true", "testtype": "functional" }]).to_string(),
        "private_test_cases": json!([{ "input": "[]\n0", "output": "false", "testtype": "functional" }]).to_string(),
    });
    let mapped = map(Some(Layout::Livecodebench), both).unwrap();
    assert_eq!(
        (mapped.note, &tests_of(&mapped)["cases"][1]),
        (None, &json!({ "args": [[], 0], "expected": false }))
    );
}

#[test]
fn plain_rows_keep_our_columns_and_constants_win() {
    let settings = LayoutSettings {
        columns: BTreeMap::from([
            ("prompt".into(), "frage".into()),
            ("answer".into(), "antwort".into()),
        ]),
        domain: Some("text".into()),
        family: Some("quiz".into()),
        answer_after: Some("=>".into()),
        ..Default::default()
    };
    let row = json!({ "frage": "Wie viele?", "antwort": "also => 7 ", "difficulty": "Level 3", "prompt": "not this" });
    let problem = problem_of(row.as_object().unwrap(), &settings, "here")
        .unwrap()
        .problem;
    assert_eq!(
        (
            problem.prompt.as_str(),
            problem.answer.as_deref(),
            problem.difficulty
        ),
        ("Wie viele?", Some("7"), Some(3))
    );
    assert_eq!(
        (problem.domain.as_str(), problem.family.as_str()),
        ("text", "quiz")
    );
    for (row, reason) in [
        (
            json!({ "antwort": "=> 1" }),
            "the row has no text in `frage`",
        ),
        (
            json!({ "frage": " ", "antwort": "=> 1" }),
            "the prompt is empty",
        ),
        (
            json!({ "frage": "f", "antwort": "1" }),
            "the answer has no `=>`",
        ),
    ] {
        assert_eq!(
            problem_of(row.as_object().unwrap(), &settings, "here").unwrap_err(),
            reason
        );
    }
}

#[test]
fn faults_name_the_field() {
    let settings = LayoutSettings {
        columns: BTreeMap::from([("promt".into(), "x".into())]),
        domain: Some("maths".into()),
        ..Default::default()
    };
    let fields: Vec<_> = settings
        .faults()
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    assert_eq!(fields, ["columns.promt", "domain"]);
}

/// Real rows, where the folder with public data sets lies beside the project.
fn shared(file: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(file);
    if path.exists() {
        return Some(path);
    }
    eprintln_skip(&path);
    None
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn eprintln_skip(path: &std::path::Path) {
    eprintln!("skipped: {} is absent", path.display());
}

fn read(path: &std::path::Path) -> Vec<SourceRow> {
    crate::rows::jsonl(path)
        .unwrap()
        .map(|row| row.unwrap().unwrap())
        .collect()
}

#[test]
fn every_real_gsm8k_and_math500_row_fits() {
    for (file, layout, rows) in [
        ("gsm8k/test.jsonl", Layout::Gsm8k, 1319),
        ("gsm8k/train.jsonl", Layout::Gsm8k, 7473),
        ("math500/test.jsonl", Layout::Math500, 500),
    ] {
        let Some(path) = shared(file) else { return };
        let settings = LayoutSettings {
            layout: Some(layout),
            ..Default::default()
        };
        let problems: Vec<_> = read(&path)
            .iter()
            .map(|row| problem_of(row, &settings, file).unwrap().problem)
            .collect();
        assert_eq!(problems.len(), rows);
        assert!(problems.iter().all(|problem| {
            problem
                .answer
                .as_ref()
                .is_some_and(|answer| answer.len() < 120)
        }));
        if layout == Layout::Math500 {
            assert!(
                problems
                    .iter()
                    .all(|problem| (1..=5).contains(&problem.difficulty.unwrap()))
            );
            // the boxed answer of the solution is the answer column, where the solution boxes one
            let agree = problems
                .iter()
                .filter(|p| last_boxed(p.solution.as_deref().unwrap()) == p.answer.as_deref())
                .count();
            assert!(agree >= 480, "{agree}");
        }
    }
}

#[test]
fn the_real_apps_and_taco_rows_fit() {
    let Some(path) = shared("code/apps_taco_samples.json") else {
        return;
    };
    let samples: Value = serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
    for (sample, layout, tests, cases) in [
        ("APPS_EXAMPLE", Layout::Apps, "input_output", 50),
        ("TACO_EXAMPLE", Layout::Taco, "input_output_field", 3),
    ] {
        let settings = LayoutSettings {
            layout: Some(layout),
            columns: BTreeMap::from([
                ("prompt".into(), "user_input".into()),
                ("tests".into(), tests.into()),
            ]),
            ..Default::default()
        };
        let mapped = problem_of(samples[sample].as_object().unwrap(), &settings, sample).unwrap();
        let found = tests_of(&mapped);
        assert_eq!(found["kind"], "stdio");
        assert!(
            found["cases"].as_array().unwrap().len() >= cases,
            "{sample}"
        );
    }
}

#[test]
fn the_real_mbpp_rows_fit() {
    let Some(path) = shared("code/mbpp_cases.jsonl") else {
        return;
    };
    let settings = LayoutSettings {
        layout: Some(Layout::Mbpp),
        columns: BTreeMap::from([
            ("prompt".into(), "program".into()),
            ("solution".into(), "program".into()),
        ]),
        ..Default::default()
    };
    let problems: Vec<_> = read(&path)
        .iter()
        .map(|row| problem_of(row, &settings, "mbpp").unwrap())
        .collect();
    assert_eq!(problems.len(), 974);
    assert!(
        tests_of(&problems[0])["code"]
            .as_str()
            .unwrap()
            .starts_with("assert min_cost(")
    );
}
