//! Storing a large file in parts, several at once.
//!
//! The caller's thread reads the file and starts the parts; a part that fails is sent again alone. If the
//! whole fails, what the store has already is remembered (`unfinished.rs`), and the next call goes on.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::PutPayload;
use object_store::multipart::PartId;

use super::attempts::{moving, within};
use super::failure::{Cause, Failure, observed};
use super::runtime::{self, Ending, Memory, started, wait};
use super::unfinished::{Begun, Part, Unfinished};
use super::upload::{Moved, Source, Upload};
use super::{InParts, size};
use crate::Digest;

/// Bytes of a part at least. Stores want 5 MiB or more.
const PART: u64 = 8 << 20;

/// Parts of an upload at most: the limit of S3.
const PARTS: u64 = 10_000;

/// Bytes of parts on their way at once.
const IN_FLIGHT: u64 = 32 << 20;

/// How often an upload that the store forgot begins anew, with the first.
const UPLOADS: u32 = 3;

/// The last step of an upload in parts: some stores copy the parts together now.
const COMPLETING: Duration = Duration::from_secs(120);

/// A part on its way.
struct Sending {
    index: usize,
    bytes: Bytes,
    memory: Memory,
    /// How long it may take beside a silence.
    patience: Duration,
}

/// How a part ended.
struct Sent {
    index: usize,
    digest: Digest,
    len: u64,
    took: Duration,
    stored: Result<PartId, Failure>,
}

/// Why an upload in parts stopped.
enum Stopped {
    /// A file, or the caller.
    Local(io::Error),
    /// The store.
    Store(Failure),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Local(error)
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Store(failure)
    }
}

/// An upload in parts that the store knows.
struct Parts {
    begun: Begun,
    stored: BTreeMap<usize, PartId>,
    log: Option<Unfinished>,
}

impl Upload<'_> {
    /// In parts, several at once. Goes on where an earlier call stopped.
    pub(super) fn in_parts(
        &self,
        store: &Arc<dyn InParts>,
        file: &Source,
        state: Option<&Path>,
        moved: Moved<'_>,
    ) -> io::Result<()> {
        let (told, done) = (Cell::new(0), Cell::new(0));
        // An upload that begins anew does not tell again of bytes that were told of.
        let mut moved = |bytes: u64| {
            done.set(done.get() + bytes);
            let new = u64::saturating_sub(done.get(), told.get());
            told.set(told.get() + new);
            if new > 0 { moved(new) } else { Ok(()) }
        };
        // A server that does not answer now costs no more than this. Azure begins an upload without asking.
        let (reached, key, limits) = (Arc::clone(store), self.key.clone(), self.limits);
        wait(async move { size(&*reached, &key, limits).await })?
            .map_err(|failure| self.failed(failure))?;
        let mut log = state.and_then(|folder| Unfinished::open(folder, self.place, self.name));
        let resumed = log
            .as_mut()
            .and_then(Unfinished::read)
            .filter(|(begun, _)| begun.len == file.len && begun.part == part_size(file.len));
        let mut going = match resumed {
            Some((begun, parts)) => self.resume(file, begun, parts, log)?,
            None => self.begin(store, file, log)?,
        };
        let mut made = 0;
        loop {
            made += 1;
            let failure = match self.finish(store, file, &mut going, &mut moved) {
                Ok(()) => {
                    going.log.into_iter().for_each(Unfinished::finish);
                    return Ok(());
                }
                Err(stopped) => stopped,
            };
            let forgotten = matches!(&failure, Stopped::Store(failure) if forgotten(failure));
            // What is remembered stays where the next call can go on with it.
            if forgotten || going.log.is_none() {
                self.abandon(store, &going.begun.upload);
            }
            match failure {
                Stopped::Store(_) if forgotten && made < UPLOADS => {
                    going = self.begin(store, file, going.log)?;
                    done.set(0);
                }
                Stopped::Store(failure) => return Err(self.failed(failure)),
                Stopped::Local(error) => return Err(error),
            }
        }
    }

    fn begin(
        &self,
        store: &Arc<dyn InParts>,
        file: &Source,
        mut log: Option<Unfinished>,
    ) -> io::Result<Parts> {
        let (store, key, limits) = (Arc::clone(store), self.key.clone(), self.limits);
        let begin =
            async move { within(limits.small, || observed(store.create_multipart(&key))).await };
        let upload = wait(begin)?.map_err(|failure| self.failed(failure))?;
        let begun = Begun {
            version: 1,
            name: self.name.to_owned(),
            upload,
            len: file.len,
            part: part_size(file.len),
        };
        log = log.and_then(|mut log| log.begin(&begun).then_some(log));
        Ok(Parts {
            begun,
            stored: BTreeMap::new(),
            log,
        })
    }

    /// Takes over the parts of an earlier call whose bytes are still those of the file.
    fn resume(
        &self,
        file: &Source,
        begun: Begun,
        parts: Vec<Part>,
        log: Option<Unfinished>,
    ) -> io::Result<Parts> {
        let mut stored = BTreeMap::new();
        for Part { index, id, digest } in parts {
            let from = (index as u64).saturating_mul(begun.part);
            if from >= begun.len {
                continue;
            }
            let size = begun.part.min(begun.len - from);
            let _memory = wait(runtime::memory(size))?;
            if Digest::of(&file.piece(from, size)?) == digest {
                stored.insert(index, PartId { content_id: id });
            }
        }
        Ok(Parts { begun, stored, log })
    }

    /// Stores the parts that are missing, then makes one of all.
    fn finish(
        &self,
        store: &Arc<dyn InParts>,
        file: &Source,
        going: &mut Parts,
        moved: Moved<'_>,
    ) -> Result<(), Stopped> {
        let Begun { part, len, .. } = going.begun;
        let size_of = |index: u64| part.min(len - index * part);
        let at_once = u32::try_from((IN_FLIGHT / part).max(1)).unwrap_or(1);
        let mut slowest = None;
        let mut missing = (0..len.div_ceil(part))
            .filter(|index| {
                !usize::try_from(*index).is_ok_and(|index| going.stored.contains_key(&index))
            })
            .collect::<Vec<_>>()
            .into_iter();
        let kept: u64 = going
            .stored
            .keys()
            .map(|index| size_of(*index as u64))
            .sum();
        if kept > 0 {
            moved(kept)?;
        }
        let (sender, receiver): (Sender<Sent>, Receiver<Sent>) = channel();
        let mut sending: BTreeMap<usize, Ending> = BTreeMap::new();
        loop {
            while sending.len() < at_once as usize
                && let Some(memory) = leave(part, sending.is_empty() && missing.len() > 0)?
                && let Some(index) = missing.next()
            {
                let bytes = file.piece(index * part, size_of(index))?;
                let index = usize::try_from(index).map_err(io::Error::other)?;
                // How fast the network is shows when the first part is there. Until then it may be slow.
                let patience = slowest.map_or(moving(part), |took: Duration| took * 4);
                let sent = Sending {
                    index,
                    bytes,
                    memory,
                    patience,
                };
                let task = self.send(store, &going.begun.upload, sent, &sender)?;
                sending.insert(index, task);
            }
            if sending.is_empty() {
                break;
            }
            let Sent {
                index,
                digest,
                len,
                took,
                stored,
            } = receiver.recv().map_err(io::Error::other)?;
            slowest = slowest.max(Some(took));
            sending.remove(&index);
            let id = stored?;
            if let Some(log) = &mut going.log {
                let line = Part {
                    index,
                    id: id.content_id.clone(),
                    digest,
                };
                if !log.stored(&line) {
                    going.log = None;
                }
            }
            going.stored.insert(index, id);
            moved(len)?;
        }
        Ok(self.complete(store, going)??)
    }

    fn send(
        &self,
        store: &Arc<dyn InParts>,
        upload: &str,
        part: Sending,
        sender: &Sender<Sent>,
    ) -> io::Result<Ending> {
        let (store, key) = (Arc::clone(store), self.key.clone());
        let (upload, sender) = (upload.to_owned(), sender.clone());
        let Sending {
            index,
            bytes,
            memory,
            patience,
        } = part;
        let len = bytes.len() as u64;
        let whole = (self.limits.silence + patience) * 2;
        started(async move {
            let digest = Digest::of(&bytes);
            let start = Instant::now();
            let stored = within(whole, || {
                let payload = PutPayload::from_bytes(bytes.clone());
                observed(store.put_part(&key, &upload, index, payload))
            })
            .await;
            drop(memory);
            // A caller that went away needs no answer.
            let took = start.elapsed();
            drop(sender.send(Sent {
                index,
                digest,
                len,
                took,
                stored,
            }));
        })
    }

    fn complete(&self, store: &Arc<dyn InParts>, going: &Parts) -> io::Result<Result<(), Failure>> {
        let (store, key, limits) = (Arc::clone(store), self.key.clone(), self.limits);
        let (upload, len) = (going.begun.upload.clone(), going.begun.len);
        let parts: Vec<PartId> = going.stored.values().cloned().collect();
        wait(async move {
            let mut made = 0;
            let made = &mut made;
            let completed = within(COMPLETING, || {
                *made += 1;
                observed(store.complete_multipart(&key, &upload, parts.clone()))
            })
            .await;
            match completed {
                Ok(_) => Ok(()),
                // An earlier attempt went through, and only its answer did not arrive: the upload is over,
                // and the name has as many bytes as it should.
                Err(failure) if *made > 1 && failure.cause == Cause::Absent => {
                    match size(&*store, &key, limits).await? {
                        Some(there) if there == len => Ok(()),
                        _ => Err(failure),
                    }
                }
                Err(failure) => Err(failure),
            }
        })
    }

    /// Gives an upload up, so that its parts cost nothing. A store that cannot forgets them by itself, or by
    /// its rules for unfinished uploads.
    fn abandon(&self, store: &Arc<dyn InParts>, upload: &str) {
        let (store, key) = (Arc::clone(store), self.key.clone());
        let (upload, limits) = (upload.to_owned(), self.limits);
        drop(wait(async move {
            within(limits.small, || {
                observed(store.abort_multipart(&key, &upload))
            })
            .await
        }));
    }
}

/// Whether the store does not know the upload, or not as it was: it ran out, or somebody else stored the same
/// name meanwhile, which ends all other uploads of it on Azure.
fn forgotten(failure: &Failure) -> bool {
    matches!(failure.cause, Cause::Absent | Cause::Conflict | Cause::Odd)
}

/// Bytes of a part of a file of `len` bytes: whole mebibytes.
fn part_size(len: u64) -> u64 {
    let mib = 1 << 20;
    PART.max(len.div_ceil(PARTS).div_ceil(mib) * mib)
}

/// Memory for a part: waited for if there is nothing else to wait for.
fn leave(part: u64, wait_for_it: bool) -> io::Result<Option<Memory>> {
    match runtime::memory_now(part) {
        None if wait_for_it => wait(runtime::memory(part)),
        memory => Ok(memory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_mebibytes_and_no_more_than_a_store_takes() {
        let gib = 1 << 30;
        assert_eq!(part_size(16 << 20), PART);
        assert_eq!(part_size(PARTS * PART), PART);
        for len in [PARTS * PART + 1, 100 * gib, 640 * gib + 1, 5 << 40] {
            let part = part_size(len);
            assert_eq!(part % (1 << 20), 0, "{len}");
            assert!(len.div_ceil(part) <= PARTS, "{len}");
        }
    }
}
