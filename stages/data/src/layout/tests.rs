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
        &CODE_TESTS,
    )
}

/// What grading reads is not this crate's business; that it is asked, and with which fields, is.
const CODE_TESTS: CodeTests = CodeTests {
    contest: |field| Ok(json!({ "contest": field }).to_string()),
    live_code_bench: |row| Ok((json!({ "row": row }).to_string(), Some("a part is missing"))),
    assertions: |list, setup| {
        Ok((
            json!({ "list": list, "setup": setup }).to_string(),
            format!("shown {list}"),
        ))
    },
};

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
fn unit_tests_are_read_by_who_knows_them() {
    let io = json!({ "inputs": ["1"], "outputs": ["2"] });
    let row = json!({ "question": "q", "starter_code": "def f(a):", "input_output": io.to_string(), "solutions": "[\"s\"]", "difficulty": "interview" });
    for layout in [Layout::Apps, Layout::Taco] {
        let mapped = map(Some(layout), row.clone()).unwrap();
        assert_eq!(tests_of(&mapped), json!({ "contest": io.to_string() }));
        assert_eq!(
            (
                mapped.problem.prompt.as_str(),
                mapped.problem.solution.as_deref()
            ),
            ("q\ndef f(a):", Some("s"))
        );
    }
    let row =
        json!({ "question_content": "q", "public_test_cases": "[]", "private_test_cases": "eJxr" });
    let mapped = map(Some(Layout::Livecodebench), row.clone()).unwrap();
    assert_eq!(
        (mapped.note, tests_of(&mapped)),
        (Some("a part is missing"), json!({ "row": row }))
    );
    let row = json!({ "text": "t", "test_list": ["assert f()"], "test_setup_code": "x = 1" });
    let mapped = map(Some(Layout::Mbpp), row).unwrap();
    assert_eq!(
        tests_of(&mapped),
        json!({ "list": ["assert f()"], "setup": "x = 1" })
    );
    assert!(mapped.problem.prompt.ends_with("shown [\"assert f()\"]"));
}

#[test]
fn without_a_reader_of_tests_programming_problems_are_refused() {
    let row = json!({ "question": "q", "input_output": "{}" });
    let settings = LayoutSettings {
        layout: Some(Layout::Apps),
        ..Default::default()
    };
    let row = row.as_object().unwrap();
    assert_eq!(
        problem_of(row, &settings, "here", &CodeTests::default()).unwrap_err(),
        "unit tests are not read here"
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
    let problem = problem_of(row.as_object().unwrap(), &settings, "here", &CODE_TESTS)
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
            problem_of(row.as_object().unwrap(), &settings, "here", &CODE_TESTS).unwrap_err(),
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
            .map(|row| {
                problem_of(row, &settings, file, &CODE_TESTS)
                    .unwrap()
                    .problem
            })
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
    for (sample, layout, tests) in [
        ("APPS_EXAMPLE", Layout::Apps, "input_output"),
        ("TACO_EXAMPLE", Layout::Taco, "input_output_field"),
    ] {
        let settings = LayoutSettings {
            layout: Some(layout),
            columns: BTreeMap::from([
                ("prompt".into(), "user_input".into()),
                ("tests".into(), tests.into()),
            ]),
            ..Default::default()
        };
        let mapped = problem_of(
            samples[sample].as_object().unwrap(),
            &settings,
            sample,
            &CODE_TESTS,
        )
        .unwrap();
        let found = tests_of(&mapped);
        assert!(!found["contest"].is_null(), "{sample}");
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
        .map(|row| problem_of(row, &settings, "mbpp", &CODE_TESTS).unwrap())
        .collect();
    assert_eq!(problems.len(), 974);
    assert!(
        tests_of(&problems[0])["list"]
            .as_str()
            .unwrap()
            .trim_start()
            .starts_with("assert min_cost(")
    );
}
