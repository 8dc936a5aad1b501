//! `gc`: removes what no root needs. Safe beside writers: what is young or leased stays, and a record
//! goes before its blobs, so that nobody sees half a result.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;

use crate::cache::{
    BLOBS, LEASES, MEMO, QUARANTINE, RECORDS, SCRATCH, TREES, blob_name, last_part, record_name,
};
use crate::memo::compact;
use crate::store::{LocalStore, Store as _};
use crate::{Cache, CacheError, Digest, LeaseError, Lookup, StageKey};

/// Nothing younger than this is ever removed, whatever the options say: a writer may be about to publish
/// a record that names it.
pub const GRACE: Duration = Duration::from_secs(3600);

/// What may go.
#[derive(Clone, Debug)]
pub struct GcOptions {
    /// Keys that stay, with everything they name.
    pub keep: BTreeSet<StageKey>,
    /// Records younger than this stay as well.
    pub older_than: Duration,
    /// The time now; ages are measured from it.
    pub now: SystemTime,
    /// Only say what would go.
    pub dry_run: bool,
}

/// What went, or would go.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct GcReport {
    /// Records removed.
    pub records: u64,
    /// Blobs removed.
    pub blobs: u64,
    /// Work folders of interrupted stages removed.
    pub scratch: u64,
    /// Leftovers of killed writers, and damaged things that were set aside.
    pub leftovers: u64,
    /// Memo segments merged into others; no row is lost by it.
    pub segments: u64,
    /// Bytes freed.
    pub bytes: u64,
    /// Records that stay.
    pub kept_records: u64,
    /// Bytes of blobs that stay.
    pub kept_bytes: u64,
}

/// Removes what no root needs.
///
/// # Errors
/// The disk cannot be read or written; what was removed until then was free to go.
pub fn gc(cache: &Cache, options: &GcOptions) -> Result<GcReport, CacheError> {
    collect(cache, options, None)
}

/// [`gc`], and then the records that were unused for longest go, until the blobs fit into `max_bytes`.
/// Roots, leased keys and what is younger than [`GRACE`] stay even if they do not fit.
///
/// # Errors
/// As for [`gc`].
pub fn gc_within(
    cache: &Cache,
    options: &GcOptions,
    max_bytes: u64,
) -> Result<GcReport, CacheError> {
    collect(cache, options, Some(max_bytes))
}

/// A record that stays so far.
struct Kept {
    key: StageKey,
    age: Duration,
    /// A root, or leased.
    fixed: bool,
    blobs: BTreeSet<Digest>,
}

fn collect(
    cache: &Cache,
    options: &GcOptions,
    max_bytes: Option<u64>,
) -> Result<GcReport, CacheError> {
    let store = cache.store();
    let mut report = GcReport::default();
    let oldest_kept = options.older_than.max(GRACE);
    let (mut kept, mut dead) = (Vec::new(), Vec::new());
    for key in cache.keys()? {
        let fixed = options.keep.contains(&key) || leased(cache, &key);
        let age = age(store, &record_name(&key), options.now);
        if !fixed && age >= oldest_kept {
            dead.push((key, oldest_kept));
            continue;
        }
        let mut blobs = BTreeSet::new();
        // A disk that cannot be read stops everything: its blobs would seem to be nobody's.
        match cache.try_peek(&key)? {
            Lookup::Hit(record)
            | Lookup::Incomplete { record, .. }
            | Lookup::Shared { record, .. } => {
                for output in record.outputs.values() {
                    blobs.insert(output.bytes);
                    match cache.blobs_of(output) {
                        Ok(parts) => blobs.extend(parts),
                        Err(CacheError::Io(error)) => return Err(error.into()),
                        Err(_) => {}
                    }
                }
            }
            Lookup::Miss | Lookup::Refused { .. } | Lookup::Damaged { .. } => continue,
        }
        kept.push(Kept {
            key,
            age,
            fixed,
            blobs,
        });
    }
    let blobs = list(cache, BLOBS)?;
    if let Some(max_bytes) = max_bytes {
        dead.extend(over_budget(cache, options, &mut kept, &blobs, max_bytes));
    }
    report.kept_records = kept.len() as u64;
    let mut live: BTreeSet<Digest> = kept.into_iter().flat_map(|record| record.blobs).collect();
    for (key, limit) in dead {
        if take(cache, options, &record_name(&key), limit)? {
            report.records += 1;
        } else {
            // Somebody has just hit it: it stays with its blobs.
            report.kept_records += 1;
            if let Lookup::Hit(record) = cache.try_peek(&key)? {
                for output in record.outputs.values() {
                    live.extend(cache.blobs_of(output)?);
                }
            }
        }
    }
    for (name, size) in blobs {
        let Ok(digest) = last_part(&name).parse::<Digest>() else {
            continue;
        };
        if live.contains(&digest)
            || age(store, &name, options.now) < GRACE
            || !take(cache, options, &blob_name(&digest), GRACE)?
        {
            report.kept_bytes += size;
            continue;
        }
        report.blobs += 1;
        report.bytes += size;
    }
    trees(cache, options)?;
    scratch(cache, options, oldest_kept, &mut report)?;
    leftovers(cache, options, &mut report)?;
    memos(cache, options, &mut report)?;
    Ok(report)
}

/// Takes records out of `kept`, the longest unused first, until what stays fits.
fn over_budget(
    cache: &Cache,
    options: &GcOptions,
    kept: &mut Vec<Kept>,
    blobs: &[(String, u64)],
    max_bytes: u64,
) -> Vec<(StageKey, Duration)> {
    let mut users: BTreeMap<Digest, u64> = BTreeMap::new();
    for digest in kept.iter().flat_map(|record| &record.blobs) {
        *users.entry(*digest).or_default() += 1;
    }
    // Only what would go with its last record counts as freed by it.
    let mut sizes: BTreeMap<Digest, u64> = BTreeMap::new();
    let mut total = 0;
    for (name, size) in blobs {
        let Ok(digest) = last_part(name).parse::<Digest>() else {
            continue;
        };
        let young = age(cache.store(), name, options.now) < GRACE;
        if young || users.contains_key(&digest) {
            total += size;
        }
        if !young {
            sizes.insert(digest, *size);
        }
    }
    kept.sort_by(|a, b| b.age.cmp(&a.age).then(a.key.cmp(&b.key)));
    let mut dead = Vec::new();
    kept.retain(|record| {
        if total <= max_bytes || record.fixed || record.age < GRACE {
            return true;
        }
        for digest in &record.blobs {
            if let Some(count) = users.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    total -= sizes.get(digest).copied().unwrap_or(0).min(total);
                }
            }
        }
        dead.push((record.key, GRACE));
        false
    });
    dead
}

fn list(cache: &Cache, folder: &str) -> Result<Vec<(String, u64)>, CacheError> {
    let mut names = Vec::new();
    cache.store().list(folder, &mut |name, size| {
        names.push((name.to_owned(), size));
        Ok(())
    })?;
    names.sort();
    Ok(names)
}

/// Removes a name unless somebody made it young since it was looked at. It is moved aside first: whoever
/// renews it after that finds it absent and writes it again, so nobody relies on what goes.
fn take(
    cache: &Cache,
    options: &GcOptions,
    name: &str,
    limit: Duration,
) -> Result<bool, CacheError> {
    if options.dry_run {
        return Ok(true);
    }
    let store = cache.store();
    let path = store.path(name)?;
    let aside = store
        .incoming()
        .join(format!("gc-{}", uuid::Uuid::now_v7()));
    match fs::rename(&path, &aside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error.into()),
    }
    let goes = old(&aside, options.now, limit);
    if !goes {
        match fs::hard_link(&aside, &path) {
            // Written again meanwhile: theirs is as good.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                fs::rename(&aside, &path)?;
                return Ok(false);
            }
            _ => {}
        }
    }
    fs::remove_file(&aside)?;
    Ok(goes)
}

/// Laid-out folders whose manifest is gone.
fn trees(cache: &Cache, options: &GcOptions) -> Result<(), CacheError> {
    if options.dry_run {
        return Ok(());
    }
    for (path, name) in entries(&cache.root().join(TREES))? {
        let Ok(digest) = name.parse::<Digest>() else {
            continue;
        };
        if cache.store().size(&blob_name(&digest))?.is_none() {
            gone(fs::remove_dir_all(path))?;
        }
    }
    Ok(())
}

fn scratch(
    cache: &Cache,
    options: &GcOptions,
    oldest_kept: Duration,
    report: &mut GcReport,
) -> Result<(), CacheError> {
    for (path, name) in entries(&cache.root().join(SCRATCH))? {
        let Ok(key) = name.parse().map(StageKey) else {
            continue;
        };
        if !options.keep.contains(&key)
            && old(&path, options.now, oldest_kept)
            && !leased(cache, &key)
        {
            report.scratch += 1;
            if !options.dry_run {
                cache.drop_scratch(&key)?;
            }
        }
    }
    Ok(())
}

/// What killed writers left, and what was set aside as damaged.
fn leftovers(cache: &Cache, options: &GcOptions, report: &mut GcReport) -> Result<(), CacheError> {
    for folder in [
        cache.store().incoming().to_owned(),
        cache.root().join(QUARANTINE),
    ] {
        for (path, _) in entries(&folder)? {
            if !old(&path, options.now, GRACE) {
                continue;
            }
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            // A table that is written row by row for hours is locked by its writer.
            if metadata.is_file() && locked(&path) {
                continue;
            }
            report.leftovers += 1;
            report.bytes += if metadata.is_file() {
                metadata.len()
            } else {
                0
            };
            if options.dry_run {
                continue;
            }
            gone(if metadata.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            })?;
        }
    }
    Ok(())
}

fn memos(cache: &Cache, options: &GcOptions, report: &mut GcReport) -> Result<(), CacheError> {
    for (path, _) in entries(&cache.root().join(MEMO))? {
        if path.is_dir() {
            let left_alone = |segment: &Path| old(segment, options.now, GRACE);
            let done = compact(
                &path,
                cache.store().incoming(),
                &left_alone,
                options.dry_run,
            )?;
            report.segments += done.segments;
            report.bytes += done.bytes;
        }
    }
    Ok(())
}

/// Paths and names in a folder, sorted; none if it is absent.
fn entries(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
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
fn gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        }
    })
}

fn locked(path: &Path) -> bool {
    fs::File::open(path).is_ok_and(|file| {
        matches!(
            file.into_parts().0.try_lock(),
            Err(TryLockError::WouldBlock)
        )
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

fn age_of(path: &Path, now: SystemTime) -> Option<Duration> {
    let changed = fs::symlink_metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()?;
    now.duration_since(changed).ok()
}

/// How large the cache is.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Records.
    pub records: u64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of blobs.
    pub blob_bytes: u64,
    /// Memo segments.
    pub segments: u64,
    /// Bytes of memo segments.
    pub memo_bytes: u64,
}

/// Counts what is there.
///
/// # Errors
/// The disk cannot be read.
pub fn stats(cache: &Cache) -> Result<Stats, CacheError> {
    let mut stats = Stats::default();
    let store = cache.store();
    store.list(RECORDS, &mut |_, _| {
        stats.records += 1;
        Ok(())
    })?;
    store.list(BLOBS, &mut |_, size| {
        stats.blobs += 1;
        stats.blob_bytes += size;
        Ok(())
    })?;
    store.list(MEMO, &mut |_, size| {
        stats.segments += 1;
        stats.memo_bytes += size;
        Ok(())
    })?;
    Ok(stats)
}
