//! Digests of the user's own files, remembered by the file's stamp, so that a large folder is read once.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::digest::hash_file;
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

    /// The stamp of a blob: it may get another name, which changes `ctime`, and stays the same blob.
    pub(crate) fn of_blob(path: &Path) -> io::Result<Self> {
        Ok(Self {
            changed_ns: 0,
            ..Self::of(path)?
        })
    }

    /// Whether the file was left alone long enough for its stamp to be believed.
    pub(crate) fn settled(&self) -> bool {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let newest = self.modified_ns.max(self.changed_ns);
        i128::try_from(now.as_nanos()).is_ok_and(|now| {
            now - newest >= i128::try_from(TOO_YOUNG.as_nanos()).unwrap_or(i128::MAX)
        })
    }
}

/// First line of the file of digests; then the digest of what follows, then JSON.
const MAGIC: &str = "dag file digests v1 ";

type Known = BTreeMap<PathBuf, (Stamp, Digest)>;

/// Digests by stamp, kept in one file. A hint: losing it costs reading the files again. It is written
/// after a folder was read and when the cache is closed; its checksum keeps a damaged one from being
/// believed.
pub(crate) struct FileDigests {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Read when first needed.
    known: Option<Known>,
    /// Not written down yet.
    fresh: Known,
}

impl FileDigests {
    pub(crate) fn open(root: &Path) -> Self {
        Self {
            path: root.join("file-digests-v1"),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The digest of a file's bytes.
    pub(crate) fn file(&self, path: &Path) -> io::Result<Digest> {
        let path = fs::canonicalize(path)?;
        let stamp = Stamp::of(&path)?;
        {
            let mut state = self.lock();
            let known = state.known.get_or_insert_with(|| read(&self.path));
            if let Some((then, digest)) = known.get(&path)
                && *then == stamp
            {
                return Ok(*digest);
            }
        }
        let digest = hash_file(&path)?;
        // Remembered only if nobody wrote meanwhile, and nobody could have without being seen.
        if Stamp::of(&path)? == stamp && stamp.settled() {
            let mut state = self.lock();
            state
                .known
                .get_or_insert_default()
                .insert(path.clone(), (stamp, digest));
            state.fresh.insert(path, (stamp, digest));
        }
        Ok(digest)
    }

    /// The digest of a folder: relative names and digests of its files, sorted.
    pub(crate) fn folder(&self, path: &Path) -> io::Result<Digest> {
        let mut files = BTreeMap::new();
        for (name, file) in files_below(path)? {
            files.insert(name, canon::Value::Digest(self.file(&file)?));
        }
        // A hint that cannot be written down is no fault.
        drop(self.save());
        Ok(canon::digest("dag folder v1", &canon::Value::Map(files)))
    }

    /// Adds what was learnt to the file, and keeps what other processes wrote there.
    fn save(&self) -> io::Result<()> {
        let fresh = std::mem::take(&mut self.lock().fresh);
        if fresh.is_empty() {
            return Ok(());
        }
        let mut all = read(&self.path);
        all.extend(fresh);
        let list: Vec<_> = all
            .iter()
            // JSON has no words for other names; such files are read again.
            .filter(|(path, _)| path.to_str().is_some())
            .map(|(path, (stamp, digest))| (path, stamp, digest))
            .collect();
        let body = serde_json::to_vec(&list)?;
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        let mut file = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o666))
            .tempfile_in(folder.join("incoming"))?;
        file.write_all(format!("{MAGIC}{}\n", Digest::of(&body)).as_bytes())?;
        file.write_all(&body)?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Drop for FileDigests {
    fn drop(&mut self) {
        drop(self.save());
    }
}

/// What is written down; nothing if that is damaged or of another version.
fn read(path: &Path) -> Known {
    let whole = |bytes: Vec<u8>| {
        let rest = bytes.strip_prefix(MAGIC.as_bytes())?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let (sum, body) = (&rest[..end], &rest[end + 1..]);
        if sum != Digest::of(body).to_string().as_bytes() {
            return None;
        }
        serde_json::from_slice::<Vec<(PathBuf, Stamp, Digest)>>(body).ok()
    };
    fs::read(path)
        .ok()
        .and_then(whole)
        .into_iter()
        .flatten()
        .map(|(path, stamp, digest)| (path, (stamp, digest)))
        .collect()
}

/// Every file below a folder, by its relative name with `/`; links are followed, loops are an error.
pub(crate) fn files_below(folder: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    const DEEPEST: usize = 64;
    let mut files = BTreeMap::new();
    let mut open = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((path, prefix, depth)) = open.pop() {
        if depth > DEEPEST {
            return Err(io::Error::other(format!(
                "`{}` is nested too deeply",
                folder.display()
            )));
        }
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            let file_name = entry.file_name();
            let part = file_name.to_str().ok_or_else(|| {
                io::Error::other(format!(
                    "`{}` has a name that is not UTF-8",
                    entry.path().display()
                ))
            })?;
            let name = if prefix.is_empty() {
                part.to_owned()
            } else {
                format!("{prefix}/{part}")
            };
            let metadata = fs::metadata(entry.path())?;
            if metadata.is_dir() {
                open.push((entry.path(), name, depth + 1));
            } else if metadata.is_file() {
                files.insert(name, entry.path());
            } else {
                return Err(io::Error::other(format!(
                    "`{}` is no file",
                    entry.path().display()
                )));
            }
        }
    }
    Ok(files)
}
