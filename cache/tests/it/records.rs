//! A record is a hit only while it is whole and all it names is there.

use dag_cache::{Lookup, Published, verify};

use crate::world::{World, flip, key, overwrite, record};

fn hit(lookup: Lookup) -> Option<dag_cache::Record> {
    match lookup {
        Lookup::Hit(record) => Some(*record),
        _ => None,
    }
}

#[test]
fn a_published_record_comes_back_as_it_was() {
    let world = World::new();
    let record = world.published("a", b"result");
    assert_eq!(hit(world.reopened().lookup(&record.key)), Some(record));
    assert!(matches!(world.cache.lookup(&key("b")), Lookup::Miss));
}

#[test]
fn publishing_twice_is_harmless_and_the_first_of_two_results_stays() {
    let world = World::new();
    let first = world.record("a", b"one result");
    let second = world.record("a", b"another result");
    assert!(matches!(world.cache.publish(&first).unwrap(), Published::New));
    assert!(matches!(world.cache.publish(&first).unwrap(), Published::Same));
    assert!(matches!(world.cache.publish(&second).unwrap(), Published::Kept(kept) if *kept == first));
    assert_eq!(hit(world.cache.lookup(&first.key)), Some(first));
}

#[test]
fn without_its_blob_a_record_is_no_hit_until_somebody_makes_it_again() {
    let world = World::new();
    let record = world.published("a", b"result");
    fs_err::remove_file(&world.files("blobs-v1")[0]).unwrap();
    let missing = match world.cache.lookup(&record.key) {
        Lookup::Incomplete { missing, .. } => missing,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing, [record.outputs["text"].bytes]);
    let other = world.record("a", b"this time another result");
    assert!(matches!(world.cache.publish(&other).unwrap(), Published::New), "nothing whole stands in its way");
    assert_eq!(hit(world.cache.lookup(&record.key)), Some(other));
}

#[test]
fn a_flipped_bit_anywhere_in_a_record_is_found() {
    let whole = World::new();
    whole.published("a", b"result");
    let length = fs_err::read(&whole.files("records-v1")[0]).unwrap().len();
    for at in 0..length {
        let world = World::new();
        let record = world.published("a", b"result");
        flip(&world.files("records-v1")[0], at);
        assert!(matches!(world.cache.lookup(&record.key), Lookup::Damaged { .. }), "byte {at}");
        assert!(matches!(world.cache.lookup(&record.key), Lookup::Miss), "set aside");
        assert!(matches!(world.cache.publish(&record).unwrap(), Published::New));
    }
}

#[test]
fn a_record_cut_at_any_length_is_found() {
    let world = World::new();
    let record = world.published("a", b"result");
    let whole = fs_err::read(&world.files("records-v1")[0]).unwrap();
    for length in 0..whole.len() {
        overwrite(&world.files("records-v1")[0], &whole[..length]);
        assert!(matches!(world.cache.lookup(&record.key), Lookup::Damaged { .. }), "length {length}");
        world.cache.publish(&record).unwrap();
    }
}

#[test]
fn a_record_moved_to_another_key_is_not_believed() {
    let world = World::new();
    let a = world.published("a", b"result of a");
    let b = world.published("b", b"result of b");
    let place = |key: &dag_cache::StageKey| {
        world.files("records-v1").into_iter().find(|path| path.ends_with(key.to_string())).unwrap()
    };
    let theirs = fs_err::read(place(&a.key)).unwrap();
    overwrite(&place(&b.key), &theirs);
    assert!(matches!(world.cache.lookup(&b.key), Lookup::Damaged { .. }));
}

#[test]
fn verify_finds_every_sort_of_damage_and_nothing_in_a_whole_cache() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.published(name, format!("result of {name}").as_bytes());
    }
    let memo = world.cache.memo("sample").unwrap();
    memo.put(crate::world::row("r"), b"a row").unwrap();
    memo.flush().unwrap();
    let clean = verify(&world.cache, |_| {}).unwrap();
    assert!(clean.is_clean());
    assert_eq!((clean.blobs, clean.records, clean.rows), (3, 3, 1));

    flip(&world.files("blobs-v1")[0], 0);
    flip(&world.files("records-v1")[0], 40);
    flip(&world.files("memo-v1")[0], 62);
    let found = verify(&world.cache, |_| {}).unwrap();
    assert_eq!(found.damaged.len(), 3, "{:?}", found.damaged);
    assert!(world.cache.keys().unwrap().len() == 2);
}

#[test]
fn a_record_with_thousands_of_outputs_is_read_or_refused_but_never_believed_half() {
    let world = World::new();
    let digest = world.cache.put_bytes(b"shared").unwrap();
    let mut wide = record(key("wide"), digest, 6);
    let output = wide.outputs["text"].clone();
    wide.outputs.extend((0..3000).map(|n| (format!("o{n}"), output.clone())));
    world.cache.publish(&wide).unwrap();
    assert_eq!(hit(world.cache.lookup(&wide.key)), Some(wide));
}
