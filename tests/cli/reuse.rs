//! What runs again after an edit, and what is asked again: nothing that need not.

use crate::world::World;

const ALL: [&str; 4] = ["problems", "traces", "accepted", "formatted"];

#[test]
fn a_second_run_finds_everything_and_says_one_line() {
    let world = World::with_problems(10);
    let first = world.run().succeeded();
    assert_eq!(first.stages("ran"), ALL);
    assert_eq!(world.calls(), 20);

    let second = world.run().succeeded();
    assert_eq!(second.stages("cached"), ALL);
    assert_eq!(world.calls(), 0);
    let lines: Vec<_> = second.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{}", second.stderr);
    assert!(
        lines[0].contains("Finished run") && lines[0].contains("4 cached"),
        "{}",
        second.stderr
    );
}

#[test]
fn another_strategy_filters_again_and_asks_nobody() {
    let world = World::with_problems(10).ran();
    world.calls();
    world.edit(r#""rejection""#, r#""none""#);
    let ran = world.run().succeeded();
    assert_eq!(ran.stages("cached"), ["problems", "traces"]);
    assert_eq!(ran.stages("ran"), ["accepted", "formatted"]);
    assert_eq!(ran.stage("accepted")["rows"], 20);
    assert_eq!(world.calls(), 0);
}

#[test]
fn comments_white_space_and_the_order_of_keys_and_stages_rerun_nothing() {
    let world = World::with_problems(4).ran();
    let text = world.text();
    let (head, stages) = text.split_once("[stage.problems]").unwrap();
    let mut sections: Vec<_> = format!("[stage.problems]{stages}")
        .split("\n\n")
        .map(str::to_owned)
        .collect();
    sections.reverse();
    let shuffled: Vec<_> = sections
        .iter()
        .map(|section| {
            let mut lines: Vec<_> = section.trim().lines().collect();
            lines[1..].reverse();
            lines.join("\n")
        })
        .collect();
    world.write(&format!(
        "# a comment\n{head}\n\n# another\n{}\n",
        shuffled.join("\n\n\n")
    ));
    assert_ne!(world.text(), text);
    let ran = world.run().succeeded();
    assert_eq!(ran.stages("ran"), [""; 0]);
    assert_eq!(ran.stages("cached").len(), 4);
}

#[test]
fn moving_the_whole_folder_reruns_nothing() {
    let mut world = World::with_problems(4).ran();
    world.move_folder();
    assert_eq!(world.run().succeeded().stages("cached"), ALL);
}

#[test]
fn ten_more_problems_ask_exactly_their_own_replicates() {
    let world = World::with_problems(20).ran();
    world.calls();
    world.add_problems(10);
    let ran = world.run().succeeded();
    assert_eq!(world.calls(), 10 * 2);
    assert_eq!(ran.stage("traces")["counts"]["reused"], 20 * 2);
    assert_eq!(ran.stage("traces")["rows"], 30 * 2);
}

#[test]
fn more_replicates_ask_only_the_new_ones() {
    let world = World::with_problems(6);
    world.edit("n     = 2", "n     = 4");
    let world = world.ran();
    assert_eq!(world.calls(), 6 * 4);
    world.edit("n     = 4", "n     = 8");
    let ran = world.run().succeeded();
    assert_eq!(world.calls(), 6 * 4);
    assert_eq!(ran.stage("traces")["rows"], 6 * 8);
}

#[test]
fn reordering_the_problems_asks_nobody() {
    let world = World::with_problems(12).ran();
    world.calls();
    world.shuffle_problems();
    let ran = world.run().succeeded();
    assert_eq!(ran.stages("ran"), ALL, "the rows stand in another order");
    assert_eq!(world.calls(), 0);
}

#[test]
fn an_edit_whose_output_is_unchanged_stops_there() {
    let world = World::with_problems(6).ran();
    world.calls();
    world.edit(
        r#"domain = "math""#,
        "domain = \"math\"\nwhere  = \"answer != 'unknown'\"",
    );
    let ran = world.run().succeeded();
    assert_eq!(ran.stages("ran"), ["problems"]);
    assert_eq!(ran.stages("cached"), ["traces", "accepted", "formatted"]);
    assert_eq!(world.calls(), 0);
}

#[test]
fn where_and_how_fast_a_model_answers_reruns_nothing() {
    let world = World::with_problems(6).ran();
    world.edit(
        "concurrency = 8",
        "concurrency = 3, retries = 2, price = { output = 0.2 }",
    );
    world.edit("n     = 2", "n     = 2\nmax_failed = 0.5");
    assert_eq!(world.run().succeeded().stages("cached"), ALL);

    let elsewhere = World::with_problems(1);
    let url = world.teacher().url();
    world.write(&world.text().replace(&url, &elsewhere.teacher().url()));
    assert!(!world.text().contains(&url));
    assert_eq!(world.run().succeeded().stages("cached"), ALL);
    assert_eq!(elsewhere.calls(), 0);
}

#[test]
fn another_model_of_the_same_server_is_asked_everything() {
    let world = World::with_problems(6).ran();
    world.calls();
    world.edit("fake-teacher", "another-teacher");
    assert_eq!(world.run().succeeded().stages("cached"), ["problems"]);
    assert_eq!(world.calls(), 6 * 2);
}

#[test]
fn a_higher_limit_asks_again_only_what_was_cut() {
    let world = World::with_problems(10);
    world.edit("n     = 2", "n     = 2\nmax_tokens = 30");
    let first = world.run().succeeded();
    assert_eq!(world.calls(), 10 * 2);
    // of the first numbers 2 to 11, 5 and 10 take fifty words
    assert_eq!(first.stage("traces")["counts"]["cut"], 2 * 2);

    world.edit("max_tokens = 30", "max_tokens = 300");
    let second = world.run().succeeded();
    assert_eq!(world.calls(), 2 * 2);
    assert_eq!(second.stage("traces")["counts"]["cut"], 0);

    world.edit("max_tokens = 300", "max_tokens = 30");
    assert_eq!(
        world.run().succeeded().stages("cached"),
        ALL,
        "the old result is still there"
    );
}

#[test]
fn failed_calls_are_asked_again_and_answered_ones_are_not() {
    let world = World::with_problems(10);
    world.edit("concurrency = 8", "concurrency = 8, retries = 0");
    world.edit("n     = 2", "n     = 1\nmax_failed = 1.0");
    let refused = |question: &dag_testing::Question| {
        question
            .prompt()
            .contains("What is 4 +")
            .then(|| dag_testing::Fault::status(400, "no"))
    };
    world.teacher().fault_when(refused);
    let first = world.run().succeeded();
    assert_eq!(first.stage("traces")["rows"], 9);
    assert_eq!(first.stage("traces")["counts"]["failed"], 1);
    world.calls();

    world.teacher().fault_when(|_| None);
    world.add_problems(1);
    let second = world.run().succeeded();
    let mut asked = world.teacher().prompts();
    asked.sort();
    assert_eq!(asked, ["What is 12 + 3?", "What is 4 + 3?"]);
    assert_eq!(second.stage("traces")["rows"], 11);
}

#[test]
fn a_forced_run_fills_the_holes_of_a_result_and_asks_nothing_else() {
    let world = World::with_problems(10);
    world.edit("concurrency = 8", "concurrency = 8, retries = 0");
    world.edit("n     = 2", "n     = 1\nmax_failed = 1.0");
    let down = |numbers: [u64; 2]| {
        move |question: &dag_testing::Question| {
            numbers
                .iter()
                .any(|number| question.prompt().contains(&format!("What is {number} +")))
                .then(|| dag_testing::Fault::status(400, "no"))
        }
    };
    world.teacher().fault_when(down([4, 6]));
    let first = world.run().succeeded();
    assert_eq!(first.stage("traces")["rows"], 8);
    let notes = first.stage("traces")["notes"].to_string();
    assert!(notes.contains("dag run --force traces"), "{notes}");

    world.teacher().fault_when(down([6, 6]));
    world.calls();
    let run = world
        .dag(&["run", "--json", "--force", "traces"])
        .succeeded();
    assert_eq!(run.stage("traces")["rows"], 9);
    assert_eq!(
        run.stage("accepted")["outcome"],
        "ran",
        "what follows sees the new row"
    );
    world.calls();

    world.teacher().fault_when(|_| None);
    let run = world
        .dag(&["run", "--json", "--force", "traces"])
        .succeeded();
    assert_eq!(
        (run.stage("traces")["rows"].as_u64(), world.calls()),
        (Some(10), 1)
    );

    let last = world.run().succeeded();
    assert_eq!(
        last.stages("cached"),
        ALL,
        "the whole result is the one that stays"
    );
    assert_eq!(last.stage("traces")["rows"], 10);
}

#[test]
fn a_plan_before_the_first_answer_says_what_answers_can_come_to_at_most() {
    let world = World::with_problems(6);
    world.edit(
        "concurrency = 8",
        "concurrency = 8, price = { output = 2.0 }",
    );
    world.dag(&["run", "--until", "problems"]).succeeded();
    let plan = world.dag(&["plan"]).succeeded().stdout;
    assert!(
        plan.contains("12 requests · at most 49.2k tok, $0.10"),
        "{plan}"
    );
    world.run().succeeded();
    world.add_problems(6);
    world.dag(&["run", "--until", "problems"]).succeeded();
    let plan = world.dag(&["plan"]).succeeded().stdout;
    assert!(
        plan.contains("12 requests") && !plan.contains("at most"),
        "{plan}"
    );
}

#[test]
fn who_looks_from_outside_sees_how_far_a_stage_is() {
    let world = World::with_problems(6).ran();
    let status = world.dag(&["status", "--json"]).succeeded().json;
    let progress = status["events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["event"] == "stage_progress" && event["stage"] == "traces")
        .unwrap();
    assert_eq!(progress["total"], 12);
}
