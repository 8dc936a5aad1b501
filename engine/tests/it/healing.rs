//! Damage in the cache is found on reading and healed by making the result again.

use std::path::PathBuf;

use crate::world::{Ran, World, after, chain};

fn blob(world: &World, ran: &Ran, stage: &str) -> PathBuf {
    let record = &ran.summary.records[stage];
    world
        .cache
        .blob_path(&record.outputs[&record.main].bytes)
        .unwrap()
}

fn flip_a_byte(path: &PathBuf) {
    let mut bytes = fs_err::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let mut permissions = fs_err::metadata(path).unwrap().permissions();
    #[expect(
        clippy::permissions_set_readonly_false,
        reason = "a temporary file of the test"
    )]
    permissions.set_readonly(false);
    fs_err::set_permissions(path, permissions).unwrap();
    fs_err::write(path, bytes).unwrap();
}

#[test]
fn a_blob_that_is_gone_is_made_again() {
    let world = World::with(chain());
    let first = world.run();
    fs_err::remove_file(blob(&world, &first, "a")).unwrap();
    let ran = world.run();
    assert_eq!(ran.calls, ["a"]);
    assert_eq!(world.why("a"), ["never ran before"]);
}

#[test]
fn a_flipped_byte_is_found_by_the_next_reader_and_healed() {
    let mut world = World::with(chain());
    let first = world.run();
    flip_a_byte(&blob(&world, &first, "a"));
    // A new reader of `a` finds it.
    world.stages.push(("more", after(&["a", "b"])));
    let ran = world.run();
    assert_eq!(
        ran.calls.iter().filter(|stage| *stage == "a").count(),
        1,
        "{:?}",
        ran.calls
    );
    assert_eq!(ran.numbers("more"), [1, 2, 3, 40, 1, 2, 3]);
    assert_eq!(ran.numbers("a"), first.numbers("a"));
    assert_eq!(world.run().calls, [""; 0]);
}
