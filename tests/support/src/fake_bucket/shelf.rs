//! What the bucket holds, and the rules by which it changes: every change is one step under one lock.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;

use super::{BucketRequest, Refuse};

/// Parts but the last are no smaller, in bytes: S3's own limit.
const SMALLEST_PART: usize = 5 << 20;

#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) objects: BTreeMap<String, Object>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    uploads_begun: u64,
    pub(crate) requests: Vec<BucketRequest>,
    pub(crate) refuse: Refuse,
    pub(crate) delay: Duration,
}

pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    /// With its quotes.
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
    /// `content-type` and the user's metadata, given back as they came.
    pub(crate) kept: Vec<(HeaderName, HeaderValue)>,
}

/// An upload in parts that is under way.
pub(crate) struct Upload {
    key: String,
    kept: Vec<(HeaderName, HeaderValue)>,
    /// By number: the bytes and their etag.
    parts: BTreeMap<u32, (Bytes, String)>,
}

/// S3's error codes that the bucket knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    AccessDenied,
    EntityTooSmall,
    IncompleteBody,
    InvalidArgument,
    InvalidPart,
    InvalidPartOrder,
    InvalidRange,
    MalformedXml,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    NotImplemented,
    NotModified,
    PreconditionFailed,
}

/// The one way to the shelf.
pub(crate) trait Locked {
    fn locked(&self) -> MutexGuard<'_, Shelf>;
}

impl Locked for Mutex<Shelf> {
    fn locked(&self) -> MutexGuard<'_, Shelf> {
        self.lock()
            .expect("no request panics while it holds the shelf")
    }
}

impl Object {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self {
            etag: etag(&bytes),
            bytes,
            modified: Timestamp::now(),
            kept: Vec::new(),
        }
    }
}

/// Changes with the content. Not MD5, which S3 does not promise either, and too long to be taken for it.
fn etag(bytes: &[u8]) -> String {
    let digest = blake3::hash(bytes).to_hex();
    format!("\"{}\"", &digest[..40])
}

/// The headers of a request that are kept with its object.
fn kept(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    headers
        .iter()
        .filter(|(name, _)| {
            **name == header::CONTENT_TYPE || name.as_str().starts_with("x-amz-meta-")
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a header's list of etags names this one.
fn names(list: &str, etag: &str) -> bool {
    let bare = |text: &str| {
        text.trim()
            .trim_start_matches("W/")
            .trim_matches('"')
            .to_owned()
    };
    list.trim() == "*" || list.split(',').any(|one| bare(one) == bare(etag))
}

impl Shelf {
    /// An object, if the request's conditions hold.
    pub(crate) fn get(&self, key: &str, headers: &HeaderMap) -> Result<&Object, Refusal> {
        let object = self.objects.get(key).ok_or(Refusal::NoSuchKey)?;
        if text(headers, header::IF_MATCH).is_some_and(|list| !names(list, &object.etag)) {
            return Err(Refusal::PreconditionFailed);
        }
        if text(headers, header::IF_NONE_MATCH).is_some_and(|list| names(list, &object.etag)) {
            return Err(Refusal::NotModified);
        }
        Ok(object)
    }

    /// Whether a write may go on: `if-none-match: *` wants no object, `if-match` this very one.
    fn write_allowed(&self, key: &str, headers: &HeaderMap) -> Result<(), Refusal> {
        let there = self.objects.get(key);
        match text(headers, header::IF_NONE_MATCH) {
            None => {}
            Some("*") if there.is_some() => return Err(Refusal::PreconditionFailed),
            Some("*") => {}
            // S3 knows no other value for a write.
            Some(_) => return Err(Refusal::NotImplemented),
        }
        match (text(headers, header::IF_MATCH), there) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Refusal::NoSuchKey),
            (Some(list), Some(object)) if names(list, &object.etag) => Ok(()),
            (Some(_), Some(_)) => Err(Refusal::PreconditionFailed),
        }
    }

    /// Stores an object and gives its etag.
    pub(crate) fn put(
        &mut self,
        key: &str,
        headers: &HeaderMap,
        bytes: Bytes,
    ) -> Result<String, Refusal> {
        self.write_allowed(key, headers)?;
        let object = Object {
            kept: kept(headers),
            ..Object::new(bytes)
        };
        let etag = object.etag.clone();
        self.objects.insert(key.to_owned(), object);
        Ok(etag)
    }

    /// Begins an upload in parts and gives its id.
    pub(crate) fn begin(&mut self, key: &str, headers: &HeaderMap) -> String {
        self.uploads_begun += 1;
        let id = format!("upload-{}", self.uploads_begun);
        let upload = Upload {
            key: key.to_owned(),
            kept: kept(headers),
            parts: BTreeMap::new(),
        };
        self.uploads.insert(id.clone(), upload);
        id
    }

    fn upload(&mut self, key: &str, id: &str) -> Result<&mut Upload, Refusal> {
        self.uploads
            .get_mut(id)
            .filter(|upload| upload.key == key)
            .ok_or(Refusal::NoSuchUpload)
    }

    /// Stores a part, over one of the same number, and gives its etag.
    pub(crate) fn put_part(
        &mut self,
        key: &str,
        id: &str,
        number: u32,
        bytes: Bytes,
    ) -> Result<String, Refusal> {
        if !(1..=10_000).contains(&number) {
            return Err(Refusal::InvalidArgument);
        }
        let upload = self.upload(key, id)?;
        let etag = etag(&bytes);
        upload.parts.insert(number, (bytes, etag.clone()));
        Ok(etag)
    }

    /// Makes an object of the parts that are named, in rising order, and gives its etag. What is refused
    /// leaves the upload open.
    pub(crate) fn complete(
        &mut self,
        key: &str,
        id: &str,
        headers: &HeaderMap,
        wanted: &[(u32, String)],
    ) -> Result<String, Refusal> {
        if wanted.is_empty() {
            return Err(Refusal::MalformedXml);
        }
        if wanted.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(Refusal::InvalidPartOrder);
        }
        let upload = self.upload(key, id)?;
        let mut whole = Vec::new();
        let mut etags = String::new();
        for (place, (number, etag)) in wanted.iter().enumerate() {
            let (bytes, own) = upload.parts.get(number).ok_or(Refusal::InvalidPart)?;
            if !names(etag, own) {
                return Err(Refusal::InvalidPart);
            }
            if place + 1 < wanted.len() && bytes.len() < SMALLEST_PART {
                return Err(Refusal::EntityTooSmall);
            }
            whole.extend_from_slice(bytes);
            etags.push_str(own);
        }
        let kept = upload.kept.clone();
        self.write_allowed(key, headers)?;
        let object = Object {
            etag: format!(
                "{}-{}\"",
                etag(etags.as_bytes()).trim_end_matches('"'),
                wanted.len()
            ),
            kept,
            bytes: whole.into(),
            modified: Timestamp::now(),
        };
        let etag = object.etag.clone();
        self.objects.insert(key.to_owned(), object);
        self.uploads.remove(id);
        Ok(etag)
    }

    /// Forgets an upload and its parts.
    pub(crate) fn abort(&mut self, key: &str, id: &str) -> Result<(), Refusal> {
        self.upload(key, id)?;
        self.uploads.remove(id);
        Ok(())
    }
}
