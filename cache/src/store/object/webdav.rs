//! What WebDAV needs beyond reading and listing: storing with folders made on the way, and `create` with
//! one winner.
//!
//! **Why not a conditional put or copy.** Servers of WebDAV look whether a name is there, and then write:
//! between the two another writer may do the same, and both are told that they were first. What a file
//! system does in one step is to rename a folder to a name that is free: onto a folder with something in it
//! it fails. So who creates `NAME`
//! 1. sees that `NAME` is absent,
//! 2. stores its bytes as `incoming/<own id>/bytes`,
//! 3. renames the folder `incoming/<own id>` to `claims-v1/<digest of NAME>`, which must not be there: one
//!    succeeds,
//! 4. reads the claim, its own or the winner's, and if `NAME` is still absent gives it the claim's bytes.
//!    Everybody who comes so far has the same bytes, so it does not matter who does, or if the winner dies,
//! 5. removes the claim. From now on step 1, or a second look in step 4, finds `NAME`.
//!
//! What this leaves open: of writers of the very same bytes, more than one may be told that it was first.
//!
//! Both names get their bytes by a rename, so they are whole on every server. A plain `put` is one request:
//! whole on servers that write beside (Apache, nginx), while others may keep the beginning of a request that
//! broke off. That is why large files are stored beside and renamed, and why readers verify blobs.
//!
//! The second look is what makes step 5 safe: a claim is removed only after `NAME` is there, so who holds a
//! claim and then finds `NAME` absent holds the first claim there was.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;
use object_store::client::HttpErrorKind;
use object_store::http::HttpStore;
use object_store::path::Path as Key;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Method, RequestBuilder};
use tokio::time::timeout;
use url::Url;

use super::attempts::{Limits, moving, within};
use super::failure::{Cause, Failure, observed};
use super::{Read, read};
use crate::store::Created;

/// Where what is being created lies before it is claimed.
const INCOMING: &str = "incoming";

/// Where names lie that are being created.
const CLAIMS: &str = "claims-v1";

/// How often `create` begins anew when claims vanish under it.
const ROUNDS: usize = 5;

/// What a name's bytes are called beside, in the writer's own folder.
const END: &str = "end";

/// Bytes that can be created at most. Records are a few kilobytes.
const LARGEST: u64 = 64 << 20;

/// Bytes of an answer that are read so that the connection can be used again.
const BODY: u64 = 64 << 10;

/// A server of WebDAV, or one of plain files, which refuses to store.
pub(super) struct WebDav {
    pub(super) objects: Arc<HttpStore>,
    /// Reads, also where the server sends it.
    pub(super) reading: reqwest::Client,
    /// Stores, and does not let itself be sent elsewhere.
    pub(super) storing: reqwest::Client,
    /// Scheme, host and port.
    pub(super) root: Url,
}

fn done(status: u16) -> bool {
    (200..300).contains(&status)
}

impl WebDav {
    fn url(&self, key: &Key) -> Result<Url, Failure> {
        let mut url = self.root.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::new(Cause::Odd, "an address without a path"))?
            .clear()
            .extend(key.parts());
        Ok(url)
    }

    fn request(&self, method: &[u8], key: &Key) -> Result<RequestBuilder, Failure> {
        let method = Method::from_bytes(method)
            .map_err(|_| Failure::new(Cause::Odd, "a method that is none"))?;
        Ok(self.storing.request(method, self.url(key)?))
    }

    /// The status of an answer, whatever it is.
    async fn status(request: RequestBuilder) -> Result<u16, Failure> {
        let mut answer = request.send().await.map_err(|error| failed(&error))?;
        let status = answer.status().as_u16();
        let mut read = 0;
        while read < BODY {
            // The status is the answer; what follows it may break off.
            match answer.chunk().await {
                Ok(Some(piece)) => read += piece.len() as u64,
                Ok(None) | Err(_) => break,
            }
        }
        Ok(status)
    }

    /// The same; a server that is ill is a failure, and asked again.
    async fn patient_status(
        &self,
        whole: Duration,
        request: impl Fn() -> Result<RequestBuilder, Failure>,
    ) -> Result<u16, Failure> {
        within(whole, || async {
            let status = Self::status(request()?).await?;
            let failure = Failure::status(status, "");
            if failure.may_pass() {
                Err(failure)
            } else {
                Ok(status)
            }
        })
        .await
    }

    /// Makes the folders above a key. What fails shows again when the key is stored.
    async fn make_folders(&self, key: &Key, whole: Duration) -> Result<(), Failure> {
        let parts: Vec<_> = key.parts().collect();
        let mut missing = Vec::new();
        // From the deepest up to one that is there, then down again.
        for depth in (1..parts.len()).rev() {
            let folder: Key = parts.iter().take(depth).cloned().collect();
            match self.make_folder(&folder, whole).await? {
                404 | 409 => missing.push(folder),
                status if done(status) || status == 405 => break,
                status => return Err(Failure::status(status, "")),
            }
        }
        while let Some(folder) = missing.pop() {
            let status = self.make_folder(&folder, whole).await?;
            // 405: another writer made it meanwhile.
            if !done(status) && status != 405 {
                return Err(Failure::status(status, ""));
            }
        }
        Ok(())
    }

    async fn make_folder(&self, folder: &Key, whole: Duration) -> Result<u16, Failure> {
        self.patient_status(whole, || self.request(b"MKCOL", folder))
            .await
    }

    /// The size of a name's bytes. Asked here and not through the crate, since Apache says of an empty file
    /// only when it is fetched how large it is.
    pub(super) async fn size(&self, key: &Key, limits: Limits) -> Result<Option<u64>, Failure> {
        within(limits.small, || async {
            for method in [Method::HEAD, Method::GET] {
                let request = self.reading.request(method, self.url(key)?);
                let answer = request.send().await.map_err(|error| failed(&error))?;
                let status = answer.status().as_u16();
                match status {
                    404 | 405 | 410 => return Ok(None),
                    // A folder, of which the server makes a page.
                    200 if answer.url().path().ends_with('/') => return Ok(None),
                    status if !done(status) => return Err(Failure::status(status, "")),
                    _ => {}
                }
                let size = match answer.headers().get(CONTENT_LENGTH) {
                    Some(size) => size.to_str().ok().and_then(|size| size.parse().ok()),
                    None => None,
                };
                if size.is_some() {
                    return Ok(size);
                }
            }
            Err(Failure::new(
                Cause::Odd,
                "the server does not say how large it is",
            ))
        })
        .await
    }

    /// Stores bytes, over what was there.
    pub(super) async fn put(&self, key: &Key, bytes: Bytes, limits: Limits) -> Result<(), Failure> {
        let whole = limits.small + moving(bytes.len() as u64) * 2;
        let request = || Ok(self.request(b"PUT", key)?.body(bytes.clone()));
        let status = self.patient_status(whole, request).await?;
        if !matches!(status, 404 | 409) {
            return stored(status);
        }
        let folders = self.make_folders(key, limits.small).await;
        let status = self.patient_status(whole, request).await?;
        match folders {
            Err(failure) if !done(status) => Err(failure),
            _ => stored(status),
        }
    }

    /// Stores a stream of bytes, over what was there. `taken` counts bytes that left.
    pub(super) async fn put_stream<S>(
        &self,
        key: &Key,
        len: u64,
        taken: Arc<AtomicU64>,
        limits: Limits,
        stream: S,
    ) -> Result<(), Failure>
    where
        S: futures::Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let counting = Arc::clone(&taken);
        let counted = stream.inspect(move |piece| {
            if let Ok(piece) = piece {
                counting.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
        });
        let request = self
            .request(b"PUT", key)?
            .header(CONTENT_LENGTH, len)
            .body(reqwest::Body::wrap_stream(counted));
        let mut answer = std::pin::pin!(Self::status(request));
        let mut before = 0;
        loop {
            if let Ok(status) = timeout(limits.silence, &mut answer).await {
                return stored(status?);
            }
            let now = taken.load(Ordering::Relaxed);
            if now == before {
                return Err(Failure::slow(limits.silence));
            }
            before = now;
        }
    }

    /// Makes the folders above a key before a stream is sent that could not be sent again.
    pub(super) async fn prepare(&self, key: &Key, limits: Limits) -> Result<(), Failure> {
        self.make_folders(key, limits.small).await
    }

    /// Stores bytes unless the name is there. See above.
    pub(super) async fn create(
        &self,
        prefix: &Key,
        key: &Key,
        bytes: Bytes,
        limits: Limits,
    ) -> Result<Created, Failure> {
        let whole = limits.small + moving(bytes.len() as u64) * 4;
        match timeout(whole, self.create_by_claim(prefix, key, bytes, limits)).await {
            Ok(created) => created,
            Err(_) => Err(Failure::slow(whole)),
        }
    }

    async fn create_by_claim(
        &self,
        prefix: &Key,
        key: &Key,
        bytes: Bytes,
        limits: Limits,
    ) -> Result<Created, Failure> {
        if self.size(key, limits).await?.is_some() {
            return Ok(Created::Exists);
        }
        let own = Self::incoming(prefix);
        let id = own.filename().unwrap_or_default().to_owned();
        let claim = blake3::hash(key.as_ref().as_bytes()).to_hex();
        let claim = prefix.clone().join(CLAIMS).join(claim.as_str());
        let mut content = format!("{id}\n").into_bytes();
        content.extend_from_slice(&bytes);
        let claiming = own.clone().join("bytes");
        // The folder is new: it is made before a server has to say that it is missing.
        self.make_folders(&claiming, limits.small).await?;
        self.put(&claiming, content.into(), limits).await?;

        let decided = self.decide(&own, &claim, key, &id, &bytes, limits).await;
        // What is left over is a few bytes that nobody looks at: not worth an error.
        drop(self.remove_folder(&own, limits).await);
        let (created, claimed) = decided?;
        if claimed {
            drop(self.remove_folder(&claim, limits).await);
        }
        Ok(created)
    }

    /// Whose bytes the name has, and whether there is a claim to remove. The name has them when this is done.
    async fn decide(
        &self,
        own: &Key,
        claim: &Key,
        key: &Key,
        id: &str,
        bytes: &Bytes,
        limits: Limits,
    ) -> Result<(Created, bool), Failure> {
        let objects = &*self.objects;
        let most = LARGEST + id.len() as u64 + 1;
        let mut refused = None;
        // Whether our rename succeeded, or may have.
        let mut claimed = false;
        for _ in 0..ROUNDS {
            refused = self.claim(own, claim).await?;
            claimed |= refused.as_ref().is_none_or(Failure::unheard);
            let held = match read(objects, &claim.clone().join("bytes"), most, limits).await? {
                Some(Read::Bytes(held)) => Some(held),
                Some(Read::TooLarge) | None => None,
            };
            let there = read(objects, key, bytes.len() as u64, limits).await?;
            // Another writer may have finished what we claimed, and removed the claim, before we looked.
            let finished = matches!(&there, Some(Read::Bytes(there)) if claimed && there == bytes);
            let Some(held) = held else {
                if there.is_some() {
                    let created = if finished {
                        Created::New
                    } else {
                        Created::Exists
                    };
                    return Ok((created, false));
                }
                // The first claim of all, and its folder is missing, for which servers have various statuses;
                // or the name was removed together with its claim.
                self.make_folders(claim, limits.small).await?;
                continue;
            };
            let (writer, content) = held
                .split_at_checked(id.len() + 1)
                .ok_or_else(|| Failure::new(Cause::Odd, "a claim that no writer made"))?;
            let ours = writer.strip_suffix(b"\n") == Some(id.as_bytes());
            if finished {
                return Ok((Created::New, true));
            }
            if there.is_some() {
                return Ok((Created::Exists, true));
            }
            let beside = own.parts().chain([END.into()]).collect();
            self.place(&beside, key, Bytes::copy_from_slice(content), limits)
                .await?;
            let created = if ours { Created::New } else { Created::Exists };
            return Ok((created, true));
        }
        Err(refused.unwrap_or_else(|| Failure::new(Cause::Busy, "other writers are at it")))
    }

    /// Renames the own folder to the claim. Whether that succeeded shows in what the claim holds: servers
    /// have various answers for a name that is taken. Gives the answer if it was none of success.
    async fn claim(&self, own: &Key, claim: &Key) -> Result<Option<Failure>, Failure> {
        match self.rename(own, claim, false).await {
            Ok(405 | 501) => Err(without_move()),
            Ok(401) => Err(Failure::status(401, "")),
            Ok(status) if done(status) => Ok(None),
            Ok(status) => Ok(Some(Failure::status(status, ""))),
            // It may have arrived all the same.
            Err(failure) if failure.unheard() => Ok(Some(failure)),
            Err(failure) => Err(failure),
        }
    }

    /// Gives a name its bytes, whole, if it has none; who comes second leaves them as they are. Never over
    /// what is there: servers remove that first, and for a moment the name would be absent.
    async fn place(
        &self,
        beside: &Key,
        key: &Key,
        bytes: Bytes,
        limits: Limits,
    ) -> Result<(), Failure> {
        self.put(beside, bytes, limits).await?;
        let mut renamed = self.rename(beside, key, false).await;
        if !matches!(renamed, Ok(200..300 | 412)) {
            // Its folder is missing, or another writer's rename came first, or the answer was lost.
            self.make_folders(key, limits.small).await?;
            renamed = self.rename(beside, key, false).await;
        }
        match renamed {
            Ok(200..300 | 412) => Ok(()),
            _ if self.size(key, limits).await?.is_some() => Ok(()),
            Ok(status) => Err(Failure::status(status, "")),
            Err(failure) => Err(failure),
        }
    }

    async fn rename(&self, from: &Key, to: &Key, over: bool) -> Result<u16, Failure> {
        let to = self.url(to)?;
        let send = async |destination: &str| {
            let request = self
                .request(b"MOVE", from)?
                .header("Destination", destination);
            Self::status(request.header("Overwrite", if over { "T" } else { "F" })).await
        };
        // Apache wants the whole address; a server behind a proxy may know itself by another one, and then
        // takes a path.
        match send(to.as_str()).await {
            Ok(400 | 502) => send(to.path()).await,
            status => status,
        }
    }

    /// Renames a file of so many bytes, over what is there.
    pub(super) async fn rename_over(
        &self,
        from: &Key,
        to: &Key,
        len: u64,
        limits: Limits,
    ) -> Result<(), Failure> {
        self.make_folders(to, limits.small).await?;
        within(limits.small, || async {
            match self.rename(from, to, true).await? {
                405 | 501 => Err(without_move()),
                // An earlier attempt went through, and only its answer did not arrive.
                404 if self.size(to, limits).await? == Some(len) => Ok(()),
                status => stored(status),
            }
        })
        .await
    }

    /// Where a file lies that is being stored, before it has its name.
    pub(super) fn incoming(prefix: &Key) -> Key {
        let id = uuid::Uuid::now_v7().to_string();
        prefix.clone().join(INCOMING).join(id.as_str())
    }

    /// Removes what lies under a key, if it can be.
    pub(super) async fn clear(&self, key: &Key, limits: Limits) {
        // It belongs to nobody, and nobody looks at it.
        drop(self.remove_folder(key, limits).await);
    }

    async fn remove_folder(&self, folder: &Key, limits: Limits) -> Result<(), Failure> {
        within(limits.small, || observed(self.objects.delete(folder))).await
    }
}

fn failed(error: &reqwest::Error) -> Failure {
    let kind = if error.is_timeout() {
        Some(HttpErrorKind::Timeout)
    } else if error.is_connect() {
        Some(HttpErrorKind::Connect)
    } else {
        None
    };
    Failure::transport(error, kind)
}

fn without_move() -> Failure {
    Failure::new(
        Cause::Unsupported,
        "without MOVE no record has one winner and no large file is whole: turn WebDAV on, or use S3, Azure, \
         Google or a folder",
    )
}

fn stored(status: u16) -> Result<(), Failure> {
    if done(status) {
        Ok(())
    } else {
        Err(Failure::status(status, ""))
    }
}
