//! `verify --repair`: what was found damaged is set aside, fetched again where somebody has it, and
//! memo segments are written again without what cannot be read. Afterwards `verify` is clean.

use std::collections::BTreeSet;

use crate::cache::blob_name;
use crate::memo::compact;
use crate::store::Store as _;
use crate::verify::look;
use crate::{Cache, CacheError, Digest, Lookup, StageKey, VerifyReport};

/// What a repair found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RepairReport {
    /// What `verify` found before; damaged blobs and records are set aside by that alone.
    pub found: VerifyReport,
    /// Blobs fetched again, for records that name them.
    pub fetched: u64,
    /// Their bytes.
    pub fetched_bytes: u64,
    /// Files that no name of the cache fits, set aside.
    pub set_aside: u64,
    /// Memo segments written again without their damaged frames.
    pub segments: u64,
    /// Damaged memo segments that are being written: they are left to a later repair.
    pub busy: Vec<String>,
    /// Records that stay incomplete: nobody has all they name. The next run makes them again.
    pub incomplete: Vec<StageKey>,
}

impl RepairReport {
    /// Whether a `verify` now would find nothing damaged.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.busy.is_empty()
    }
}

/// Verifies the cache and repairs what can be repaired. `fetch` gets a blob into the cache from wherever
/// there is one, verified, and says whether it did; it is asked only for what a record names and the
/// cache lacks. `progress` hears the bytes read so far.
///
/// # Errors
/// The disk cannot be read or written; or what `fetch` returned, and then everything but fetching is
/// done.
pub fn repair(
    cache: &Cache,
    fetch: &dyn Fn(&Digest) -> Result<bool, CacheError>,
    progress: impl FnMut(u64),
) -> Result<RepairReport, CacheError> {
    let (found, findings) = look(cache, progress)?;
    let mut report = RepairReport {
        found,
        ..RepairReport::default()
    };
    for name in findings.strange {
        cache.quarantine(&name)?;
        report.set_aside += 1;
    }
    for name in findings.segments {
        let path = cache.root().join(&name);
        let Some(folder) = path.parent() else {
            continue;
        };
        let done = compact(
            folder,
            cache.store().incoming(),
            &|segment| segment == path,
            false,
        )?;
        if done.segments == 0 && path.exists() {
            report.busy.push(name);
        } else {
            report.segments += done.segments;
        }
    }
    for key in report.found.incomplete.clone() {
        complete(cache, key, fetch, &mut report)?;
    }
    Ok(report)
}

/// Fetches what a record lacks: first the manifest of a model, then the files that it names.
fn complete(
    cache: &Cache,
    key: StageKey,
    fetch: &dyn Fn(&Digest) -> Result<bool, CacheError>,
    report: &mut RepairReport,
) -> Result<(), CacheError> {
    let mut asked = BTreeSet::new();
    loop {
        let Lookup::Incomplete { missing, .. } = cache.try_peek(&key)? else {
            return Ok(());
        };
        let before = asked.len();
        for digest in missing {
            if asked.insert(digest)
                && fetch(&digest)?
                && let Some(size) = cache.store().size(&blob_name(&digest))?
            {
                report.fetched += 1;
                report.fetched_bytes += size;
            }
        }
        if asked.len() == before {
            report.incomplete.push(key);
            return Ok(());
        }
    }
}
