//! A cache in a temporary folder, and things to put into it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dag_cache::{ArtifactType, Cache, Digest, OutputRef, Record, RowKey, StageKey, Usage, canon};

pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) cache: Cache,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        Self { folder, cache }
    }

    /// The same folder, as another process would open it.
    pub(crate) fn reopened(&self) -> Cache {
        Cache::open(self.folder.path()).unwrap()
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Every file below a folder of the cache, by name.
    pub(crate) fn files(&self, below: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut open = vec![self.root().join(below)];
        while let Some(folder) = open.pop() {
            for entry in fs_err::read_dir(&folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path)
                } else {
                    files.push(path)
                }
            }
        }
        files.sort();
        files
    }

    /// A published record with one document.
    pub(crate) fn published(&self, name: &str, content: &[u8]) -> Record {
        let record = self.record(name, content);
        self.cache.publish(&record).unwrap();
        record
    }

    /// A published record whose output is a folder with these files, and the blobs it consists of.
    pub(crate) fn published_model(
        &self,
        name: &str,
        files: &[(&str, &[u8])],
    ) -> (Record, Vec<Digest>) {
        let folder = tempfile::tempdir().unwrap();
        for (file, content) in files {
            fs_err::write(folder.path().join(file), content).unwrap();
        }
        let tree = self.cache.put_tree(folder.path()).unwrap();
        let mut record = record(key(name), tree.bytes, tree.size);
        let output = record.outputs.get_mut("text").unwrap();
        output.artifact = ArtifactType::Model;
        output.content = tree.content;
        self.cache.publish(&record).unwrap();
        let blobs = self.cache.blobs_of(&record.outputs["text"]).unwrap();
        (record, blobs)
    }

    /// Everything in the cache looks as if nobody had touched it for so long.
    pub(crate) fn age(&self, by: std::time::Duration) {
        for below in ["records-v1", "adopted-v1", "blobs-v1"] {
            for path in self.files(below) {
                age(&path, by);
            }
        }
    }

    /// A record whose blob is there.
    pub(crate) fn record(&self, name: &str, content: &[u8]) -> Record {
        let bytes = self.cache.put_bytes(content).unwrap();
        record(key(name), bytes, content.len() as u64)
    }
}

pub(crate) fn key(name: &str) -> StageKey {
    StageKey(canon::digest("test", &name.into()))
}

pub(crate) fn row(name: &str) -> RowKey {
    RowKey(canon::digest("test row", &name.into()))
}

pub(crate) fn record(key: StageKey, bytes: Digest, size: u64) -> Record {
    let output = OutputRef {
        artifact: ArtifactType::Document,
        bytes,
        content: bytes,
        size,
        rows: None,
        media: Some("text/plain".to_owned()),
        schema: None,
    };
    Record {
        key,
        preimage: canon::Value::map([
            ("kind", "test".into()),
            ("n", 1_i64.into()),
            ("t", 0.5.into()),
        ]),
        outputs: BTreeMap::from([("text".to_owned(), output)]),
        main: "text".to_owned(),
        metrics: BTreeMap::from([("loss".to_owned(), 0.25)]),
        counts: BTreeMap::from([("in".to_owned(), 3)]),
        usage: Usage {
            prompt_tokens: 1,
            completion_tokens: 2,
            requests: 1,
            usd: 0.0,
        },
        notes: vec!["a note".to_owned()],
        seconds: 0.5,
        unfinished: 0,
        finished_at: "2026-01-01T00:00:00Z".to_owned(),
        by: "someone".to_owned(),
        tool: "0.1.0".to_owned(),
    }
}

/// Flips one bit of a file that may be read-only.
pub(crate) fn flip(path: &Path, at: usize) {
    let mut bytes = fs_err::read(path).unwrap();
    bytes[at] ^= 1;
    overwrite(path, &bytes);
}

pub(crate) fn overwrite(path: &Path, bytes: &[u8]) {
    fs_err::remove_file(path).unwrap();
    fs_err::write(path, bytes).unwrap();
}

/// Makes a file look as if nobody had touched it for so long.
pub(crate) fn age(path: &Path, by: std::time::Duration) {
    let file = fs_err::File::open(path).unwrap().into_parts().0;
    file.set_modified(std::time::SystemTime::now() - by)
        .unwrap();
}
