//! Object stores keep the promises of the trait, against real servers on loopback, and against servers that
//! are ill.
//!
//! `tests/peers/stores.sh` starts the real ones and sets the variables that name them. Without its variable
//! a test says that it was skipped; with `DAG_TEST_ALL=1` it fails.

mod faults;
mod loopback;
mod secrets;
mod uploads;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dag_cache::store::{Created, Store, StoreOptions, check_conformance, open_store};

/// What a variable holds; or none, and then it is said that a test was skipped.
#[expect(clippy::print_stderr, reason = "who runs the tests must hear of it")]
fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        let all = std::env::var("DAG_TEST_ALL").is_ok_and(|all| all == "1");
        assert!(
            !all,
            "{name} is not set, and DAG_TEST_ALL=1 asks for every server"
        );
        eprintln!("skipped: {name} names no server; tests/peers/stores.sh starts one");
    }
    value
}

/// The URL that a variable names, below a prefix of its own.
pub(crate) fn url(name: &str) -> Option<String> {
    let url = variable(name)?;
    let fresh = uuid::Uuid::now_v7();
    Some(match url.split_once('?') {
        Some((path, query)) => format!("{path}/{fresh}?{query}"),
        None => format!("{url}/{fresh}"),
    })
}

fn environment() -> BTreeMap<String, String> {
    std::env::vars()
        .filter(|(name, _)| name.starts_with("AWS_") || name.starts_with("AZURE_"))
        .collect()
}

pub(crate) fn options() -> StoreOptions {
    StoreOptions {
        environment: environment(),
        ..StoreOptions::default()
    }
}

fn opened(name: &str) -> Option<Arc<dyn Store>> {
    Some(open_store(&url(name)?, &options()).unwrap())
}

/// The stores that are there, each empty.
fn stores() -> Vec<(&'static str, Arc<dyn Store>)> {
    ["DAG_TEST_S3", "DAG_TEST_AZURE", "DAG_TEST_DAV"]
        .into_iter()
        .filter_map(|name| Some((name, opened(name)?)))
        .collect()
}

#[test]
fn s3_keeps_its_promises() {
    if let Some(store) = opened("DAG_TEST_S3") {
        check_conformance(&*store).unwrap();
    }
}

#[test]
fn azure_keeps_its_promises() {
    if let Some(store) = opened("DAG_TEST_AZURE") {
        check_conformance(&*store).unwrap();
    }
}

#[test]
fn webdav_keeps_its_promises() {
    if let Some(store) = opened("DAG_TEST_DAV") {
        check_conformance(&*store).unwrap();
    }
}

#[test]
fn one_of_twenty_writers_wins_however_often_they_race() {
    for (which, store) in stores() {
        for round in 0..15 {
            let name = format!("records-v1/41/{round}");
            let winners = AtomicUsize::new(0);
            let read: Vec<Vec<u8>> = std::thread::scope(|scope| {
                let writers: Vec<_> = (0..20_u8)
                    .map(|writer| {
                        let (store, name, winners) = (&store, &name, &winners);
                        scope.spawn(move || {
                            // In every third round all have the same to say, which only WebDAV cannot tell.
                            let same = round % 3 == 2 && which != "DAG_TEST_DAV";
                            let writer = if same { 0 } else { writer };
                            if store.create(name, &[writer; 300]).unwrap() == Created::New {
                                winners.fetch_add(1, Ordering::Relaxed);
                            }
                            store.read(name, 1000).unwrap().unwrap()
                        })
                    })
                    .collect();
                writers
                    .into_iter()
                    .map(|writer| writer.join().unwrap())
                    .collect()
            });
            assert_eq!(winners.into_inner(), 1, "{which}, round {round}");
            assert!(
                read.windows(2).all(|pair| pair[0] == pair[1]),
                "{which}, round {round}"
            );
        }
        let mut left = Vec::new();
        store
            .list("records-v1", &mut |name, _| {
                left.push(name.to_owned());
                Ok(())
            })
            .unwrap();
        assert_eq!(left.len(), 15, "{which}");
        // Over WebDAV, what is used on the way does not stay.
        for folder in ["incoming", "claims-v1"] {
            store
                .list(folder, &mut |name, _| panic!("{which} keeps {name}"))
                .unwrap();
        }
    }
}

#[test]
fn a_plain_web_server_is_read_and_refuses_everything_else() {
    let (Some(dav), Some(mirror)) = (variable("DAG_TEST_DAV"), variable("DAG_TEST_MIRROR")) else {
        return;
    };
    let fresh = uuid::Uuid::now_v7();
    let writer = open_store(&format!("{dav}/{fresh}"), &options()).unwrap();
    let large = vec![7; 3 << 20];
    writer.put("blobs-v1/9b/one", b"some bytes").unwrap();
    writer.put("blobs-v1/9b/none", b"").unwrap();
    writer.put("blobs-v1/9b/large", &large).unwrap();

    let reader = open_store(&format!("{mirror}/{fresh}"), &options()).unwrap();
    assert_eq!(
        reader.read("blobs-v1/9b/one", 100).unwrap().unwrap(),
        b"some bytes"
    );
    assert_eq!(reader.size("blobs-v1/9b/one").unwrap(), Some(10));
    assert_eq!(reader.size("blobs-v1/9b/none").unwrap(), Some(0));
    assert_eq!(reader.read("blobs-v1/9b/none", 100).unwrap().unwrap(), b"");
    assert_eq!(reader.size("blobs-v1/9b/two").unwrap(), None);
    assert_eq!(reader.read("blobs-v1/9b/two", 100).unwrap(), None);
    let mut rest = Vec::new();
    assert_eq!(
        reader
            .read_from("blobs-v1/9b/large", 1 << 20, &mut rest)
            .unwrap(),
        Some(2 << 20)
    );
    assert_eq!(rest, large[1 << 20..]);

    let file = tempfile::NamedTempFile::new().unwrap();
    let refused: [(&str, io::Result<()>); 5] = [
        ("put", reader.put("blobs-v1/9b/new", b"x")),
        (
            "put_file",
            reader.put_file("blobs-v1/9b/new", file.path(), &mut |_| Ok(())),
        ),
        ("create", reader.create("blobs-v1/9b/new", b"x").map(drop)),
        ("remove", reader.remove("blobs-v1/9b/one")),
        ("list", reader.list("blobs-v1", &mut |_, _| Ok(()))),
    ];
    for (what, result) in refused {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{what}: {error}");
        assert!(error.to_string().contains("only read"), "{what}: {error}");
    }
}

#[test]
fn credentials_that_do_not_allow_it_are_told_apart_from_a_server_that_cannot() {
    let denied = |result: io::Result<()>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
        assert!(error.to_string().contains("credentials"), "{error}");
    };
    if let (Some(url), Some(reader)) = (url("DAG_TEST_S3"), variable("DAG_TEST_S3_READER")) {
        let writer = open_store(&url, &options()).unwrap();
        writer.put("blobs-v1/one", b"bytes").unwrap();
        let mut environment = environment();
        environment.insert("AWS_ACCESS_KEY_ID".to_owned(), reader);
        let reading = StoreOptions {
            environment: environment.clone(),
            ..StoreOptions::default()
        };
        let store = open_store(&url, &reading).unwrap();
        assert_eq!(store.read("blobs-v1/one", 100).unwrap().unwrap(), b"bytes");
        denied(store.put("blobs-v1/two", b"x"));
        denied(store.create("blobs-v1/two", b"x").map(drop));
        denied(store.remove("blobs-v1/one"));
        environment.insert("AWS_SECRET_ACCESS_KEY".to_owned(), "wrong".to_owned());
        let wrong = StoreOptions {
            environment,
            ..StoreOptions::default()
        };
        let store = open_store(&url, &wrong).unwrap();
        denied(store.read("blobs-v1/one", 100).map(drop));
        denied(store.size("blobs-v1/one").map(drop));
    }
    if let Some(url) = url("DAG_TEST_AZURE") {
        let mut environment = environment();
        environment.insert("AZURE_STORAGE_KEY".to_owned(), "d3Jvbmc=".to_owned());
        let wrong = StoreOptions {
            environment,
            ..StoreOptions::default()
        };
        let store = open_store(&url, &wrong).unwrap();
        denied(store.read("blobs-v1/one", 100).map(drop));
        denied(store.put("blobs-v1/one", b"x"));
    }
    if let Some(url) = url("DAG_TEST_DAV") {
        let store = open_store(&url.replace("secret-word", "wrong"), &options()).unwrap();
        denied(store.read("blobs-v1/one", 100).map(drop));
        denied(store.size("blobs-v1/one").map(drop));
        denied(store.put("blobs-v1/one", b"x"));
        denied(store.create("blobs-v1/one", b"x").map(drop));
        denied(store.list("blobs-v1", &mut |_, _| Ok(())));
    }
}

#[test]
fn a_bucket_that_is_not_there_is_not_taken_for_an_empty_one() {
    // SeaweedFS answers as if the name were absent, and makes the bucket when something is stored: for S3 a
    // server answers as Amazon's does.
    let body = "<Error><Code>NoSuchBucket</Code></Error>";
    let answer = format!(
        "HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let amazon = loopback::Answering::with(&answer, loopback::Then::Close);
    let s3 = format!("s3://bucket/c?endpoint=http://127.0.0.1:{}", amazon.port);
    let mut options = options();
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    options
        .environment
        .extend(keys.map(|name| (name.to_owned(), "some".to_owned())));
    let azure = variable("DAG_TEST_AZURE").map(|url| url.replace("dag-test", "dag-nowhere"));
    for url in azure.into_iter().chain([s3]) {
        let name = url.split(':').next().unwrap();
        let store = open_store(&url, &options).unwrap();
        for (what, result) in [
            ("read", store.read("records-v1/41/a", 100).map(drop)),
            ("list", store.list("records-v1", &mut |_, _| Ok(()))),
            ("create", store.create("records-v1/41/a", b"x").map(drop)),
        ] {
            let error = result.expect_err(&format!("{name} {what}"));
            assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{name}: {error}");
            assert!(
                error.to_string().contains("no such bucket"),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn calls_work_inside_another_runtime() {
    for (_, store) in stores() {
        let work = move || {
            store.put("a/b", b"bytes").unwrap();
            let mut read = Vec::new();
            store.read_from("a/b", 1, &mut read).unwrap();
            assert_eq!(read, b"ytes");
            assert_eq!(store.create("a/c", b"x").unwrap(), Created::New);
            let mut names = 0;
            store
                .list("a", &mut |_, _| {
                    names += 1;
                    Ok(())
                })
                .unwrap();
            assert_eq!(names, 2);
            store.remove("a/b").unwrap();
            store.remove("a/c").unwrap();
        };
        let mut alone = tokio::runtime::Builder::new_current_thread();
        alone.build().unwrap().block_on(async { work() });
        let mut many = tokio::runtime::Builder::new_multi_thread();
        let runtime = many.worker_threads(1).build().unwrap();
        runtime
            .block_on(async { tokio::spawn(async move { work() }).await })
            .unwrap();
    }
}

#[test]
fn sixty_four_threads_ask_at_once() {
    for (which, store) in stores() {
        store.put("there", b"12345").unwrap();
        std::thread::scope(|scope| {
            for thread in 0..64 {
                let store = &store;
                scope.spawn(move || {
                    for round in 0..5 {
                        assert_eq!(store.size("there").unwrap(), Some(5), "{which}");
                        let absent = format!("absent/{thread}/{round}");
                        assert_eq!(store.size(&absent).unwrap(), None, "{which}");
                    }
                });
            }
        });
    }
}
