//! A record is a hit only while it is whole and all it names is there.

use dag_cache::{CacheError, Digest, Lookup, MOST_OUTPUTS, Published, Record, verify};

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
    assert!(matches!(
        world.cache.publish(&first).unwrap(),
        Published::New
    ));
    assert!(matches!(
        world.cache.publish(&first).unwrap(),
        Published::Same
    ));
    assert!(
        matches!(world.cache.publish(&second).unwrap(), Published::Kept(kept) if *kept == first)
    );
    assert_eq!(hit(world.cache.lookup(&first.key)), Some(first));
}

#[test]
fn a_record_with_fewer_unfinished_rows_takes_the_place_of_one_with_more() {
    let world = World::new();
    let with = |text: &[u8], unfinished| Record {
        unfinished,
        ..world.record("a", text)
    };
    let (worse, same, better) = (
        with(b"two lack", 2),
        with(b"two others lack", 2),
        with(b"one lacks", 1),
    );
    world.cache.publish(&worse).unwrap();
    assert!(matches!(world.cache.publish(&same).unwrap(), Published::Kept(kept) if *kept == worse));
    assert!(matches!(
        world.cache.publish(&better).unwrap(),
        Published::New
    ));
    assert!(
        matches!(world.cache.publish(&worse).unwrap(), Published::Kept(kept) if *kept == better)
    );
    assert_eq!(hit(world.cache.lookup(&worse.key)), Some(better));
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
    assert!(
        matches!(world.cache.publish(&other).unwrap(), Published::New),
        "nothing whole stands in its way"
    );
    assert_eq!(hit(world.cache.lookup(&record.key)), Some(other));
}

#[test]
fn a_flipped_bit_anywhere_in_a_record_is_found() {
    let world = World::new();
    let record = world.published("a", b"result");
    let path = world.files("records-v1")[0].clone();
    let whole = fs_err::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        // over nothing: the last one was set aside
        drop(fs_err::remove_file(&path));
        fs_err::write(&path, bytes).unwrap();
        assert!(
            matches!(world.cache.lookup(&record.key), Lookup::Damaged { .. }),
            "byte {at}"
        );
        assert!(
            matches!(world.cache.lookup(&record.key), Lookup::Miss),
            "set aside"
        );
    }
    assert!(matches!(
        world.cache.publish(&record).unwrap(),
        Published::New
    ));
}

#[test]
fn a_record_cut_at_any_length_is_found() {
    let world = World::new();
    let record = world.published("a", b"result");
    let path = world.files("records-v1")[0].clone();
    let whole = fs_err::read(&path).unwrap();
    for length in 0..whole.len() {
        drop(fs_err::remove_file(&path));
        fs_err::write(&path, &whole[..length]).unwrap();
        assert!(
            matches!(world.cache.lookup(&record.key), Lookup::Damaged { .. }),
            "length {length}"
        );
    }
    assert!(matches!(
        world.cache.publish(&record).unwrap(),
        Published::New
    ));
}

#[test]
fn a_record_moved_to_another_key_is_not_believed() {
    let world = World::new();
    let a = world.published("a", b"result of a");
    let b = world.published("b", b"result of b");
    let place = |key: &dag_cache::StageKey| {
        world
            .files("records-v1")
            .into_iter()
            .find(|path| path.ends_with(key.to_string()))
            .unwrap()
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
fn what_could_not_be_read_back_is_not_published() {
    let world = World::new();
    let sound = world.record("a", b"result");
    let output = sound.outputs["text"].clone();
    let with_outputs = |names: Vec<String>| {
        let mut changed = sound.clone();
        changed
            .outputs
            .extend(names.into_iter().map(|name| (name, output.clone())));
        changed
    };
    let most = MOST_OUTPUTS - 1;
    world
        .cache
        .publish(&with_outputs((0..most).map(|n| format!("o{n}")).collect()))
        .unwrap();
    let other = Record {
        main: "nothing".to_owned(),
        ..sound.clone()
    };
    let endless = Record {
        notes: vec!["a".repeat(16 << 20)],
        ..sound.clone()
    };
    for (unfit, reason) in [
        (endless, "bytes; 16777216 are the most"),
        (
            with_outputs((0..=most).map(|n| format!("o{n}")).collect()),
            "it has 65 outputs; 64 are the most",
        ),
        (
            with_outputs(vec!["../x".to_owned()]),
            "`../x` is no name of an output",
        ),
        (other, "it has no output `nothing`"),
    ] {
        for result in [
            world.cache.publish(&unfit).map(drop),
            world.cache.replace(&unfit),
        ] {
            let error = result.unwrap_err().to_string();
            let place = format!("the record of {} cannot be kept: ", unfit.key.0.short());
            assert!(
                error.starts_with(&place) && error.ends_with(reason),
                "{error}"
            );
        }
    }
}

#[test]
fn a_field_that_says_nothing_about_the_result_is_passed_over() {
    let world = World::new();
    let record = world.published("a", b"result");
    let path = world.files("records-v1")[0].clone();
    let text = fs_err::read_to_string(&path).unwrap();
    let body = text
        .split_once('\n')
        .unwrap()
        .1
        .replacen('{', r#"{"x-printed":[true],"#, 1);
    let sum = Digest::of(body.as_bytes());
    overwrite(&path, format!("dag record v1 {sum}\n{body}").as_bytes());
    assert_eq!(hit(world.reopened().lookup(&record.key)), Some(record));
}

#[test]
fn floats_that_json_cannot_say_survive() {
    let world = World::new();
    let mut diverged = world.record("a", b"result");
    diverged.seconds = f64::INFINITY;
    diverged.usage.usd = 0.5;
    diverged.metrics.insert("up".to_owned(), f64::INFINITY);
    diverged
        .metrics
        .insert("down".to_owned(), f64::NEG_INFINITY);
    diverged.metrics.insert("loss".to_owned(), f64::NAN);
    diverged.metrics.insert("whole".to_owned(), 3.0);
    world.cache.publish(&diverged).unwrap();
    let mut back = hit(world.reopened().lookup(&diverged.key)).unwrap();
    assert!(back.metrics["loss"].is_nan());
    back.metrics.insert("loss".to_owned(), 0.0);
    diverged.metrics.insert("loss".to_owned(), 0.0);
    assert_eq!(back, diverged);
}

#[test]
fn a_record_without_its_blob_is_not_published() {
    let world = World::new();
    let nowhere = Digest::of(b"never stored");
    let record = record(key("a"), nowhere, 12);
    for result in [
        world.cache.publish(&record).map(drop),
        world.cache.replace(&record),
    ] {
        assert!(matches!(result, Err(CacheError::Missing(missing)) if missing == nowhere));
    }
    assert!(matches!(world.cache.lookup(&record.key), Lookup::Miss));
}

#[test]
fn a_disk_that_cannot_be_read_is_an_error_and_nothing_is_removed_for_it() {
    let world = World::new();
    let record = world.record("a", b"result");
    let hex = record.key.to_string();
    // where the record should lie is something that cannot be read as a file
    let place = world.root().join("records-v1").join(&hex[..2]).join(&hex);
    fs_err::create_dir_all(&place).unwrap();
    fs_err::write(place.join("something"), "of somebody").unwrap();
    assert!(matches!(
        world.cache.publish(&record),
        Err(CacheError::Io(_))
    ));
    assert!(place.join("something").exists());
    assert!(world.files("quarantine").is_empty());
}
