//! Uploads in parts go on: in the same call, in a later one, in another process.

use std::sync::Arc;

use dag_cache::store::{Store, StoreOptions, open_store};

use super::faults::between;
use super::loopback::{Between, Rule};
use super::{environment, stores};

const MIB: usize = 1 << 20;

/// Five parts, the last of them short.
const LEN: usize = 35 * MIB + 7;

struct Cut {
    url: String,
    between: Between,
    state: tempfile::TempDir,
    file: tempfile::NamedTempFile,
}

impl Cut {
    /// An upload of which some parts arrived, and which then failed.
    fn after(bytes: usize) -> Option<Self> {
        let (url, between) = between("DAG_TEST_S3")?;
        let cut = Self {
            url,
            between,
            state: tempfile::tempdir().unwrap(),
            file: tempfile::NamedTempFile::new().unwrap(),
        };
        cut.write(1);
        cut.between.set(Rule::CutAfter(bytes as u64));
        let error = cut.put_file().1.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("cannot store `blobs-v1/9b/large`"),
            "{error}"
        );
        assert_eq!(cut.remembered().len(), 1);
        cut.between.set(Rule::Pass);
        assert_eq!(cut.store().size("blobs-v1/9b/large").unwrap(), None);
        cut.between.set(Rule::Pass);
        Some(cut)
    }

    fn write(&self, seed: u8) {
        let bytes: Vec<u8> = (0..LEN)
            .map(|at| u8::try_from(at / MIB).unwrap() ^ u8::try_from(at % 251).unwrap() ^ seed)
            .collect();
        fs_err::write(self.file.path(), bytes).unwrap();
    }

    /// As another process would open it.
    fn store(&self) -> Arc<dyn Store> {
        let options = StoreOptions {
            environment: environment(),
            state: Some(self.state.path().to_owned()),
            ..StoreOptions::default()
        };
        open_store(&self.url, &options).unwrap()
    }

    fn put_file(&self) -> (u64, std::io::Result<()>) {
        let mut moved = 0;
        let result = self
            .store()
            .put_file("blobs-v1/9b/large", self.file.path(), &mut |bytes| {
                moved += bytes;
                Ok(())
            });
        (moved, result)
    }

    fn remembered(&self) -> Vec<std::path::PathBuf> {
        fs_err::read_dir(self.state.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    /// The upload ends well, every byte is told of once, and nothing stays to be remembered.
    fn goes_on(&self) {
        let (moved, result) = self.put_file();
        result.unwrap();
        assert_eq!(moved, LEN as u64);
        assert_eq!(self.remembered(), Vec::<std::path::PathBuf>::new());
        let mut read = Vec::new();
        self.store()
            .read_from("blobs-v1/9b/large", 0, &mut read)
            .unwrap();
        assert!(
            read == fs_err::read(self.file.path()).unwrap(),
            "what is stored is the file"
        );
    }
}

#[test]
fn another_process_sends_only_what_is_missing() {
    let Some(cut) = Cut::after(30 * MIB) else {
        return;
    };
    cut.goes_on();
    let sent = cut.between.sent();
    assert!(
        sent < (LEN - 7 * MIB) as u64,
        "{sent} bytes were sent for the rest of {LEN}"
    );
}

#[test]
fn an_upload_that_the_store_forgot_begins_anew() {
    let Some(cut) = Cut::after(30 * MIB) else {
        return;
    };
    let path = cut.remembered().remove(0);
    let text = fs_err::read_to_string(&path).unwrap();
    let begun: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let upload = begun["upload"].as_str().unwrap();
    fs_err::write(
        &path,
        text.replace(upload, &upload.replace(['a', 'b', 'c', '1', '2'], "0")),
    )
    .unwrap();
    cut.goes_on();
}

#[test]
fn a_file_that_changed_meanwhile_is_sent_as_it_is_now() {
    let Some(cut) = Cut::after(30 * MIB) else {
        return;
    };
    cut.write(2);
    cut.goes_on();
}

#[test]
fn damage_to_what_is_remembered_costs_an_upload_and_nothing_else() {
    for damage in [
        "",
        "{}",
        "\0\0\0",
        "{\"version\":1,\"name\":\"x\",\"upload\":\"\",\"len\":0,\"part\":0}\n",
    ] {
        let Some(cut) = Cut::after(10 * MIB) else {
            return;
        };
        fs_err::write(cut.remembered().remove(0), damage).unwrap();
        cut.goes_on();
    }
}

#[test]
fn a_connection_that_breaks_in_the_middle_costs_one_part() {
    let Some((url, between)) = between("DAG_TEST_S3") else {
        return;
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), vec![5; LEN]).unwrap();
    let options = StoreOptions {
        environment: environment(),
        ..StoreOptions::default()
    };
    let store = open_store(&url, &options).unwrap();
    between.set(Rule::CutAfter(15 * MIB as u64));
    let healing = between.clone();
    let healer = std::thread::spawn(move || {
        while healing.sent() < 15 * MIB as u64 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        healing.set(Rule::Pass);
    });
    let mut moved = 0;
    store
        .put_file("large", file.path(), &mut |bytes| {
            moved += bytes;
            Ok(())
        })
        .unwrap();
    healer.join().unwrap();
    assert_eq!(moved, LEN as u64);
    assert_eq!(store.size("large").unwrap(), Some(LEN as u64));
}

#[test]
fn several_who_store_the_same_large_name_all_succeed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), vec![5; LEN]).unwrap();
    for (which, store) in stores() {
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut moved = 0;
                    store
                        .put_file("blobs-v1/9b/same", file.path(), &mut |bytes| {
                            moved += bytes;
                            Ok(())
                        })
                        .unwrap();
                    assert_eq!(moved, LEN as u64, "{which}");
                });
            }
        });
        assert_eq!(
            store.size("blobs-v1/9b/same").unwrap(),
            Some(LEN as u64),
            "{which}"
        );
    }
}
