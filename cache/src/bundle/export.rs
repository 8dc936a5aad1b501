//! Writing a bundle.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use fs_err as fs;
use serde::Serialize;

use super::BundleError;
use crate::cache::{LARGEST_RECORD, blob_name, record_name};
use crate::remote::{accept, carried, seal_record};
use crate::results::{adopted_name, adopted_parts};
use crate::store::Store as _;
use crate::trust::{Keyring, Trust, WriterKey};
use crate::{Cache, CacheError, Digest, Lookup, Record, StageKey};

/// How a bundle is written.
#[derive(Debug, Default)]
pub struct ExportOptions<'a> {
    /// Signs what was made here; what was adopted keeps the signature it came with. Without a key, records
    /// are believed only by who believes everybody.
    pub writer: Option<&'a WriterKey>,
    /// Whether the memo rows that the stages used go along.
    pub rows: bool,
}

/// What is in a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// Keys of its records.
    pub records: Vec<StageKey>,
    /// Blobs, packs of rows included.
    pub blobs: u64,
    /// Indexes of rows.
    pub row_indexes: u64,
    /// Bytes of blobs, indexes and records.
    pub bytes: u64,
    /// Keys that were asked for and have no whole result, with the reason.
    pub left_out: Vec<(StageKey, String)>,
}

/// Writes the results of keys as one bundle. The same results give the same bytes, but for signatures.
/// Blobs are verified; what is at a remote only is fetched. Nothing is ever all in memory.
///
/// # Errors
/// [`BundleError::Io`] if `to` cannot be written; [`BundleError::Cache`] if the cache cannot be read or a
/// blob turns out to be damaged. What was written until then is no bundle.
pub fn export(
    cache: &Cache,
    keys: &BTreeSet<StageKey>,
    to: impl Write,
    options: &ExportOptions<'_>,
    mut progress: impl FnMut(u64),
) -> Result<ExportReport, BundleError> {
    let mut report = ExportReport::default();
    let mut records = Vec::new();
    let mut blobs = BTreeSet::new();
    for key in keys {
        match whole(cache, key) {
            Ok(record) => {
                for output in record.outputs.values() {
                    // A colleague's blobs may be at the remote still.
                    cache.pull(output)?;
                    blobs.extend(cache.blobs_of(output)?);
                }
                report.records.push(*key);
                records.push(record);
            }
            Err(reason) => report.left_out.push((*key, reason)),
        }
    }
    let mut bundle = Bundle {
        tar: tar::Builder::new(to),
        report,
        progress: &mut progress,
    };
    for digest in &blobs {
        bundle.blob(cache, digest)?;
    }
    let mut indexes = Vec::new();
    if options.rows {
        for record in &records {
            let mut failed = None;
            let carried = carried(cache, &record.key, options.writer, |digest, bytes| {
                // Stages share rows, and with them packs.
                if failed.is_none() && blobs.insert(*digest) {
                    failed = bundle.entry(&blob_name(digest), bytes).err();
                    bundle.report.blobs += 1;
                }
                Ok(())
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            indexes.extend(carried);
        }
    }
    indexes.sort();
    for (name, sealed) in indexes {
        bundle.entry(&name, &sealed)?;
        bundle.report.row_indexes += 1;
    }
    for record in &records {
        let sealed = sealed(cache, record, options.writer)?;
        bundle.entry(&record_name(&record.key), &sealed)?;
    }
    bundle
        .tar
        .into_inner()
        .and_then(|mut to| to.flush())
        .map_err(BundleError::Io)?;
    Ok(bundle.report)
}

/// The record of a key, if all it names can be had.
fn whole(cache: &Cache, key: &StageKey) -> Result<Box<Record>, String> {
    match cache.lookup(key) {
        Lookup::Hit(record) | Lookup::Shared { record, .. } => Ok(record),
        Lookup::Miss => Err("it has no result".to_owned()),
        Lookup::Incomplete { missing, .. } => Err(format!(
            "its result is incomplete: {} of its blobs is gone",
            missing
                .first()
                .map_or_else(|| "one".to_owned(), Digest::short)
        )),
        Lookup::Damaged { reason } => Err(reason),
        Lookup::Refused { reasons } => Err(reasons.join("; ")),
    }
}

/// A record under a seal: the one it came with, if it was adopted, else this user's.
fn sealed(
    cache: &Cache,
    record: &Record,
    writer: Option<&WriterKey>,
) -> Result<Vec<u8>, CacheError> {
    let adopted = cache
        .store()
        .read(&adopted_name(&record.key), 2 * LARGEST_RECORD)?;
    if let Some(bytes) = adopted
        && let Ok((_, sealed)) = adopted_parts(&bytes)
        && let Ok((theirs, _)) = accept(&record.key, sealed, &Trust::Any, &Keyring::default())
        && theirs == *record
    {
        return Ok(sealed.to_vec());
    }
    seal_record(record, writer)
}

/// A bundle while it is written.
struct Bundle<'a, W: Write> {
    tar: tar::Builder<W>,
    report: ExportReport,
    progress: &'a mut dyn FnMut(u64),
}

impl<W: Write> Bundle<'_, W> {
    fn blob(&mut self, cache: &Cache, digest: &Digest) -> Result<(), BundleError> {
        let path = cache.blob_path(digest)?;
        let file = fs::File::open(path).map_err(CacheError::from)?;
        let size = file.metadata().map_err(CacheError::from)?.len();
        self.append(&blob_name(digest), size, file)?;
        self.report.blobs += 1;
        Ok(())
    }

    fn entry(&mut self, name: &str, bytes: &[u8]) -> Result<(), BundleError> {
        self.append(name, bytes.len() as u64, bytes)
    }

    fn append(&mut self, name: &str, size: u64, from: impl Read) -> Result<(), BundleError> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).map_err(BundleError::Io)?;
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(size);
        header.set_mode(0o444);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        let exact = Exact {
            from: from.take(size),
        };
        self.tar.append(&header, exact).map_err(BundleError::Io)?;
        self.report.bytes += size;
        (self.progress)(self.report.bytes);
        Ok(())
    }
}

/// A reader that must give as many bytes as its header says, or the archive would be out of step.
struct Exact<R> {
    from: io::Take<R>,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        if read == 0 && self.from.limit() > 0 && !buffer.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a blob became shorter while it was read",
            ));
        }
        Ok(read)
    }
}
