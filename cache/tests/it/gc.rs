//! `gc` takes what nothing needs, and nothing else.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use dag_cache::{GcOptions, Lookup, gc};

use crate::world::{World, key};

fn options(later: Duration) -> GcOptions {
    GcOptions {
        keep: BTreeSet::new(),
        older_than: Duration::from_secs(86_400),
        now: SystemTime::now() + later,
        dry_run: false,
    }
}

const WEEK: Duration = Duration::from_secs(7 * 86_400);

#[test]
fn what_is_young_stays_whatever_is_asked() {
    let world = World::new();
    let record = world.published("a", b"result");
    let report = gc(&world.cache, &GcOptions { older_than: Duration::ZERO, ..options(Duration::ZERO) }).unwrap();
    assert_eq!((report.records, report.blobs), (0, 0));
    assert!(matches!(world.cache.lookup(&record.key), Lookup::Hit(_)));
}

#[test]
fn what_is_old_and_unneeded_goes_and_roots_stay_with_all_they_name() {
    let world = World::new();
    let kept = world.published("kept", b"kept result");
    let gone = world.published("gone", b"some other result");
    let keep = BTreeSet::from([kept.key]);
    let report = gc(&world.cache, &GcOptions { keep, ..options(WEEK) }).unwrap();
    assert_eq!((report.records, report.blobs, report.bytes), (1, 1, 17));
    assert!(matches!(world.cache.lookup(&kept.key), Lookup::Hit(_)));
    assert!(matches!(world.cache.lookup(&gone.key), Lookup::Miss));
}

#[test]
fn a_dry_run_says_the_same_and_removes_nothing() {
    let world = World::new();
    let record = world.published("a", b"result");
    let dry = gc(&world.cache, &GcOptions { dry_run: true, ..options(WEEK) }).unwrap();
    assert!(matches!(world.cache.lookup(&record.key), Lookup::Hit(_)));
    assert_eq!(gc(&world.cache, &options(WEEK)).unwrap(), dry);
}

#[test]
fn a_leased_key_stays_with_its_work_folder() {
    let world = World::new();
    let record = world.published("a", b"result");
    let scratch = world.cache.scratch(&key("working")).unwrap();
    fs_err::write(scratch.join("checkpoint"), "half").unwrap();
    let _leases = (
        world.cache.lease(&record.key).unwrap(),
        world.cache.lease(&key("working")).unwrap(),
    );
    let report = gc(&world.cache, &options(WEEK)).unwrap();
    assert_eq!((report.records, report.scratch), (0, 0));
    assert!(world.cache.has_scratch(&key("working")));
}

#[test]
fn an_abandoned_work_folder_goes_when_it_is_old() {
    let world = World::new();
    let scratch = world.cache.scratch(&key("abandoned")).unwrap();
    fs_err::write(scratch.join("checkpoint"), "half").unwrap();
    assert_eq!(gc(&world.cache, &options(Duration::ZERO)).unwrap().scratch, 0);
    assert_eq!(gc(&world.cache, &options(WEEK)).unwrap().scratch, 1);
    assert!(!world.cache.has_scratch(&key("abandoned")));
}
