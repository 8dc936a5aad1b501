//! Object stores: S3, Google Cloud Storage, Azure Blob Storage, and servers that speak WebDAV or only give
//! files.
//!
//! All promises of [`Store`] hold:
//! - *Whole or absent, durable:* one request stores a small thing, and the parts of a large one become it
//!   only when the last step, one request, names them all.
//! - *One winner:* by a conditional put; over WebDAV by a rename (`webdav.rs`).
//! - *A lost answer is no answer:* every retry of `create` knows whether an earlier attempt may have gone
//!   through, and then looks who wrote what is there.
//!
//! A server that is gone costs at most [`StoreOptions::small`](super::StoreOptions::small) a call. Transfers
//! hold at most 96 MiB in memory, over all stores of the process.

mod attempts;
mod download;
mod failure;
mod listing;
mod open;
mod parts;
mod profile;
mod runtime;
mod unfinished;
mod upload;
mod webdav;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::multipart::MultipartStore;
use object_store::path::Path as Key;
use object_store::{
    Attribute, GetOptions, GetResult, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    PutPayload,
};

use tokio::time::timeout;

use self::attempts::{Limits, moving, within};
use self::failure::{Cause, Failure, observed};
use self::webdav::WebDav;
use super::{Created, Store, checked, too_large};

pub(super) use self::open::open;

/// A file from this size on is stored in parts.
const PARTS_FROM: u64 = 16 << 20;

/// What a created object says of the call that wrote it. One word, since Azure takes no other.
const WRITER: Attribute = Attribute::Metadata(Cow::Borrowed("dagwriter"));

/// A store that takes objects in parts.
trait InParts: ObjectStore + MultipartStore {}

impl<T: ObjectStore + MultipartStore> InParts for T {}

#[derive(Clone)]
enum Backend {
    /// S3, Google, Azure.
    Cloud(Arc<dyn InParts>),
    /// A server of WebDAV or of plain files.
    Dav(Arc<WebDav>),
}

/// A store on S3, Google Cloud Storage, Azure Blob Storage or a web server. See
/// [`open_store`](super::open_store).
#[derive(Clone)]
pub struct CloudStore {
    backend: Backend,
    /// The key below which everything lies.
    prefix: Key,
    /// The URL without secrets, for messages.
    place: Arc<str>,
    limits: Limits,
    /// Where unfinished uploads are remembered.
    state: Option<PathBuf>,
}

/// Nothing of the clients below is shown: they hold credentials.
impl fmt::Debug for CloudStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CloudStore").field(&self.place).finish()
    }
}

/// What a read came to.
enum Read {
    Bytes(Vec<u8>),
    TooLarge,
}

impl CloudStore {
    fn key(&self, name: &str) -> io::Result<Key> {
        let name = checked(name)?;
        Ok(self
            .prefix
            .parts()
            .chain(name.split('/').map(Into::into))
            .collect())
    }

    fn objects(&self) -> Arc<dyn ObjectStore> {
        match &self.backend {
            Backend::Cloud(store) => Arc::clone(store) as _,
            Backend::Dav(dav) => Arc::clone(&dav.objects) as _,
        }
    }

    /// Runs a future on the runtime; its failure becomes the error that the caller sees.
    fn run<T: Send + 'static>(
        &self,
        doing: &str,
        name: &str,
        future: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> io::Result<T> {
        runtime::wait(future)?.map_err(|failure| failure.at(&self.place, doing, name))
    }
}

/// Absent is an answer, not a failure.
fn if_there<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.cause == Cause::Absent => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn size(
    objects: &dyn ObjectStore,
    key: &Key,
    limits: Limits,
) -> Result<Option<u64>, Failure> {
    let head = within(limits.small, || observed(objects.head(key))).await;
    Ok(if_there(head)?.map(|meta| meta.size))
}

async fn get(
    objects: &dyn ObjectStore,
    key: &Key,
    options: &GetOptions,
    whole: Duration,
) -> Result<Option<GetResult>, Failure> {
    let got = within(whole, || observed(objects.get_opts(key, options.clone()))).await;
    if_there(got)
}

/// All bytes of an answer, if they are no more than `at_most`, whatever the answer says of its size. They
/// stay in the pieces in which they came.
async fn pieces(
    answer: GetResult,
    at_most: u64,
    silence: Duration,
) -> Result<Option<Vec<Bytes>>, Failure> {
    let expected = answer.range.end.saturating_sub(answer.range.start);
    if expected > at_most {
        return Ok(None);
    }
    let mut stream = answer.into_stream();
    let (mut pieces, mut count) = (Vec::new(), 0);
    loop {
        let next = async { stream.next().await.transpose() };
        let Ok(piece) = timeout(silence, observed(next)).await else {
            return Err(Failure::slow(silence));
        };
        let Some(piece) = piece? else { break };
        count += piece.len() as u64;
        if count > at_most {
            return Ok(None);
        }
        pieces.push(piece);
    }
    if count == expected {
        Ok(Some(pieces))
    } else {
        Err(Failure::new(Cause::Cut, "the answer ends early"))
    }
}

/// The same in one piece.
async fn collect(answer: GetResult, at_most: u64, limits: Limits) -> Result<Read, Failure> {
    // What is collected is small: silence is over when a small operation would be.
    match pieces(answer, at_most, limits.small.min(limits.silence)).await? {
        Some(pieces) => Ok(Read::Bytes(pieces.concat())),
        None => Ok(Read::TooLarge),
    }
}

async fn read(
    objects: &dyn ObjectStore,
    key: &Key,
    at_most: u64,
    limits: Limits,
) -> Result<Option<Read>, Failure> {
    let start = Instant::now();
    loop {
        let left = limits.small.saturating_sub(start.elapsed());
        let Some(answer) = get(objects, key, &GetOptions::default(), left).await? else {
            return Ok(None);
        };
        let most =
            limits.small.saturating_sub(start.elapsed()) + moving(answer.meta.size.min(at_most));
        let failure = match timeout(most, collect(answer, at_most, limits)).await {
            Ok(Ok(read)) => return Ok(Some(read)),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::slow(most),
        };
        if !failure.may_pass() || start.elapsed() * 2 > limits.small {
            return Err(failure);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn put(
    objects: &dyn ObjectStore,
    key: &Key,
    bytes: Bytes,
    limits: Limits,
) -> Result<(), Failure> {
    let whole = limits.small + moving(bytes.len() as u64) * 2;
    within(whole, || {
        observed(objects.put(key, PutPayload::from_bytes(bytes.clone())))
    })
    .await?;
    Ok(())
}

async fn create(
    objects: &dyn ObjectStore,
    key: &Key,
    bytes: Bytes,
    limits: Limits,
) -> Result<Created, Failure> {
    // The object says who wrote it, so that this call knows its own, also where others have the same bytes.
    let id = uuid::Uuid::now_v7().to_string();
    let mut options = PutOptions::from(PutMode::Create);
    options.attributes.insert(WRITER, id.clone().into());
    // Whether an earlier attempt may have stored the bytes without our hearing of it.
    let in_doubt = &AtomicBool::new(false);
    let (bytes, id, options) = (&bytes, &id, &options);
    let whole = limits.small + moving(bytes.len() as u64) * 2;
    within(whole, || async move {
        // An attempt that is cut off by the clock leaves this as it is here: in doubt.
        let was_in_doubt = in_doubt.swap(true, Ordering::Relaxed);
        let payload = PutPayload::from_bytes(bytes.clone());
        let put = objects.put_opts(key, payload, options.clone());
        let failure = match observed(put).await {
            Ok(_) => return Ok(Created::New),
            Err(failure) => failure,
        };
        if !failure.in_doubt() {
            in_doubt.store(was_in_doubt, Ordering::Relaxed);
        }
        if failure.cause != Cause::Conflict {
            return Err(failure);
        }
        // Somebody's bytes are there; or, as S3 says with the same status, somebody is at it and may fail.
        let there = observed(objects.get_opts(key, GetOptions::default())).await;
        let Some(answer) = if_there(there)? else {
            return Err(Failure::new(Cause::Busy, "another writer is at it"));
        };
        if !was_in_doubt {
            return Ok(Created::Exists);
        }
        let ours = match answer.attributes.get(&WRITER) {
            Some(writer) => writer.as_ref() == id,
            // A server that keeps no such thing: then the bytes tell.
            None => match collect(answer, bytes.len() as u64, limits).await? {
                Read::Bytes(there) => there == *bytes,
                Read::TooLarge => false,
            },
        };
        Ok(if ours { Created::New } else { Created::Exists })
    })
    .await
}

impl Store for CloudStore {
    fn size(&self, name: &str) -> io::Result<Option<u64>> {
        let (key, limits) = (self.key(name)?, self.limits);
        match self.backend.clone() {
            Backend::Cloud(store) => self.run("look for", name, async move {
                size(&*store, &key, limits).await
            }),
            Backend::Dav(dav) => self.run(
                "look for",
                name,
                async move { dav.size(&key, limits).await },
            ),
        }
    }

    fn read(&self, name: &str, at_most: u64) -> io::Result<Option<Vec<u8>>> {
        let (objects, key, limits) = (self.objects(), self.key(name)?, self.limits);
        let read = self.run("read", name, async move {
            read(&*objects, &key, at_most, limits).await
        })?;
        match read {
            None => Ok(None),
            Some(Read::Bytes(bytes)) => Ok(Some(bytes)),
            Some(Read::TooLarge) => Err(too_large(name, at_most)),
        }
    }

    fn read_from(
        &self,
        name: &str,
        offset: u64,
        to: &mut dyn io::Write,
    ) -> io::Result<Option<u64>> {
        let key = self.key(name)?;
        let failed = |failure: Failure| failure.at(&self.place, "read", name);
        match &self.backend {
            Backend::Cloud(store) => {
                download::in_ranges(Arc::clone(store) as _, key, offset, self.limits, to)?
            }
            Backend::Dav(dav) => download::in_one(Arc::clone(dav), key, offset, self.limits, to)?,
        }
        .map_err(failed)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (key, limits) = (self.key(name)?, self.limits);
        let bytes = Bytes::copy_from_slice(bytes);
        match self.backend.clone() {
            Backend::Cloud(store) => self.run("store", name, async move {
                put(&*store, &key, bytes, limits).await
            }),
            Backend::Dav(dav) => {
                self.run(
                    "store",
                    name,
                    async move { dav.put(&key, bytes, limits).await },
                )
            }
        }
    }

    fn put_file(
        &self,
        name: &str,
        file: &Path,
        moved: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let upload = upload::Upload {
            prefix: &self.prefix,
            key: self.key(name)?,
            name,
            place: &self.place,
            limits: self.limits,
        };
        let file = upload::Source::open(file)?;
        match &self.backend {
            backend if file.len < PARTS_FROM => upload.in_one(backend, &file, moved),
            Backend::Dav(dav) => upload.in_one_stream(dav, &file, moved),
            Backend::Cloud(store) => upload.in_parts(store, &file, self.state.as_deref(), moved),
        }
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<Created> {
        let (key, limits) = (self.key(name)?, self.limits);
        let bytes = Bytes::copy_from_slice(bytes);
        match self.backend.clone() {
            Backend::Cloud(store) => self.run("create", name, async move {
                create(&*store, &key, bytes, limits).await
            }),
            Backend::Dav(dav) => {
                let prefix = self.prefix.clone();
                self.run("create", name, async move {
                    dav.create(&prefix, &key, bytes, limits).await
                })
            }
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (objects, key, limits) = (self.objects(), self.key(name)?, self.limits);
        self.run("remove", name, async move {
            let gone = within(limits.small, || observed(objects.delete(&key))).await;
            if_there(gone).map(drop)
        })
    }

    fn list(
        &self,
        folder: &str,
        each: &mut dyn FnMut(&str, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let (key, below) = (self.key(folder)?, self.prefix.clone());
        let listed = match &self.backend {
            Backend::Cloud(store) => {
                listing::in_pages(Arc::clone(store) as _, key, below, self.limits, each)?
            }
            Backend::Dav(dav) => {
                listing::by_folders(Arc::clone(&dav.objects) as _, key, below, self.limits, each)?
            }
        };
        listed.map_err(|failure| failure.at(&self.place, "list", folder))
    }
}
