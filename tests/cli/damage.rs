//! Damage in the cache: whatever byte flips, it is found, told, and healed by the next run, which ends
//! where the undamaged one ended.

use std::path::{Path, PathBuf};

use crate::world::World;

const ALL: [&str; 4] = ["problems", "traces", "accepted", "formatted"];

/// Every file of the cache in the folders whose name begins so.
fn files(world: &World, kind: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = children(&world.cache())
        .into_iter()
        .filter(|path| name(path).starts_with(kind))
        .collect();
    assert!(!open.is_empty(), "the cache has no folder `{kind}…`");
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(children(&path));
        } else if fs_err::metadata(&path).unwrap().len() > 0 {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn children(folder: &Path) -> Vec<PathBuf> {
    fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Flips one bit of the byte at this share of the file's length.
#[expect(
    clippy::permissions_set_readonly_false,
    reason = "a temporary file of the test"
)]
fn flip(path: &Path, share: f64) {
    let mut bytes = fs_err::read(path).unwrap();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a small file"
    )]
    let place = ((bytes.len() - 1) as f64 * share) as usize;
    bytes[place] ^= 0x10;
    let mut permissions = fs_err::metadata(path).unwrap().permissions();
    permissions.set_readonly(false);
    fs_err::set_permissions(path, permissions).unwrap();
    fs_err::write(path, bytes).unwrap();
}

/// Flips a byte in every file of a kind, one after the other: verify tells each, and the next run
/// gives what was there before, without a new question to the teacher.
fn check_every_file_of(kind: &str) {
    let world = World::with_problems(6).ran();
    let before = world.contents(&ALL);
    world.calls();
    for (turn, path) in files(&world, kind).into_iter().enumerate() {
        if !path.exists() {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "a few files")]
        let share = (turn as f64 * 0.37).fract();
        flip(&path, share);
        let told = world.dag(&["cache", "verify", "--json"]).ended_with(7);
        let damaged = told.json["damaged"].as_array().unwrap();
        assert_eq!(damaged.len(), 1, "{kind} {}: {damaged:?}", path.display());
        world.run().succeeded();
        assert_eq!(world.contents(&ALL), before, "after {}", path.display());
        assert_eq!(world.calls(), 0, "finished rows are in the memo");
        world.dag(&["cache", "verify"]).succeeded();
    }
}

#[test]
fn a_flipped_byte_in_any_blob_is_told_by_verify_and_healed_by_the_next_run() {
    check_every_file_of("blobs");
}

#[test]
fn a_flipped_byte_in_any_record_is_told_by_verify_and_healed_by_the_next_run() {
    check_every_file_of("records");
}

#[test]
fn a_flipped_byte_in_the_memo_is_told_and_costs_the_rows_it_touches() {
    let world = World::with_problems(30).ran();
    let before = world.contents(&ALL);
    world.calls();
    let segments = files(&world, "memo");
    assert!(!segments.is_empty());
    for path in &segments {
        flip(path, 0.5);
    }
    let told = world.dag(&["cache", "verify", "--json"]).ended_with(7);
    assert!(!told.json["damaged"].as_array().unwrap().is_empty());

    // The results do not depend on it; only a stage that reads the memo again asks for what is gone.
    assert_eq!(world.run().succeeded().stages("cached"), ALL);
    let forced = world
        .dag(&["run", "--json", "--force", "traces"])
        .succeeded();
    assert_eq!(
        forced.stages("ran"),
        ["traces"],
        "the same content stops there"
    );
    let calls = world.calls();
    assert!(
        (1..=2).contains(&calls),
        "{calls} questions for a flipped byte"
    );
    assert_eq!(world.contents(&ALL), before);
}

#[test]
fn a_flipped_byte_is_found_by_the_next_stage_that_reads_it() {
    let world = World::with_problems(6);
    let traces_only = world
        .dag(&["run", "--json", "--until", "traces"])
        .succeeded();
    assert_eq!(traces_only.stages("ran"), ["problems", "traces"]);
    let shown = world.dag(&["show", "traces", "--path"]).succeeded();
    let blob = PathBuf::from(shown.stdout.trim());
    world.calls();
    flip(&blob, 0.6);

    let ran = world.run().succeeded();
    assert_eq!(
        ran.stages("ran"),
        ["traces", "accepted", "formatted"],
        "{}",
        ran.stderr
    );
    assert_eq!(world.calls(), 0);
    assert_eq!(
        ran.stage("accepted")["counts"]["in"],
        12,
        "{:#}",
        ran.stage("accepted")
    );
    world.dag(&["cache", "verify"]).succeeded();

    let beside = world.beside(6).ran();
    assert_eq!(world.contents(&ALL), beside.contents(&ALL));
}

#[test]
fn a_blob_that_was_removed_by_hand_is_made_again() {
    let world = World::with_problems(6).ran();
    let before = world.contents(&ALL);
    for path in files(&world, "blobs") {
        fs_err::remove_file(path).unwrap();
    }
    let ran = world.run().succeeded();
    assert_eq!(ran.stages("ran"), ALL);
    assert_eq!(world.contents(&ALL), before);
}
