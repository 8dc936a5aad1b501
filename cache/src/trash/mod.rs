//! The trash: what gc took lies here for a while, and can be brought back.
//!
//! A gc run has one folder, `trash-v1/ID`, with a dated manifest and what was taken under the names it had
//! in the cache. Things are moved, never copied. A folder is *open* while its gc is at work, which holds a
//! lock on the manifest; if that gc was killed, the next one settles the folder: what was renewed in the
//! moment it was taken goes back. Whoever misses a blob that a record names looks here before giving up,
//! so a gc that stops half-way loses nothing that is in use.

mod open;
mod restore;

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::cache::{ADOPTED, BLOBS, RECORDS, SCRATCH, USED_ROWS, last_part};
use crate::gc::{GRACE, age_of, entries, gone};
use crate::store::{Renewed, touch};
use crate::{Cache, CacheError, StageKey};

pub(crate) use open::{Open, Taken};
pub use restore::{Restore, RestoreReport, restore};

pub(crate) const TRASH: &str = "trash-v1";
const MANIFEST: &str = "manifest.json";
const FORMAT: u32 = 1;
/// Folders whose files are taken one by one, in the order in which they go back: what a record names
/// before the record.
const FILES: [&str; 4] = [BLOBS, USED_ROWS, ADOPTED, RECORDS];

/// How long what gc took can be brought back, unless something else is asked for.
pub const TRASH_GRACE: Duration = Duration::from_secs(3 * 86_400);

/// What stands in a folder's manifest. Times are whole seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    at: u64,
    until: u64,
    finished: bool,
}

/// What one gc run took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrashRun {
    /// The folder's name; ids sort by time.
    pub id: String,
    /// When it was taken, in seconds since 1970.
    pub at: u64,
    /// From when on a gc may empty it, in seconds since 1970.
    pub until: u64,
    /// Whether a gc is still at work on it.
    pub open: bool,
    /// Keys of the records in it.
    pub records: Vec<StageKey>,
    /// Blobs.
    pub blobs: u64,
    /// Work folders.
    pub scratch: u64,
    /// Bytes that emptying it frees.
    pub bytes: u64,
}

/// Everything that can be brought back, the newest first.
///
/// # Errors
/// The disk cannot be read.
pub fn trash(cache: &Cache) -> Result<Vec<TrashRun>, CacheError> {
    let mut runs = Vec::new();
    for folder in folders(cache)? {
        let Some(manifest) = folder.manifest()? else {
            continue;
        };
        let held = folder.hold()?;
        let mut run = TrashRun {
            id: folder.id.clone(),
            at: manifest.at,
            until: manifest.until,
            open: matches!(held, Held::Elsewhere),
            records: Vec::new(),
            blobs: 0,
            scratch: folder.scratch()?.len() as u64,
            bytes: folder.bytes()?,
        };
        run.records = folder.records()?.into_iter().collect();
        run.blobs = folder.names(BLOBS)?.len() as u64;
        runs.push(run);
    }
    Ok(runs)
}

/// A folder in the trash.
pub(crate) struct Folder {
    pub(crate) id: String,
    path: PathBuf,
}

/// Who holds a folder.
pub(crate) enum Held {
    /// The caller, until this is dropped.
    Here(File),
    /// A gc or a restore that is at work.
    Elsewhere,
    /// It is gone.
    Gone,
}

/// The folders of the trash, the newest first.
pub(crate) fn folders(cache: &Cache) -> io::Result<Vec<Folder>> {
    let mut folders: Vec<Folder> = entries(&cache.root().join(TRASH))?
        .into_iter()
        .filter(|(_, id)| uuid::Uuid::parse_str(id).is_ok())
        .map(|(path, id)| Folder { id, path })
        .collect();
    folders.reverse();
    Ok(folders)
}

impl Folder {
    /// What its manifest says; `None` if the folder is gone. A manifest that cannot be understood is
    /// taken for that of an unfinished run as old as the folder's name.
    fn manifest(&self) -> io::Result<Option<Manifest>> {
        let damaged = || {
            let at = uuid::Uuid::parse_str(&self.id)
                .ok()
                .and_then(|id| id.get_timestamp())
                .map_or(0, |time| time.to_unix().0);
            Manifest {
                format: FORMAT,
                at,
                until: at.saturating_add(TRASH_GRACE.as_secs()),
                finished: false,
            }
        };
        match fs::read(self.path.join(MANIFEST)) {
            Ok(bytes) => Ok(Some(
                serde_json::from_slice(&bytes)
                    .ok()
                    .filter(|manifest: &Manifest| manifest.format == FORMAT)
                    .unwrap_or_else(damaged),
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(self.path.is_dir().then(damaged))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the folder for oneself: while it is held nobody empties it or brings things back from it.
    pub(crate) fn hold(&self) -> io::Result<Held> {
        let path = self.path.join(MANIFEST);
        let file = match fs::File::open(&path) {
            Ok(file) => file.into_parts().0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !self.path.is_dir() {
                    return Ok(Held::Gone);
                }
                // Somebody removed the manifest alone.
                match fs::OpenOptions::new().create(true).append(true).open(&path) {
                    Ok(file) => file.into_parts().0,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return Ok(Held::Gone);
                    }
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) if self.path.is_dir() => Ok(Held::Here(file)),
            Ok(()) => Ok(Held::Gone),
            Err(TryLockError::WouldBlock) => Ok(Held::Elsewhere),
            // Where nothing can be locked, a folder that was left alone for long has nobody at work.
            Err(TryLockError::Error(_)) => Ok(
                match age_of(&path, SystemTime::now()).is_some_and(|age| age >= GRACE) {
                    true => Held::Here(file),
                    false => Held::Elsewhere,
                },
            ),
        }
    }

    /// The names below one folder of it and their sizes, as in the cache, sorted.
    pub(crate) fn names(&self, below: &str) -> io::Result<Vec<(String, u64)>> {
        let mut names = Vec::new();
        for (_, shard) in entries(&self.path.join(below))? {
            for (path, name) in entries(&self.path.join(below).join(&shard))? {
                match fs::symlink_metadata(&path) {
                    Ok(metadata) if metadata.is_file() => {
                        names.push((format!("{below}/{shard}/{name}"), metadata.len()));
                    }
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(names)
    }

    /// Keys of the records in it.
    pub(crate) fn records(&self) -> io::Result<BTreeSet<StageKey>> {
        let mut keys = BTreeSet::new();
        for below in [RECORDS, ADOPTED] {
            for (name, _) in self.names(below)? {
                keys.extend(last_part(&name).parse().ok().map(StageKey));
            }
        }
        Ok(keys)
    }

    /// The work folders in it.
    fn scratch(&self) -> io::Result<Vec<StageKey>> {
        Ok(entries(&self.path.join(SCRATCH))?
            .into_iter()
            .filter_map(|(_, name)| name.parse().ok().map(StageKey))
            .collect())
    }

    /// Bytes of everything in it but the manifest.
    pub(crate) fn bytes(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for below in FILES {
            bytes += self
                .names(below)?
                .into_iter()
                .map(|(_, size)| size)
                .sum::<u64>();
        }
        for key in self.scratch()? {
            bytes += size_of(&self.path.join(SCRATCH).join(key.to_string()))?;
        }
        Ok(bytes)
    }

    fn is_empty(&self) -> io::Result<bool> {
        for below in FILES {
            if !self.names(below)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(self.scratch()?.is_empty())
    }

    /// Whether its time is over.
    pub(crate) fn is_due(&self, now: SystemTime) -> io::Result<bool> {
        Ok(self
            .manifest()?
            .is_some_and(|manifest| seconds(now) >= manifest.until))
    }

    /// Removes it with all that is in it. Its name goes first, so that it is there or not.
    pub(crate) fn remove(&self, cache: &Cache) -> io::Result<()> {
        let aside = cache
            .store()
            .incoming()
            .join(format!("trash-{}", uuid::Uuid::now_v7()));
        match fs::rename(&self.path, &aside) {
            Ok(()) => gone(fs::remove_dir_all(aside)),
            Err(error) => gone(Err(error)),
        }
    }
}

/// Puts right what killed gcs left, in every folder that nobody holds.
pub(crate) fn settle(cache: &Cache) -> io::Result<()> {
    for folder in folders(cache)? {
        if let Held::Here(_lock) = folder.hold()? {
            folder.settle(cache)?;
        }
    }
    Ok(())
}

impl Folder {
    /// Puts right what a killed gc left: what was renewed in the moment it was taken goes back to its
    /// place. The caller holds the folder. Says whether anything is left in it; an empty one goes.
    pub(crate) fn settle(&self, cache: &Cache) -> io::Result<bool> {
        let Some(manifest) = self.manifest()? else {
            return Ok(false);
        };
        if manifest.finished {
            return Ok(true);
        }
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(manifest.at);
        for below in FILES {
            for (name, _) in self.names(below)? {
                let path = self.path.join(&name);
                let renewed = age_of(&path, at).is_none_or(|age| age < GRACE);
                if renewed {
                    put_back(&path, &cache.store().path(&name)?)?;
                }
            }
        }
        if self.is_empty()? {
            self.remove(cache)?;
            return Ok(false);
        }
        let finished = Manifest {
            finished: true,
            ..manifest
        };
        write_manifest(cache, &self.path, &finished)?;
        Ok(true)
    }
}

fn write_manifest(cache: &Cache, folder: &Path, manifest: &Manifest) -> io::Result<()> {
    let mut file = cache.store().temporary()?;
    file.write_all(&serde_json::to_vec(manifest).map_err(io::Error::other)?)?;
    file.as_file().sync_data()?;
    match file.persist(folder.join(MANIFEST)) {
        Ok(_) => Ok(()),
        Err(error) => gone(Err(error.error)),
    }
}

/// Looks in the trash for a name that a record relies on, and brings it back, young. Says whether it is
/// in its place afterwards. Costs a look at a few folders, and is asked only by who misses something.
pub(crate) fn bring_back(cache: &Cache, name: &str) -> io::Result<bool> {
    let place = cache.store().path(name)?;
    for folder in folders(cache)? {
        let path = folder.path.join(name);
        // Young before it is seen in its place, or the next gc would take it at once.
        if touch(&path) == Renewed::Absent {
            continue;
        }
        match put_back(&path, &place)? {
            PutBack::Placed | PutBack::There => return Ok(true),
            PutBack::Absent => {}
        }
    }
    // It may have been put back while the trash was looked through.
    Ok(place.exists())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PutBack {
    /// It is in its place.
    Placed,
    /// Something was there already and stays; what was in the trash is gone.
    There,
    /// It is in the trash no more.
    Absent,
}

/// Moves something out of the trash to where it was. What is there since is never replaced.
fn put_back(from: &Path, to: &Path) -> io::Result<PutBack> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    match move_unless_there(from, to) {
        Ok(()) => Ok(PutBack::Placed),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            gone(fs::remove_file(from))?;
            Ok(PutBack::There)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(PutBack::Absent),
        Err(error) => Err(error),
    }
}

/// A rename that replaces nothing: in one step where the system has that, otherwise by a second name.
fn move_unless_there(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            other => return Ok(other?),
        }
    }
    if from.is_dir() {
        // Only an empty folder would be replaced.
        return fs::rename(from, to);
    }
    match fs::hard_link(from, to) {
        Ok(()) => gone(fs::remove_file(from)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
            ) =>
        {
            Err(error)
        }
        Err(_) if to.exists() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
    }
}

/// Bytes of all files below a folder; links are not followed.
pub(crate) fn size_of(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for (path, _) in entries(&folder)? {
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => open.push(path),
                Ok(metadata) => bytes += metadata.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(bytes)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
