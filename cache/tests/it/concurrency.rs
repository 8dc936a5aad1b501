//! Many writers, one cache.

use std::sync::Barrier;

use dag_cache::{LeaseError, Lookup, Published};

use crate::world::{World, key};

#[test]
fn of_many_racing_results_one_wins_and_everybody_can_tell_which() {
    for round in 0..20 {
        let world = World::new();
        let start = Barrier::new(6);
        let name = format!("race {round}");
        let told: Vec<Published> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..6)
                .map(|writer| {
                    let (world, start, name) = (&world, &start, &name);
                    scope.spawn(move || {
                        let record = world.record(name, format!("result {writer}").as_bytes());
                        start.wait();
                        world.reopened().publish(&record).unwrap()
                    })
                })
                .collect();
            writers
                .into_iter()
                .map(|writer| writer.join().unwrap())
                .collect()
        });
        assert_eq!(
            told.iter()
                .filter(|told| matches!(told, Published::New))
                .count(),
            1
        );
        let Lookup::Hit(winner) = world.cache.lookup(&key(&name)) else {
            panic!("no record")
        };
        for told in told {
            if let Published::Kept(kept) = told {
                assert_eq!(kept, winner);
            }
        }
    }
}

#[test]
fn a_lease_has_one_holder_and_says_who() {
    let world = World::new();
    let held = world.cache.lease(&key("a")).unwrap();
    match world.reopened().lease(&key("a")) {
        Err(LeaseError::Held { by }) => assert_eq!(by, format!("process {}", std::process::id())),
        other => panic!("{other:?}"),
    }
    assert!(world.cache.lease(&key("b")).is_ok(), "another key is free");
    drop(held);
    assert!(world.reopened().lease(&key("a")).is_ok());
}
