//! Storing a local file: in one request, in parts, or as one stream.
//!
//! The caller's thread reads the file and starts the parts; a part that fails is sent again alone. If the
//! whole fails, what the store has already is remembered ([`super::unfinished`]) and the next call goes on.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use fs_err as fs;
use object_store::PutPayload;
use object_store::multipart::PartId;
use object_store::path::Path as Key;
use tokio::sync::oneshot;

use super::attempts::{Limits, moving, within};
use super::failure::{Cause, Failure, observed};
use super::runtime::{self, Ending, Feed, Memory, pump, started, wait};
use super::unfinished::{Begun, Part, Unfinished};
use super::webdav::WebDav;
use super::{Backend, InParts, put, size};
use crate::Digest;

/// Bytes of a part at least. Stores want 5 MiB or more.
const PART: u64 = 8 << 20;

/// Parts of an upload at most: the limit of S3.
const PARTS: u64 = 10_000;

/// Bytes of parts on their way at once.
const IN_FLIGHT: u64 = 32 << 20;

/// Bytes of a stream that are read at once.
const PIECE: u64 = 1 << 20;

/// Smaller files need no leave to be in memory.
const SMALL: u64 = 256 << 10;

/// How often a stream is sent before it fails.
const STREAMS: u32 = 3;

/// The last step of an upload in parts: some stores copy the parts together now.
const COMPLETING: Duration = Duration::from_secs(120);

type Moved<'a> = &'a mut dyn FnMut(u64) -> io::Result<()>;

/// A local file.
pub(super) struct Source {
    file: fs::File,
    path: PathBuf,
    pub(super) len: u64,
}

impl Source {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = fs::File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self {
            file,
            path: path.to_owned(),
            len,
        })
    }

    fn piece(&self, from: u64, len: u64) -> io::Result<Bytes> {
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        self.file
            .file()
            .read_exact_at(&mut bytes, from)
            .map_err(|error| {
                let path = self.path.display();
                io::Error::new(
                    error.kind(),
                    format!("`{path}` cannot be read, or changes: {error}"),
                )
            })?;
        Ok(bytes.into())
    }
}

/// What is stored where.
pub(super) struct Upload<'a> {
    pub(super) key: Key,
    pub(super) name: &'a str,
    pub(super) place: &'a str,
    pub(super) limits: Limits,
}

/// How a part ended.
type PartEnd = (usize, Digest, u64, Result<PartId, Failure>);

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
    fn failed(&self, failure: Failure) -> io::Error {
        failure.at(self.place, "store", self.name)
    }

    /// One request.
    pub(super) fn in_one(
        &self,
        backend: &Backend,
        file: &Source,
        moved: Moved<'_>,
    ) -> io::Result<()> {
        let _memory = (file.len > SMALL)
            .then(|| wait(runtime::memory(file.len)))
            .transpose()?;
        let bytes = file.piece(0, file.len)?;
        let (key, limits) = (self.key.clone(), self.limits);
        let stored = match backend.clone() {
            Backend::Cloud(store) => wait(async move { put(&*store, &key, bytes, limits).await })?,
            Backend::Dav(dav) => wait(async move { dav.put(&key, bytes, limits).await })?,
        };
        stored.map_err(|failure| self.failed(failure))?;
        if file.len > 0 {
            moved(file.len)
        } else {
            Ok(())
        }
    }

    /// One stream. If it breaks off it is sent again from its beginning; `moved` hears only of new bytes.
    pub(super) fn in_one_stream(
        &self,
        dav: &Arc<WebDav>,
        file: &Source,
        moved: Moved<'_>,
    ) -> io::Result<()> {
        let (key, limits, len) = (self.key.clone(), self.limits, file.len);
        let prepared = Arc::clone(dav);
        // What this cannot do shows below.
        drop(wait(async move { prepared.prepare(&key, limits).await })?);
        let mut told = 0;
        let mut made = 0;
        loop {
            let (dav, key) = (Arc::clone(dav), self.key.clone());
            let taken = Arc::new(AtomicU64::new(0));
            let leaving = Arc::clone(&taken);
            let mut from = 0;
            let sent = pump(
                1,
                |feed: Arc<Feed<oneshot::Sender<Bytes>, Result<(), Failure>>>| async move {
                    let pieces = futures::stream::try_unfold(feed, |feed| async move {
                        let (give, take) = oneshot::channel();
                        if !feed.send(give, 1).await {
                            return Ok(None);
                        }
                        // No piece: the file has ended, or its reading has.
                        Ok(take.await.ok().map(|piece: Bytes| (piece, feed)))
                    });
                    dav.put_stream(&key, len, leaving, limits, pieces).await
                },
                |give| {
                    let new = taken.load(Ordering::Relaxed).saturating_sub(told);
                    if new > 0 {
                        told += new;
                        moved(new)?;
                    }
                    let piece = PIECE.min(len - from);
                    if piece > 0 {
                        let bytes = file.piece(from, piece)?;
                        from += piece;
                        // A stream that ended meanwhile wants nothing more.
                        drop(give.send(bytes));
                    }
                    Ok(())
                },
            )?;
            made += 1;
            match sent {
                Ok(()) if len > told => return moved(len - told),
                Ok(()) => return Ok(()),
                Err(failure) if !failure.may_pass() || made == STREAMS => {
                    return Err(self.failed(failure));
                }
                Err(_) => {}
            }
        }
    }

    /// In parts, several at once. Goes on where an earlier call stopped.
    pub(super) fn in_parts(
        &self,
        store: &Arc<dyn InParts>,
        file: &Source,
        state: Option<&Path>,
        moved: Moved<'_>,
    ) -> io::Result<()> {
        let told = Cell::new(0);
        let mut moved = |bytes: u64| {
            told.set(told.get() + bytes);
            moved(bytes)
        };
        let mut log = state.and_then(|folder| Unfinished::open(folder, self.place, self.name));
        let resumed = log
            .as_mut()
            .and_then(Unfinished::read)
            .filter(|(begun, _)| begun.len == file.len && begun.part >= PART);
        if let Some((begun, parts)) = resumed {
            let mut going = Parts {
                begun,
                stored: BTreeMap::new(),
                log,
            };
            self.keep_what_fits(file, &mut going, parts)?;
            match self.finish(store, file, &mut going, &mut moved) {
                Ok(()) => {
                    going.log.into_iter().for_each(Unfinished::finish);
                    return Ok(());
                }
                Err(Stopped::Local(error)) => return Err(error),
                // The store forgot the upload, or does not go on with it. What may pass is another matter:
                // then the next call goes on.
                Err(Stopped::Store(failure))
                    if failure.may_pass() || failure.cause == Cause::Denied =>
                {
                    return Err(self.failed(failure));
                }
                Err(Stopped::Store(_)) => self.abandon(store, &going.begun.upload),
            }
            log = going.log;
        }
        // Bytes of which `moved` heard in vain are not told again.
        let mut heard = told.get();
        let mut moved = |bytes: u64| {
            let again = bytes.min(heard);
            heard -= again;
            if bytes > again {
                moved(bytes - again)
            } else {
                Ok(())
            }
        };
        let mut fresh = self
            .begin(store, file, log)
            .map_err(|failure| self.failed(failure))?;
        match self.finish(store, file, &mut fresh, &mut moved) {
            Ok(()) => {
                fresh.log.into_iter().for_each(Unfinished::finish);
                Ok(())
            }
            Err(stopped) => {
                if fresh.log.is_none() {
                    self.abandon(store, &fresh.begun.upload);
                }
                Err(match stopped {
                    Stopped::Local(error) => error,
                    Stopped::Store(failure) => self.failed(failure),
                })
            }
        }
    }

    fn begin(
        &self,
        store: &Arc<dyn InParts>,
        file: &Source,
        mut log: Option<Unfinished>,
    ) -> Result<Parts, Failure> {
        let (store, key, limits) = (Arc::clone(store), self.key.clone(), self.limits);
        let begin =
            async move { within(limits.small, || observed(store.create_multipart(&key))).await };
        let upload = wait(begin).map_err(|error| Failure::new(Cause::Odd, error.to_string()))??;
        let mib = 1 << 20;
        let begun = Begun {
            version: 1,
            name: self.name.to_owned(),
            upload,
            len: file.len,
            part: PART.max(file.len.div_ceil(PARTS).div_ceil(mib) * mib),
        };
        log = log.and_then(|mut log| log.begin(&begun).then_some(log));
        Ok(Parts {
            begun,
            stored: BTreeMap::new(),
            log,
        })
    }

    /// Takes over the parts of an earlier call whose bytes are still those of the file.
    fn keep_what_fits(&self, file: &Source, going: &mut Parts, parts: Vec<Part>) -> io::Result<()> {
        let Begun { part, len, .. } = going.begun;
        for Part { index, id, digest } in parts {
            let from = (index as u64).saturating_mul(part);
            if from >= len {
                continue;
            }
            let size = part.min(len - from);
            let _memory = wait(runtime::memory(size))?;
            if Digest::of(&file.piece(from, size)?) == digest {
                going.stored.insert(index, PartId { content_id: id });
            }
        }
        Ok(())
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
        let at_once = usize::try_from((IN_FLIGHT / part).max(1)).unwrap_or(1);
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
        let (sender, receiver): (Sender<PartEnd>, Receiver<PartEnd>) = channel();
        let mut sending: BTreeMap<usize, Ending> = BTreeMap::new();
        loop {
            while sending.len() < at_once
                && let Some(memory) = leave(part, sending.is_empty() && missing.len() > 0)?
                && let Some(index) = missing.next()
            {
                let bytes = file.piece(index * part, size_of(index))?;
                let index = usize::try_from(index).map_err(io::Error::other)?;
                let task = self.send(store, &going.begun.upload, index, bytes, memory, &sender)?;
                sending.insert(index, task);
            }
            if sending.is_empty() {
                break;
            }
            let (index, digest, bytes, stored) = receiver.recv().map_err(io::Error::other)?;
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
            moved(bytes)?;
        }
        Ok(self.complete(store, going)??)
    }

    fn send(
        &self,
        store: &Arc<dyn InParts>,
        upload: &str,
        index: usize,
        bytes: Bytes,
        memory: Memory,
        sender: &Sender<PartEnd>,
    ) -> io::Result<Ending> {
        let (store, key) = (Arc::clone(store), self.key.clone());
        let (upload, sender) = (upload.to_owned(), sender.clone());
        let len = bytes.len() as u64;
        let whole = (self.limits.silence + moving(len)) * 2;
        started(async move {
            let digest = Digest::of(&bytes);
            let stored = within(whole, || {
                let payload = PutPayload::from_bytes(bytes.clone());
                observed(store.put_part(&key, &upload, index, payload))
            })
            .await;
            drop(memory);
            // A caller that went away needs no answer.
            drop(sender.send((index, digest, len, stored)));
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

/// Memory for a part: waited for if there is nothing else to wait for.
fn leave(part: u64, wait_for_it: bool) -> io::Result<Option<Memory>> {
    match runtime::memory_now(part) {
        None if wait_for_it => wait(runtime::memory(part)),
        memory => Ok(memory),
    }
}
