//! Why a stage runs again, in words a person understands.

use dag_engine::{Change, SourceLine, StageOutcome};

use crate::world::{World, after, chain, source};

#[test]
fn a_first_run_says_so() {
    assert_eq!(World::with(chain()).why("a"), ["never ran before"]);
    assert_eq!(World::with(chain()).why("b"), ["`a` runs first"]);
}

#[test]
fn a_changed_setting_is_named_before_and_after_the_run() {
    let mut world = World::with(chain()).ran();
    world.stage("b").max = Some(2);
    assert_eq!(world.why("b"), ["max changed from 10 to 2"]);
    world.run();
    assert_eq!(world.why("b"), ["max changed from 10 to 2"]);
    assert_eq!(world.why("c"), ["`b` (input `from`) gave another result"]);
}

#[test]
fn an_input_more_or_less_is_named() {
    let mut world = World::with(vec![
        ("x", source(&[1])),
        ("y", source(&[2])),
        ("both", after(&["x", "y"])),
    ])
    .ran();
    world.stage("both").from.pop();
    let why = world.why("both");
    assert_eq!(why.len(), 1, "{why:?}");
    assert!(why[0].starts_with("input `from` is gone"), "{why:?}");
}

#[test]
fn a_file_and_a_seed_are_named() {
    let mut world = World::with(chain());
    fs_err::write(world.path("prompt.txt"), "think").unwrap();
    world.stage("a").file = Some("prompt.txt".into());
    let mut world = world.ran();
    fs_err::write(world.path("prompt.txt"), "think twice").unwrap();
    assert_eq!(world.why("a"), ["prompt.txt (`file`) changed"]);
    world.seed = 7;
    assert_eq!(
        world.why("a"),
        ["seed changed from 0 to 7", "prompt.txt (`file`) changed"]
    );
}

#[test]
fn the_line_of_the_setting_comes_with_it() {
    let mut world = World::with(chain()).ran();
    world.stage("b").max = Some(2);
    let mut pipeline = world.pipeline();
    let line = SourceLine {
        file: "pipeline.toml".into(),
        line: 12,
        text: "max = 2".into(),
    };
    pipeline.stages[1].lines.insert("max".into(), line.clone());
    let graph = dag_engine::Graph::of(&pipeline).unwrap();
    let lookups = dag_engine::CacheLookups::new(&world.cache);
    let scope = dag_engine::Scope::all();
    let plan = dag_engine::Plan::of(
        &pipeline,
        &graph,
        &scope,
        &dag_engine::Capacity::cpus(1),
        &lookups,
    )
    .unwrap();
    assert_eq!(plan.stage("b").unwrap().reasons[0].line(), Some(&line));
    assert!(matches!(
        plan.stage("c").unwrap().reasons[0],
        Change::Upstream { .. }
    ));
}

#[test]
fn runs_are_recorded_and_replay() {
    let mut world = World::with(chain());
    world.trouble("b", "fail");
    let first = world.run();
    world.trouble("b", "");
    let second = world.run();

    let runs: Vec<_> = world.history().runs(Some("test")).collect();
    assert_eq!(
        [&runs[0].id, &runs[1].id],
        [&second.summary.id, &first.summary.id]
    );
    let stages: Vec<_> = runs[1]
        .stages
        .iter()
        .map(|stage| (stage.stage.as_str(), stage.outcome))
        .collect();
    assert_eq!(
        stages,
        [
            ("a", StageOutcome::Ran),
            ("b", StageOutcome::Failed),
            ("c", StageOutcome::Skipped)
        ]
    );
    assert!(runs[1].finished_at.is_some());

    let replayed = dag_engine::event::Collect::default();
    world.history().replay(&first.summary.id, &replayed);
    assert_eq!(replayed.events(), first.events);
    assert_eq!(
        world.history().find(&first.summary.id[20..]).unwrap().id,
        first.summary.id
    );
    assert_eq!(world.history().latest(Some("other")), None);
}
