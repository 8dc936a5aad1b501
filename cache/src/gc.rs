//! `gc`: removes what no root needs. Safe beside writers: what is young or leased stays, and a record
//! goes before its blobs, so that nobody sees half a result.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use fs_err as fs;

use crate::cache::{BLOBS, LEASES, RECORDS, SCRATCH, TREES, blob_name, last_part, record_name};
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
    let store = cache.store();
    let mut report = GcReport::default();
    let oldest_kept = options.older_than.max(GRACE);
    let mut live: BTreeSet<Digest> = BTreeSet::new();
    let mut dead = Vec::new();
    for key in cache.keys()? {
        let stays = options.keep.contains(&key)
            || leased(cache, &key)
            || age(store, &record_name(&key), options.now) < oldest_kept;
        if !stays {
            dead.push(key);
            continue;
        }
        report.kept_records += 1;
        let record = match cache.lookup(&key) {
            Lookup::Hit(record) | Lookup::Incomplete { record, .. } => record,
            Lookup::Miss | Lookup::Damaged { .. } => continue,
        };
        for output in record.outputs.values() {
            live.insert(output.bytes);
            live.extend(cache.blobs_of(output).unwrap_or_default());
        }
    }
    for key in dead {
        report.records += 1;
        if !options.dry_run {
            store.remove(&record_name(&key))?;
        }
    }
    let mut blobs = Vec::new();
    store.list(BLOBS, &mut |name, size| {
        blobs.push((name.to_owned(), size));
        Ok(())
    })?;
    for (name, size) in blobs {
        let Ok(digest) = last_part(&name).parse::<Digest>() else { continue };
        if live.contains(&digest) || age(store, &name, options.now) < GRACE {
            report.kept_bytes += size;
            continue;
        }
        report.blobs += 1;
        report.bytes += size;
        if !options.dry_run {
            store.remove(&blob_name(&digest))?;
            let tree = cache.root().join(TREES).join(digest.to_string());
            if tree.is_dir() {
                fs::remove_dir_all(tree)?;
            }
        }
    }
    scratch(cache, options, oldest_kept, &mut report)?;
    Ok(report)
}

fn scratch(
    cache: &Cache,
    options: &GcOptions,
    oldest_kept: Duration,
    report: &mut GcReport,
) -> Result<(), CacheError> {
    let folder = cache.root().join(SCRATCH);
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(key) = entry.file_name().to_str().and_then(|name| name.parse().ok()).map(StageKey) else {
            continue;
        };
        let old = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|then| options.now.duration_since(then).ok())
            .is_some_and(|age| age >= oldest_kept);
        if old && !options.keep.contains(&key) && !leased(cache, &key) {
            report.scratch += 1;
            if !options.dry_run {
                cache.drop_scratch(&key)?;
            }
        }
    }
    Ok(())
}

fn leased(cache: &Cache, key: &StageKey) -> bool {
    cache.root().join(LEASES).join(key.to_string()).exists()
        && matches!(cache.lease(key), Err(LeaseError::Held { .. }))
}

fn age(store: &LocalStore, name: &str, now: SystemTime) -> Duration {
    store
        .path(name)
        .and_then(fs::metadata)
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|then| now.duration_since(then).ok())
        .unwrap_or_default()
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
    store.list(crate::cache::MEMO, &mut |_, size| {
        stats.segments += 1;
        stats.memo_bytes += size;
        Ok(())
    })?;
    Ok(stats)
}
