//! `gc` takes what nothing needs, and nothing else.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use dag_cache::{Digest, GcOptions, GcReport, Lookup, PinNote, gc};

use crate::world::{World, age, flip, key, overwrite, row};

/// What was unused for a day goes, some time from now.
pub(crate) fn options(later: Duration) -> GcOptions {
    GcOptions {
        older_than: Duration::from_secs(86_400),
        now: SystemTime::now() + later,
        ..GcOptions::default()
    }
}

pub(crate) const WEEK: Duration = Duration::from_secs(7 * 86_400);

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
    assert_eq!((report.records, report.blobs, report.freed), (1, 1, 0));
    let record = fs_err::metadata(world.files("trash-v1").pop().unwrap()).unwrap();
    assert_eq!(report.freed_later, 17 + record.len());
    assert_eq!(report.trash_bytes, report.freed_later);
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
    assert_eq!(dry.trash, None);
    let real = gc(&world.cache, &options(WEEK)).unwrap();
    assert!(real.trash.is_some());
    assert_eq!(
        GcReport {
            trash: None,
            ..real
        },
        dry
    );
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
    assert!(report.freed > 0);
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
        max_bytes: Some(250),
        ..options(WEEK)
    };
    let report = gc(&world.cache, &old).unwrap();
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

#[test]
fn a_pinned_key_stays_with_all_it_names_until_the_pin_goes() {
    let world = World::new();
    let (pinned, other) = (
        world.published("a", b"pinned"),
        world.published("b", b"not"),
    );
    let scratch = world.cache.scratch(&key("unfinished")).unwrap();
    fs_err::write(scratch.join("checkpoint"), "half").unwrap();
    let note = PinNote {
        by: "someone@here".to_owned(),
        why: "the figures of the paper".to_owned(),
        at: "2026-01-01T00:00:00Z".to_owned(),
    };
    assert!(matches!(
        world.cache.pin(&pinned.key, &note).unwrap(),
        Lookup::Hit(_)
    ));
    assert!(matches!(
        world.cache.pin(&key("unfinished"), &note).unwrap(),
        Lookup::Miss
    ));
    let pins = world.reopened().pins().unwrap();
    assert_eq!(pins.len(), 2);
    assert!(pins.iter().all(|pin| pin.note.as_ref() == Some(&note)));

    let tight = GcOptions {
        max_bytes: Some(0),
        ..options(WEEK)
    };
    let report = gc(&world.cache, &tight).unwrap();
    assert_eq!((report.records, report.blobs, report.scratch), (1, 1, 0));
    assert!(matches!(world.cache.peek(&pinned.key), Lookup::Hit(_)));
    assert!(matches!(world.cache.peek(&other.key), Lookup::Miss));

    assert!(world.cache.unpin(&pinned.key).unwrap());
    assert!(
        !world.cache.unpin(&pinned.key).unwrap(),
        "there is none any more"
    );
    let report = gc(&world.cache, &tight).unwrap();
    assert_eq!((report.records, report.blobs), (1, 1));
}

#[test]
fn a_pin_that_cannot_be_read_pins_as_well() {
    let world = World::new();
    let record = world.published("a", b"result");
    world.cache.pin(&record.key, &PinNote::default()).unwrap();
    for damaged in [
        "",
        "{\"format\":1,",
        "{\"format\":9,\"by\":\"x\",\"at\":\"y\"}",
    ] {
        overwrite(&world.files("pins-v1")[0], damaged.as_bytes());
        let pins = world.cache.pins().unwrap();
        assert_eq!((pins[0].key, &pins[0].note), (record.key, &None));
        assert_eq!(gc(&world.cache, &options(WEEK)).unwrap().records, 0);
    }
}

#[test]
fn a_laid_out_tree_goes_with_its_manifest_and_a_dry_run_says_so() {
    let world = World::new();
    let (record, _) =
        world.published_model("model", &[("config.json", b"{}"), ("weights", b"1234")]);
    let manifest = record.outputs["text"].bytes;
    world.cache.tree_path(&manifest).unwrap();
    let dry = GcOptions {
        dry_run: true,
        ..options(WEEK)
    };
    let dry = gc(&world.cache, &dry).unwrap();
    assert_eq!((dry.records, dry.blobs, dry.trees), (1, 3, 1));
    let real = gc(&world.cache, &options(WEEK)).unwrap();
    assert_eq!(
        GcReport {
            trash: None,
            ..real
        },
        dry
    );
    assert!(world.files("trees-v1").is_empty());
}
