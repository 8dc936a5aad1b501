//! Laws of gc, over random caches: what a root needs stays, a dry run says what the real one does, and
//! `restore` undoes it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use dag_cache::{
    Cache, Digest, GRACE, GcOptions, GcReport, Lookup, PinNote, Record, Restore, gc, restore,
    trash, verify,
};
use proptest::prelude::*;

use crate::world::{World, age, key, record};

/// One record: which contents its outputs have, how long it was unused, in minutes, and how it is held.
#[derive(Clone, Debug)]
struct Thing {
    contents: Vec<u8>,
    minutes: u64,
    held: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    No,
    Kept,
    Pinned,
    Leased,
}

fn things() -> impl Strategy<Value = Vec<Thing>> {
    let held = prop_oneof![
        5 => Just(Held::No),
        1 => Just(Held::Kept),
        1 => Just(Held::Pinned),
        1 => Just(Held::Leased),
    ];
    // few contents, so that records share them
    let thing = (
        prop::collection::vec(0_u8..10, 1..4),
        0_u64..(60 * 48),
        held,
    )
        .prop_map(|(contents, minutes, held)| Thing {
            contents,
            minutes,
            held,
        });
    prop::collection::vec(thing, 0..12)
}

fn content(number: u8) -> Vec<u8> {
    vec![number; 10 + usize::from(number)]
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// A cache with these things, and blobs that no record names.
fn built(things: &[Thing], blob_minutes: &[u64]) -> (World, Vec<Record>) {
    let world = World::new();
    let mut records = Vec::new();
    for (number, thing) in things.iter().enumerate() {
        let mut made: Option<Record> = None;
        for (output, content_number) in thing.contents.iter().enumerate() {
            let bytes = content(*content_number);
            let digest = world.cache.put_bytes(&bytes).unwrap();
            let one = record(key(&number.to_string()), digest, bytes.len() as u64);
            match &mut made {
                None => made = Some(one),
                Some(made) => {
                    made.outputs
                        .insert(format!("o{output}"), one.outputs["text"].clone());
                }
            }
        }
        let made = made.unwrap();
        world.cache.publish(&made).unwrap();
        if thing.held == Held::Pinned {
            world.cache.pin(&made.key, &PinNote::default()).unwrap();
        }
        records.push(made);
    }
    for number in 100..103 {
        world.cache.put_bytes(&content(number)).unwrap();
    }
    for (path, minute) in world
        .files("blobs-v1")
        .iter()
        .zip(blob_minutes.iter().cycle())
    {
        age(path, minutes(*minute));
    }
    for path in world.files("records-v1") {
        let number = records
            .iter()
            .position(|record| path.ends_with(record.key.to_string()))
            .unwrap();
        age(&path, minutes(things[number].minutes));
    }
    (world, records)
}

/// Every file of the cache proper, with its bytes.
fn contents(world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    ["records-v1", "blobs-v1"]
        .iter()
        .flat_map(|below| world.files(below))
        .map(|path| (path.clone(), fs_err::read(path).unwrap()))
        .collect()
}

fn is_whole(cache: &Cache, record: &Record) -> bool {
    matches!(cache.peek(&record.key), Lookup::Hit(found) if *found == *record)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn gc_takes_nothing_that_a_root_needs_says_so_before_and_can_be_undone(
        things in things(),
        blob_minutes in prop::collection::vec(0_u64..(60 * 48), 1..20),
        older_than in 0_u64..(60 * 36),
        max_bytes in prop::option::of(0_u64..200),
        purge in prop::bool::weighted(0.2),
    ) {
        let (world, records) = built(&things, &blob_minutes);
        let cache = &world.cache;
        let of = |held: Held| {
            let keys = things.iter().zip(&records).filter(move |(thing, _)| thing.held == held);
            keys.map(|(_, record)| record.key)
        };
        let keep: BTreeSet<_> = of(Held::Kept).collect();
        let leases: Vec<_> = of(Held::Leased).map(|key| cache.lease(&key).unwrap()).collect();
        let options = |dry_run| GcOptions {
            keep: keep.clone(),
            older_than: minutes(older_than),
            max_bytes,
            purge,
            now: SystemTime::now(),
            dry_run,
            ..GcOptions::default()
        };
        let before = contents(&world);
        let dry = gc(cache, &options(true)).unwrap();
        prop_assert_eq!(&contents(&world), &before, "a dry run changes nothing");
        let real = gc(cache, &options(false)).unwrap();
        drop(leases);
        prop_assert_eq!(GcReport { trash: None, ..real.clone() }, dry);

        let limit = minutes(older_than).max(GRACE);
        for (thing, record) in things.iter().zip(&records) {
            let young = minutes(thing.minutes) < GRACE;
            let unused = minutes(thing.minutes) >= limit;
            let there = is_whole(cache, record);
            if thing.held != Held::No || young {
                prop_assert!(there, "{thing:?} is a root or young");
            } else if unused {
                prop_assert!(!there, "{thing:?} is nobody's");
            } else if max_bytes.is_none() {
                prop_assert!(there, "{thing:?} is not old enough");
            }
        }
        // Nothing half: what stays is whole, and no old blob is left that no record names.
        let verified = verify(cache, |_| {}).unwrap();
        prop_assert!(verified.is_clean() && verified.incomplete.is_empty());
        let named: BTreeSet<Digest> = records
            .iter()
            .filter(|record| is_whole(cache, record))
            .flat_map(|record| record.outputs.values().map(|output| output.bytes))
            .collect();
        for path in world.files("blobs-v1") {
            let digest: Digest = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
            let modified = fs_err::metadata(&path).unwrap().modified().unwrap();
            let young = modified.elapsed().unwrap_or_default() < GRACE;
            prop_assert!(named.contains(&digest) || young);
        }
        let after: u64 = contents(&world).values().map(|bytes| bytes.len() as u64).sum();
        let size: u64 = before.values().map(|bytes| bytes.len() as u64).sum();
        prop_assert_eq!(size - after, if purge { real.freed } else { real.freed_later });

        if purge || real.trash.is_none() {
            prop_assert!(trash(cache).unwrap().is_empty());
        } else {
            let back = restore(cache, &Restore::Newest).unwrap();
            prop_assert_eq!((back.there.len(), back.incomplete.len()), (0, 0));
            prop_assert_eq!(&contents(&world), &before, "everything is as it was");
            prop_assert!(trash(cache).unwrap().is_empty());
        }
    }
}
