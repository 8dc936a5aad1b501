//! What only an unwilling disk can show: `/dev/full` takes no byte, `/dev/null` cannot be synced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Segments;
use crate::{Digest, RowKey};

fn row(name: &str) -> RowKey {
    RowKey(Digest::of(name.as_bytes()))
}

/// A memo whose segment has become a device.
fn on(device: &str) -> (tempfile::TempDir, Segments) {
    let folder = tempfile::tempdir().unwrap();
    let memo = Segments::open(folder.path()).unwrap();
    memo.put(row("before"), b"before").unwrap();
    memo.flush().unwrap();
    let file = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .open(device)
        .unwrap();
    memo.0.shared.lock().writer.as_mut().unwrap().file = Arc::new(file.into_parts().0);
    (folder, memo)
}

#[test]
fn after_a_write_that_failed_a_new_segment_takes_the_rows() {
    let (folder, memo) = on("/dev/full");
    assert!(memo.put(row("lost"), b"lost").is_err());
    assert_eq!(
        memo.get(&row("lost")).unwrap(),
        None,
        "what was not written is not there"
    );
    memo.put(row("after"), b"after").unwrap();
    drop(memo);
    let again = Segments::open(folder.path()).unwrap();
    assert_eq!(again.len(), 2);
    assert_eq!(again.get(&row("before")).unwrap().unwrap(), b"before");
    assert_eq!(again.get(&row("after")).unwrap().unwrap(), b"after");
    assert_eq!(
        super::segments::segments_in(folder.path()).unwrap().len(),
        2
    );
}

#[test]
fn a_sync_that_failed_is_told_by_flush() {
    let (_folder, memo) = on("/dev/null");
    memo.put(row("a"), b"a").unwrap();
    assert!(memo.flush().is_err());
    memo.put(row("b"), b"b").unwrap();
    memo.flush().unwrap();
}

#[test]
fn a_sync_that_failed_unseen_is_told_by_the_next_put_once() {
    let (_folder, memo) = on("/dev/null");
    memo.put(row("a"), b"a").unwrap();
    let began = Instant::now();
    while memo.0.shared.lock().failed.is_none() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the flusher does not sync"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(memo.put(row("b"), b"b").is_err());
    memo.put(row("b"), b"b").unwrap();
    memo.flush().unwrap();
    assert_eq!(memo.get(&row("b")).unwrap().unwrap(), b"b");
}

#[test]
fn few_segments_stay_open_however_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..60 {
        Segments::open(folder.path())
            .unwrap()
            .put(row(&n.to_string()), b"row")
            .unwrap();
    }
    let memo = Segments::open(folder.path()).unwrap();
    for _ in 0..2 {
        for n in 0..60 {
            assert_eq!(memo.get(&row(&n.to_string())).unwrap().unwrap(), b"row");
        }
    }
    assert!(memo.0.shared.lock().open.len() <= super::segments::OPEN);
}

#[test]
fn a_hundred_thousand_rows_are_opened_quickly() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    for n in 0..100_000 {
        bytes.extend(super::frame::frame(&row(&n.to_string()), 100, &[7; 100]));
    }
    fs_err::write(folder.path().join("a.seg"), bytes).unwrap();
    let began = Instant::now();
    let memo = Segments::open(folder.path()).unwrap();
    assert_eq!(memo.len(), 100_000);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}
