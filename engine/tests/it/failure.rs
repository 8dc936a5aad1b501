//! Failures, panics and cancellation: what goes on, what is kept.

use dag_engine::{Cancel, Event, RunOutcome, StageOutcome, Status};

use crate::kind::NumbersSettings;
use crate::world::{Stages, World, after, chain, source};

fn two_branches() -> Stages {
    vec![
        ("a", source(&[1])),
        (
            "left",
            NumbersSettings {
                values: vec![2],
                ..after(&["a"])
            },
        ),
        ("left_end", after(&["left"])),
        (
            "right",
            NumbersSettings {
                values: vec![3],
                ..after(&["a"])
            },
        ),
        ("right_end", after(&["right"])),
        ("end", after(&["left_end", "right_end"])),
    ]
}

#[test]
fn a_failure_stops_only_what_needs_it() {
    let mut world = World::with(two_branches());
    world.trouble("left", "fail");
    let ran = world.run();
    assert_eq!(ran.sorted_calls(), ["a", "left", "right", "right_end"]);
    assert_eq!(ran.summary.outcome, RunOutcome::Failed);
    assert_eq!(ran.outcome("left"), StageOutcome::Failed);
    assert_eq!(ran.failure("left"), "row 7 has no answer");
    assert_eq!(ran.outcome("left_end"), StageOutcome::Skipped);
    assert_eq!(ran.failure("end"), "`left` has no result");
}

#[test]
fn after_a_failure_only_the_rest_runs() {
    let mut world = World::with(two_branches());
    world.trouble("left", "fail");
    world.run();
    world.trouble("left", "");
    let ran = world.run();
    assert_eq!(ran.calls, ["left", "left_end", "end"]);
    assert_eq!(ran.numbers("end"), [1, 2, 1, 3]);
}

#[test]
fn a_run_may_stop_at_the_first_failure() {
    let mut world = World::with(two_branches());
    world.options.keep_going = false;
    world.trouble("left", "fail");
    world.stage("right").sleep_ms = 150;
    let ran = world.run();
    assert_eq!(ran.sorted_calls(), ["a", "left", "right"]);
    assert_eq!(
        ran.outcome("right"),
        StageOutcome::Ran,
        "what runs already is finished"
    );
    assert_eq!(ran.outcome("right_end"), StageOutcome::Interrupted);
}

#[test]
fn a_panic_is_a_failure_with_its_message() {
    let mut world = World::with(two_branches());
    world.trouble("left", "panic");
    let ran = world.run();
    assert_eq!(ran.outcome("left"), StageOutcome::Failed);
    let failure = ran.failure("left");
    assert!(failure.contains("index 7 is out of bounds"), "{failure}");
    assert!(failure.contains("kind.rs"), "the place is said: {failure}");
    assert_eq!(ran.outcome("right_end"), StageOutcome::Ran);
}

#[test]
fn a_drained_run_finishes_what_runs_and_starts_nothing() {
    let mut world = World::with(chain());
    world.trouble("a", "wait");
    let ran = world.run_cancelled(Cancel::drain);
    assert_eq!(ran.calls, ["a"]);
    assert_eq!(ran.outcome("a"), StageOutcome::Ran);
    assert_eq!(ran.outcome("b"), StageOutcome::Interrupted);
    assert_eq!(ran.summary.outcome, RunOutcome::Interrupted);
    assert_eq!(world.run().calls, ["b", "c"], "what was drained is kept");
}

#[test]
fn a_stopped_stage_leaves_no_result() {
    let mut world = World::with(chain());
    world.trouble("a", "deaf");
    let ran = world.run_cancelled(Cancel::stop);
    assert_eq!(ran.outcome("a"), StageOutcome::Interrupted);
    world.trouble("a", "");
    assert_eq!(world.run().calls, ["a", "b", "c"]);
}

#[test]
fn a_checkpoint_is_planned_as_resumed_and_gone_once_published() {
    let mut world = World::with(chain());
    world.trouble("a", "checkpoint");
    assert_eq!(world.run().outcome("a"), StageOutcome::Failed);
    world.trouble("a", "");
    let status = world.plan().stage("a").unwrap().status.clone();
    assert_eq!(
        status,
        Status::Resume {
            rows: None,
            checkpoint: true
        }
    );
    let ran = world.run();
    assert_eq!(
        ran.summary.records["a"].notes,
        ["went on from a checkpoint"]
    );
    assert!(
        ran.events
            .iter()
            .any(|event| matches!(event, Event::StageStarted { resumed: true, .. }))
    );
    world.stage("a").values.push(5);
    assert_eq!(world.run().summary.records["a"].notes, [""; 0]);
}

#[test]
fn a_missing_file_blocks_its_stage_and_says_which() {
    let mut world = World::with(chain());
    world.stage("b").file = Some("nowhere.txt".into());
    let ran = world.run();
    assert_eq!(ran.calls, ["a"]);
    assert!(
        ran.failure("b").contains("nowhere.txt"),
        "{}",
        ran.failure("b")
    );
}
