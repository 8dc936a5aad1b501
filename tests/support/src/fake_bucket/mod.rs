//! An object server that speaks S3 on loopback, held in memory: one bucket, no TLS, signatures not
//! looked at. What it does it does as S3 does, conditional writes above all; what it does not know it
//! answers with `NotImplemented`, never with a guess.
//!
//! | request | answer |
//! |---|---|
//! | `GET`, `HEAD /bucket/key` | the bytes with `etag` and `last-modified`; `range`, `if-match`, `if-none-match` are honoured |
//! | `PUT /bucket/key` | stored; `if-none-match: *` and `if-match` are decided in one step with the writing |
//! | `DELETE /bucket/key`, `POST /bucket?delete` | removed; an absent key is no error |
//! | `GET /bucket?list-type=2` | at most 1,000 keys a page; `prefix`, `delimiter`, `start-after`, `continuation-token`, `max-keys`, `encoding-type` |
//! | `POST /bucket/key?uploads`, `PUT …?partNumber&uploadId`, `POST …?uploadId`, `DELETE …?uploadId` | an upload in parts; all but the last are 5 MiB or more; `if-none-match: *` when it is completed |

mod answers;
mod requests;
mod shelf;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;

use crate::loopback::Loopback;
use shelf::{Locked, Object, Shelf};

/// The bucket's name; every other is `NoSuchBucket`.
const BUCKET: &str = "bucket";

/// A bucket on loopback.
pub struct FakeBucket {
    shelf: Arc<Mutex<Shelf>>,
    server: Loopback,
}

/// One request, as the bucket saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketRequest {
    /// `GET`, `PUT`, …
    pub method: String,
    /// The object's key, decoded; empty for a request to the bucket itself.
    pub key: String,
    /// What stood after the question mark, as it stood there.
    pub query: String,
    /// The `range` header.
    pub range: Option<String>,
    /// The `authorization` header, which is not checked.
    pub authorization: Option<String>,
    /// Bytes of the request's body.
    pub received: u64,
    /// Bytes of the answer's body, as they were handed to the connection.
    pub sent: u64,
    /// The answer's HTTP status.
    pub status: u16,
}

/// Requests and bytes of bodies; heads are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many requests.
    pub requests: u64,
    /// Bytes that clients sent.
    pub received: u64,
    /// Bytes that the bucket sent.
    pub sent: u64,
}

/// What the bucket answers with 403 `AccessDenied`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refuse {
    /// Nothing.
    #[default]
    Nothing,
    /// Everything that would change an object.
    Writes,
    /// Everything.
    Everything,
}

impl FakeBucket {
    /// An empty bucket.
    #[must_use]
    pub fn start() -> Self {
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let router = Router::new()
            .fallback(requests::serve)
            .with_state(Arc::clone(&shelf));
        Self {
            server: Loopback::start(router),
            shelf,
        }
    }

    /// `http://127.0.0.1:PORT`: what a client takes for the endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        BUCKET
    }

    /// `s3://bucket?endpoint=…`: what names the bucket as a store of the cache.
    #[must_use]
    pub fn store_url(&self) -> String {
        self.store_url_at(&self.url())
    }

    /// The same, reached by another address: that of a proxy.
    ///
    /// ```
    /// use dag_testing::{FakeBucket, FaultyProxy};
    ///
    /// let bucket = FakeBucket::start();
    /// let proxy = FaultyProxy::start(&bucket.url(), 1);
    /// let url = bucket.store_url_at(&proxy.url());
    /// assert!(url.starts_with("s3://bucket?endpoint=http://127.0.0.1:"));
    /// ```
    #[must_use]
    pub fn store_url_at(&self, endpoint: &str) -> String {
        format!("s3://{BUCKET}?endpoint={endpoint}&region=us-east-1")
    }

    /// An object's bytes.
    #[must_use]
    pub fn read(&self, key: &str) -> Option<Vec<u8>> {
        let shelf = self.shelf.locked();
        shelf.objects.get(key).map(|object| object.bytes.to_vec())
    }

    /// Puts an object there, or other bytes in its place, without a request.
    pub fn replace(&self, key: &str, bytes: &[u8]) {
        let object = Object::new(Bytes::copy_from_slice(bytes));
        self.shelf.locked().objects.insert(key.to_owned(), object);
    }

    /// Takes an object away, without a request. Says whether it was there.
    pub fn delete(&self, key: &str) -> bool {
        self.shelf.locked().objects.remove(key).is_some()
    }

    /// The keys that begin with `prefix`, in order.
    #[must_use]
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let shelf = self.shelf.locked();
        let keys = shelf.objects.keys();
        keys.filter(|key| key.starts_with(prefix))
            .cloned()
            .collect()
    }

    /// How many uploads in parts are neither completed nor aborted.
    #[must_use]
    pub fn open_uploads(&self) -> usize {
        self.shelf.locked().uploads.len()
    }

    /// Every request waits so long before anything is done.
    pub fn delay(&self, delay: Duration) {
        self.shelf.locked().delay = delay;
    }

    /// From now on such requests are answered with 403.
    pub fn refuse(&self, refuse: Refuse) {
        self.shelf.locked().refuse = refuse;
    }

    /// Every request so far, in the order of answering.
    #[must_use]
    pub fn requests(&self) -> Vec<BucketRequest> {
        self.shelf.locked().requests.clone()
    }

    /// Requests and bytes of one method.
    #[must_use]
    pub fn traffic(&self, method: &str) -> Traffic {
        self.traffic_by_method().remove(method).unwrap_or_default()
    }

    /// Requests and bytes, by method.
    #[must_use]
    pub fn traffic_by_method(&self) -> BTreeMap<String, Traffic> {
        let mut by_method: BTreeMap<String, Traffic> = BTreeMap::new();
        for request in &self.shelf.locked().requests {
            let traffic = by_method.entry(request.method.clone()).or_default();
            traffic.requests += 1;
            traffic.received += request.received;
            traffic.sent += request.sent;
        }
        by_method
    }

    /// Forgets the requests so far; objects, delay and refusals stay.
    pub fn forget(&self) {
        self.shelf.locked().requests.clear();
    }

    /// Closes every connection and refuses new ones; the objects stay.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Listens again, on the same port.
    pub fn resume(&self) {
        self.server.resume();
    }
}
