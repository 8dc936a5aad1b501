//! What is remembered of an unfinished upload, so that another process goes on with it.
//!
//! One file an upload, named by the digest of place and name, locked by who works on it. Its first line says
//! what the upload is, each further line names a part that the store has. Lines are only added; one that was
//! cut off by the end of a process is as if it were not there. The file holds no credential: an upload's id
//! is of no use without them.
//!
//! A part counts only if the file's bytes still have the digest that the line gives, so nobody relies on
//! times of change. Losing the file costs time and nothing else, so its errors are nobody's errors.

use std::io::{BufRead as _, BufReader, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::Digest;

/// What the upload is.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Begun {
    /// 1
    pub(super) version: u32,
    /// For a person who looks at the file.
    pub(super) name: String,
    /// What the store calls it.
    pub(super) upload: String,
    /// Bytes of the file.
    pub(super) len: u64,
    /// Bytes of a part.
    pub(super) part: u64,
}

/// A part that the store has.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// Which, from 0.
    pub(super) index: usize,
    /// What the store calls it.
    pub(super) id: String,
    /// Of its bytes.
    pub(super) digest: Digest,
}

/// The file, locked.
pub(super) struct Unfinished {
    file: fs::File,
    path: PathBuf,
}

impl Unfinished {
    /// Opens the file of an upload; `None` if somebody else works on it, or it cannot be had.
    pub(super) fn open(folder: &Path, place: &str, name: &str) -> Option<Self> {
        let digest = blake3::hash(format!("{place}\n{name}").as_bytes());
        let path = folder.join(format!("{}.upload", digest.to_hex()));
        fs::create_dir_all(folder).ok()?;
        let file = fs::OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .ok()?;
        file.file().try_lock().ok()?;
        Some(Self { file, path })
    }

    /// What was begun, and the parts that are stored.
    pub(super) fn read(&mut self) -> Option<(Begun, Vec<Part>)> {
        self.file.rewind().ok()?;
        let mut lines = BufReader::new(&mut self.file).split(b'\n');
        let begun: Begun = serde_json::from_slice(&lines.next()?.ok()?).ok()?;
        let parts = lines
            .map_while(|line| serde_json::from_slice(&line.ok()?).ok())
            .collect();
        (begun.version == 1).then_some((begun, parts))
    }

    /// Forgets what was there, and begins. False: it cannot be remembered.
    pub(super) fn begin(&mut self, begun: &Begun) -> bool {
        self.file.set_len(0).is_ok() && self.add(begun)
    }

    /// Adds a stored part.
    pub(super) fn stored(&mut self, part: &Part) -> bool {
        self.add(part)
    }

    /// There is nothing left to go on with.
    pub(super) fn finish(self) {
        drop(fs::remove_file(&self.path));
    }

    fn add(&mut self, line: &impl Serialize) -> bool {
        let Ok(mut bytes) = serde_json::to_vec(line) else {
            return false;
        };
        bytes.push(b'\n');
        self.file.write_all(&bytes).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Begun {
        Begun {
            version: 1,
            name: "blobs-v1/9b/9b2e".to_owned(),
            upload: "u".to_owned(),
            len: 100,
            part: 10,
        }
    }

    fn part(index: usize) -> Part {
        Part {
            index,
            id: format!("\"e{index}\""),
            digest: Digest::of(&[0]),
        }
    }

    #[test]
    fn what_is_written_is_read_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Unfinished::open(folder.path(), "s3://b", "n").unwrap();
        assert!(log.read().is_none());
        assert!(log.begin(&begun()));
        assert!(log.stored(&part(3)) && log.stored(&part(1)));
        log.file.write_all(b"{\"index\":2,\"id\":\"x").unwrap();
        assert_eq!(log.read(), Some((begun(), vec![part(3), part(1)])));
    }

    #[test]
    fn two_do_not_work_on_one() {
        let folder = tempfile::tempdir().unwrap();
        let first = Unfinished::open(folder.path(), "s3://b", "n").unwrap();
        assert!(Unfinished::open(folder.path(), "s3://b", "n").is_none());
        assert!(Unfinished::open(folder.path(), "s3://b", "m").is_some());
        drop(first);
        assert!(Unfinished::open(folder.path(), "s3://b", "n").is_some());
    }

    #[test]
    fn another_version_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Unfinished::open(folder.path(), "s3://b", "n").unwrap();
        let later = Begun {
            version: 2,
            ..begun()
        };
        assert!(log.begin(&later));
        assert!(log.read().is_none());
    }
}
