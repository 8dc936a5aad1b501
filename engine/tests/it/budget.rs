//! Money: a run stops before it spends more than it may.

use dag_engine::{RunOutcome, StageOutcome};

use crate::world::{World, after, source};

fn spending(usd: u32, foreseen: bool) -> World {
    let mut world = World::with(vec![
        ("paid", source(&[1])),
        ("free", source(&[2])),
        ("end", after(&["paid"])),
    ]);
    world.stage("paid").usd = usd;
    world.stage("paid").foreseen = foreseen;
    world.budget = Some(10.0);
    world
}

#[test]
fn a_stage_that_is_foreseen_to_cost_too_much_is_not_started() {
    let ran = spending(11, true).run();
    assert_eq!(ran.calls, ["free"]);
    assert_eq!(ran.summary.outcome, RunOutcome::OutOfBudget);
    assert_eq!(ran.outcome("paid"), StageOutcome::Interrupted);
    assert!(ran.summary.usage.usd < 0.1);
    assert!(
        ran.summary.notes[0].contains("10.00 USD"),
        "{:?}",
        ran.summary.notes
    );
}

#[test]
fn a_stage_that_spends_more_than_foreseen_is_drained() {
    let ran = spending(1000, false).run();
    assert_eq!(ran.summary.outcome, RunOutcome::OutOfBudget);
    assert_eq!(ran.summary.usage.requests, 10);
    assert_eq!(ran.outcome("end"), StageOutcome::Interrupted);
}

#[test]
fn within_its_budget_a_run_succeeds_and_a_cached_stage_costs_nothing() {
    let world = spending(9, true);
    let ran = world.run();
    assert_eq!(ran.summary.outcome, RunOutcome::Succeeded);
    assert_eq!(ran.summary.usage.requests, 9);
    assert_eq!(world.run().summary.usage.requests, 0);
}
