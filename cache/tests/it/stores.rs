//! Every store keeps the promises of the trait.

use dag_cache::store::{
    LocalStore, MemoryStore, OpenError, StoreOptions, check_conformance, open_store,
};

/// The words of the error with which a URL is refused.
fn refused(url: &str) -> String {
    match open_store(url, &StoreOptions::default()) {
        Ok(_) => panic!("{url} is a store"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_folder_named_by_a_url_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let url = url::Url::from_directory_path(folder.path().join("a cache")).unwrap();
    let store = open_store(url.as_str(), &StoreOptions::default()).unwrap();
    check_conformance(&*store).unwrap();
    assert!(folder.path().join("a cache").is_dir());
}

#[test]
fn a_folder_whose_file_system_is_not_mounted_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/mnt/cache", folder.path().display());
    let error = open_store(&url, &StoreOptions::default()).err().unwrap();
    assert!(matches!(error, OpenError::Folder { .. }), "{error}");
    assert!(!folder.path().join("mnt").exists());
}

#[test]
fn a_url_that_is_no_store_says_what_would_be() {
    insta::assert_snapshot!(refused("/mnt/team"), @"a store is named by a URL such as `file:///mnt/team/cache` or `s3://bucket/cache`: relative URL without a base");
    insta::assert_snapshot!(refused("ftp://me:secret@host/c"), @"`ftp://host/c`: no store begins with `ftp:`; use file, s3, gs, az, http or https");
    insta::assert_snapshot!(refused("file://host/c"), @"`file://host/c`: a folder of this machine is written `file:///path`, with three slashes");
}

#[cfg(not(feature = "cloud"))]
#[test]
fn a_build_without_object_stores_says_so() {
    insta::assert_snapshot!(refused("s3://bucket/c?region=x"), @"`s3://bucket/c`: this build knows only `file://`; build dag-cache with the feature `cloud` for `s3://`");
}

#[cfg(feature = "cloud")]
#[test]
fn a_url_says_nothing_that_is_not_honoured() {
    insta::assert_snapshot!(refused("s3://bucket/c?regoin=x"), @"`s3://bucket/c`: `?regoin=` is no setting of this store; there is endpoint, region");
    insta::assert_snapshot!(refused("s3://me:secret@bucket/c"), @"`s3://bucket/c`: credentials do not belong into a URL; they come from the environment");
    insta::assert_snapshot!(refused("https://host/c?sig=x"), @"`https://host/c`: `?sig=` does not belong into this URL, which has nothing behind its path");
    insta::assert_snapshot!(refused("s3://bucket/c?endpoint=host"), @"`s3://bucket/c`: `endpoint` is a URL such as `http://127.0.0.1:8333`");
}

#[test]
fn the_local_store_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    check_conformance(&LocalStore::open(folder.path()).unwrap()).unwrap();
}

#[test]
fn the_store_in_memory_keeps_its_promises() {
    check_conformance(&MemoryStore::default()).unwrap();
}
