//! One request: what it asks for, what it gets, and the note that is taken of it.

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, header};

use super::answers::{
    escaped, http_date, keys_to_delete, listing, parts_to_join, url_decoded, xml,
};
use super::shelf::{Locked as _, Object, Refusal, Shelf};
use super::{BUCKET, BucketRequest, Refuse};

type Answer = Result<Response<Body>, Refusal>;

/// A request whose body has arrived.
struct Asked {
    method: Method,
    key: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
}

pub(crate) async fn serve(
    State(shelf): State<Arc<Mutex<Shelf>>>,
    request: Request,
) -> Response<Body> {
    let delay = shelf.locked().delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let query = head.uri.query().unwrap_or_default();
    let target = url_decoded(path)
        .zip(parameters(query))
        .ok_or(Refusal::InvalidArgument)
        .and_then(|(path, query)| {
            let path = path.strip_prefix('/').unwrap_or_default();
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            let known = bucket == BUCKET;
            known
                .then(|| (key.to_owned(), query))
                .ok_or(Refusal::NoSuchBucket)
        });
    // A body that breaks off is nobody's object.
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .map_err(|_| Refusal::IncompleteBody);
    let received = body.as_ref().map_or(0, Bytes::len) as u64;
    let text = |name| {
        let value = head.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let mut note = BucketRequest {
        method: head.method.to_string(),
        key: String::new(),
        query: query.to_owned(),
        range: text(header::RANGE),
        authorization: text(header::AUTHORIZATION),
        received,
        sent: 0,
        status: 0,
    };
    let mut shelf = shelf.locked();
    let answer = target
        .and_then(|(key, query)| {
            note.key.clone_from(&key);
            let asked = Asked {
                method: head.method.clone(),
                key,
                query,
                headers: head.headers.clone(),
                body: body?,
            };
            asked.answer(&mut shelf)
        })
        .unwrap_or_else(|refusal| refusal.answer(path));
    note.status = answer.status().as_u16();
    note.sent = match head.method {
        Method::HEAD => 0,
        _ => answer.body().size_hint().lower(),
    };
    shelf.requests.push(note);
    answer
}

/// The parameters of a query, decoded.
fn parameters(query: &str) -> Option<Vec<(String, String)>> {
    query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            Some((url_decoded(name)?, url_decoded(&value.replace('+', " "))?))
        })
        .collect()
}

impl Asked {
    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// `x-id` is a remark of some clients, and no part of the request.
    fn only(&self, names: &[&str]) -> bool {
        let known = |name: &str| name == "x-id" || names.contains(&name);
        self.query.iter().all(|(name, _)| known(name))
    }

    fn answer(&self, shelf: &mut Shelf) -> Answer {
        let reads = matches!(self.method, Method::GET | Method::HEAD);
        match shelf.refuse {
            Refuse::Everything => return Err(Refusal::AccessDenied),
            Refuse::Writes if !reads => return Err(Refusal::AccessDenied),
            Refuse::Nothing | Refuse::Writes => {}
        }
        if self.key.is_empty() {
            return self.of_the_bucket(shelf);
        }
        let upload = self.parameter("uploadId");
        match (&self.method, upload) {
            (&Method::GET | &Method::HEAD, None) if self.only(&[]) => {
                object(shelf.get(&self.key, &self.headers)?, &self.headers)
            }
            (&Method::PUT, None) if self.only(&[]) => {
                self.plain_body()?;
                let etag = shelf.put(&self.key, &self.headers, self.body.clone())?;
                Ok(stored(&etag))
            }
            (&Method::DELETE, None) if self.only(&[]) => {
                shelf.objects.remove(&self.key);
                Ok(empty(StatusCode::NO_CONTENT))
            }
            (&Method::POST, None) if self.parameter("uploads").is_some() => {
                let id = shelf.begin(&self.key, &self.headers);
                let document = format!(
                    "<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{}</Key>\
                     <UploadId>{id}</UploadId></InitiateMultipartUploadResult>",
                    escaped(&self.key)
                );
                Ok(xml(StatusCode::OK, &document))
            }
            (&Method::PUT, Some(id)) => {
                self.plain_body()?;
                let number = self
                    .parameter("partNumber")
                    .and_then(|number| number.parse().ok())
                    .ok_or(Refusal::InvalidArgument)?;
                let etag = shelf.put_part(&self.key, id, number, self.body.clone())?;
                Ok(stored(&etag))
            }
            (&Method::POST, Some(id)) => {
                let parts = parts_to_join(&self.body)?;
                let etag = shelf.complete(&self.key, id, &self.headers, &parts)?;
                let document = format!(
                    "<CompleteMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{}</Key>\
                     <ETag>{}</ETag></CompleteMultipartUploadResult>",
                    escaped(&self.key),
                    escaped(&etag)
                );
                Ok(xml(StatusCode::OK, &document))
            }
            (&Method::DELETE, Some(id)) => {
                shelf.abort(&self.key, id)?;
                Ok(empty(StatusCode::NO_CONTENT))
            }
            _ => Err(Refusal::NotImplemented),
        }
    }

    fn of_the_bucket(&self, shelf: &mut Shelf) -> Answer {
        match self.method {
            Method::HEAD => Ok(empty(StatusCode::OK)),
            Method::GET if self.parameter("list-type") == Some("2") => {
                let document = listing(shelf, &self.query)?;
                Ok(xml(StatusCode::OK, &document))
            }
            Method::POST if self.parameter("delete").is_some() => {
                let mut deleted = String::new();
                for key in keys_to_delete(&self.body)? {
                    shelf.objects.remove(&key);
                    deleted += &format!("<Deleted><Key>{}</Key></Deleted>", escaped(&key));
                }
                let document = format!("<DeleteResult>{deleted}</DeleteResult>");
                Ok(xml(StatusCode::OK, &document))
            }
            _ => Err(Refusal::NotImplemented),
        }
    }

    /// A copy, or a body in signed chunks, would be stored as something it is not.
    fn plain_body(&self) -> Result<(), Refusal> {
        let chunked = self
            .headers
            .get("x-amz-content-sha256")
            .is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"));
        if chunked || self.headers.contains_key("x-amz-copy-source") {
            return Err(Refusal::NotImplemented);
        }
        Ok(())
    }
}

/// An object or the range of it that was asked for. `HEAD` gets the same; the server leaves the body out.
fn object(object: &Object, headers: &HeaderMap) -> Answer {
    let whole = object.bytes.len();
    let range = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok())
        .and_then(range);
    let mut answer = Response::builder()
        .header(header::ETAG, &object.etag)
        .header(header::LAST_MODIFIED, http_date(object.modified))
        .header(header::ACCEPT_RANGES, "bytes");
    for (name, value) in &object.kept {
        answer = answer.header(name, value);
    }
    let part = match range {
        None => object.bytes.clone(),
        Some(range) => {
            let (start, end) = match range {
                Range::From(start) => (start, whole),
                Range::Between(start, last) => (start, last.saturating_add(1).min(whole)),
                Range::Last(count) => (whole.saturating_sub(count), whole),
            };
            if start >= end {
                return Err(Refusal::InvalidRange);
            }
            answer = answer.status(StatusCode::PARTIAL_CONTENT).header(
                header::CONTENT_RANGE,
                format!("bytes {start}-{}/{whole}", end - 1),
            );
            object.bytes.slice(start..end)
        }
    };
    Ok(answer
        .header(header::CONTENT_LENGTH, part.len())
        .body(Body::from(part))
        .expect("the headers above are valid"))
}

enum Range {
    From(usize),
    Between(usize, usize),
    Last(usize),
}

/// One range of bytes. What is none is ignored, as HTTP wants it.
fn range(text: &str) -> Option<Range> {
    let (start, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    match (start, last) {
        ("", count) => Some(Range::Last(count.parse().ok()?)),
        (start, "") => Some(Range::From(start.parse().ok()?)),
        (start, last) => {
            let (start, last) = (start.parse().ok()?, last.parse().ok()?);
            (start <= last).then_some(Range::Between(start, last))
        }
    }
}

fn stored(etag: &str) -> Response<Body> {
    Response::builder()
        .header(header::ETAG, etag)
        .body(Body::empty())
        .expect("an etag of hex digits is a header")
}

fn empty(status: StatusCode) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Body::empty())
        .expect("a status alone is an answer")
}
