//! `restore`: brings back what gc took.

use std::io;

use fs_err as fs;
use serde::Serialize;

use super::{Folder, Held, PutBack, bring_back, folders, move_unless_there, put_back, size_of};
use crate::cache::{BLOBS, SCRATCH, blob_name, last_part, record_name, used_rows_name};
use crate::gc::gone;
use crate::remote::accept;
use crate::results::{adopted_name, adopted_parts};
use crate::store::{Renewed, touch};
use crate::trust::{Keyring, Trust};
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
/// [`CacheError::NotInTrash`] if there is nothing of that name, [`CacheError::TrashEmpty`] if there is nothing at all; [`CacheError::Busy`] while a gc is at work
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
    let records = match what {
        Restore::Key(key) => [*key].into(),
        Restore::Newest | Restore::Run(_) => {
            for (name, size) in folder.names(BLOBS)? {
                blob_back(cache, &folder, &name, size, &mut report)?;
            }
            for key in folder.scratch()? {
                scratch_back(cache, &folder, key, &mut report)?;
            }
            folder.records()?
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
            Err(CacheError::TrashEmpty)
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
            .find(|folder| {
                let there = |name| folder.path.join(name).exists();
                there(record_name(key)) || there(adopted_name(key))
            })
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
    if cache.place_of(&key)?.is_some() {
        report.there.push(key);
        return Ok(());
    }
    let (own, adopted) = (record_name(&key), adopted_name(&key));
    let mut whole = false;
    for name in [&own, &adopted] {
        let bytes = match fs::read(folder.path.join(name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        let record = if *name == own {
            Record::decode(&key, &bytes)
        } else {
            // Whether it is believed is decided when it is looked up.
            adopted_parts(&bytes).and_then(|(_, sealed)| {
                Ok(accept(&key, sealed, &Trust::Any, &Keyring::default())?.0)
            })
        };
        let Ok(record) = record else {
            continue;
        };
        // What a remote gave may lack blobs: they come when somebody needs them.
        if !blobs_back(cache, &record, report)? && *name == own {
            continue;
        }
        whole = true;
        if file_back(cache, folder, name)? {
            report.bytes += bytes.len() as u64;
        }
    }
    if !whole {
        report.incomplete.push(key);
        return Ok(());
    }
    let rows = used_rows_name(&key);
    let size = fs::metadata(folder.path.join(&rows)).map_or(0, |metadata| metadata.len());
    if file_back(cache, folder, &rows)? {
        report.bytes += size;
    }
    report.records.push(key);
    Ok(())
}

/// Brings back what a record names, and makes it durable. Says whether all of it is here.
fn blobs_back(
    cache: &Cache,
    record: &Record,
    report: &mut RestoreReport,
) -> Result<bool, CacheError> {
    let mut names = Vec::new();
    let mut whole = true;
    let mut secured = |digest: &Digest| -> Result<bool, CacheError> {
        let name = blob_name(digest);
        if cache.store().renew(&name)? == Renewed::Absent {
            if !bring_back(cache, &name)? {
                return Ok(false);
            }
            report.blobs += 1;
            report.bytes += cache.blob_size(digest).unwrap_or(0);
        }
        names.push(name);
        Ok(true)
    };
    for output in record.outputs.values() {
        // The manifest of a model comes before the files that it names.
        if !secured(&output.bytes)? {
            whole = false;
            continue;
        }
        match cache.blobs_of(output) {
            Ok(blobs) => {
                for digest in blobs {
                    whole &= secured(&digest)?;
                }
            }
            Err(CacheError::Missing(_) | CacheError::Damaged { .. }) => whole = false,
            Err(error) => return Err(error),
        }
    }
    cache.store().settle(names)?;
    Ok(whole)
}

/// Moves a file of a key back, young, unless something has its place. Says whether it did.
fn file_back(cache: &Cache, folder: &Folder, name: &str) -> Result<bool, CacheError> {
    let from = folder.path.join(name);
    let to = cache.store().path(name)?;
    if touch(&from) == Renewed::Absent {
        return Ok(false);
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    match move_unless_there(&from, &to) {
        Ok(()) => {
            cache.store().settle([name.to_owned()])?;
            Ok(true)
        }
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
