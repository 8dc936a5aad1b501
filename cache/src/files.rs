//! Digests of the user's own files, remembered by the file's stamp, so that a large folder is read once.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::cache::hash_file;
use crate::{Digest, canon};

/// A file changed so recently may change again within the resolution of its times: it is read again.
const TOO_YOUNG: Duration = Duration::from_secs(2);

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified_ns: i128,
    changed_ns: i128,
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        let ns = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    fn settled(&self) -> bool {
        #[expect(
            clippy::disallowed_methods,
            reason = "how old a file is decides whether its stamp is believed, never a key"
        )]
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let newest = self.modified_ns.max(self.changed_ns);
        i128::try_from(now.as_nanos()).is_ok_and(|now| {
            now - newest >= i128::try_from(TOO_YOUNG.as_nanos()).unwrap_or(i128::MAX)
        })
    }
}

/// Digests by stamp, kept in one file. A hint: losing it costs reading the files again.
pub(crate) struct FileDigests {
    path: PathBuf,
    known: Mutex<Option<BTreeMap<PathBuf, (Stamp, Digest)>>>,
}

impl FileDigests {
    pub(crate) fn open(root: &Path) -> Self {
        Self { path: root.join("file-digests-v1.json"), known: Mutex::new(None) }
    }

    /// The digest of a file's bytes.
    pub(crate) fn file(&self, path: &Path) -> io::Result<Digest> {
        let path = fs::canonicalize(path)?;
        let stamp = Stamp::of(&path)?;
        let mut guard = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = guard.get_or_insert_with(|| self.load());
        if let Some((then, digest)) = known.get(&path)
            && *then == stamp
        {
            return Ok(*digest);
        }
        drop(guard);
        let digest = hash_file(&path)?;
        // Remembered only if nobody wrote meanwhile, and nobody could have without being seen.
        if Stamp::of(&path)? == stamp && stamp.settled() {
            let mut guard = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            guard.get_or_insert_with(|| self.load()).insert(path, (stamp, digest));
            drop(guard);
            drop(self.save());
        }
        Ok(digest)
    }

    /// The digest of a folder: relative names and digests of its files, sorted.
    pub(crate) fn folder(&self, path: &Path) -> io::Result<Digest> {
        let mut files = BTreeMap::new();
        for (name, file) in files_below(path)? {
            files.insert(name, canon::Value::Digest(self.file(&file)?));
        }
        Ok(canon::digest("dag folder v1", &canon::Value::Map(files)))
    }

    fn load(&self) -> BTreeMap<PathBuf, (Stamp, Digest)> {
        fs::read(&self.path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Vec<(PathBuf, Stamp, Digest)>>(&bytes).ok())
            .map(|list| list.into_iter().map(|(path, stamp, digest)| (path, (stamp, digest))).collect())
            .unwrap_or_default()
    }

    fn save(&self) -> io::Result<()> {
        let guard = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let list: Vec<_> = guard
            .iter()
            .flatten()
            .map(|(path, (stamp, digest))| (path, stamp, digest))
            .collect();
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut file, &list)?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// Every file below a folder, by its relative name with `/`; links are followed, loops are an error.
pub(crate) fn files_below(folder: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    const DEEPEST: usize = 64;
    let mut files = BTreeMap::new();
    let mut open = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((path, prefix, depth)) = open.pop() {
        if depth > DEEPEST {
            return Err(io::Error::other(format!("`{}` is nested too deeply", folder.display())));
        }
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            let file_name = entry.file_name();
            let part = file_name.to_str().ok_or_else(|| {
                io::Error::other(format!("`{}` has a name that is not UTF-8", entry.path().display()))
            })?;
            let name = if prefix.is_empty() { part.to_owned() } else { format!("{prefix}/{part}") };
            let metadata = fs::metadata(entry.path())?;
            if metadata.is_dir() {
                open.push((entry.path(), name, depth + 1));
            } else if metadata.is_file() {
                files.insert(name, entry.path());
            } else {
                return Err(io::Error::other(format!("`{}` is no file", entry.path().display())));
            }
        }
    }
    Ok(files)
}
