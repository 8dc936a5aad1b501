//! Pushing: blobs first, then the rows, the record last and only if the key has none.

use std::io;

use super::find::Answer;
use super::notice::{Notice, Way};
use super::{Remote, Remotes, crew, rows};
use crate::cache::{blob_name, record_name};
use crate::record::Record;
use crate::store::Created;
use crate::trust::{Purpose, WriterKey, seal};
use crate::{Cache, CacheError, Digest, Lookup, StageKey};

/// Blobs that are pushed at the same time.
const AT_ONCE: usize = 32;

/// Asking for a blob of this size takes as long as storing it, in bytes.
const SMALL: u64 = 64 << 10;

/// So many blobs are asked for in any case. They are pushed in the order of their digests, so a push that
/// was cut has left the first of them there.
const ASKED_FIRST: usize = 32;

/// How often a push goes on when the record under it comes and goes.
const ATTEMPTS: usize = 4;

/// What became of a push.
#[derive(Clone, Debug, PartialEq)]
pub struct PushReport {
    /// The remote.
    pub remote: String,
    /// What became of the record.
    pub outcome: Pushed,
    /// Blobs that were stored there.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Memo rows that were stored there.
    pub rows: u64,
}

/// What became of a pushed record.
#[derive(Clone, Debug, PartialEq)]
pub enum Pushed {
    /// It is the key's record there now.
    New,
    /// The remote has a record that says the same.
    Same,
    /// It took the place of a record that is not believed, or has more unfinished rows.
    Replaced {
        /// Why the other had to go.
        reason: String,
    },
    /// The remote has a record with other content, which is this cache's record now as well.
    Adopted {
        /// The record that counts.
        record: Box<Record>,
        /// Who sealed it, by the name this user gave them.
        writer: String,
    },
}

impl Cache {
    /// Pushes the result of a key, with its rows, to the remote of this name.
    ///
    /// # Errors
    /// There is no such remote or no key to sign with; the result or one of its blobs is not here; the
    /// remote cannot be written. Nobody sees anything of the result there then.
    pub fn push(&self, key: &StageKey, remote: &str) -> Result<PushReport, CacheError> {
        let remotes = self.remotes();
        let found = remotes.and_then(|remotes| {
            let remote = remotes.list().iter().find(|other| other.name == remote)?;
            Some((remotes, remote))
        });
        let (remotes, remote) =
            found.ok_or_else(|| CacheError::UnknownRemote(remote.to_owned()))?;
        let writer = remotes.key().ok_or(CacheError::NoWriterKey)?;
        if self.is_private(key)? {
            return Err(CacheError::Private(*key));
        }
        let mut report = PushReport {
            remote: remote.name.clone(),
            outcome: Pushed::Same,
            blobs: 0,
            bytes: 0,
            rows: 0,
        };
        let record = match self.lookup(key) {
            Lookup::Hit(record) => record,
            // Its blobs are at some remote already.
            Lookup::Shared { record, .. } => {
                return match remote.record(key, remotes.keyring()) {
                    Answer::Record(theirs, ..) if theirs.agrees_with(&record) => Ok(report),
                    _ => Err(CacheError::Missing(key.0)),
                };
            }
            _ => return Err(CacheError::NoResult(*key)),
        };
        let mut over = match remote.record(key, remotes.keyring()) {
            Answer::Absent => None,
            Answer::Refused(reason) => Some(reason),
            Answer::Record(theirs, ..) if record.unfinished < theirs.unfinished => Some(format!(
                "it has {} unfinished rows, and this one {}",
                theirs.unfinished, record.unfinished
            )),
            Answer::Record(theirs, ..) if theirs.agrees_with(&record) => {
                // What its blobs have lost there meanwhile is made good.
                (report.blobs, report.bytes) = self.push_blobs(&record, remotes, remote)?;
                report.rows = rows::push(self, remotes, remote, writer, key)?;
                return Ok(report);
            }
            Answer::Record(theirs, ..) if !self.is_whole_at(&theirs, remote)? => {
                Some("its files are not there, or damaged".to_owned())
            }
            Answer::Record(theirs, sealer, sealed) => {
                self.adopt(key, &remote.name, &sealed)?;
                report.outcome = adopted(remotes, theirs, sealer);
                return Ok(report);
            }
        };
        (report.blobs, report.bytes) = self.push_blobs(&record, remotes, remote)?;
        report.rows = rows::push(self, remotes, remote, writer, key)?;
        let sealed = seal_record(&record, Some(writer))?;
        let name = record_name(key);
        for _ in 0..ATTEMPTS {
            if let Some(reason) = over.take() {
                remote
                    .insist(|store, _| store.put(&name, &sealed))
                    .map_err(|error| of(remote, error))?;
                report.outcome = Pushed::Replaced { reason };
                return Ok(report);
            }
            let created = remote
                .insist(|store, _| store.create(&name, &sealed))
                .map_err(|error| of(remote, error))?;
            if created == Created::New {
                report.outcome = Pushed::New;
                return Ok(report);
            }
            match remote.record(key, remotes.keyring()) {
                Answer::Record(theirs, ..) if theirs.agrees_with(&record) => return Ok(report),
                Answer::Record(theirs, sealer, sealed) => {
                    self.adopt(key, &remote.name, &sealed)?;
                    report.outcome = adopted(remotes, theirs, sealer);
                    return Ok(report);
                }
                Answer::Refused(reason) => over = Some(reason),
                // Gone again, or not to be asked: the next attempt tells.
                Answer::Absent => {}
            }
        }
        Err(of(
            remote,
            io::Error::other(format!(
                "the record of {} comes and goes there",
                key.0.short()
            )),
        ))
    }

    /// Whether a remote has the blobs of its record, as far as one can tell without fetching them. The files
    /// of a model whose manifest is not here are taken to be there.
    fn is_whole_at(&self, record: &Record, remote: &Remote) -> Result<bool, CacheError> {
        for output in record.outputs.values() {
            for blob in self.blobs_of(output).unwrap_or_else(|_| vec![output.bytes]) {
                let there = remote
                    .insist(|store, _| store.size(&blob_name(&blob)))
                    .map_err(|error| of(remote, error))?;
                if there.is_none() || remote.bad().contains(&blob) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Stores the blobs of a record that the remote lacks. Where it has none of the first, small ones are
    /// stored without asking for them. Gives how many were stored, and their bytes.
    fn push_blobs(
        &self,
        record: &Record,
        remotes: &Remotes,
        remote: &Remote,
    ) -> Result<(u64, u64), CacheError> {
        let mut blobs = Vec::new();
        for output in record.outputs.values() {
            blobs.extend(self.blobs_of(output)?);
        }
        blobs.sort_unstable();
        blobs.dedup();
        let sized: Vec<(Digest, u64)> = blobs
            .into_iter()
            .map(|blob| {
                let size = self.blob_size(&blob).ok_or(CacheError::Missing(blob))?;
                Ok((blob, size))
            })
            .collect::<Result<_, CacheError>>()?;
        let (first, rest) = sized.split_at(sized.len().min(ASKED_FIRST));
        let mut missing = missing_there(remote, first)?;
        if missing.len() == first.len() {
            let (small, large): (Vec<_>, Vec<_>) =
                rest.iter().partition(|(_, size)| *size <= SMALL);
            missing.extend(missing_there(remote, &large)?);
            missing.extend(small);
            missing.sort_unstable();
        } else {
            missing.extend(missing_there(remote, rest)?);
        }
        let bytes = missing.iter().map(|(_, size)| size).sum();
        if missing.is_empty() {
            return Ok((0, 0));
        }
        let listener = remotes.listener();
        listener.hear(&Notice::Begun {
            remote: remote.name.clone(),
            way: Way::There,
            blobs: missing.len() as u64,
            bytes,
        });
        let pushed = crew::each(&missing, AT_ONCE, |(blob, _)| {
            // Verified: a damaged blob is never handed on.
            let path = self.blob_path(blob)?;
            remote
                .insist(|store, further| {
                    store.put_file(&blob_name(blob), &path, &mut |bytes| {
                        *further = true;
                        listener.hear(&Notice::Moved {
                            way: Way::There,
                            bytes,
                        });
                        Ok(())
                    })
                })
                .map_err(|error| of(remote, error))?;
            remote.bad().remove(blob);
            Ok(())
        });
        listener.hear(&Notice::Ended { way: Way::There });
        pushed.into_iter().collect::<Result<(), CacheError>>()?;
        Ok((missing.len() as u64, bytes))
    }
}

/// Those of the blobs, with their sizes, that a remote lacks, or has with other bytes.
fn missing_there(
    remote: &Remote,
    blobs: &[(Digest, u64)],
) -> Result<Vec<(Digest, u64)>, CacheError> {
    let answers = crew::each(blobs, AT_ONCE, |(blob, here)| {
        let there = remote
            .insist(|store, _| store.size(&blob_name(blob)))
            .map_err(|error| of(remote, error))?;
        let wrong = there != Some(*here) || remote.bad().contains(blob);
        Ok(wrong.then_some((*blob, *here)))
    });
    answers.into_iter().filter_map(Result::transpose).collect()
}

/// An error of a remote, with its name.
pub(super) fn of(remote: &Remote, error: io::Error) -> CacheError {
    CacheError::Remote {
        remote: remote.name.clone(),
        source: error,
    }
}

fn adopted(remotes: &Remotes, record: Box<Record>, sealer: Option<crate::trust::Writer>) -> Pushed {
    Pushed::Adopted {
        record,
        writer: remotes.who(sealer),
    }
}

/// A record under its seal; without a key, unsigned.
pub(crate) fn seal_record(
    record: &Record,
    writer: Option<&WriterKey>,
) -> Result<Vec<u8>, CacheError> {
    Ok(seal(
        Purpose::Record,
        &record.key.to_string(),
        &record.encode()?,
        writer,
    ))
}
