//! Results of colleagues: found by key, believed by seal, fetched when they are read.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dag_cache::remote::{
    AuditOptions, Listener, Notice, Push, Pushed, RemoteSpec, Remotes, Watched, audit,
};
use dag_cache::store::{Created, MemoryStore, Store};
use dag_cache::trust::{Keyring, Trust, WriterKey};
use dag_cache::{CacheError, Digest, Lookup};

use crate::world::{World, key, row};

/// A store in memory that counts what is asked of it, and can be made to fail.
#[derive(Default)]
struct Shelf {
    store: MemoryStore,
    reads: AtomicU64,
    down: AtomicBool,
}

impl Shelf {
    fn up(&self) -> io::Result<()> {
        if self.down.load(Ordering::Relaxed) {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                "nobody listens",
            ));
        }
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let mut names = Vec::new();
        self.store
            .list(folder, &mut |name, _| {
                names.push(name.to_owned());
                Ok(())
            })
            .unwrap();
        names
    }
}

impl Store for Shelf {
    fn size(&self, name: &str) -> io::Result<Option<u64>> {
        self.up()?;
        self.store.size(name)
    }
    fn read(&self, name: &str, at_most: u64) -> io::Result<Option<Vec<u8>>> {
        self.up()?;
        self.store.read(name, at_most)
    }
    fn read_from(&self, name: &str, at: u64, to: &mut dyn io::Write) -> io::Result<Option<u64>> {
        self.up()?;
        self.store.read_from(name, at, to)
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

/// Keeps what it hears.
#[derive(Default)]
struct Ear(Mutex<Vec<Notice>>);

impl Listener for Ear {
    fn hear(&self, notice: &Notice) {
        self.0.lock().unwrap().push(notice.clone());
    }
}

/// Somebody with a cache of their own, connected to the shelf.
struct Person {
    world: World,
    ear: Arc<Ear>,
}

struct Team {
    shelf: Arc<Shelf>,
    keys: Vec<(&'static str, WriterKey)>,
}

impl Team {
    fn of(names: &[&'static str]) -> Self {
        let keys = names
            .iter()
            .map(|name| (*name, WriterKey::generate().unwrap()))
            .collect();
        Self {
            shelf: Arc::default(),
            keys,
        }
    }

    /// A member, who trusts all members.
    fn member(&self, name: &str) -> Person {
        self.with_trust(name, Trust::Signed)
    }

    fn with_trust(&self, name: &str, trust: Trust) -> Person {
        let mut keyring = Keyring::default();
        for (name, key) in &self.keys {
            keyring.trust(name, key.writer()).unwrap();
        }
        let key = self.keys.iter().find(|(other, _)| *other == name);
        let key = key.map(|(_, key)| WriterKey::from_text(&key.to_text()).unwrap());
        self.person(keyring, key, trust)
    }

    fn person(&self, keyring: Keyring, key: Option<WriterKey>, trust: Trust) -> Person {
        let world = World::new();
        let ear = Arc::new(Ear::default());
        let spec = RemoteSpec {
            name: "team".to_owned(),
            store: Arc::clone(&self.shelf) as _,
            trust,
            push: Push::OnSuccess,
        };
        world.cache.connect(Remotes::new(
            vec![spec],
            keyring,
            key,
            Arc::clone(&ear) as _,
        ));
        Person { world, ear }
    }
}

impl Person {
    fn finds(&self, name: &str) -> Lookup {
        self.world.cache.lookup_all(&[key(name)]).remove(0)
    }

    fn text(&self, digest: &Digest) -> Result<Vec<u8>, CacheError> {
        self.world.cache.read_blob(digest)
    }

    fn heard(&self, wanted: impl Fn(&Notice) -> bool) -> bool {
        self.ear.0.lock().unwrap().iter().any(wanted)
    }
}

#[test]
fn a_pushed_result_is_a_hit_for_a_colleague_and_its_bytes_come_when_they_are_read() {
    let team = Team::of(&["alice", "bob"]);
    let (alice, bob) = (team.member("alice"), team.member("bob"));
    let record = alice.world.published("s", b"what alice made");
    let report = alice.world.cache.push(&key("s"), "team").unwrap();
    assert_eq!(report.outcome, Pushed::New);
    assert_eq!((report.blobs, report.bytes), (1, 15));

    let Lookup::Shared {
        record: found,
        remote,
        bytes,
    } = bob.finds("s")
    else {
        panic!("{:?}", bob.finds("s"));
    };
    assert_eq!(
        (*found, remote.as_str(), bytes),
        (record.clone(), "team", 15)
    );
    let blob = record.outputs["text"].bytes;
    assert_eq!(bob.world.cache.blob_size(&blob), None, "nothing came yet");
    assert_eq!(bob.text(&blob).unwrap(), b"what alice made");
    assert!(
        matches!(bob.finds("s"), Lookup::Hit(_)),
        "now it is all here"
    );

    let asked = team.shelf.reads.load(Ordering::Relaxed);
    assert!(matches!(bob.finds("s"), Lookup::Hit(_)));
    assert_eq!(
        team.shelf.reads.load(Ordering::Relaxed),
        asked,
        "what is here is not asked for"
    );
}

#[test]
fn an_adopted_result_stays_one_while_the_remote_is_down() {
    let team = Team::of(&["alice", "bob"]);
    let (alice, bob) = (team.member("alice"), team.member("bob"));
    let record = alice.world.published("s", b"text");
    alice.world.cache.push(&key("s"), "team").unwrap();
    assert!(matches!(bob.finds("s"), Lookup::Shared { .. }));
    team.shelf.down.store(true, Ordering::Relaxed);
    assert!(matches!(bob.finds("s"), Lookup::Shared { .. }));
    let error = bob.text(&record.outputs["text"].bytes).unwrap_err();
    assert!(
        matches!(&error, CacheError::Unreachable { reason, .. } if reason.contains("nobody listens")),
        "{error}"
    );
    assert!(matches!(bob.finds("other"), Lookup::Miss));
    let told = |notice: &Notice| matches!(notice, Notice::Down { .. });
    assert!(bob.heard(told));
    let heard = bob.ear.0.lock().unwrap();
    assert_eq!(
        heard.iter().filter(|notice| told(notice)).count(),
        1,
        "once"
    );
}

#[test]
fn what_a_stranger_or_nobody_signed_is_a_miss_with_its_reason() {
    let team = Team::of(&["alice", "bob"]);
    let bob = team.member("bob");
    let stranger = team.person(
        Keyring::default(),
        Some(WriterKey::generate().unwrap()),
        Trust::Any,
    );
    stranger.world.published("s", b"poison");
    stranger.world.cache.push(&key("s"), "team").unwrap();
    let Lookup::Refused { reasons } = bob.finds("s") else {
        panic!("it was believed");
    };
    assert!(
        reasons[0].contains("`team` has a record, but"),
        "{reasons:?}"
    );
    assert!(bob.heard(|notice| matches!(notice, Notice::Refused { .. })));

    // Who is trusted takes the place of who is not.
    bob.world.published("s", b"sound");
    let report = bob.world.cache.push(&key("s"), "team").unwrap();
    assert!(
        matches!(report.outcome, Pushed::Replaced { .. }),
        "{report:?}"
    );
    assert!(matches!(
        team.member("alice").finds("s"),
        Lookup::Shared { .. }
    ));
}

#[test]
fn a_writer_who_is_revoked_is_believed_no_more_even_for_what_was_adopted() {
    let team = Team::of(&["alice", "bob"]);
    let (alice, bob) = (team.member("alice"), team.member("bob"));
    alice.world.published("s", b"text");
    alice.world.cache.push(&key("s"), "team").unwrap();
    assert!(matches!(bob.finds("s"), Lookup::Shared { .. }));
    let mut keyring = Keyring::default();
    let writer = team.keys[0].1.writer();
    keyring.trust("alice", writer).unwrap();
    keyring.revoke(writer, "2026-01-01T00:00:00Z");
    let again = bob.world.reopened();
    let remotes = Remotes::new(Vec::new(), keyring, None, Arc::new(Ear::default()));
    again.connect(remotes);
    let Lookup::Damaged { reason } = again.lookup(&key("s")) else {
        panic!("it is still believed");
    };
    assert!(reason.contains("revoked"), "{reason}");
}

#[test]
fn of_two_results_for_a_key_the_first_counts_for_both() {
    let team = Team::of(&["alice", "bob"]);
    let (alice, bob) = (team.member("alice"), team.member("bob"));
    alice.world.published("s", b"alice's");
    bob.world.published("s", b"bob's");
    alice.world.cache.push(&key("s"), "team").unwrap();
    let report = bob.world.cache.push(&key("s"), "team").unwrap();
    let Pushed::Adopted { record, writer } = report.outcome else {
        panic!("{report:?}");
    };
    assert_eq!(writer, "alice");
    assert_eq!(report.blobs, 0, "what loses is not sent");
    let Lookup::Shared { record: now, .. } = bob.world.cache.lookup(&key("s")) else {
        panic!("bob kept his own");
    };
    assert_eq!(now, record);
    assert_eq!(bob.text(&now.outputs["text"].bytes).unwrap(), b"alice's");
}

#[test]
fn twenty_writers_agree_on_one_record() {
    let team = Team::of(&["w"]);
    let people: Vec<Person> = (0..20).map(|_| team.member("w")).collect();
    for round in 0..20 {
        let name = format!("round {round}");
        std::thread::scope(|scope| {
            for (number, person) in people.iter().enumerate() {
                let name = &name;
                scope.spawn(move || {
                    person
                        .world
                        .published(name, format!("{round} {number}").as_bytes());
                    person.world.cache.push(&key(name), "team").unwrap();
                });
            }
        });
        let digests: BTreeSet<Digest> = people
            .iter()
            .map(|person| match person.world.cache.lookup(&key(&name)) {
                Lookup::Hit(record) | Lookup::Shared { record, .. } => record.outputs["text"].bytes,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(digests.len(), 1);
    }
}

#[test]
fn a_swapped_blob_is_told_and_never_read() {
    let team = Team::of(&["alice", "bob"]);
    let (alice, bob) = (team.member("alice"), team.member("bob"));
    let record = alice.world.published("s", b"what alice made");
    alice.world.cache.push(&key("s"), "team").unwrap();
    let blob = &team.shelf.names("blobs-v1")[0];
    for poison in [&b"what Alice made"[..], b"", b"short", &[7; 100_000]] {
        team.shelf.store.put(blob, poison).unwrap();
        assert!(matches!(bob.finds("s"), Lookup::Shared { .. }));
        let error = bob.text(&record.outputs["text"].bytes).unwrap_err();
        assert!(matches!(error, CacheError::Missing(_)), "{error}");
        assert!(bob.heard(|notice| matches!(notice, Notice::Bad { .. })));
    }
    team.shelf.store.put(blob, b"what alice made").unwrap();
    assert_eq!(
        bob.text(&record.outputs["text"].bytes).unwrap(),
        b"what alice made"
    );
}

#[test]
fn a_model_comes_whole_with_all_its_files() {
    let team = Team::of(&["alice", "bob"]);
    let (alice, bob) = (team.member("alice"), team.member("bob"));
    let folder = tempfile::tempdir().unwrap();
    fs_err::create_dir(folder.path().join("part")).unwrap();
    for (name, text) in [
        ("config.json", "{}"),
        ("part/weights", "1234"),
        ("empty", ""),
    ] {
        fs_err::write(folder.path().join(name), text).unwrap();
    }
    let tree = alice.world.cache.put_tree(folder.path()).unwrap();
    let mut record = alice.world.record("m", b"unused");
    let output = record.outputs.get_mut("text").unwrap();
    output.artifact = dag_cache::ArtifactType::Model;
    output.bytes = tree.bytes;
    output.content = tree.content;
    output.size = tree.size;
    alice.world.cache.publish(&record).unwrap();
    let report = alice.world.cache.push(&key("m"), "team").unwrap();
    assert_eq!(report.blobs, 4, "a manifest and three files");
    assert!(matches!(bob.finds("m"), Lookup::Shared { .. }));
    let there = bob.world.cache.tree_path(&tree.bytes).unwrap();
    assert_eq!(fs_err::read(there.join("part/weights")).unwrap(), b"1234");
    assert!(matches!(bob.finds("m"), Lookup::Hit(_)));
}

#[test]
fn many_small_files_are_stored_without_asking_for_each_and_a_cut_push_stores_only_the_rest() {
    let team = Team::of(&["alice"]);
    let alice = team.member("alice");
    let names: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let files: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (&**name, name.as_bytes()))
        .collect();
    alice.world.published_model("m", &files);
    let push = || alice.world.cache.push(&key("m"), "team").unwrap();

    let asked = || team.shelf.reads.load(Ordering::Relaxed);
    assert_eq!(push().blobs, 201, "a manifest and 200 files");
    assert!(asked() < 300, "{} calls for 201 blobs", asked());

    // As a push leaves it that was cut: the first blobs, and no record.
    let mut blobs = team.shelf.names("blobs-v1");
    blobs.sort_unstable();
    for name in &blobs[150..] {
        team.shelf.store.remove(name).unwrap();
    }
    for name in team.shelf.names("records-v1") {
        team.shelf.store.remove(&name).unwrap();
    }
    assert_eq!(push().blobs, 51);
    assert_eq!(team.shelf.names("blobs-v1").len(), 201);
}

#[test]
fn rows_are_found_by_a_colleague_whose_stage_is_another() {
    let team = Team::of(&["alice", "bob"]);
    let (alice, bob) = (team.member("alice"), team.member("bob"));
    let memo = alice.world.cache.memo("sample").unwrap();
    for number in 0..100 {
        memo.put(
            row(&number.to_string()),
            format!("answer {number}").as_bytes(),
        )
        .unwrap();
    }
    alice
        .world
        .cache
        .note_rows(&key("s"), "sample", &memo.used())
        .unwrap();
    alice.world.published("s", b"table of 100");
    assert_eq!(alice.world.cache.push(&key("s"), "team").unwrap().rows, 100);
    assert_eq!(
        alice.world.cache.push(&key("s"), "team").unwrap().rows,
        0,
        "rows that are there are not sent again"
    );

    let memo = bob.world.cache.memo("sample").unwrap();
    assert!(memo.contains(&row("7")) && !memo.contains(&row("100")));
    assert_eq!(memo.get(&row("7")).unwrap().unwrap(), b"answer 7");
    assert_eq!(memo.get(&row("100")).unwrap(), None);
    assert_eq!(memo.len(), 100, "its pack came with it");
}

#[test]
fn rows_of_a_stage_that_is_not_shared_stay() {
    let team = Team::of(&["alice", "bob"]);
    let (alice, bob) = (team.member("alice"), team.member("bob"));
    let private = alice.world.cache.private_memo("sample").unwrap();
    private.put(row("secret"), b"secret").unwrap();
    let shared = alice.world.cache.memo("sample").unwrap();
    shared.put(row("open"), b"open").unwrap();
    assert_eq!(private.get(&row("open")).unwrap().unwrap(), b"open");
    let used = shared.used();
    alice
        .world
        .cache
        .note_rows(&key("s"), "sample", &used)
        .unwrap();
    alice.world.published("s", b"table");
    alice.world.cache.push(&key("s"), "team").unwrap();
    let memo = bob.world.cache.memo("sample").unwrap();
    assert_eq!(memo.get(&row("open")).unwrap().unwrap(), b"open");
    assert_eq!(memo.get(&row("secret")).unwrap(), None);

    // Asked for by a stage that is shared, it is that stage's as well.
    assert_eq!(shared.get(&row("secret")).unwrap().unwrap(), b"secret");
    assert!(shared.used().contains(&row("secret")));
}

#[test]
fn a_forged_row_index_or_pack_gives_no_row() {
    let team = Team::of(&["alice", "bob"]);
    let alice = team.member("alice");
    let memo = alice.world.cache.memo("sample").unwrap();
    memo.put(row("a"), b"true").unwrap();
    alice
        .world
        .cache
        .note_rows(&key("s"), "sample", &memo.used())
        .unwrap();
    alice.world.published("s", b"table");
    alice.world.cache.push(&key("s"), "team").unwrap();
    let index = team.shelf.names("rows-v1").remove(0);
    let sound = team.shelf.store.read(&index, 1 << 20).unwrap().unwrap();
    let mut forged = sound.clone();
    *forged.last_mut().unwrap() ^= 1;
    let moved = index.replace(&key("s").to_string(), &key("t").to_string());
    for (name, bytes) in [(&index, &forged), (&moved, &sound)] {
        team.shelf.store.remove(&index).unwrap();
        team.shelf.store.put(name, bytes).unwrap();
        let bob = team.member("bob");
        let memo = bob.world.cache.memo("sample").unwrap();
        assert_eq!(memo.get(&row("a")).unwrap(), None);
        assert!(bob.heard(|notice| matches!(notice, Notice::Refused { .. })));
        team.shelf.store.remove(name).unwrap();
    }
    team.shelf.store.put(&index, &sound).unwrap();
    for pack in team.shelf.names("blobs-v1") {
        team.shelf.store.put(&pack, b"poison").unwrap();
    }
    let bob = team.member("bob");
    let memo = bob.world.cache.memo("sample").unwrap();
    assert_eq!(memo.get(&row("a")).unwrap(), None);
}

#[test]
fn who_begins_is_told_of_a_colleague_at_work_and_sees_them_end() {
    let team = Team::of(&["alice", "bob"]);
    let (alice, bob) = (team.member("alice"), team.member("bob"));
    let lease = alice.world.cache.announce(&key("s"), "alice@gpu3").unwrap();
    assert_eq!(lease.len(), 1);
    let Err(mut busy) = bob.world.cache.announce(&key("s"), "bob@laptop") else {
        panic!("bob was not told");
    };
    assert_eq!(busy.by, "alice@gpu3");
    assert_eq!(busy.look(), Watched::Held);
    drop(lease);
    assert_eq!(busy.look(), Watched::Over);
    assert_eq!(
        bob.world
            .cache
            .announce(&key("s"), "bob@laptop")
            .unwrap()
            .len(),
        1
    );
    assert!(team.shelf.names("leases-v1").is_empty(), "given back");
}

#[test]
fn without_a_key_nothing_is_written() {
    let team = Team::of(&["alice"]);
    let reader = team.with_trust("nobody", Trust::Signed);
    reader.world.published("s", b"text");
    let error = reader.world.cache.push(&key("s"), "team").unwrap_err();
    assert!(matches!(error, CacheError::NoWriterKey), "{error}");
    assert!(
        reader
            .world
            .cache
            .announce(&key("s"), "r")
            .unwrap()
            .is_empty()
    );
    assert!(team.shelf.names("records-v1").is_empty());
}

#[test]
fn an_unfinished_result_gives_way_to_one_with_fewer_holes() {
    let team = Team::of(&["alice", "bob"]);
    let (alice, bob) = (team.member("alice"), team.member("bob"));
    let mut holes = alice.world.record("s", b"with holes");
    holes.unfinished = 3;
    alice.world.cache.publish(&holes).unwrap();
    alice.world.cache.push(&key("s"), "team").unwrap();
    bob.world.published("s", b"whole");
    let report = bob.world.cache.push(&key("s"), "team").unwrap();
    assert!(
        matches!(report.outcome, Pushed::Replaced { .. }),
        "{report:?}"
    );
}

#[test]
fn an_audit_finds_what_is_damaged_and_missing_and_stores_it_again() {
    let team = Team::of(&["alice", "bob"]);
    let alice = team.member("alice");
    for name in ["a", "b", "c"] {
        alice.world.published(name, name.as_bytes());
        alice.world.cache.push(&key(name), "team").unwrap();
    }
    let stranger = team.person(
        Keyring::default(),
        Some(WriterKey::generate().unwrap()),
        Trust::Any,
    );
    stranger.world.published("d", b"d");
    stranger.world.cache.push(&key("d"), "team").unwrap();
    let all = AuditOptions {
        sample: 1.0,
        repair: false,
    };
    let cache = &alice.world.cache;
    let sound = audit(cache, "team", &all, |_| ()).unwrap();
    assert!(sound.is_clean(), "{sound:?}");
    assert_eq!(
        (
            sound.records,
            sound.refused.len(),
            sound.blobs,
            sound.unnamed
        ),
        (3, 1, 4, 1)
    );

    let blobs = team.shelf.names("blobs-v1");
    let of = |text: &[u8]| {
        let digest = Digest::of(text).to_string();
        blobs.iter().find(|name| name.ends_with(&digest)).unwrap()
    };
    team.shelf.store.put(of(b"a"), b"A").unwrap();
    team.shelf.store.remove(of(b"b")).unwrap();
    let found = audit(cache, "team", &all, |_| ()).unwrap();
    assert_eq!(found.damaged, [Digest::of(b"a")]);
    assert_eq!(found.missing, [Digest::of(b"b")]);
    assert!(!found.is_clean());
    let repair = AuditOptions {
        repair: true,
        ..all
    };
    assert_eq!(audit(cache, "team", &repair, |_| ()).unwrap().repaired, 2);
    assert!(audit(cache, "team", &all, |_| ()).unwrap().is_clean());
}

#[test]
fn an_audit_that_was_cut_goes_on_where_it_was() {
    let team = Team::of(&["alice"]);
    let alice = team.member("alice");
    for number in 0..40 {
        let name = number.to_string();
        alice.world.published(&name, name.as_bytes());
        alice.world.cache.push(&key(&name), "team").unwrap();
    }
    let all = AuditOptions {
        sample: 1.0,
        repair: false,
    };
    let mut blobs = 0;
    let shelf = Arc::clone(&team.shelf);
    let cut = audit(&alice.world.cache, "team", &all, |_| {
        blobs += 1;
        shelf.down.store(blobs >= 10, Ordering::Relaxed);
    });
    assert!(matches!(cut, Err(CacheError::Remote { .. })), "{cut:?}");
    team.shelf.down.store(false, Ordering::Relaxed);
    // As another process would.
    let again = team.member("alice");
    let state = alice.world.root().join("audits-v1");
    fs_err::create_dir_all(again.world.root()).unwrap();
    fs_err::rename(&state, again.world.root().join("audits-v1")).unwrap();
    let mut read = 0;
    let report = audit(&again.world.cache, "team", &all, |_| read += 1).unwrap();
    assert_eq!(report.blobs, 40);
    assert!(report.is_clean());
    assert!((20..=30).contains(&read), "{read} of 40 were left to read");
}

#[test]
fn what_is_private_is_not_pushed() {
    let team = Team::of(&["alice"]);
    let alice = team.member("alice");
    alice.world.published("s", b"text");
    alice.world.cache.keep_private(&key("s"), true).unwrap();
    let error = alice.world.cache.push(&key("s"), "team").unwrap_err();
    assert!(matches!(error, CacheError::Private(_)), "{error}");
    assert!(team.shelf.names("blobs-v1").is_empty());
}

#[test]
fn a_note_that_would_move_a_colleagues_cursor_is_refused() {
    let team = Team::of(&["alice", "bob"]);
    let (alice, bob) = (team.member("alice"), team.member("bob"));
    let mut record = alice.world.record("s", b"text");
    record.notes = vec!["all good \u{1b}[2J".to_owned()];
    alice.world.cache.publish(&record).unwrap();
    alice.world.cache.push(&key("s"), "team").unwrap();
    let Lookup::Refused { reasons } = bob.finds("s") else {
        panic!("it was believed");
    };
    assert!(reasons[0].contains("control characters"), "{reasons:?}");
}
