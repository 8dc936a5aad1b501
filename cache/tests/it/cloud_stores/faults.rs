//! Servers that are gone, silent, ill or that lie.

use std::io;
use std::time::{Duration, Instant};

use dag_cache::store::{Created, Store, StoreOptions, open_store};

use super::loopback::{Answering, Between, Rule, Then, dead_port};
use super::{environment, url};

const KEYS: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "someone"),
    ("AWS_SECRET_ACCESS_KEY", "something"),
    ("AZURE_STORAGE_ACCOUNT", "someone"),
    ("AZURE_STORAGE_KEY", "c29tZXRoaW5n"),
];

fn some_keys() -> StoreOptions {
    StoreOptions {
        environment: KEYS
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..StoreOptions::default()
    }
}

/// A store of each kind at a port of loopback.
fn stores_at(port: u16, options: &StoreOptions) -> Vec<std::sync::Arc<dyn Store>> {
    [
        format!("s3://bucket/cache?endpoint=http://127.0.0.1:{port}"),
        format!("az://container/cache?endpoint=http://127.0.0.1:{port}/someone"),
        format!("http://127.0.0.1:{port}/cache"),
    ]
    .iter()
    .map(|url| open_store(url, options).unwrap())
    .collect()
}

/// What each small operation comes to.
fn each_operation(store: &dyn Store) -> Vec<(&'static str, io::Error, Duration)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let calls: [(&str, &(dyn Fn() -> io::Result<()> + Sync)); 7] = [
        ("size", &|| store.size("a/b").map(drop)),
        ("read", &|| store.read("a/b", 10).map(drop)),
        ("read_from", &|| {
            store.read_from("a/b", 0, &mut Vec::new()).map(drop)
        }),
        ("put", &|| store.put("a/b", b"x")),
        ("create", &|| store.create("a/b", b"x").map(drop)),
        ("remove", &|| store.remove("a/b")),
        ("list", &|| store.list("a", &mut |_, _| Ok(()))),
    ];
    let file = file.path();
    let put_file = || store.put_file("a/b", file, &mut |_| Ok(()));
    std::thread::scope(|scope| {
        let mut running: Vec<_> = calls
            .into_iter()
            .map(|(what, call)| {
                scope.spawn(move || {
                    let start = Instant::now();
                    (what, call().unwrap_err(), start.elapsed())
                })
            })
            .collect();
        running.push(scope.spawn(move || {
            let start = Instant::now();
            ("put_file", put_file().unwrap_err(), start.elapsed())
        }));
        running
            .into_iter()
            .map(|call| call.join().unwrap())
            .collect()
    })
}

/// Every operation of every kind of store ends in time, with this kind of error.
fn all_end(port: u16, kind: io::ErrorKind, within: Duration) {
    let stores = stores_at(port, &some_keys());
    std::thread::scope(|scope| {
        for store in &stores {
            scope.spawn(move || {
                for (what, error, took) in each_operation(&**store) {
                    assert_eq!(error.kind(), kind, "{what}: {error}");
                    assert!(took < within, "{what} took {took:?}: {error}");
                }
            });
        }
    });
}

#[test]
fn a_server_that_is_gone_costs_less_than_five_seconds() {
    all_end(
        dead_port(),
        io::ErrorKind::ConnectionRefused,
        Duration::from_secs(2),
    );
}

#[test]
fn a_server_that_says_nothing_costs_about_five_seconds() {
    let server = Answering::silent();
    all_end(
        server.port,
        io::ErrorKind::TimedOut,
        Duration::from_millis(6500),
    );
}

#[test]
fn a_server_that_is_ill_is_asked_again_and_then_given_up() {
    let answer =
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = Answering::with(answer, Then::Close);
    all_end(
        server.port,
        io::ErrorKind::ResourceBusy,
        Duration::from_secs(6),
    );
    let asked = server.asked.load(std::sync::atomic::Ordering::Relaxed);
    assert!((40..=120).contains(&asked), "{asked} requests for 24 calls");
}

#[test]
fn a_large_file_costs_no_more_than_a_small_one_where_nobody_answers() {
    let server = Answering::silent();
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(40 << 20).unwrap();
    let stores = stores_at(server.port, &some_keys());
    std::thread::scope(|scope| {
        for store in &stores {
            scope.spawn(|| {
                let start = Instant::now();
                let error = store
                    .put_file("a/b", file.path(), &mut |_| Ok(()))
                    .unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
                assert!(
                    start.elapsed() < Duration::from_millis(6500),
                    "{:?}",
                    start.elapsed()
                );
            });
        }
    });
}

#[test]
fn a_stream_that_stalls_ends_and_what_came_is_the_beginning() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{}",
        "x".repeat(1000)
    );
    let server = Answering::with(&answer, Then::Silence);
    let options = StoreOptions {
        silence: Duration::from_secs(1),
        ..some_keys()
    };
    let store = open_store(&format!("http://127.0.0.1:{}/c", server.port), &options).unwrap();
    let (start, mut read) = (Instant::now(), Vec::new());
    let error = store.read_from("a/b", 0, &mut read).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(read, "x".repeat(1000).into_bytes());
}

#[test]
fn an_answer_that_breaks_off_is_no_answer() {
    let head = "HTTP/1.1 200 OK\r\netag: \"e\"\r\nlast-modified: Wed, 01 Jan 2025 00:00:00 GMT\r\n";
    let answer = format!(
        "{head}content-length: 1000\r\nconnection: close\r\n\r\n{}",
        "x".repeat(400)
    );
    let server = Answering::with(&answer, Then::Close);
    for store in stores_at(server.port, &some_keys()) {
        let error = store.read("a/b", 5000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{error}");
        assert!(store.read_from("a/b", 0, &mut Vec::new()).is_err());
    }
}

#[test]
fn a_claim_of_a_huge_size_is_refused_before_memory_is_taken() {
    let answer = "HTTP/1.1 200 OK\r\netag: \"e\"\r\nlast-modified: Wed, 01 Jan 2025 00:00:00 GMT\r\n\
        content-length: 9000000000000000000\r\n\r\nsome";
    let server = Answering::with(answer, Then::Silence);
    for store in stores_at(server.port, &some_keys()) {
        let error = store.read("a/b", 1 << 20).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
    }
}

#[test]
fn nonsense_is_an_error_and_no_panic() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsome",
        "HTTP/1.1 207 Multi-Status\r\ncontent-length: 4\r\nconnection: close\r\n\r\n<xml",
        "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 5-1/0\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 301 Moved Permanently\r\ncontent-length: 0\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
    ] {
        let server = Answering::with(answer, Then::Close);
        let stores = stores_at(server.port, &some_keys());
        std::thread::scope(|scope| {
            for store in &stores {
                scope.spawn(move || {
                    // Whether these succeed depends on the kind; that they end in time is what counts.
                    let start = Instant::now();
                    store.size("a/b").ok();
                    store.read("a/b", 10).ok();
                    store.list("a", &mut |_, _| Ok(())).ok();
                    store.create("a/b", b"x").ok();
                    assert!(
                        start.elapsed() < Duration::from_secs(22),
                        "{:?}",
                        start.elapsed()
                    );
                    store.read_from("a/b", 0, &mut Vec::new()).ok();
                });
            }
        });
    }
}

#[test]
fn a_lost_answer_is_not_taken_for_a_lost_race() {
    for variable in ["DAG_TEST_S3", "DAG_TEST_DAV"] {
        let Some((url, between)) = between(variable) else {
            continue;
        };
        let options = StoreOptions {
            environment: environment(),
            ..StoreOptions::default()
        };
        let store = open_store(&url, &options).unwrap();
        // Over WebDAV the name is looked for first, so that the second writer decides nothing.
        let asks_first = variable == "DAG_TEST_DAV";
        for lost in 1..=if asks_first { 1 } else { 3 } {
            let name = format!("records-v1/41/{lost}");
            between.set(Rule::LoseAnswers(lost));
            let created = store.create(&name, b"mine").unwrap();
            assert_eq!(created, Created::New, "{variable}, {lost} answers lost");
            assert_eq!(between.rule(), Rule::LoseAnswers(0));
            between.set(Rule::LoseAnswers(lost));
            let created = store.create(&name, b"other").unwrap();
            assert_eq!(created, Created::Exists, "{variable}, {lost} answers lost");
            between.set(Rule::Pass);
            assert_eq!(store.read(&name, 100).unwrap().unwrap(), b"mine");
        }
    }
}

#[test]
fn a_winner_that_others_overtook_is_told_that_it_won() {
    for variable in ["DAG_TEST_S3", "DAG_TEST_DAV"] {
        let Some((url, between)) = between(variable) else {
            continue;
        };
        let options = StoreOptions {
            environment: environment(),
            ..StoreOptions::default()
        };
        let direct = url.replace(&between.port.to_string(), &between.server_port());
        let (late, direct) = (
            open_store(&url, &options).unwrap(),
            open_store(&direct, &options).unwrap(),
        );
        // Folders that only the first writer of all makes.
        direct.create("records-v1/41/first", b"x").unwrap();
        for round in 0..3 {
            let name = format!("records-v1/41/{round}");
            between.set(Rule::DelayAnswers);
            std::thread::scope(|scope| {
                let winner = scope.spawn(|| late.create(&name, b"mine").unwrap());
                between.wait_for_hit();
                assert_eq!(
                    direct.create(&name, b"other").unwrap(),
                    Created::Exists,
                    "{variable}"
                );
                assert_eq!(
                    direct.read(&name, 100).unwrap().unwrap(),
                    b"mine",
                    "{variable}"
                );
                assert_eq!(winner.join().unwrap(), Created::New, "{variable}");
            });
        }
    }
}

#[test]
fn a_machine_without_credentials_is_told_so_at_once() {
    let metadata = format!("http://127.0.0.1:{}", dead_port());
    let options = StoreOptions {
        environment: [("AWS_METADATA_ENDPOINT".to_owned(), metadata)].into(),
        ..StoreOptions::default()
    };
    let url = format!("s3://bucket/c?endpoint=http://127.0.0.1:{}", dead_port());
    let start = Instant::now();
    let error = open_store(&url, &options).unwrap().size("a/b").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
    assert!(
        error.to_string().contains("there are no credentials"),
        "{error}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

/// A store's URL through a server in between.
pub(super) fn between(variable: &str) -> Option<(String, Between)> {
    let url = url(variable)?;
    let begin = url.rfind("127.0.0.1:").unwrap();
    let (before, rest) = url.split_at(begin);
    let (server, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let between = Between::before(server.to_owned());
    Some((format!("{before}127.0.0.1:{}{path}", between.port), between))
}
