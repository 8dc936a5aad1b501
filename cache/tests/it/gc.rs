//! `gc` takes what nothing needs, and nothing else.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use dag_cache::{Digest, GcOptions, Lookup, gc, gc_within};

use crate::world::{World, age, flip, key, row};

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
    let report = gc(
        &world.cache,
        &GcOptions {
            older_than: Duration::ZERO,
            ..options(Duration::ZERO)
        },
    )
    .unwrap();
    assert_eq!((report.records, report.blobs), (0, 0));
    assert!(matches!(world.cache.lookup(&record.key), Lookup::Hit(_)));
}

#[test]
fn what_is_old_and_unneeded_goes_and_roots_stay_with_all_they_name() {
    let world = World::new();
    let kept = world.published("kept", b"kept result");
    let gone = world.published("gone", b"some other result");
    let keep = BTreeSet::from([kept.key]);
    let report = gc(
        &world.cache,
        &GcOptions {
            keep,
            ..options(WEEK)
        },
    )
    .unwrap();
    assert_eq!((report.records, report.blobs, report.bytes), (1, 1, 17));
    assert!(matches!(world.cache.lookup(&kept.key), Lookup::Hit(_)));
    assert!(matches!(world.cache.lookup(&gone.key), Lookup::Miss));
}

#[test]
fn a_dry_run_says_the_same_and_removes_nothing() {
    let world = World::new();
    let record = world.published("a", b"result");
    let dry = gc(
        &world.cache,
        &GcOptions {
            dry_run: true,
            ..options(WEEK)
        },
    )
    .unwrap();
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
    assert_eq!(
        gc(&world.cache, &options(Duration::ZERO)).unwrap().scratch,
        0
    );
    assert_eq!(gc(&world.cache, &options(WEEK)).unwrap().scratch, 1);
    assert!(!world.cache.has_scratch(&key("abandoned")));
}

#[test]
fn a_blob_that_is_put_again_stays_though_it_is_old() {
    let world = World::new();
    let digest = world.cache.put_bytes(b"reused").unwrap();
    age(&world.files("blobs-v1")[0], WEEK);
    world.cache.put_bytes(b"reused").unwrap();
    assert_eq!(gc(&world.cache, &options(Duration::ZERO)).unwrap().blobs, 0);
    assert!(world.cache.read_blob(&digest).is_ok());
}

#[test]
fn a_hit_makes_a_record_young_and_a_glance_does_not() {
    let world = World::new();
    let record = world.published("a", b"result");
    for path in world
        .files("records-v1")
        .iter()
        .chain(&world.files("blobs-v1"))
    {
        age(path, WEEK);
    }
    assert!(matches!(world.cache.peek(&record.key), Lookup::Hit(_)));
    let dry = GcOptions {
        dry_run: true,
        ..options(Duration::ZERO)
    };
    assert_eq!(gc(&world.cache, &dry).unwrap().records, 1);
    assert!(matches!(world.cache.lookup(&record.key), Lookup::Hit(_)));
    let report = gc(&world.cache, &options(Duration::ZERO)).unwrap();
    assert_eq!((report.records, report.blobs), (0, 0));
    assert!(matches!(world.cache.lookup(&record.key), Lookup::Hit(_)));
}

#[test]
fn leftovers_go_when_they_are_old_and_a_slow_writer_keeps_its_own() {
    let world = World::new();
    let damaged = world.cache.put_bytes(b"damaged").unwrap();
    flip(&world.files("blobs-v1")[0], 0);
    assert!(world.cache.read_blob(&damaged).is_err());
    fs_err::write(world.root().join("incoming/left"), "half").unwrap();
    let mut slow = world.cache.blob_writer().unwrap();
    slow.write_all(b"row by row").unwrap();
    assert_eq!(
        gc(&world.cache, &options(Duration::ZERO))
            .unwrap()
            .leftovers,
        0
    );
    assert_eq!(gc(&world.cache, &options(WEEK)).unwrap().leftovers, 2);
    assert_eq!(
        (
            world.files("incoming").len(),
            world.files("quarantine").len()
        ),
        (1, 0)
    );
    assert_eq!(slow.finish().unwrap().0, Digest::of(b"row by row"));
}

#[test]
fn finished_segments_become_one_without_what_was_superseded_or_damaged() {
    let world = World::new();
    let watching = world.reopened().memo("sample").unwrap();
    for (writer, names) in [["a", "b"], ["b", "c"], ["d", "e"]].iter().enumerate() {
        let memo = world.reopened().memo("sample").unwrap();
        for name in names {
            memo.put(row(name), format!("{name} of writer {writer}").as_bytes())
                .unwrap();
        }
    }
    let alive = world.cache.memo("sample").unwrap();
    alive.put(row("f"), b"still written").unwrap();
    flip(&world.files("memo-v1")[2], 5);
    let report = gc(&world.cache, &options(WEEK)).unwrap();
    assert_eq!((report.segments, world.files("memo-v1").len()), (3, 2));
    assert!(report.bytes > 0);
    alive.put(row("g"), b"goes on").unwrap();
    alive.flush().unwrap();
    std::thread::sleep(Duration::from_millis(1050));
    for memo in [world.reopened().memo("sample").unwrap(), watching, alive] {
        assert_eq!(memo.get(&row("a")).unwrap().unwrap(), b"a of writer 0");
        assert_eq!(
            memo.get(&row("b")).unwrap().unwrap(),
            b"b of writer 1",
            "the later one"
        );
        assert_eq!(memo.get(&row("d")).unwrap(), None, "damaged");
        assert_eq!(memo.get(&row("e")).unwrap().unwrap(), b"e of writer 2");
        assert_eq!(memo.get(&row("g")).unwrap().unwrap(), b"goes on");
    }
    assert!(
        world
            .reopened()
            .memo("sample")
            .unwrap()
            .damaged()
            .is_empty(),
        "the damage went as well"
    );
    let merged = |_| gc(&world.cache, &options(WEEK)).unwrap().segments;
    assert_eq!(
        [0, 1].map(merged),
        [2, 0],
        "the last writer is gone, and then nothing is left to merge"
    );
}

#[test]
fn a_budget_takes_what_was_unused_for_longest_and_no_root() {
    let world = World::new();
    let records: Vec<_> = (0..4)
        .map(|n: u8| {
            let record = world.published(&n.to_string(), &[n; 100]);
            let path = world
                .files("records-v1")
                .into_iter()
                .find(|path| path.ends_with(record.key.to_string()));
            // the later, the longer unused
            age(&path.unwrap(), Duration::from_secs(u64::from(n) * 3600));
            record
        })
        .collect();
    let keep = BTreeSet::from([records[3].key]);
    let old = GcOptions {
        keep,
        older_than: WEEK * 52,
        ..options(WEEK)
    };
    let report = gc_within(&world.cache, &old, 250).unwrap();
    assert_eq!(
        (report.records, report.blobs, report.kept_bytes),
        (2, 2, 200)
    );
    let there = |n: usize| matches!(world.cache.peek(&records[n].key), Lookup::Hit(_));
    assert_eq!(
        [there(0), there(1), there(2), there(3)],
        [true, false, false, true]
    );
}
