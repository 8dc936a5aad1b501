//! Every store keeps the promises of the trait.

use dag_cache::store::{LocalStore, MemoryStore, check_conformance};

#[test]
fn the_local_store_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    check_conformance(&LocalStore::open(folder.path()).unwrap()).unwrap();
}

#[test]
fn the_store_in_memory_keeps_its_promises() {
    check_conformance(&MemoryStore::default()).unwrap();
}
