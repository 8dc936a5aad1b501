//! `verify`: reads everything and compares it with what its name or checksum promises.

use std::io;

use fs_err as fs;

use crate::cache::{BLOBS, MEMO, RECORDS, blob_name, hash_file, last_part};
use crate::memo::{Frame, scan};
use crate::store::Store as _;
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
    pub incomplete: u64,
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

/// Reads the whole cache. `progress` hears the bytes read so far.
///
/// # Errors
/// The disk cannot be read.
pub fn verify(cache: &Cache, mut progress: impl FnMut(u64)) -> Result<VerifyReport, CacheError> {
    let mut report = VerifyReport::default();
    let mut blobs = Vec::new();
    cache.store().list(BLOBS, &mut |name, size| {
        blobs.push((name.to_owned(), size));
        Ok(())
    })?;
    for (name, size) in blobs {
        let Ok(digest) = last_part(&name).parse::<Digest>() else {
            report.damaged.push(format!("`{name}` is no blob's name"));
            continue;
        };
        match hash_file(&cache.store().path(&name)?) {
            Ok(found) if found == digest && name == blob_name(&digest) => {}
            Ok(_) => report.damaged.push(cache.set_aside(&digest).to_string()),
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        }
        report.blobs += 1;
        report.bytes += size;
        progress(report.bytes);
    }
    for key in cache.keys()? {
        report.records += 1;
        match cache.try_peek(&key)? {
            Lookup::Hit(_) | Lookup::Shared { .. } | Lookup::Refused { .. } | Lookup::Miss => {}
            Lookup::Incomplete { .. } => report.incomplete += 1,
            Lookup::Damaged { reason } => report.damaged.push(reason),
        }
    }
    let mut strange = Vec::new();
    let mut segments = Vec::new();
    cache.store().list(RECORDS, &mut |name, _| {
        if last_part(name).parse::<Digest>().map(StageKey).is_err() {
            strange.push(format!("`{name}` is no record's name"));
        }
        Ok(())
    })?;
    cache.store().list(MEMO, &mut |name, size| {
        segments.push((name.to_owned(), size));
        Ok(())
    })?;
    report.damaged.append(&mut strange);
    for (name, size) in segments {
        let path = cache.store().path(&name)?;
        let file = match fs::File::open(&path) {
            Ok(file) => file.into_parts().0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        scan(&file, 0, &path, |frame| match frame {
            Frame::Row { .. } => report.rows += 1,
            Frame::Damage(text) => report.damaged.push(format!("{text} ({name})")),
        })?;
        report.bytes += size;
        progress(report.bytes);
    }
    Ok(report)
}
