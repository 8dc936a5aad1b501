//! Two people, each with a cache of their own, and a remote between them.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dag_cache::remote::{Deaf, Push, RemoteSpec, Remotes};
use dag_cache::store::{Created, MemoryStore, Store};
use dag_cache::trust::{Keyring, Trust, WriterKey};
use dag_engine::{StageOutcome, Status};

use crate::world::{World, after, chain};

/// A store between people, which counts the bytes it gives and can be out of reach.
#[derive(Default)]
struct Shelf {
    store: MemoryStore,
    gave: AtomicU64,
    down: AtomicBool,
}

impl Shelf {
    fn up(&self) -> io::Result<()> {
        if self.down.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"));
        }
        Ok(())
    }
}

impl Store for Shelf {
    fn size(&self, name: &str) -> io::Result<Option<u64>> {
        self.up()?;
        self.store.size(name)
    }
    fn read(&self, name: &str, at_most: u64) -> io::Result<Option<Vec<u8>>> {
        self.up()?;
        let bytes = self.store.read(name, at_most)?;
        let size = bytes.as_ref().map_or(0, Vec::len) as u64;
        self.gave.fetch_add(size, Ordering::Relaxed);
        Ok(bytes)
    }
    fn read_from(&self, name: &str, at: u64, to: &mut dyn io::Write) -> io::Result<Option<u64>> {
        self.up()?;
        let given = self.store.read_from(name, at, to)?;
        self.gave.fetch_add(given.unwrap_or(0), Ordering::Relaxed);
        Ok(given)
    }
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.up()?;
        self.store.put(name, bytes)
    }
    fn put_file(
        &self,
        name: &str,
        file: &Path,
        moved: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        self.up()?;
        self.store.put_file(name, file, moved)
    }
    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<Created> {
        self.up()?;
        self.store.create(name, bytes)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.up()?;
        self.store.remove(name)
    }
    fn list(
        &self,
        folder: &str,
        each: &mut dyn FnMut(&str, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        self.up()?;
        self.store.list(folder, each)
    }
}

/// Two worlds with the same stages, connected by a shelf; both trust one key.
fn two() -> (World, World, Arc<Shelf>) {
    let shelf = Arc::new(Shelf::default());
    let key = WriterKey::generate().unwrap();
    let mut keyring = Keyring::default();
    keyring.trust("team", key.writer()).unwrap();
    let member = || {
        let world = World::with(chain());
        let spec = RemoteSpec {
            name: "team".to_owned(),
            store: Arc::clone(&shelf) as _,
            trust: Trust::Signed,
            push: Push::OnSuccess,
        };
        let key = WriterKey::from_text(&key.to_text()).unwrap();
        world.cache.connect(Remotes::new(
            vec![spec],
            keyring.clone(),
            Some(key),
            Arc::new(Deaf),
        ));
        world
    };
    (member(), member(), shelf)
}

/// A stage that reads `b` and that nobody else has.
fn mine() -> crate::kind::NumbersSettings {
    crate::kind::NumbersSettings {
        values: vec![7],
        ..after(&["b"])
    }
}

fn blobs_given(shelf: &Shelf) -> u64 {
    shelf.gave.swap(0, Ordering::Relaxed)
}

#[test]
fn a_colleague_runs_nothing_and_fetches_records_alone() {
    let (alice, bob, shelf) = two();
    assert_eq!(alice.run().sorted_calls(), ["a", "b", "c"]);
    let plan = bob.plan();
    for stage in &plan.stages {
        assert!(
            matches!(&stage.status, Status::Remote { remote, bytes } if remote == "team" && *bytes > 0),
            "{:?}",
            stage.status
        );
    }
    let ran = bob.run();
    assert_eq!(ran.calls, [""; 0]);
    assert_eq!(ran.outcome("c"), StageOutcome::Cached);
    let mut blobs = 0;
    for record in ran.summary.records.values() {
        for output in record.outputs.values() {
            blobs += bob.cache.blob_size(&output.bytes).unwrap_or(0);
        }
    }
    assert_eq!(blobs, 0, "no file came");
    assert_eq!(
        ran.numbers("c"),
        [1, 2, 3],
        "and they come when they are read"
    );
    assert!(blobs_given(&shelf) > 0);
}

#[test]
fn a_stage_of_ones_own_fetches_what_it_reads() {
    let (alice, mut bob, _) = two();
    alice.run();
    bob.stages.push(("mine", mine()));
    let ran = bob.run();
    assert_eq!(ran.calls, ["mine"]);
    assert_eq!(ran.numbers("mine"), [1, 2, 3, 7]);
    let a = &ran.summary.records["a"];
    assert_eq!(
        bob.cache.blob_size(&a.outputs[&a.main].bytes),
        None,
        "what nobody read did not come"
    );
}

#[test]
fn a_remote_that_is_down_leaves_the_run_as_it_would_be_without() {
    let (_, bob, shelf) = two();
    shelf.down.store(true, Ordering::Relaxed);
    assert_eq!(bob.run().sorted_calls(), ["a", "b", "c"]);
}

#[test]
fn what_costs_nothing_is_made_again_when_its_files_are_out_of_reach() {
    let (alice, mut bob, shelf) = two();
    alice.run();
    bob.run();
    shelf.down.store(true, Ordering::Relaxed);
    bob.stages.push(("mine", mine()));
    let ran = bob.run();
    assert_eq!(ran.numbers("mine"), [1, 2, 3, 7]);
    assert_eq!(ran.sorted_calls(), ["a", "b", "b", "mine", "mine"]);
}

#[test]
fn what_was_paid_for_is_not_paid_for_again_because_a_remote_is_down() {
    let (mut alice, mut bob, shelf) = two();
    alice.stage("b").usd = 3;
    bob.stage("b").usd = 3;
    alice.run();
    bob.run();
    shelf.down.store(true, Ordering::Relaxed);
    bob.stages.push(("mine", mine()));
    let ran = bob.run();
    assert_eq!(ran.calls, ["mine"], "it tried, and `b` was left alone");
    assert_eq!(ran.outcome("mine"), StageOutcome::Failed);
    let report = ran
        .summary
        .stages
        .iter()
        .find(|report| report.stage == "mine")
        .unwrap();
    let failure = report.failure.as_ref().unwrap();
    assert!(
        failure.causes[0].contains("cannot be fetched: `team`: "),
        "{failure:?}"
    );
    assert!(
        failure.hint.as_ref().unwrap().contains("--force"),
        "{failure:?}"
    );
    assert!(bob.plan().stage("b").unwrap().status.is_there());
}

#[test]
fn files_that_a_remote_lost_or_changed_are_made_again_and_made_good_there() {
    for poison in [None, Some(&b"poison"[..])] {
        let (alice, mut bob, shelf) = two();
        let ran = alice.run();
        bob.run();
        let b = &ran.summary.records["b"];
        let digest = b.outputs[&b.main].bytes.to_string();
        let name = format!("blobs-v1/{}/{digest}", &digest[..2]);
        let sound = shelf.store.read(&name, 1 << 20).unwrap();
        shelf.store.remove(&name).unwrap();
        if let Some(poison) = poison {
            shelf.store.put(&name, poison).unwrap();
        }
        bob.stages.push(("mine", mine()));
        let ran = bob.run();
        assert_eq!(ran.numbers("mine"), [1, 2, 3, 7]);
        assert_eq!(ran.calls.iter().filter(|call| *call == "b").count(), 1);
        assert_eq!(shelf.store.read(&name, 1 << 20).unwrap(), sound);
    }
}

#[test]
fn who_waits_gets_the_colleagues_result() {
    let (alice, mut bob, _) = two();
    bob.options.wait = true;
    let key = bob.plan().stage("a").unwrap().key.unwrap();
    let lease = alice.cache.announce(&key, "alice@gpu3").unwrap();
    let ran = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| bob.run());
        std::thread::sleep(std::time::Duration::from_millis(300));
        // Her own run finds her own lease: she is at it already.
        drop(lease);
        alice.run();
        waiting.join().unwrap()
    });
    assert!(ran.summary.ended(StageOutcome::Failed).is_empty());
    assert_eq!(ran.numbers("c"), [1, 2, 3]);
    assert!(ran.calls.len() < 3, "{:?}", ran.calls);
}
