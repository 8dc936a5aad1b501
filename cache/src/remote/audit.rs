//! `verify` for a remote: reads what it holds, or a sample of it, and compares that with what names, seals
//! and records promise. An audit that was cut goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use fs_err as fs;
use serde::Serialize;

use super::find::Answer;
use super::push::of;
use super::{Remote, crew};
use crate::cache::{BLOBS, RECORDS, blob_name, last_part, record_name};
use crate::record::{ArtifactType, Record};
use crate::tree::LARGEST_MANIFEST;
use crate::{Cache, CacheError, Digest, StageKey};

/// Folder with the state of audits that were cut.
const AUDITS: &str = "audits-v1";

/// Records that are read at the same time.
const RECORDS_AT_ONCE: usize = 32;

/// Blobs that are read at the same time.
const BLOBS_AT_ONCE: usize = 8;

/// What is read of a remote.
#[derive(Clone, Copy, Debug)]
pub struct AuditOptions {
    /// Read so much of the blobs, from 0 to 1, another choice each time. Records are all read.
    pub sample: f64,
    /// Store damaged and missing blobs again, as far as they are whole in this cache.
    pub repair: bool,
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AuditReport {
    /// Records that are believed.
    pub records: u64,
    /// Records that are not, and why, a line each.
    pub refused: Vec<String>,
    /// Blobs that were read whole, now or before the audit was cut.
    pub blobs: u64,
    /// Bytes read now.
    pub bytes: u64,
    /// Blobs that were left out of the sample.
    pub left_out: u64,
    /// Blobs with other bytes than their name says.
    pub damaged: Vec<Digest>,
    /// Blobs that a believed record names and that are not there.
    pub missing: Vec<Digest>,
    /// Blobs that no believed record names: rows of the memo, and what cut pushes left.
    pub unnamed: u64,
    /// Damaged and missing blobs that were stored again.
    pub repaired: u64,
}

impl AuditReport {
    /// Whether everything a believed record names is there and whole, as far as it was read.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damaged.len() as u64 + self.missing.len() as u64 == self.repaired
    }
}

/// Reads a remote. `progress` hears the bytes read so far.
///
/// # Errors
/// There is no such remote, it cannot be listed or read, or its state cannot be kept here. What was read
/// until then need not be read again.
pub fn audit(
    cache: &Cache,
    remote: &str,
    options: &AuditOptions,
    progress: impl FnMut(u64) + Send,
) -> Result<AuditReport, CacheError> {
    let remotes = cache
        .remotes()
        .ok_or_else(|| CacheError::UnknownRemote(remote.to_owned()))?;
    let remote = remotes
        .list()
        .iter()
        .find(|other| other.name == remote)
        .ok_or_else(|| CacheError::UnknownRemote(remote.to_owned()))?;
    let mut report = AuditReport::default();
    let mut keys: Vec<StageKey> = Vec::new();
    list(remote, RECORDS, |name, _| {
        keys.extend(last_part(name).parse().ok().map(StageKey));
    })?;
    keys.sort_unstable();
    let mut blobs: BTreeMap<Digest, u64> = BTreeMap::new();
    list(remote, BLOBS, |name, size| {
        if let Ok(digest) = last_part(name).parse::<Digest>()
            && name == blob_name(&digest)
        {
            blobs.insert(digest, size);
        }
    })?;
    let named = named(cache, remote, &keys, &mut report)?;
    report.missing = named
        .iter()
        .filter(|digest| !blobs.contains_key(digest))
        .copied()
        .collect();
    report.unnamed = blobs.keys().filter(|blob| !named.contains(blob)).count() as u64;
    let state = State::open(cache, remote, options.sample)?;
    let mut to_read = Vec::new();
    for blob in blobs.into_keys() {
        if state.read.contains(&blob) {
            report.blobs += 1;
        } else if state.chooses(&blob) {
            to_read.push(blob);
        } else {
            report.left_out += 1;
        }
    }
    let shared = Mutex::new((progress, 0_u64, state.file.try_clone()?));
    let read = crew::each(&to_read, BLOBS_AT_ONCE, |blob| {
        let (digest, size) = hash(remote, blob)?;
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.1 += size;
        let so_far = shared.1;
        shared.0(so_far);
        if digest == Some(*blob) {
            shared.2.write_all(blob.as_bytes())?;
        }
        Ok::<_, CacheError>((digest, size))
    });
    for (blob, read) in to_read.into_iter().zip(read) {
        match read? {
            (Some(digest), size) => {
                report.blobs += 1;
                report.bytes += size;
                if digest != blob {
                    report.damaged.push(blob);
                }
            }
            // Removed meanwhile.
            (None, _) if named.contains(&blob) => report.missing.push(blob),
            (None, _) => {}
        }
    }
    if options.repair {
        for blob in report.damaged.iter().chain(&report.missing) {
            let Ok(path) = cache.local_blob_path(blob) else {
                continue;
            };
            remote
                .insist(|store, _| store.put_file(&blob_name(blob), &path, &mut |_| Ok(())))
                .map_err(|error| of(remote, error))?;
            report.repaired += 1;
        }
    }
    state.done()?;
    Ok(report)
}

fn list(remote: &Remote, folder: &str, mut each: impl FnMut(&str, u64)) -> Result<(), CacheError> {
    let mut found = Vec::new();
    remote
        .insist(|store, _| {
            found.clear();
            store.list(folder, &mut |name, size| {
                found.push((name.to_owned(), size));
                Ok(())
            })
        })
        .map_err(|error| of(remote, error))?;
    for (name, size) in found {
        each(&name, size);
    }
    Ok(())
}

/// Every blob that a believed record names, the files of models among them.
fn named(
    cache: &Cache,
    remote: &Remote,
    keys: &[StageKey],
    report: &mut AuditReport,
) -> Result<BTreeSet<Digest>, CacheError> {
    let keyring = cache.remotes().map(super::Remotes::keyring);
    let records = crew::each(keys, RECORDS_AT_ONCE, |key| {
        keyring.map_or(Answer::Absent, |keyring| remote.record(key, keyring))
    });
    let mut named = BTreeSet::new();
    for (key, answer) in keys.iter().zip(records) {
        match answer {
            Answer::Record(record, ..) => {
                report.records += 1;
                named.extend(record.outputs.values().map(|output| output.bytes));
                named.extend(files(remote, &record)?);
            }
            Answer::Refused(reason) => report
                .refused
                .push(format!("{}: {reason}", record_name(key))),
            // Removed meanwhile, or the remote fails; then its blobs cannot be read either.
            Answer::Absent => {}
        }
    }
    Ok(named)
}

/// The files of a record's models, from the manifests there. One that is missing or damaged is told as a
/// blob.
fn files(remote: &Remote, record: &Record) -> Result<Vec<Digest>, CacheError> {
    let mut files = Vec::new();
    for output in record.outputs.values() {
        if output.artifact != ArtifactType::Model {
            continue;
        }
        let manifest = remote
            .insist(|store, _| store.read(&blob_name(&output.bytes), LARGEST_MANIFEST))
            .map_err(|error| of(remote, error))?;
        if let Some(bytes) = manifest
            && Digest::of(&bytes) == output.bytes
            && let Ok(manifest) = crate::tree::Manifest::parse(&output.bytes, &bytes)
        {
            files.extend(manifest.files.into_iter().map(|file| file.digest));
        }
    }
    Ok(files)
}

/// Reads a blob from its beginning to its end. Gives the digest of its bytes, or none if it is absent.
fn hash(remote: &Remote, blob: &Digest) -> Result<(Option<Digest>, u64), CacheError> {
    let mut sink = Sink::default();
    let found = remote
        .insist(|store, further| {
            let before = sink.size;
            let answer = store.read_from(&blob_name(blob), sink.size, &mut sink);
            *further = sink.size > before;
            answer
        })
        .map_err(|error| of(remote, error))?;
    Ok((found.map(|_| sink.hasher.finalize().into()), sink.size))
}

#[derive(Default)]
struct Sink {
    hasher: blake3::Hasher,
    size: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Which blobs were read before the audit was cut, and which it chose: 16 bytes of salt, 8 bytes of the
/// bound, then the digests of whole blobs, 32 bytes each.
struct State {
    path: std::path::PathBuf,
    file: std::fs::File,
    salt: [u8; 16],
    bound: u64,
    read: BTreeSet<Digest>,
}

impl State {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a fraction of all digests, to some digits"
    )]
    fn open(cache: &Cache, remote: &Remote, sample: f64) -> io::Result<Self> {
        let folder = cache.root().join(AUDITS);
        fs::create_dir_all(&folder)?;
        let path = folder.join(Digest::of(remote.name.as_bytes()).to_string());
        let bound = (sample.clamp(0.0, 1.0) * u64::MAX as f64) as u64;
        let before = fs::read(&path).unwrap_or_default();
        let mut state = Self {
            file: fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)?
                .into_parts()
                .0,
            path,
            salt: *uuid::Uuid::now_v7().as_bytes(),
            bound,
            read: BTreeSet::new(),
        };
        // An audit of another size is another audit.
        match before.split_first_chunk::<24>() {
            Some((head, rest)) if head[16..] == bound.to_le_bytes() => {
                state.salt.copy_from_slice(&head[..16]);
                let (whole, _) = rest.as_chunks::<32>();
                state.read = whole
                    .iter()
                    .map(|bytes| Digest::from_bytes(*bytes))
                    .collect();
                // A digest that was half written goes, so that those that follow are read as they are.
                state.file.set_len(24 + 32 * whole.len() as u64)?;
            }
            _ => {
                state.file.set_len(0)?;
                state.file.write_all(&state.salt)?;
                state.file.write_all(&bound.to_le_bytes())?;
            }
        }
        Ok(state)
    }

    fn chooses(&self, blob: &Digest) -> bool {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.salt).update(blob.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first) <= self.bound
    }

    fn done(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}
