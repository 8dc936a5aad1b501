//! What gc takes beside records and blobs: work folders, laid-out trees, leftovers, memo segments.

use std::fs::TryLockError;
use std::io;
use std::path::Path;

use fs_err as fs;

use super::{GRACE, Sweep, entries, gone, old};
use crate::cache::{MEMO, QUARANTINE, SCRATCH, TREES, blob_name};
use crate::memo::compact;
use crate::store::Store as _;
use crate::trash::size_of;
use crate::{CacheError, Digest, LeaseError, StageKey};

impl Sweep<'_> {
    /// Work folders that nobody went on with.
    pub(super) fn scratch(&mut self) -> Result<(), CacheError> {
        let (cache, now) = (self.cache, self.options.now);
        for (path, name) in entries(&cache.root().join(SCRATCH))? {
            let Ok(key) = name.parse().map(StageKey) else {
                continue;
            };
            if self.roots.contains(&key) || !old(&path, now, self.oldest_kept) {
                continue;
            }
            // Held while the folder goes, so that nobody goes on with it meanwhile.
            let _lease = match cache.lease(&key) {
                Ok(lease) => lease,
                Err(LeaseError::Held { .. }) => continue,
                Err(LeaseError::Cache(error)) => return Err(error),
            };
            let size = size_of(&path)?;
            if let Some(open) = self.open()? {
                open.take_scratch(cache, &key)?;
            }
            self.report.scratch += 1;
            self.taken += size;
        }
        Ok(())
    }

    /// Laid-out folders whose manifest is gone. Their files are other names of blobs.
    pub(super) fn trees(&mut self) -> Result<(), CacheError> {
        for (path, name) in entries(&self.cache.root().join(TREES))? {
            let Ok(digest) = name.parse::<Digest>() else {
                continue;
            };
            let there = self.cache.store().size(&blob_name(&digest))?.is_some();
            if there && !(self.options.dry_run && self.gone.contains(&digest)) {
                continue;
            }
            self.report.trees += 1;
            if !self.options.dry_run {
                gone(fs::remove_dir_all(path))?;
            }
        }
        Ok(())
    }

    /// What killed writers left, and what was set aside as damaged.
    pub(super) fn leftovers(&mut self) -> Result<(), CacheError> {
        for folder in [
            self.cache.store().incoming().to_owned(),
            self.cache.root().join(QUARANTINE),
        ] {
            for (path, _) in entries(&folder)? {
                if !old(&path, self.options.now, GRACE) {
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
                self.report.leftovers += 1;
                self.report.freed += if metadata.is_file() {
                    metadata.len()
                } else {
                    size_of(&path)?
                };
                if self.options.dry_run {
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

    /// Merges memo segments; no row is lost.
    pub(super) fn memos(&mut self) -> Result<(), CacheError> {
        for (path, _) in entries(&self.cache.root().join(MEMO))? {
            if path.is_dir() {
                let left_alone = |segment: &Path| old(segment, self.options.now, GRACE);
                let done = compact(
                    &path,
                    self.cache.store().incoming(),
                    &left_alone,
                    self.options.dry_run,
                )?;
                self.report.segments += done.segments;
                self.report.freed += done.bytes;
            }
        }
        Ok(())
    }
}

fn locked(path: &Path) -> bool {
    fs::File::open(path).is_ok_and(|file| {
        matches!(
            file.into_parts().0.try_lock(),
            Err(TryLockError::WouldBlock)
        )
    })
}
