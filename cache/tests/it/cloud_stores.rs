//! Object stores keep the promises of the trait, against real servers on loopback.
//!
//! `tests/peers/stores.sh` starts the servers and sets the variables that name them. Without its variable a
//! test says that it was skipped; with `DAG_TEST_ALL=1` it fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use dag_cache::store::{Store, StoreOptions, check_conformance, open_store};

/// The URL that a variable names, below a prefix of its own; or none, and then the reason is printed.
fn url(variable: &str) -> Option<String> {
    match std::env::var(variable) {
        Ok(url) if !url.is_empty() => {
            let fresh = uuid::Uuid::now_v7();
            let (path, query) = url.split_once('?').unwrap_or((&url, ""));
            let mark = if query.is_empty() { "" } else { "?" };
            Some(format!("{path}/{fresh}{mark}{query}"))
        }
        _ => {
            let all = std::env::var("DAG_TEST_ALL").is_ok_and(|all| all == "1");
            assert!(
                !all,
                "{variable} is not set, and DAG_TEST_ALL=1 asks for every store"
            );
            println!("skipped: {variable} names no server; tests/peers/stores.sh starts one");
            None
        }
    }
}

fn options() -> StoreOptions {
    let environment: BTreeMap<_, _> = std::env::vars()
        .filter(|(name, _)| name.starts_with("AWS_") || name.starts_with("AZURE_"))
        .collect();
    StoreOptions {
        environment,
        ..StoreOptions::default()
    }
}

fn opened(variable: &str) -> Option<Arc<dyn Store>> {
    Some(open_store(&url(variable)?, &options()).unwrap())
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
