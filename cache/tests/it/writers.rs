//! Twenty writers race for one key, each with another result: one record wins, whoever lost has the winner's,
//! and all twenty report the same digest.
//!
//! Always against a bucket on loopback, a few rounds; where `DAG_TEST_S3` names a server (see
//! `tests/peers/stores.sh`), there as well, fifty rounds.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::time::Instant;

use dag_cache::remote::{Deaf, Push, Pushed, RemoteSpec, Remotes};
use dag_cache::store::{Store, StoreOptions, open_store};
use dag_cache::trust::{Keyring, Trust, WriterKey};
use dag_cache::{Digest, Lookup, Record};
use dag_testing::{FakeBucket, FaultyProxy, WireFault};

use crate::cloud_stores;
use crate::world::{World, key};

const WRITERS: usize = 20;

/// Who races, and one who only looks.
struct Racers {
    writers: Vec<(String, World)>,
    keyring: Keyring,
    open: Box<dyn Fn() -> Arc<dyn Store>>,
}

/// Somebody with a cache of their own and their own connections.
fn person(store: Arc<dyn Store>, keyring: &Keyring, key: Option<WriterKey>) -> World {
    let world = World::new();
    let spec = RemoteSpec {
        name: "team".to_owned(),
        store,
        trust: Trust::Signed,
        push: Push::Never,
    };
    let remotes = Remotes::new(vec![spec], keyring.clone(), key, Arc::new(Deaf));
    world.cache.connect(remotes);
    world
}

/// How often the winners were those who came first in the list, and how the race ended for each.
#[derive(Debug, Default)]
struct Ends {
    new: usize,
    adopted: usize,
}

impl Racers {
    fn with(open: impl Fn() -> Arc<dyn Store> + 'static) -> Self {
        let mut keyring = Keyring::default();
        let keys: Vec<(String, WriterKey)> = (0..WRITERS)
            .map(|number| (format!("writer-{number}"), WriterKey::generate().unwrap()))
            .collect();
        for (name, key) in &keys {
            keyring.trust(name, key.writer()).unwrap();
        }
        let writers = keys
            .into_iter()
            .map(|(name, key)| (name, person(open(), &keyring, Some(key))))
            .collect();
        Self {
            writers,
            keyring,
            open: Box::new(open),
        }
    }

    fn race(&self, round: usize) -> Ends {
        let key = key(&format!("round {round}"));
        let start = Barrier::new(WRITERS);
        let outcomes: Vec<(Record, Pushed)> = std::thread::scope(|scope| {
            let writers: Vec<_> = self
                .writers
                .iter()
                .map(|(name, world)| {
                    let start = &start;
                    scope.spawn(move || {
                        let text = format!("{round} by {name}");
                        let own = world.published(&format!("round {round}"), text.as_bytes());
                        start.wait();
                        (own, world.cache.push(&key, "team").unwrap().outcome)
                    })
                })
                .collect();
            writers
                .into_iter()
                .map(|writer| writer.join().unwrap())
                .collect()
        });

        let winners: Vec<usize> = (0..WRITERS)
            .filter(|at| outcomes[*at].1 == Pushed::New)
            .collect();
        let [winner] = winners[..] else {
            panic!("round {round}: {} writers won: {outcomes:?}", winners.len());
        };
        let won = &outcomes[winner].0;
        let mut ends = Ends::default();
        for (own, outcome) in &outcomes {
            match outcome {
                Pushed::New => ends.new += 1,
                Pushed::Adopted { record, writer } => {
                    assert_eq!(**record, *won, "round {round}");
                    assert_eq!(*writer, self.writers[winner].0, "round {round}");
                    ends.adopted += 1;
                }
                Pushed::Same | Pushed::Replaced { .. } => {
                    panic!("round {round}: {own:?} ended as {outcome:?}")
                }
            }
        }
        let mut reported = BTreeSet::new();
        for (name, world) in &self.writers {
            match world.cache.lookup(&key) {
                Lookup::Hit(record) | Lookup::Shared { record, .. } => {
                    assert_eq!(*record, *won, "round {round}, {name}");
                    reported.insert(record.outputs["text"].bytes);
                }
                other => panic!("round {round}: {name} has {other:?}"),
            }
        }
        assert_eq!(reported.len(), 1, "round {round}");

        // Also for who was not there, and its bytes can be had.
        let reader = person((self.open)(), &self.keyring, None);
        let Some(Lookup::Shared { record, .. }) = reader.cache.lookup_all(&[key]).pop() else {
            panic!("round {round}: nobody's record is there");
        };
        assert_eq!(*record, *won, "round {round}");
        let text: Digest = record.outputs["text"].bytes;
        let text = String::from_utf8(reader.cache.read_blob(&text).unwrap()).unwrap();
        assert_eq!(text, format!("{round} by {}", self.writers[winner].0));
        ends
    }

    #[expect(clippy::print_stderr, reason = "a race says how it went")]
    fn races(&self, rounds: usize, place: &str) {
        let began = Instant::now();
        let mut all = Ends::default();
        for round in 0..rounds {
            let ends = self.race(round);
            all.new += ends.new;
            all.adopted += ends.adopted;
        }
        eprintln!(
            "{WRITERS} writers, {rounds} rounds at {place}: {all:?}, {:.1?}",
            began.elapsed()
        );
        assert_eq!((all.new, all.adopted), (rounds, rounds * (WRITERS - 1)));
    }
}

/// Opens the bucket as if from another process: with connections of its own.
fn opened(url: String) -> impl Fn() -> Arc<dyn Store> {
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let options = StoreOptions {
        environment: keys.map(|key| (key.to_owned(), "some".to_owned())).into(),
        ..StoreOptions::default()
    };
    move || open_store(&url, &options).unwrap()
}

#[test]
fn one_of_twenty_records_wins_and_everybody_has_it() {
    let bucket = FakeBucket::start();
    let proxy = FaultyProxy::start(&bucket.url(), 1);
    let racers = Racers::with(opened(bucket.store_url_at(&proxy.url())));
    racers.races(5, "a bucket behind a calm line");
    assert_eq!(bucket.keys("records-v1").len(), 5);
}

#[test]
fn one_of_twenty_records_wins_although_answers_are_lost() {
    let bucket = FakeBucket::start();
    let proxy = FaultyProxy::start(&bucket.url(), 1);
    proxy.rules([WireFault::CutAfter
        .with(0.2)
        .when(|ask| ask.method == "PUT")]);
    let racers = Racers::with(opened(bucket.store_url_at(&proxy.url())));
    racers.races(5, "a bucket whose answers get lost");
    assert_eq!(bucket.keys("records-v1").len(), 5);
    assert!(!proxy.happened().is_empty());
}

#[test]
fn one_of_twenty_records_wins_at_a_real_server() {
    let Some(url) = cloud_stores::url("DAG_TEST_S3") else {
        return;
    };
    let options = cloud_stores::options();
    let place = url.split('?').next().unwrap().to_owned();
    let racers = Racers::with(move || open_store(&url, &options).unwrap());
    racers.races(50, &place);
}
