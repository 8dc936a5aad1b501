//! `restore`: brings back what gc took.

use std::io;

use fs_err as fs;
use serde::Serialize;

use super::{Folder, Held, PutBack, bring_back, folders, move_unless_there, put_back, size_of};
use crate::cache::{BLOBS, RECORDS, SCRATCH, blob_name, last_part, record_name};
use crate::gc::gone;
use crate::store::{Renewed, touch};
use crate::{Cache, CacheError, Digest, Record, StageKey};

/// What is to be brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restore {
    /// What the latest gc took.
    Newest,
    /// What one gc took: its id, or the beginning or end of one if only one fits.
    Run(String),
    /// One record with all it names, from the latest gc that took it.
    Key(StageKey),
}

/// What was brought back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// From which gc run.
    pub id: String,
    /// Records.
    pub records: Vec<StageKey>,
    /// Blobs.
    pub blobs: u64,
    /// Work folders.
    pub scratch: u64,
    /// Bytes.
    pub bytes: u64,
    /// Records and work folders that stay in the trash: something newer has their place.
    pub there: Vec<StageKey>,
    /// Records that stay in the trash: what they name is gone.
    pub incomplete: Vec<StageKey>,
}

/// Brings back what gc took, young, so that the next gc leaves it alone. What is there since is never
/// replaced. Blobs come first, records last, so nobody sees half a result.
///
/// # Errors
/// [`CacheError::NotInTrash`] if there is nothing of that name; [`CacheError::Busy`] while a gc is at work
/// on it; or the disk cannot be read or written.
pub fn restore(cache: &Cache, what: &Restore) -> Result<RestoreReport, CacheError> {
    let folder = chosen(cache, what)?;
    let _lock = match folder.hold()? {
        Held::Here(lock) => lock,
        Held::Elsewhere => return Err(CacheError::Busy(folder.id)),
        Held::Gone => return Err(CacheError::NotInTrash(folder.id)),
    };
    let mut report = RestoreReport {
        id: folder.id.clone(),
        ..RestoreReport::default()
    };
    let records: Vec<StageKey> = match what {
        Restore::Key(key) => vec![*key],
        Restore::Newest | Restore::Run(_) => {
            for (name, size) in folder.names(BLOBS)? {
                blob_back(cache, &folder, &name, size, &mut report)?;
            }
            for key in folder.scratch()? {
                scratch_back(cache, &folder, key, &mut report)?;
            }
            folder
                .names(RECORDS)?
                .iter()
                .filter_map(|(name, _)| last_part(name).parse().ok().map(StageKey))
                .collect()
        }
    };
    for key in records {
        record_back(cache, &folder, key, &mut report)?;
    }
    if folder.is_empty()? {
        folder.remove(cache)?;
    }
    Ok(report)
}

fn chosen(cache: &Cache, what: &Restore) -> Result<Folder, CacheError> {
    let all = folders(cache)?;
    match what {
        Restore::Newest => {
            for folder in all {
                if !matches!(folder.hold()?, Held::Elsewhere | Held::Gone) {
                    return Ok(folder);
                }
            }
            Err(CacheError::NotInTrash("anything".to_owned()))
        }
        Restore::Run(id) => {
            let mut fitting = all
                .into_iter()
                .filter(|folder| folder.id.starts_with(id) || folder.id.ends_with(id));
            match (fitting.next(), fitting.next()) {
                (Some(folder), None) => Ok(folder),
                _ => Err(CacheError::NotInTrash(format!("`{id}`"))),
            }
        }
        Restore::Key(key) => all
            .into_iter()
            .find(|folder| folder.path.join(record_name(key)).exists())
            .ok_or_else(|| CacheError::NotInTrash(format!("a record of {}", key.0.short()))),
    }
}

fn blob_back(
    cache: &Cache,
    folder: &Folder,
    name: &str,
    size: u64,
    report: &mut RestoreReport,
) -> Result<(), CacheError> {
    let Ok(digest) = last_part(name).parse::<Digest>() else {
        return Ok(());
    };
    let path = folder.path.join(name);
    touch(&path);
    match put_back(&path, &cache.store().path(name)?)? {
        PutBack::Placed => {
            report.blobs += 1;
            report.bytes += size;
        }
        // As good as ours, and wanted from now on.
        PutBack::There => {
            cache.store().renew(&blob_name(&digest))?;
        }
        PutBack::Absent => {}
    }
    Ok(())
}

fn scratch_back(
    cache: &Cache,
    folder: &Folder,
    key: StageKey,
    report: &mut RestoreReport,
) -> Result<(), CacheError> {
    let from = folder.path.join(SCRATCH).join(key.to_string());
    let size = size_of(&from)?;
    touch(&from);
    fs::create_dir_all(cache.root().join(SCRATCH))?;
    match move_unless_there(&from, &cache.root().join(SCRATCH).join(key.to_string())) {
        Ok(()) => {
            report.scratch += 1;
            report.bytes += size;
            Ok(())
        }
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
            ) =>
        {
            report.there.push(key);
            Ok(())
        }
        Err(error) => Ok(gone(Err(error))?),
    }
}

/// Brings one record back, and before it the blobs it names that are still in the trash.
fn record_back(
    cache: &Cache,
    folder: &Folder,
    key: StageKey,
    report: &mut RestoreReport,
) -> Result<(), CacheError> {
    let name = record_name(&key);
    let from = folder.path.join(&name);
    let to = cache.store().path(&name)?;
    let bytes = match fs::read(&from) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if to.exists() {
        report.there.push(key);
        return Ok(());
    }
    let Ok(record) = Record::decode(&key, &bytes) else {
        report.incomplete.push(key);
        return Ok(());
    };
    let mut names = Vec::new();
    for output in record.outputs.values() {
        let mut secured = |digest: &Digest, report: &mut RestoreReport| -> Result<(), CacheError> {
            let name = blob_name(digest);
            names.push(name.clone());
            if cache.store().renew(&name)? != Renewed::Absent {
                return Ok(());
            }
            if !bring_back(cache, &name)? {
                return Err(CacheError::Missing(*digest));
            }
            report.blobs += 1;
            report.bytes += cache.blob_size(digest).unwrap_or(0);
            Ok(())
        };
        // The manifest of a model comes before the files that it names.
        let whole = secured(&output.bytes, report).and_then(|()| {
            cache
                .blobs_of(output)?
                .iter()
                .try_for_each(|digest| secured(digest, report))
        });
        match whole {
            Ok(()) => {}
            Err(CacheError::Missing(_) | CacheError::Damaged { .. }) => {
                report.incomplete.push(key);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    cache.store().settle(names)?;
    touch(&from);
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    match move_unless_there(&from, &to) {
        Ok(()) => {
            cache.store().settle([name])?;
            report.records.push(key);
            report.bytes += bytes.len() as u64;
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            report.there.push(key);
            Ok(())
        }
        Err(error) => Ok(gone(Err(error))?),
    }
}
