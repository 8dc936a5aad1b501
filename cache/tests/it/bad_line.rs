//! What a bad line does to a remote's answers is not taken for the remote's own doing, and a remote that is
//! gone is not waited for again and again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dag_cache::remote::{Listener, Notice, Push, Pushed, RemoteSpec, Remotes};
use dag_cache::store::{StoreOptions, open_store};
use dag_cache::trust::{Keyring, Trust, WriterKey};
use dag_cache::{CacheError, Lookup};
use dag_testing::{Ask, FakeBucket, FaultyProxy, Rule, WireFault};

use crate::world::{World, key, row};

/// Keeps what it hears.
#[derive(Default)]
struct Ear(Mutex<Vec<Notice>>);

impl Listener for Ear {
    fn hear(&self, notice: &Notice) {
        // Progress is no news here.
        if !matches!(
            notice,
            Notice::Begun { .. } | Notice::Moved { .. } | Notice::Ended { .. }
        ) {
            self.0.lock().unwrap().push(notice.clone());
        }
    }
}

impl Ear {
    fn heard(&self) -> Vec<Notice> {
        self.0.lock().unwrap().clone()
    }
}

/// Alice, who has a straight line to the bucket, and Bob, who has a bad one. Both sign with one key.
struct Team {
    bucket: FakeBucket,
    proxy: FaultyProxy,
    alice: World,
    bob: World,
    ear: Arc<Ear>,
}

impl Team {
    fn new() -> Self {
        let bucket = FakeBucket::start();
        let proxy = FaultyProxy::start(&bucket.url(), 1);
        let key = WriterKey::generate().unwrap().to_text();
        let (alice, bob) = (World::new(), World::new());
        connect(&alice, &bucket.store_url(), &key);
        let ear = connect(&bob, &bucket.store_url_at(&proxy.url()), &key);
        Self {
            bucket,
            proxy,
            alice,
            bob,
            ear,
        }
    }

    /// Alice's result of a key, pushed.
    fn has(self, name: &str, text: &[u8]) -> Self {
        self.alice.published(name, text);
        let pushed = self.alice.cache.push(&key(name), "team").unwrap();
        assert_eq!(pushed.outcome, Pushed::New);
        self
    }

    fn goes_wrong(&self, rule: Rule) {
        self.proxy.rules([rule]);
    }

    fn bob_finds(&self, name: &str) -> Lookup {
        self.bob.cache.lookup_all(&[key(name)]).remove(0)
    }
}

fn connect(world: &World, url: &str, key: &str) -> Arc<Ear> {
    let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let options = StoreOptions {
        environment: names
            .map(|name| (name.to_owned(), "some".to_owned()))
            .into(),
        small: Duration::from_millis(600),
        silence: Duration::from_millis(600),
        ..StoreOptions::default()
    };
    let key = WriterKey::from_text(key).unwrap();
    let mut keyring = Keyring::default();
    keyring.trust("team", key.writer()).unwrap();
    let spec = RemoteSpec {
        name: "team".to_owned(),
        store: open_store(url, &options).unwrap(),
        trust: Trust::Signed,
        push: Push::OnSuccess,
    };
    let ear = Arc::new(Ear::default());
    let listener = Arc::clone(&ear) as _;
    world
        .cache
        .connect(Remotes::new(vec![spec], keyring, Some(key), listener));
    ear
}

/// Reading something below a folder of the bucket.
fn reading(folder: &'static str) -> impl Fn(&Ask) -> bool {
    move |ask| {
        ask.method == "GET" && ask.target.contains(folder) && !ask.target.contains("list-type")
    }
}

#[test]
fn a_record_that_was_altered_on_the_way_is_read_again() {
    for fault in [WireFault::Flip, WireFault::TruncateQuietly] {
        let team = Team::new().has("s", b"what alice made");
        team.goes_wrong(fault.always().when(reading("/records-v1/")).times(1));
        assert!(matches!(team.bob_finds("s"), Lookup::Shared { .. }));
        assert_eq!(team.proxy.happened().len(), 1, "it was altered");
        assert_eq!(team.ear.heard(), []);
    }
}

#[test]
fn a_record_that_comes_altered_twice_is_refused() {
    let team = Team::new().has("s", b"what alice made");
    team.goes_wrong(WireFault::Flip.always().when(reading("/records-v1/")));
    assert!(matches!(team.bob_finds("s"), Lookup::Refused { .. }));
    assert!(matches!(team.ear.heard()[..], [Notice::Refused { .. }]));
}

#[test]
fn a_colleagues_record_does_not_give_way_because_of_a_bad_line() {
    let team = Team::new().has("s", b"alice's");
    team.bob.published("s", b"bob's");
    team.goes_wrong(
        WireFault::Flip
            .always()
            .when(reading("/records-v1/"))
            .times(1),
    );
    let report = team.bob.cache.push(&key("s"), "team").unwrap();
    assert!(
        matches!(report.outcome, Pushed::Adopted { .. }),
        "{report:?}"
    );
}

#[test]
fn rows_are_found_although_their_index_was_altered_on_the_way() {
    let team = Team::new();
    let memo = team.alice.cache.memo("sample").unwrap();
    memo.put(row("a"), b"true").unwrap();
    let used = memo.used();
    team.alice
        .cache
        .note_rows(&key("s"), "sample", &used)
        .unwrap();
    let team = team.has("s", b"a table");
    team.goes_wrong(WireFault::Flip.always().when(reading("/rows-v1/")).times(1));
    let memo = team.bob.cache.memo("sample").unwrap();
    assert_eq!(memo.get(&row("a")).unwrap().unwrap(), b"true");
    assert_eq!(team.proxy.happened().len(), 1, "it was altered");
    assert_eq!(team.ear.heard(), []);
}

#[test]
fn a_remote_is_not_blamed_for_what_lay_here_already() {
    let team = Team::new().has("s", b"what alice made");
    let Lookup::Shared { record, .. } = team.bob_finds("s") else {
        panic!("bob does not have it");
    };
    let blob = record.outputs["text"].bytes;
    let incoming = team.bob.root().join("incoming");
    fs_err::write(incoming.join(format!("fetch-{blob}")), b"wh@t").unwrap();
    // What comes after it is altered as well, and then what comes in its place: that is one time too few.
    team.goes_wrong(
        WireFault::Flip
            .always()
            .when(reading("/blobs-v1/"))
            .times(2),
    );
    let text = team.bob.cache.read_blob(&blob).unwrap();
    assert_eq!(text, b"what alice made");
    assert!(matches!(team.ear.heard()[..], [Notice::Bad { .. }]), "once");
}

#[test]
fn who_falls_silent_during_a_transfer_is_soon_given_up() {
    let team = Team::new();
    team.bob.published("s", b"text");
    let dead = AtomicBool::new(false);
    let from_now_on = move |ask: &Ask| {
        if ask.method == "PUT" {
            dead.store(true, Ordering::Relaxed);
        }
        dead.load(Ordering::Relaxed)
    };
    team.goes_wrong(WireFault::BlackHole.always().when(from_now_on));
    let began = Instant::now();
    let error = team.bob.cache.push(&key("s"), "team").unwrap_err();
    assert!(matches!(error, CacheError::Remote { .. }), "{error}");
    assert!(matches!(team.ear.heard()[..], [Notice::Down { .. }]));
    // Twice 0.6 s and a pause; five tries would take 6 s.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn a_lease_is_not_given_back_to_who_is_known_to_be_gone() {
    let team = Team::new();
    let leases = team.bob.cache.announce(&key("s"), "bob@laptop").unwrap();
    assert_eq!(leases.len(), 1);
    team.goes_wrong(WireFault::BlackHole.always());
    assert!(matches!(team.bob_finds("s"), Lookup::Miss));
    assert!(matches!(team.ear.heard()[..], [Notice::Down { .. }]));
    let asked = team.proxy.log().len();
    drop(leases);
    assert_eq!(team.proxy.log().len(), asked);
    assert_eq!(team.bucket.keys("leases-v1").len(), 1, "it goes stale");
}
