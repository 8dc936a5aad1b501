//! `dag grade`: verdicts without a pipeline. A line a row, in order, whatever the rows hold.

use serde_json::{Value, json};

use crate::world::{Ran, World};

fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn file(world: &World, name: &str, rows: &[String]) {
    fs_err::write(world.home().join(name), rows.join("\n")).unwrap();
}

#[test]
fn one_answer_gives_one_line() {
    let world = World::with_problems(0);
    let grade = |gold: &str, pred: &str| {
        let ran = world.dag(&["grade", "answer", "--gold", gold, "--pred", pred]);
        lines(&ran.succeeded()).remove(0)
    };
    let right = grade("1/2", r"That makes \boxed{0.5}.");
    assert_eq!(right["verdict"], "pass");
    assert_eq!(right["rule"], "boxed+exact");
    assert_eq!(right["extracted"], "0.5");
    // a verdict that is no pass is no error of the command
    assert_eq!(grade("-3", "-4")["verdict"], "fail");
    assert_eq!(grade("7", "maybe 7 or 8?")["verdict"], "unparsable");
}

#[test]
fn a_policy_may_be_named_and_a_wrong_name_lists_them() {
    let world = World::with_problems(0);
    let grade = |policy: &str| {
        world.dag(&[
            "grade", "answer", "--gold", "0.5", "--pred", "50", "--policy", policy,
        ])
    };
    assert_eq!(lines(&grade("default").succeeded())[0]["verdict"], "fail");
    assert_eq!(
        lines(&grade("qwen2.5-math").succeeded())[0]["verdict"],
        "pass"
    );
    let refused = grade("qwen").ended_with(2);
    assert!(
        refused.stderr.contains("qwen2.5-math"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_file_of_answers_keeps_its_order_and_names_its_broken_lines() {
    let world = World::with_problems(0);
    let mut rows: Vec<String> = (0..2_000)
        .map(|n| {
            json!({ "id": n, "gold": "6", "pred": if n % 3 == 0 { "6" } else { "7" } }).to_string()
        })
        .collect();
    rows[5] = "{".to_owned();
    rows[6] = json!({ "id": 6, "gold": "6" }).to_string();
    rows[7] = String::new();
    file(&world, "answers.jsonl", &rows);
    let ran = world
        .dag(&["grade", "answers", "answers.jsonl"])
        .succeeded();
    let lines = lines(&ran);
    assert_eq!(lines.len(), 1_999, "an empty line is no row");
    assert!(lines[5]["reason"].as_str().unwrap().contains("line 6"));
    assert_eq!(lines[6]["reason"], "the row has no `pred`");
    for line in lines.iter().skip(7) {
        let n = line["id"].as_u64().unwrap();
        let verdict = if n.is_multiple_of(3) { "pass" } else { "fail" };
        assert_eq!(line["verdict"], verdict, "{line}");
    }
    let ids: Vec<u64> = lines
        .iter()
        .filter_map(|line| line["id"].as_u64())
        .collect();
    assert!(ids.is_sorted());
}

#[test]
fn a_row_is_graded_by_the_preset_that_its_suite_names() {
    let world = World::with_problems(0);
    let row = |suite: &str| json!({ "suite": suite, "gold": "0.5", "pred": "50" }).to_string();
    file(
        &world,
        "answers.jsonl",
        &[row("qwen2.5-math"), row("unheard of")],
    );
    let ran = world
        .dag(&["grade", "answers", "answers.jsonl"])
        .succeeded();
    let verdicts: Vec<Value> = lines(&ran)
        .iter()
        .map(|line| line["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["pass", "fail"]);
}

#[test]
fn a_list_over_many_lines_is_read_as_its_rows() {
    let world = World::with_problems(0);
    let list = json!([{ "gold": "6", "pred": "6" }, { "gold": "6", "pred": "7" }]);
    let text = serde_json::to_string_pretty(&list).unwrap();
    file(&world, "answers.json", &[text]);
    let ran = world.dag(&["grade", "answers", "answers.json"]).succeeded();
    assert_eq!(lines(&ran).len(), 2);
}

#[test]
fn a_file_that_is_not_there_ends_with_2() {
    let world = World::with_problems(0);
    let ran = world.dag(&["grade", "answers", "none.jsonl"]).ended_with(2);
    assert!(ran.stderr.contains("none.jsonl"), "{}", ran.stderr);
}

/// Shell programs, so that a machine without Python tests them too.
fn echo(program: &str) -> Value {
    json!({ "kind": "stdio", "language": "sh", "cases": [{ "stdin": "4\n", "stdout": program }] })
}

#[test]
fn a_file_of_programs_gives_each_its_verdict() {
    let world = World::with_problems(0);
    let row = |id: &str, expected: &str| {
        json!({ "id": id, "program": "read n; echo $((2 * n))", "tests": echo(expected) })
            .to_string()
    };
    file(
        &world,
        "code.jsonl",
        &[row("right", "8\n"), row("wrong", "9\n")],
    );
    let ran = world
        .dag(&["grade", "code", "code.jsonl", "--unsafe-ok"])
        .succeeded();
    let lines = lines(&ran);
    assert_eq!(
        (&lines[0]["id"], &lines[0]["verdict"]),
        (&json!("right"), &json!("pass"))
    );
    assert_eq!(
        (&lines[1]["id"], &lines[1]["verdict"]),
        (&json!("wrong"), &json!("fail"))
    );
    assert_eq!(lines[1]["failing_case"], 0);
}

#[test]
fn the_self_test_passes_on_what_is_generated_and_names_what_is_wrong() {
    let world = World::with_problems(0);
    world.dag(&["grade", "selftest", "--unsafe-ok"]).succeeded();
    file(
        &world,
        "set.jsonl",
        &[
            json!({ "id": 1, "answer": "12" }).to_string(),
            json!({ "id": 2, "answer": r"\frac{1" }).to_string(),
            json!({ "id": 3, "code": "read n; echo $n", "tests": echo("8\n") }).to_string(),
        ],
    );
    let ran = world
        .dag(&["grade", "selftest", "set.jsonl", "--unsafe-ok"])
        .ended_with(1);
    let failed: Vec<Value> = lines(&ran).iter().map(|line| line["id"].clone()).collect();
    assert_eq!(failed, [2, 3]);
    assert!(ran.stderr.contains("2 do not pass"), "{}", ran.stderr);
}
