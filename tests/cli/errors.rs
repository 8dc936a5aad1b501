//! What the program says when it cannot go on, and the exit code it ends with. The messages are
//! snapshots; the codes are promises to scripts.

use insta::{assert_snapshot, with_settings};

use crate::world::{Ran, World};

/// Compares what was said, with paths and times of this world replaced.
#[track_caller]
fn check(world: &World, name: &str, ran: &Ran) {
    let said = format!("exit code {}\n\n{}", ran.code, ran.stderr);
    let root = regex_of(&world.home().display().to_string());
    let cache = regex_of(&world.cache().display().to_string());
    with_settings!({ omit_expression => true, filters => vec![
        (root.as_str(), "[home]"),
        (cache.as_str(), "[cache]"),
        (r"127\.0\.0\.1:\d+", "[server]"),
        (r"run [0-9a-f]{8}-[0-9a-f]{4}", "run [run]"),
        (r"in \d+\.\d+ s", "in [time]"),
        (r"  \d+\.\d+ s(  |\n)", "  [time]$1"),
        (r"\b[0-9a-f]{8}\b", "[key]"),
    ] }, {
        assert_snapshot!(name, said);
    });
}

fn regex_of(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '/' {
                c.to_string()
            } else {
                format!("\\{c}")
            }
        })
        .collect()
}

#[test]
fn a_pipeline_file_with_mistakes_ends_with_3_and_tells_them_all() {
    let world = World::with_problems(2);
    world.edit("strategy", "stratgy");
    world.edit(r#"from  = "problems""#, r#"from  = "problms""#);
    let ran = world.dag(&["run"]).ended_with(3);
    check(&world, "mistakes", &ran);
    assert_eq!(world.calls(), 0);

    let told = world.run().ended_with(3);
    let codes: Vec<_> = told.json["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|told| {
            assert!(
                told["line"].is_u64() || told["span"]["line"].is_u64(),
                "{told:#}"
            );
            told["code"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(codes.len(), 2, "{codes:?}");
    for code in codes {
        world.dag(&["explain", &code]).succeeded();
    }
}

#[test]
fn a_file_that_is_not_there_ends_with_2() {
    let world = World::with_problems(2);
    check(
        &world,
        "no-such-file",
        &world.dag(&["run", "other.toml"]).ended_with(2),
    );
    fs_err::remove_file(world.pipeline()).unwrap();
    check(
        &world,
        "no-default-file",
        &world.dag(&["plan"]).ended_with(2),
    );
}

#[test]
fn a_command_line_that_is_not_understood_ends_with_2() {
    let world = World::with_problems(2);
    check(
        &world,
        "unknown-option",
        &world.dag(&["run", "--foo"]).ended_with(2),
    );
    check(
        &world,
        "unknown-command",
        &world.dag(&["rnu"]).ended_with(2),
    );
    check(
        &world,
        "unknown-target",
        &world.dag(&["run", "--until", "trace"]).ended_with(2),
    );
    check(
        &world,
        "unknown-stage-to-show",
        &world.dag(&["show", "trace"]).ended_with(2),
    );
    check(
        &world,
        "unknown-stage-in-set",
        &world.dag(&["run", "--set", "trace.n=3"]).ended_with(3),
    );
    assert_eq!(world.calls(), 0);
}

#[test]
fn a_stage_that_fails_ends_with_1_and_the_other_branch_is_finished() {
    let world = World::with_problems(3);
    world.edit("concurrency = 8", "concurrency = 1, retries = 0");
    world.append("[stage.aside]\nkind = \"mix\"\nfrom = \"problems\"\n");
    world
        .teacher()
        .fault_when(|_| Some(dag_testing::Fault::status(401, "this key opens nothing")));
    let ran = world.dag(&["run", "-j", "1"]).ended_with(1);
    check(&world, "failed-stage", &ran);

    let told = world.run().ended_with(1);
    assert_eq!(told.json["outcome"], "failed");
    assert_eq!(told.stages("failed"), ["traces"]);
    assert_eq!(told.stages("skipped"), ["accepted", "formatted"]);
    assert_eq!(told.stages("cached"), ["problems", "aside"]);

    world.teacher().fault_when(|_| None);
    assert_eq!(
        world.run().succeeded().stages("ran"),
        ["traces", "accepted", "formatted"]
    );
}

#[test]
fn a_server_that_is_not_there_is_told_with_a_hint() {
    let world = World::with_problems(2);
    let url = world.teacher().url();
    world.write(&world.text().replace(&url, "http://127.0.0.1:9/v1"));
    world.edit("concurrency = 8", "concurrency = 1, retries = 0");
    let ran = world.dag(&["run"]);
    assert!(matches!(ran.code, 1 | 5), "exit code {}", ran.code);
    assert!(ran.stderr.contains("hint:"), "{}", ran.stderr);
    check(&world, "no-server", &ran);
}

#[test]
fn a_plan_over_its_budget_ends_with_6_and_asks_nobody_until_told_to() {
    let world = World::with_problems(4);
    world.edit(
        "concurrency = 8",
        "concurrency = 8, price = { output = 1000.0 }",
    );
    let world = world.ran();
    world.calls();
    world.add_problems(40);

    let ran = world.dag(&["run", "--budget", "0.01"]).ended_with(6);
    check(&world, "over-budget", &ran);
    assert_eq!(world.calls(), 0);
    let told = world
        .dag(&["run", "--json", "--budget", "0.01"])
        .ended_with(6);
    assert!(
        told.json["error"]["message"]
            .as_str()
            .unwrap()
            .contains("budget")
    );

    // Told to go on, it asks until the money is spent, and keeps what it bought.
    world
        .dag(&["run", "--json", "--budget", "0.1", "--yes"])
        .ended_with(6);
    let bought = world.calls();
    assert!(
        (1..80).contains(&bought),
        "{bought} questions for ten cents"
    );
    world.run().succeeded();
    assert!(
        world.calls() <= 80 - bought + 8,
        "answers that were paid for are there"
    );
}

#[test]
fn a_plan_with_work_to_do_ends_with_8_if_asked() {
    let world = World::with_problems(2);
    world.dag(&["plan"]).succeeded();
    world.dag(&["plan", "--exit-code"]).ended_with(8);
    world.run().succeeded();
    world.dag(&["plan", "--exit-code"]).succeeded();
}

#[test]
fn a_cache_that_cannot_be_made_ends_with_5() {
    let world = World::with_problems(2);
    fs_err::write(world.cache(), "a file where the folder should be").unwrap();
    check(&world, "no-cache", &world.dag(&["run"]).ended_with(5));
}

#[test]
fn a_result_that_is_not_there_yet_ends_with_1() {
    let world = World::with_problems(2);
    check(
        &world,
        "nothing-to-show",
        &world.dag(&["show", "traces"]).ended_with(1),
    );
    check(
        &world,
        "no-report-stage",
        &world.dag(&["report"]).ended_with(1),
    );
    check(&world, "no-run", &world.dag(&["status"]).ended_with(2));
    check(
        &world,
        "no-code",
        &world.dag(&["explain", "D9999"]).ended_with(2),
    );
}

#[test]
fn a_terminated_run_ends_with_143_and_keeps_what_was_answered() {
    let world = World::with_problems(40);
    world.teacher().delay(std::time::Duration::from_millis(50));
    let child = world.command(&["run", "--quiet"]).spawn().unwrap();
    while world.teacher().answered() < 16 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let id = child.id().to_string();
    let told = std::process::Command::new("kill")
        .args(["-TERM", &id])
        .status()
        .unwrap();
    assert!(told.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    let asked = world.calls();
    assert!(asked < 80, "it stopped in the middle");
    world.run().succeeded();
    assert_eq!(
        world.calls(),
        80 - asked,
        "what was under way was finished and kept"
    );
}
