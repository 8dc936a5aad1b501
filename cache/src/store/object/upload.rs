//! Storing a local file: in one request, or as one stream. In parts: `parts.rs`.
//!
//! The caller's thread reads the file, piece by piece as they are wanted.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fs_err as fs;
use object_store::path::Path as Key;
use tokio::sync::oneshot;

use super::attempts::Limits;
use super::failure::Failure;
use super::runtime::{self, Feed, pump, wait};
use super::webdav::WebDav;
use super::{Backend, put};

/// Bytes of a stream that are read at once.
const PIECE: u64 = 1 << 20;

/// Smaller files need no leave to be in memory.
const SMALL: u64 = 256 << 10;

/// How often a stream is sent before it fails.
const STREAMS: u32 = 3;

pub(super) type Moved<'a> = &'a mut dyn FnMut(u64) -> io::Result<()>;

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

    pub(super) fn piece(&self, from: u64, len: u64) -> io::Result<Bytes> {
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
    /// The key below which the store lies.
    pub(super) prefix: &'a Key,
    pub(super) key: Key,
    pub(super) name: &'a str,
    pub(super) place: &'a str,
    pub(super) limits: Limits,
}

impl Upload<'_> {
    pub(super) fn failed(&self, failure: Failure) -> io::Error {
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

    /// As one stream, beside and then renamed: a server of WebDAV may keep what came of a stream that broke
    /// off.
    pub(super) fn in_one_stream(
        &self,
        dav: &Arc<WebDav>,
        file: &Source,
        moved: Moved<'_>,
    ) -> io::Result<()> {
        let (limits, len) = (self.limits, file.len);
        let beside = WebDav::incoming(self.prefix);
        let (preparing, key) = (Arc::clone(dav), beside.clone());
        match wait(async move { preparing.prepare(&key, limits).await })? {
            // A server that does not answer now will not take a stream.
            Err(failure) if failure.may_pass() => return Err(self.failed(failure)),
            // What else it cannot do shows below.
            Ok(()) | Err(_) => {}
        }
        let sent = self.stream(dav, &beside, file, moved);
        let (dav, to) = (Arc::clone(dav), self.key.clone());
        let streamed = sent.is_ok();
        let renamed = wait(async move {
            let renamed = if streamed {
                dav.rename_over(&beside, &to, len, limits).await
            } else {
                Ok(())
            };
            if !streamed || renamed.is_err() {
                dav.clear(&beside, limits).await;
            }
            renamed
        })?;
        sent?;
        renamed.map_err(|failure| self.failed(failure))
    }

    /// Sends a stream, and sends it again from its beginning if it breaks off; `moved` hears only of new
    /// bytes.
    fn stream(
        &self,
        dav: &Arc<WebDav>,
        beside: &Key,
        file: &Source,
        moved: Moved<'_>,
    ) -> io::Result<()> {
        let (limits, len) = (self.limits, file.len);
        let mut told = 0;
        let mut made = 0;
        loop {
            let (dav, key) = (Arc::clone(dav), beside.clone());
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
}
