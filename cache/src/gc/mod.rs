//! `gc`: takes what no root needs. Safe beside writers: what is young or leased stays, and a record goes
//! before its blobs, so that nobody sees half a result. Records, blobs and work folders go into the trash,
//! from where they can be brought back until their time is over.

mod beside;
mod budget;
mod records;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;

use crate::cache::LEASES;
use crate::store::{LocalStore, Store as _};
use crate::trash::{self, Held, Open, TRASH_GRACE, Taken};
use crate::{Cache, CacheError, Digest, LeaseError, StageKey};

pub(crate) use records::named;

/// Nothing younger than this is ever taken, whatever the options say: a writer may be about to publish
/// a record that names it.
pub const GRACE: Duration = Duration::from_secs(3600);

/// What may go. Pinned and leased keys stay in any case, with everything they name.
#[derive(Clone, Debug)]
pub struct GcOptions {
    /// Keys that stay, with everything they name.
    pub keep: BTreeSet<StageKey>,
    /// Records younger than this stay as well.
    pub older_than: Duration,
    /// What the blobs that stay may take, in bytes: records that were unused for longest go until they
    /// fit, never a root or what is younger than [`GRACE`]. The trash does not count: it is freed later.
    pub max_bytes: Option<u64>,
    /// How long what is taken can be brought back.
    pub trash: Duration,
    /// Empty the trash now: all of it, with what is taken.
    pub purge: bool,
    /// The time now; ages are measured from it.
    pub now: SystemTime,
    /// Only say what would go.
    pub dry_run: bool,
}

impl Default for GcOptions {
    /// No roots; what was unused for seven days goes into the trash for [`TRASH_GRACE`].
    fn default() -> Self {
        Self {
            keep: BTreeSet::new(),
            older_than: Duration::from_secs(7 * 86_400),
            max_bytes: None,
            trash: TRASH_GRACE,
            purge: false,
            now: SystemTime::now(),
            dry_run: false,
        }
    }
}

/// What went, or would go. Bytes are sizes of files.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct GcReport {
    /// The trash folder that has what was taken; `None` if nothing was, if it is emptied already, or in a
    /// dry run.
    pub trash: Option<String>,
    /// Records taken.
    pub records: u64,
    /// Blobs taken.
    pub blobs: u64,
    /// Lists of the memo rows that a stage used, taken with its record.
    pub row_lists: u64,
    /// Work folders of interrupted stages taken.
    pub scratch: u64,
    /// Laid-out folders removed; they are laid out again from their blobs when somebody needs them.
    pub trees: u64,
    /// Leftovers of killed writers, and damaged things that were set aside.
    pub leftovers: u64,
    /// Memo segments merged into others; no row is lost by it.
    pub segments: u64,
    /// Trash folders emptied.
    pub emptied: u64,
    /// Bytes freed now.
    pub freed: u64,
    /// Bytes taken that are freed when the trash goes.
    pub freed_later: u64,
    /// Bytes that lie in the trash afterwards, those included.
    pub trash_bytes: u64,
    /// Records that stay.
    pub kept_records: u64,
    /// Bytes of blobs that stay.
    pub kept_bytes: u64,
}

/// Takes what no root needs.
///
/// # Errors
/// The disk cannot be read or written; what was taken until then was free to go.
pub fn gc(cache: &Cache, options: &GcOptions) -> Result<GcReport, CacheError> {
    let _turn = turn(cache)?;
    trash::settle(cache)?;
    let mut roots = options.keep.clone();
    roots.extend(cache.pins()?.into_iter().map(|pin| pin.key));
    let mut sweep = Sweep {
        cache,
        options,
        roots,
        oldest_kept: options.older_than.max(GRACE),
        open: None,
        taken: 0,
        gone: BTreeSet::new(),
        report: GcReport::default(),
    };
    sweep.records_and_blobs()?;
    sweep.scratch()?;
    sweep.trees()?;
    sweep.leftovers()?;
    sweep.memos()?;
    sweep.finish()
}

/// Waits until no other gc is at work, and keeps others waiting until the file is dropped. A record that
/// another gc has just aside, and puts back, would be overlooked, and its blobs would seem to be nobody's.
fn turn(cache: &Cache) -> io::Result<std::fs::File> {
    let folder = cache.root().join(LEASES);
    fs::create_dir_all(&folder)?;
    let (file, _) = fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(folder.join("gc"))?
        .into_parts();
    // Not every file system can lock; there, whoever starts two at once must know better.
    drop(file.lock());
    Ok(file)
}

/// A gc at work.
struct Sweep<'a> {
    cache: &'a Cache,
    options: &'a GcOptions,
    roots: BTreeSet<StageKey>,
    /// Records of this age go.
    oldest_kept: Duration,
    /// Begun when the first thing is taken.
    open: Option<Open>,
    /// Bytes taken.
    taken: u64,
    /// Blobs that went, or would.
    gone: BTreeSet<Digest>,
    report: GcReport,
}

impl Sweep<'_> {
    /// Moves a name into the trash unless somebody made it young since it was looked at.
    fn take(&mut self, name: &str, size: u64, limit: Duration) -> io::Result<Taken> {
        let (cache, now) = (self.cache, self.options.now);
        let taken = match self.open()? {
            Some(open) => open.take(cache, name, now, limit)?,
            None => Taken::Went,
        };
        if taken == Taken::Went {
            self.taken += size;
        }
        Ok(taken)
    }

    /// The trash folder of this run; `None` in a dry run.
    fn open(&mut self) -> io::Result<Option<&Open>> {
        if !self.options.dry_run && self.open.is_none() {
            self.open = Some(Open::begin(
                self.cache,
                self.options.now,
                self.options.trash,
            )?);
        }
        Ok(self.open.as_ref())
    }

    /// Closes the trash folder, empties those whose time is over, and adds up.
    fn finish(mut self) -> Result<GcReport, CacheError> {
        let (cache, options) = (self.cache, self.options);
        let GcReport {
            records,
            blobs,
            row_lists,
            scratch,
            ..
        } = self.report;
        let took = records + blobs + row_lists + scratch > 0;
        if let Some(open) = self.open.take() {
            self.report.trash = took.then(|| open.id.clone());
            open.close(cache, took)?;
        }
        for folder in trash::folders(cache)? {
            let mine = self.report.trash.as_ref() == Some(&folder.id);
            let held = folder.hold()?;
            // A gc may have been killed since this one began.
            if matches!(held, Held::Here(_)) && !folder.settle(cache)? {
                continue;
            }
            let bytes = folder.bytes()?;
            let due = options.purge || folder.is_due(options.now)?;
            if !due || !matches!(held, Held::Here(_)) {
                self.report.trash_bytes += bytes;
                continue;
            }
            self.report.emptied += 1;
            self.report.freed += bytes;
            if mine {
                self.report.trash = None;
                self.taken = 0;
            }
            if !options.dry_run {
                folder.remove(cache)?;
            }
        }
        if options.dry_run && took {
            if options.purge || options.trash.is_zero() {
                self.report.emptied += 1;
                self.report.freed += self.taken;
                self.taken = 0;
            } else {
                self.report.trash_bytes += self.taken;
            }
        }
        self.report.freed_later = self.taken;
        Ok(self.report)
    }
}

pub(crate) fn list(cache: &Cache, folder: &str) -> io::Result<Vec<(String, u64)>> {
    let mut names = Vec::new();
    cache.store().list(folder, &mut |name, size| {
        names.push((name.to_owned(), size));
        Ok(())
    })?;
    names.sort();
    Ok(names)
}

/// Paths and names in a folder, sorted; none if it is absent.
pub(crate) fn entries(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let found = match fs::read_dir(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut entries = Vec::new();
    for entry in found {
        let entry = entry?;
        entries.push((
            entry.path(),
            entry.file_name().to_string_lossy().into_owned(),
        ));
    }
    entries.sort();
    Ok(entries)
}

/// That something has gone already is no error.
pub(crate) fn gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        }
    })
}

fn leased(cache: &Cache, key: &StageKey) -> bool {
    cache.root().join(LEASES).join(key.to_string()).exists()
        && matches!(cache.lease(key), Err(LeaseError::Held { .. }))
}

fn age(store: &LocalStore, name: &str, now: SystemTime) -> Duration {
    store
        .path(name)
        .ok()
        .and_then(|path| age_of(&path, now))
        .unwrap_or_default()
}

/// Whether something was left alone for so long; what cannot be asked was not.
fn old(path: &Path, now: SystemTime, limit: Duration) -> bool {
    age_of(path, now).is_some_and(|age| age >= limit)
}

/// How long ago something was changed; `None` if that cannot be asked, or was after `now`.
pub(crate) fn age_of(path: &Path, now: SystemTime) -> Option<Duration> {
    let changed = fs::symlink_metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()?;
    now.duration_since(changed).ok()
}
