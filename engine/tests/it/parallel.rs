//! Independent stages run at once, within what the machine and named limits offer.

use std::time::{Duration, Instant};

use dag_engine::{Capacity, Event};

use crate::kind::NumbersSettings;
use crate::world::{Ran, World, source};

fn sleepers(count: i64, change: impl Fn(&mut NumbersSettings)) -> World {
    const NAMES: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];
    let stages = NAMES
        .iter()
        .zip(0..count)
        .map(|(name, value)| {
            let mut settings = NumbersSettings {
                sleep_ms: 60,
                ..source(&[value])
            };
            change(&mut settings);
            (*name, settings)
        })
        .collect();
    World::with(stages)
}

/// The most stages that ran at once.
fn most_at_once(ran: &Ran) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for event in &ran.events {
        match event {
            Event::StageStarted { .. } => now += 1,
            Event::StageFinished(_) => now -= 1,
            _ => {}
        }
        most = most.max(now);
    }
    most
}

#[test]
fn independent_stages_run_at_once() {
    let world = sleepers(4, |_| {});
    let began = Instant::now();
    let ran = world.run();
    assert_eq!(ran.calls.len(), 4);
    assert_eq!(most_at_once(&ran), 4);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn no_more_run_than_there_are_cores() {
    let mut world = sleepers(6, |_| {});
    world.options.capacity = Capacity::cpus(2);
    assert_eq!(most_at_once(&world.run()), 2);
}

#[test]
fn a_stage_that_wants_more_cores_than_there_are_runs_alone() {
    let mut world = sleepers(3, |settings| settings.cpus = 64);
    world.options.capacity = Capacity::cpus(2);
    let ran = world.run();
    assert_eq!(ran.calls.len(), 3);
    assert_eq!(most_at_once(&ran), 1);
}

#[test]
fn a_named_limit_is_kept() {
    let mut world = sleepers(4, |settings| settings.limit = Some("server".into()));
    world.limits = vec![("server", 2)];
    assert_eq!(most_at_once(&world.run()), 2);
}

#[test]
fn a_limit_that_nobody_set_lets_stages_take_turns() {
    let world = sleepers(3, |settings| settings.limit = Some("server".into()));
    assert_eq!(most_at_once(&world.run()), 1);
}

#[test]
fn two_runs_at_once_share_the_work() {
    let world = sleepers(3, |_| {});
    let (one, two) = std::thread::scope(|scope| {
        let other = scope.spawn(|| world.run());
        (world.run(), other.join().unwrap())
    });
    // Calls are counted under one name, so whoever asked first got all that were made by then.
    assert!(
        one.calls.len() + two.calls.len() <= 3,
        "{:?} {:?}",
        one.calls,
        two.calls
    );
    assert_eq!(one.numbers("s1"), two.numbers("s1"));
}
