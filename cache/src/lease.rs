//! Leases: advice that somebody is at work on a key. Nothing depends on them but work done twice.

use std::fs::{File, TryLockError};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::{CacheError, StageKey};

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else is at work on the key.
    #[error("held by {by}")]
    Held {
        /// Which process.
        by: String,
    },
    /// The cache cannot be written.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl From<std::io::Error> for LeaseError {
    fn from(error: std::io::Error) -> Self {
        Self::Cache(error.into())
    }
}

/// A lease that is held. Dropped, it is given back; a killed process gives it back as well.
#[derive(Debug)]
pub struct Lease {
    file: File,
    path: PathBuf,
}

impl Lease {
    pub(crate) fn take(folder: &Path, key: &StageKey) -> Result<Self, LeaseError> {
        fs::create_dir_all(folder)?;
        let path = folder.join(key.to_string());
        loop {
            let (mut file, _) = fs::OpenOptions::new()
                .create(true)
                .read(true)
                .write(true)
                .truncate(false)
                .open(&path)?
                .into_parts();
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let by = fs::read_to_string(&path).unwrap_or_default();
                    let by = if by.is_empty() {
                        "another process".to_owned()
                    } else {
                        by
                    };
                    return Err(LeaseError::Held { by });
                }
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            // The last holder may have removed the file between our opening and locking it.
            if !same_file(&file, &path) {
                continue;
            }
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "process {}", std::process::id())?;
            return Ok(Self { file, path });
        }
    }
}

pub(crate) fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => a.ino() == b.ino() && a.dev() == b.dev(),
        _ => false,
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Removed while still locked, so that nobody's fresh lease is removed.
        drop(fs::remove_file(&self.path));
        drop(self.file.unlock());
    }
}
