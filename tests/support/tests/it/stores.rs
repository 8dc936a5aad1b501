//! The cache's own store on the bucket, straight and through the proxy: what the one promises holds on the
//! other.

use std::io::{ErrorKind, Write as _};
use std::sync::Arc;
use std::time::Duration;

use dag_cache::store::{Created, Store, StoreOptions, check_conformance, open_store};
use dag_testing::{FakeBucket, FaultyProxy, Refuse, Rule, WireFault};

use crate::wire::bytes;

fn opened(url: &str) -> Arc<dyn Store> {
    let options = StoreOptions {
        environment: [
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        ..StoreOptions::default()
    };
    open_store(url, &options).unwrap()
}

struct World {
    bucket: FakeBucket,
    proxy: FaultyProxy,
    store: Arc<dyn Store>,
}

impl World {
    fn new(seed: u64, rules: impl IntoIterator<Item = Rule>) -> Self {
        let bucket = FakeBucket::start();
        let proxy = FaultyProxy::start(&bucket.url(), seed);
        proxy.rules(rules);
        let store = opened(&bucket.store_url_at(&proxy.url()));
        Self {
            bucket,
            proxy,
            store,
        }
    }
}

#[test]
fn a_store_on_the_bucket_keeps_its_promises() {
    let bucket = FakeBucket::start();
    check_conformance(&*opened(&bucket.store_url())).unwrap();
    assert!(bucket.keys("").is_empty());
    assert_eq!(bucket.open_uploads(), 0);
}

#[test]
fn a_store_below_a_prefix_keeps_its_promises_and_stays_there() {
    let bucket = FakeBucket::start();
    bucket.replace("check/a/b", b"a neighbour");
    let url = bucket.store_url().replace("bucket?", "bucket/team/cache?");
    let store = opened(&url);
    check_conformance(&*store).unwrap();
    store.put("x/y", b"bytes").unwrap();
    assert_eq!(bucket.keys(""), ["check/a/b", "team/cache/x/y"]);
}

#[test]
fn a_store_behind_the_calm_proxy_keeps_its_promises() {
    let world = World::new(1, []);
    check_conformance(&*world.store).unwrap();
    assert!(world.proxy.happened().is_empty());
    assert_eq!(world.proxy.log().len(), world.bucket.requests().len());
}

/// Runs the check over a bad line, and says which faults there were and whether all promises were kept. An
/// error is allowed, a broken promise is not.
fn over_a_bad_line(seed: u64) -> (Vec<String>, bool) {
    let faults = [
        WireFault::CutBefore,
        WireFault::CutDuring,
        WireFault::CutAfter,
        WireFault::Unavailable,
        WireFault::Truncate,
    ];
    let delay = WireFault::Delay(Duration::from_millis(5)).with(0.2);
    let world = World::new(
        seed,
        faults
            .map(|fault| fault.with(0.01))
            .into_iter()
            .chain([delay]),
    );
    let checked = check_conformance(&*world.store);
    if let Err(error) = &checked {
        let log: Vec<_> = world.proxy.log().iter().map(ToString::to_string).collect();
        let broken = error.to_string().contains("broken promise");
        assert!(!broken, "seed {seed}: {error}\n{}", log.join("\n"));
    }
    (
        world.proxy.happened().into_keys().collect(),
        checked.is_ok(),
    )
}

#[test]
fn a_store_behind_a_bad_line_keeps_its_promises() {
    let worlds: Vec<_> = (0..2_u64)
        .map(|seed| std::thread::spawn(move || over_a_bad_line(seed)))
        .collect();
    let ended: Vec<_> = worlds
        .into_iter()
        .map(|world| world.join().unwrap())
        .collect();
    let kept = ended.iter().filter(|(_, kept)| *kept).count();
    assert!(kept >= 1, "the line is not that bad: {ended:?}");
    let happened: std::collections::BTreeSet<_> = ended
        .into_iter()
        .flat_map(|(happened, _)| happened)
        .collect();
    assert!(happened.len() >= 3, "{happened:?}");
}

#[test]
fn an_answer_that_was_lost_is_not_taken_for_a_lost_race() {
    let lost = || {
        WireFault::CutAfter
            .always()
            .when(|ask| ask.method == "PUT")
            .times(1)
    };
    let world = World::new(1, [lost()]);
    assert_eq!(world.store.create("r/k", b"mine").unwrap(), Created::New);
    assert_eq!(world.bucket.read("r/k").as_deref(), Some(&b"mine"[..]));
    world.proxy.rules([lost()]);
    world.bucket.replace("r/other", b"theirs");
    assert_eq!(
        world.store.create("r/other", b"mine").unwrap(),
        Created::Exists
    );
    assert_eq!(
        world.bucket.read("r/other").as_deref(),
        Some(&b"theirs"[..])
    );
}

#[test]
fn a_large_file_goes_up_and_comes_down_over_a_bad_line() {
    let world = World::new(
        9,
        [
            WireFault::CutDuring.with(0.2),
            WireFault::CutAfter.with(0.1),
            WireFault::Truncate.with(0.2),
        ],
    );
    let whole = bytes(24 << 20);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&whole).unwrap();
    // either it is stored whole, or it is said that it is not
    let stored = world
        .store
        .put_file("b/large", file.path(), &mut |_| Ok(()));
    if let Err(error) = stored {
        assert_eq!(world.bucket.read("b/large"), None, "{error}");
        world.proxy.calm();
        world
            .store
            .put_file("b/large", file.path(), &mut |_| Ok(()))
            .unwrap();
    }
    assert!(world.bucket.read("b/large").unwrap() == whole);
    let mut read = Vec::new();
    let got = world.store.read_from("b/large", 0, &mut read);
    match got {
        Ok(count) => assert!(count == Some(whole.len() as u64) && read == whole),
        Err(error) => assert!(
            whole.starts_with(&read) && read.len() < whole.len(),
            "{error}"
        ),
    }
}

#[test]
fn a_refusal_and_a_bucket_that_is_down_are_errors_with_their_kind() {
    let world = World::new(1, []);
    world.bucket.replace("k/k", b"bytes");
    world.bucket.refuse(Refuse::Writes);
    let denied = world.store.put("k/new", b"x").unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::PermissionDenied, "{denied}");
    assert_eq!(
        world.store.read("k/k", 100).unwrap().as_deref(),
        Some(&b"bytes"[..])
    );
    let store = opened(&world.bucket.store_url());
    world.bucket.stop();
    let since = std::time::Instant::now();
    assert!(store.read("k/k", 100).is_err());
    assert!(
        since.elapsed() < Duration::from_secs(7),
        "{:?}",
        since.elapsed()
    );
    world.bucket.resume();
    assert_eq!(
        store.read("k/k", 100).unwrap().as_deref(),
        Some(&b"bytes"[..])
    );
}

/// A server of S3 that `tests/peers/stores.sh` started, as the proxy's server: heads pass letter by letter,
/// or its signatures would not hold.
#[test]
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn a_real_server_behind_the_proxy_keeps_its_promises() {
    let Ok(url) = std::env::var("DAG_TEST_S3") else {
        let all = std::env::var("DAG_TEST_ALL").is_ok_and(|all| all == "1");
        assert!(
            !all,
            "DAG_TEST_S3 is not set, and DAG_TEST_ALL=1 asks for every store"
        );
        println!("skipped: DAG_TEST_S3 names no server; tests/peers/stores.sh starts one");
        return;
    };
    let (place, endpoint) = url.split_once("?endpoint=").unwrap();
    let proxy = FaultyProxy::start(endpoint.split('&').next().unwrap(), 1);
    proxy.rules([
        WireFault::CutAfter.with(0.005),
        WireFault::CutBefore.with(0.005),
        WireFault::Unavailable.with(0.005),
    ]);
    let own = std::process::id();
    let options = StoreOptions {
        environment: std::env::vars()
            .filter(|(name, _)| name.starts_with("AWS_"))
            .collect(),
        ..StoreOptions::default()
    };
    let url = format!("{place}/proxied-{own}?endpoint={}", proxy.url());
    let checked = check_conformance(&*open_store(&url, &options).unwrap());
    let log: Vec<_> = proxy.log().iter().map(ToString::to_string).collect();
    assert!(checked.is_ok(), "{checked:?}\n{}", log.join("\n"));
    assert!(!proxy.happened().is_empty());
}
