//! `verify`: reads everything and compares it with what its name or checksum promises.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use fs_err as fs;

use crate::cache::{ADOPTED, BLOBS, MEMO, RECORDS, blob_name, last_part, record_name};
use crate::digest::hash_file;
use crate::gc::{list, named};
use crate::memo::{Frame, scan};
use crate::results::adopted_name;
use crate::{Cache, CacheError, Digest, Lookup, StageKey};

/// What `verify` found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct VerifyReport {
    /// Blobs read.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records read.
    pub records: u64,
    /// Whole rows in memo segments.
    pub rows: u64,
    /// Records that name a blob which is gone; no hits, and no damage either.
    pub incomplete: Vec<StageKey>,
    /// Blobs that no record names; no damage: gc takes them.
    pub orphans: u64,
    /// Their bytes.
    pub orphan_bytes: u64,
    /// What is damaged, a line each. Blobs and records were set aside.
    pub damaged: Vec<String>,
}

impl VerifyReport {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty()
    }
}

/// What somebody must do about, where looking does not suffice.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Names that nothing in the cache has.
    pub(crate) strange: Vec<String>,
    /// Segments with damaged frames.
    pub(crate) segments: BTreeSet<String>,
}

/// Reads the whole cache. `progress` hears the bytes read so far.
///
/// # Errors
/// The disk cannot be read.
pub fn verify(cache: &Cache, progress: impl FnMut(u64)) -> Result<VerifyReport, CacheError> {
    Ok(look(cache, progress)?.0)
}

pub(crate) fn look(
    cache: &Cache,
    mut progress: impl FnMut(u64),
) -> Result<(VerifyReport, Findings), CacheError> {
    let mut report = VerifyReport::default();
    let mut findings = Findings::default();
    let mut whole: BTreeMap<Digest, u64> = BTreeMap::new();
    for (name, size) in list(cache, BLOBS)? {
        let Ok(digest) = last_part(&name).parse::<Digest>() else {
            findings.strange.push(name.clone());
            report.damaged.push(format!("`{name}` is no blob's name"));
            continue;
        };
        match hash_file(&cache.root().join(&name)) {
            Ok(found) if found == digest && name == blob_name(&digest) => {
                whole.insert(digest, size);
            }
            Ok(found) if found == digest => {
                findings.strange.push(name.clone());
                report
                    .damaged
                    .push(format!("`{name}` is not where its blob belongs"));
            }
            Ok(_) => report
                .damaged
                .push(cache.set_aside_at(&digest, &name).to_string()),
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        }
        report.blobs += 1;
        report.bytes += size;
        progress(report.bytes);
    }
    records(cache, &mut report, &mut findings, &mut whole)?;
    report.orphans = whole.len() as u64;
    report.orphan_bytes = whole.values().sum();
    for (name, size) in list(cache, MEMO)? {
        if !name.ends_with(".seg") {
            findings.strange.push(name.clone());
            report
                .damaged
                .push(format!("`{name}` is no segment's name"));
            continue;
        }
        let path = cache.root().join(&name);
        let file = match fs::File::open(&path) {
            Ok(file) => file.into_parts().0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        scan(&file, 0, &path, |frame| match frame {
            Frame::Row { .. } => report.rows += 1,
            Frame::Damage(text) => {
                findings.segments.insert(name.clone());
                report.damaged.push(format!("{text} ({name})"));
            }
        })?;
        report.bytes += size;
        progress(report.bytes);
    }
    Ok((report, findings))
}

/// Reads the records; what they name is nobody's no more, and leaves `blobs`.
fn records(
    cache: &Cache,
    report: &mut VerifyReport,
    findings: &mut Findings,
    blobs: &mut BTreeMap<Digest, u64>,
) -> Result<(), CacheError> {
    for (folder, name_of) in [
        (RECORDS, record_name as fn(&StageKey) -> String),
        (ADOPTED, adopted_name),
    ] {
        for (name, _) in list(cache, folder)? {
            let key = last_part(&name).parse().map(StageKey);
            if !key.is_ok_and(|key| name == name_of(&key)) {
                report.damaged.push(format!("`{name}` is no record's name"));
                findings.strange.push(name);
            }
        }
    }
    for key in cache.keys()? {
        report.records += 1;
        let record = match cache.try_peek(&key)? {
            Lookup::Hit(record) | Lookup::Shared { record, .. } => record,
            Lookup::Incomplete { record, .. } => {
                report.incomplete.push(key);
                record
            }
            Lookup::Damaged { reason } => {
                report.damaged.push(reason);
                continue;
            }
            Lookup::Miss | Lookup::Refused { .. } => continue,
        };
        for digest in named(cache, &record)? {
            blobs.remove(&digest);
        }
    }
    Ok(())
}
