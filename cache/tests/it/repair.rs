//! After a repair `verify` is clean, and what could be fetched is there.

use std::cell::RefCell;

use dag_cache::{Digest, Lookup, repair, verify};

use crate::world::{World, flip, key, row};

#[test]
fn damage_of_every_sort_is_repaired_and_what_nobody_has_is_told() {
    let world = World::new();
    let kept = world.published("kept", b"fetched again");
    let lost = world.published("lost", b"nobody has this");
    let orphan = world.cache.put_bytes(b"named by no record").unwrap();
    let damaged_record = world.published("bad record", b"its blob is whole");
    let memo = world.reopened().memo("sample").unwrap();
    for name in ["a", "b", "c"] {
        memo.put(row(name), format!("row {name}").as_bytes())
            .unwrap();
    }
    memo.flush().unwrap();
    drop(memo);

    let file = |below: &str, name: String| {
        let mut files = world.files(below).into_iter();
        files.find(|path| path.ends_with(&name)).unwrap()
    };
    for record in [&kept, &lost] {
        flip(
            &file("blobs-v1", record.outputs["text"].bytes.to_string()),
            3,
        );
    }
    flip(&file("records-v1", damaged_record.key.to_string()), 70);
    let segment = world.files("memo-v1")[0].clone();
    let frame = usize::try_from(fs_err::metadata(&segment).unwrap().len()).unwrap() / 3;
    flip(&segment, frame + 62);
    for strange in [
        "blobs-v1/zz/strange".to_owned(),
        format!("blobs-v1/00/{}", Digest::of(b"strange")),
        "records-v1/odd name".to_owned(),
        "memo-v1/sample/notes.txt".to_owned(),
    ] {
        let path = world.root().join(strange);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, "strange").unwrap();
    }

    let asked = RefCell::new(Vec::new());
    let cache = world.cache.clone();
    let fetch = |digest: &Digest| {
        asked.borrow_mut().push(*digest);
        let has = *digest == Digest::of(b"fetched again");
        if has {
            cache.put_bytes(b"fetched again")?;
        }
        Ok(has)
    };
    let report = repair(&world.cache, &fetch, |_| {}).unwrap();
    assert_eq!(report.found.damaged.len(), 8, "{:?}", report.found.damaged);
    // the orphan, and the blob of the record that was set aside
    assert_eq!(
        (report.found.orphans, report.found.incomplete.len()),
        (2, 2)
    );
    assert_eq!((report.fetched, report.fetched_bytes), (1, 13));
    assert_eq!((report.set_aside, report.segments), (4, 1));
    assert_eq!(report.incomplete, [lost.key]);
    assert!(report.is_whole());
    let mut asked = asked.take();
    asked.sort();
    let mut named = [&kept, &lost].map(|record| record.outputs["text"].bytes);
    named.sort();
    assert_eq!(asked, named, "only what a record names");

    let after = verify(&world.cache, |_| {}).unwrap();
    assert!(after.is_clean(), "{:?}", after.damaged);
    assert_eq!((after.rows, after.incomplete), (2, vec![lost.key]));
    assert!(matches!(world.cache.lookup(&kept.key), Lookup::Hit(_)));
    assert!(world.cache.read_blob(&orphan).is_ok());
    let memo = world.reopened().memo("sample").unwrap();
    let there = ["a", "b", "c"].map(|name| memo.contains(&row(name)));
    assert_eq!(there, [true, false, true]);
}

#[test]
fn the_files_of_a_model_are_fetched_after_its_manifest() {
    let world = World::new();
    let files: [(&str, &[u8]); 2] = [("config.json", b"{}"), ("weights", b"1234")];
    let (record, blobs) = world.published_model("model", &files);
    let contents: Vec<Vec<u8>> = blobs
        .iter()
        .map(|blob| world.cache.read_blob(blob).unwrap())
        .collect();
    for path in world.files("blobs-v1") {
        fs_err::remove_file(path).unwrap();
    }
    assert!(matches!(
        world.cache.lookup(&record.key),
        Lookup::Incomplete { .. }
    ));
    let cache = world.cache.clone();
    let fetch = |digest: &Digest| {
        let at = blobs.iter().position(|blob| blob == digest).unwrap();
        cache.put_bytes(&contents[at])?;
        Ok(true)
    };
    let report = repair(&world.cache, &fetch, |_| {}).unwrap();
    assert_eq!((report.fetched, report.incomplete.len()), (3, 0));
    assert!(matches!(world.cache.lookup(&record.key), Lookup::Hit(_)));
}

#[test]
fn a_segment_that_is_being_written_is_left_to_a_later_repair() {
    let world = World::new();
    let memo = world.cache.memo("sample").unwrap();
    memo.put(row("a"), b"damaged soon").unwrap();
    memo.put(row("b"), b"whole").unwrap();
    memo.flush().unwrap();
    let segment = world.files("memo-v1")[0].clone();
    {
        use std::os::unix::fs::FileExt as _;
        let file = fs_err::OpenOptions::new()
            .write(true)
            .open(&segment)
            .unwrap();
        file.into_parts().0.write_all_at(b"X", 61).unwrap();
    }
    let nobody = |_: &Digest| Ok(false);
    let report = repair(&world.cache, &nobody, |_| {}).unwrap();
    assert_eq!((report.segments, report.busy.len()), (0, 1));
    assert!(!report.is_whole());
    drop(memo);
    let report = repair(&world.cache, &nobody, |_| {}).unwrap();
    assert_eq!((report.segments, report.busy.len()), (1, 0));
    assert!(verify(&world.cache, |_| {}).unwrap().is_clean());
}

#[test]
fn a_repair_of_a_whole_cache_does_nothing() {
    let world = World::new();
    world.published("a", b"result");
    let report = repair(&world.cache, &|_| unreachable!(), |_| {}).unwrap();
    assert!(report.found.is_clean() && report.is_whole());
    assert_eq!(
        (report.fetched, report.set_aside, report.segments),
        (0, 0, 0)
    );
    assert!(matches!(world.cache.lookup(&key("a")), Lookup::Hit(_)));
}
