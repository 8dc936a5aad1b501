//! What runs again after an edit, and what does not.

use dag_engine::{RunOutcome, Scope, StageOutcome};

use crate::world::{World, after, chain, source};

#[test]
fn a_second_run_runs_nothing() {
    let world = World::with(chain()).ran();
    let again = world.run();
    assert_eq!(again.calls, [""; 0]);
    assert_eq!(again.summary.outcome, RunOutcome::Succeeded);
    assert_eq!(again.summary.ended(StageOutcome::Cached), ["a", "b", "c"]);
    assert_eq!(again.numbers("c"), [1, 2, 3]);
}

#[test]
fn a_changed_setting_reruns_its_stage_and_what_follows() {
    let mut world = World::with(chain()).ran();
    world.stage("b").max = Some(2);
    let ran = world.run();
    assert_eq!(ran.calls, ["b", "c"]);
    assert_eq!(ran.numbers("c"), [1, 2]);
}

#[test]
fn an_edit_whose_output_is_unchanged_stops_there() {
    let mut world = World::with(chain()).ran();
    world.stage("b").max = Some(20);
    let ran = world.run();
    assert_eq!(ran.calls, ["b"]);
    assert_eq!(ran.outcome("c"), StageOutcome::Cached);
}

#[test]
fn going_back_to_an_earlier_setting_runs_nothing() {
    let mut world = World::with(chain()).ran();
    world.stage("b").max = Some(2);
    world.run();
    world.stage("b").max = Some(10);
    assert_eq!(world.run().calls, [""; 0]);
}

#[test]
fn operational_settings_rerun_nothing() {
    let mut world = World::with(chain()).ran();
    world.stage("a").sleep_ms = 1;
    world.stage("b").cpus = 2;
    world.stage("c").limit = Some("server".into());
    assert_eq!(world.run().calls, [""; 0]);
}

#[test]
fn the_order_of_inputs_counts_and_names_of_stages_do_not() {
    let both = |from: &[&str]| {
        vec![
            ("x", source(&[1])),
            ("y", source(&[2])),
            ("both", after(from)),
        ]
    };
    let mut world = World::with(both(&["x", "y"])).ran();
    world.stages = both(&["y", "x"]);
    let ran = world.run();
    assert_eq!(ran.calls, ["both"]);
    assert_eq!(ran.numbers("both"), [2, 1]);

    world.stages = vec![
        ("one", source(&[1])),
        ("two", source(&[2])),
        ("joined", after(&["two", "one"])),
    ];
    assert_eq!(world.run().calls, [""; 0]);
}

#[test]
fn a_new_seed_reruns_everything() {
    let mut world = World::with(chain()).ran();
    world.seed = 1;
    // The numbers are the same, so what follows has the same inputs, but its own seed.
    assert_eq!(world.run().calls, ["a", "b", "c"]);
}

#[test]
fn a_file_counts_by_content_and_not_by_place() {
    let mut world = World::with(chain());
    fs_err::write(world.path("prompt.txt"), "think").unwrap();
    world.stage("a").file = Some("prompt.txt".into());
    let world = world.ran();

    let mut moved = World::with(world.stages.clone());
    moved.cache = world.cache.clone();
    fs_err::write(moved.path("prompt.txt"), "think").unwrap();
    assert_eq!(
        moved.run().calls,
        [""; 0],
        "moving the folder changes nothing"
    );

    fs_err::write(moved.path("prompt.txt"), "think twice").unwrap();
    assert_eq!(moved.run().calls, ["a", "b", "c"]);
}

#[test]
fn another_output_of_a_stage_can_be_an_input() {
    let mut stages = chain();
    stages.push(("thrown", after(&["b.rejected"])));
    assert_eq!(World::with(stages).run().numbers("thrown"), [40]);
}

#[test]
fn only_what_a_target_needs_runs() {
    let mut stages = chain();
    stages.push(("aside", source(&[9])));
    let mut world = World::with(stages);
    world.options.scope = Scope {
        targets: vec!["b".into()],
        ..Scope::default()
    };
    assert_eq!(world.run().calls, ["a", "b"]);
}

#[test]
fn a_forced_stage_runs_again_and_the_same_result_stops_there() {
    let mut world = World::with(chain()).ran();
    world.options.scope = Scope {
        force: vec!["a".into()],
        ..Scope::default()
    };
    assert_eq!(world.run().calls, ["a"]);
    world.options.scope = Scope {
        force_all: true,
        ..Scope::default()
    };
    assert_eq!(world.run().calls, ["a", "b", "c"]);
}

#[test]
fn a_target_that_is_not_there_is_an_error_with_a_near_name() {
    let mut stages = chain();
    stages.push(("traces", source(&[])));
    let mut world = World::with(stages);
    world.options.scope = Scope {
        targets: vec!["tracse".into()],
        ..Scope::default()
    };
    let error = dag_engine::run(
        &world.pipeline(),
        &crate::kind::registry(),
        &world.cache,
        &world.options,
        std::sync::Arc::new(dag_engine::event::NoEvents),
        &dag_engine::Cancel::new(),
    )
    .unwrap_err();
    let dag_engine::run::RunError::Unknown(unknown) = error else {
        panic!("{error}")
    };
    assert_eq!(unknown.nearest.as_deref(), Some("traces"));
}
