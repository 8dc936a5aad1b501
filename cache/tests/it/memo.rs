//! Rows that were put come back, whatever happened to the writer; damage costs only what it touches.

use std::collections::BTreeMap;

use dag_cache::RowKey;
use proptest::prelude::*;

use crate::world::{World, flip, overwrite, row};

#[test]
fn rows_come_back_here_and_in_another_process() {
    let world = World::new();
    let memo = world.cache.memo("sample").unwrap();
    for n in 0..200 {
        memo.put(row(&n.to_string()), format!("row {n}").as_bytes())
            .unwrap();
    }
    assert_eq!(memo.get(&row("7")).unwrap().unwrap(), b"row 7");
    assert_eq!(memo.get(&row("absent")).unwrap(), None);
    drop(memo);
    let again = world.reopened().memo("sample").unwrap();
    assert_eq!(again.len(), 200);
    for n in 0..200 {
        assert_eq!(
            again.get(&row(&n.to_string())).unwrap().unwrap(),
            format!("row {n}").as_bytes()
        );
    }
    assert!(
        world.reopened().memo("reformat").unwrap().is_empty(),
        "kinds are kept apart"
    );
}

#[test]
fn a_second_row_under_a_key_takes_the_first_ones_place() {
    let world = World::new();
    let memo = world.cache.memo("sample").unwrap();
    memo.put(row("a"), b"cut short").unwrap();
    memo.put(row("a"), b"whole").unwrap();
    assert_eq!(memo.get(&row("a")).unwrap().unwrap(), b"whole");
    drop(memo);
    assert_eq!(
        world
            .reopened()
            .memo("sample")
            .unwrap()
            .get(&row("a"))
            .unwrap()
            .unwrap(),
        b"whole"
    );
}

#[test]
fn sixty_four_rows_are_on_disk_without_being_asked_for() {
    let world = World::new();
    let memo = world.cache.memo("sample").unwrap();
    for n in 0..64 {
        memo.put(row(&n.to_string()), b"paid for").unwrap();
    }
    // another process, while the first is alive and has flushed nothing itself
    assert_eq!(world.reopened().memo("sample").unwrap().len(), 64);
}

#[test]
fn a_segment_cut_at_any_length_keeps_every_whole_row_and_is_no_damage() {
    let world = World::new();
    let memo = world.cache.memo("sample").unwrap();
    let rows = ["one", "two, longer", "", "four"];
    let mut ends = Vec::new();
    for text in rows {
        memo.put(row(text), text.as_bytes()).unwrap();
        memo.flush().unwrap();
        ends.push(fs_err::metadata(&world.files("memo-v1")[0]).unwrap().len());
    }
    drop(memo);
    let segment = world.files("memo-v1")[0].clone();
    let whole = fs_err::read(&segment).unwrap();
    for length in 0..=whole.len() {
        overwrite(&segment, &whole[..length]);
        let memo = world.reopened().memo("sample").unwrap();
        let expected = ends.iter().filter(|end| **end <= length as u64).count();
        assert_eq!(memo.len(), expected, "length {length}");
        assert!(
            memo.damaged().is_empty(),
            "length {length}: {:?}",
            memo.damaged()
        );
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_costs_one_row() {
    let world = World::new();
    let memo = world.cache.memo("sample").unwrap();
    for n in 0..5 {
        memo.put(row(&n.to_string()), format!("row number {n}").as_bytes())
            .unwrap();
    }
    drop(memo);
    let segment = world.files("memo-v1")[0].clone();
    let whole = fs_err::read(&segment).unwrap();
    for at in 0..whole.len() {
        overwrite(&segment, &whole);
        flip(&segment, at);
        let memo = world.reopened().memo("sample").unwrap();
        assert_eq!(memo.len(), 4, "byte {at}");
        assert_eq!(memo.damaged().len(), 1, "byte {at}");
        for n in 0..5 {
            if let Some(found) = memo.get(&row(&n.to_string())).unwrap() {
                assert_eq!(found, format!("row number {n}").as_bytes(), "byte {at}");
            }
        }
    }
}

#[test]
fn damage_that_comes_after_opening_is_found_on_reading() {
    let world = World::new();
    let memo = world.cache.memo("sample").unwrap();
    memo.put(row("a"), b"some row").unwrap();
    memo.flush().unwrap();
    let segment = world.files("memo-v1")[0].clone();
    let mut bytes = fs_err::read(&segment).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs_err::write(&segment, &bytes).unwrap();
    assert_eq!(memo.get(&row("a")).unwrap(), None);
    assert_eq!(memo.damaged().len(), 1);
}

#[test]
fn writers_do_not_disturb_each_other() {
    let world = World::new();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let cache = world.reopened();
            scope.spawn(move || {
                let memo = cache.memo("sample").unwrap();
                for n in 0..100 {
                    memo.put(row(&format!("{writer}/{n}")), &[writer; 33])
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(world.reopened().memo("sample").unwrap().len(), 400);
}

#[test]
fn stages_of_one_process_share_their_rows_at_once() {
    let world = World::new();
    let (one, other) = (
        world.cache.memo("sample").unwrap(),
        world.cache.memo("sample").unwrap(),
    );
    one.put(row("a"), b"answer").unwrap();
    assert_eq!(other.get(&row("a")).unwrap().unwrap(), b"answer");
    assert_eq!(world.cache.memo("sample").unwrap().len(), 1);
    assert_eq!(world.files("memo-v1").len(), 1);
}

#[test]
fn rows_of_another_process_are_seen_within_a_second() {
    let world = World::new();
    let (here, there) = (
        world.cache.memo("sample").unwrap(),
        world.reopened().memo("sample").unwrap(),
    );
    for n in 0..3 {
        let key = row(&n.to_string());
        assert_eq!(here.get(&key).unwrap(), None);
        there.put(key, b"answer").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1050));
        assert_eq!(here.get(&key).unwrap().unwrap(), b"answer");
    }
    assert!(here.damaged().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_memo_is_a_map(puts in prop::collection::vec((0_u8..6, prop::collection::vec(any::<u8>(), 0..300)), 0..60)) {
        let world = World::new();
        let mut expected: BTreeMap<RowKey, Vec<u8>> = BTreeMap::new();
        for chunk in puts.chunks(20) {
            // each chunk is another writer
            let memo = world.reopened().memo("sample").unwrap();
            for (name, bytes) in chunk {
                let key = row(&name.to_string());
                memo.put(key, bytes).unwrap();
                expected.insert(key, bytes.clone());
            }
        }
        let memo = world.reopened().memo("sample").unwrap();
        prop_assert_eq!(memo.len(), expected.len());
        for (key, bytes) in expected {
            prop_assert_eq!(memo.get(&key).unwrap(), Some(bytes));
        }
    }
}
