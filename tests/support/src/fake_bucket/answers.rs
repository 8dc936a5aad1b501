//! The words of S3: error documents, pages of a listing, and the little XML that clients send.

use std::fmt::Write as _;
use std::ops::Bound;

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use jiff::Timestamp;

use super::BUCKET;
use super::shelf::{Refusal, Shelf};

/// S3's limit of keys in one page.
const PAGE: usize = 1000;

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::AccessDenied => StatusCode::FORBIDDEN,
            Self::NoSuchBucket | Self::NoSuchKey | Self::NoSuchUpload => StatusCode::NOT_FOUND,
            Self::InvalidRange => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::NotModified => StatusCode::NOT_MODIFIED,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::EntityTooSmall
            | Self::IncompleteBody
            | Self::InvalidArgument
            | Self::InvalidPart
            | Self::InvalidPartOrder
            | Self::MalformedXml => StatusCode::BAD_REQUEST,
        }
    }

    /// S3's code and its sentence.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::AccessDenied => ("AccessDenied", "Access Denied"),
            Self::EntityTooSmall => (
                "EntityTooSmall",
                "A part that is not the last is smaller than 5 MiB",
            ),
            Self::IncompleteBody => ("IncompleteBody", "The body ended before its length"),
            Self::InvalidArgument => ("InvalidArgument", "An argument is out of its range"),
            Self::InvalidPart => ("InvalidPart", "A part is not there, or has another etag"),
            Self::InvalidPartOrder => ("InvalidPartOrder", "The parts are not in rising order"),
            Self::InvalidRange => ("InvalidRange", "The requested range is not satisfiable"),
            Self::MalformedXml => ("MalformedXML", "The body is not the document it should be"),
            Self::NoSuchBucket => ("NoSuchBucket", "The specified bucket does not exist"),
            Self::NoSuchKey => ("NoSuchKey", "The specified key does not exist."),
            Self::NoSuchUpload => ("NoSuchUpload", "The specified upload does not exist"),
            Self::NotImplemented => ("NotImplemented", "This bucket does not know that request"),
            Self::NotModified => ("NotModified", "Not Modified"),
            Self::PreconditionFailed => (
                "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold",
            ),
        }
    }

    pub(crate) fn answer(self, path: &str) -> Response<Body> {
        let (code, message) = self.words();
        let document = format!(
            "<Error><Code>{code}</Code><Message>{message}</Message><Resource>{}</Resource></Error>",
            escaped(path)
        );
        xml(self.status(), &document)
    }
}

/// An XML document as an answer; 304 has no body by HTTP's own rule.
pub(crate) fn xml(status: StatusCode, document: &str) -> Response<Body> {
    let body = if status == StatusCode::NOT_MODIFIED {
        Body::empty()
    } else {
        Body::from(format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{document}"
        ))
    };
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/xml")
        .body(body)
        .expect("the header above is valid")
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// The text of every `<name>…</name>`, in order.
fn elements<'a>(document: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut found = Vec::new();
    let mut rest = document;
    while let Some((_, after)) = rest.split_once(&open) {
        let Some((text, after)) = after.split_once(&close) else {
            break;
        };
        found.push(text);
        rest = after;
    }
    found
}

/// The keys of a `Delete` document.
pub(crate) fn keys_to_delete(document: &[u8]) -> Result<Vec<String>, Refusal> {
    let document = std::str::from_utf8(document).map_err(|_| Refusal::MalformedXml)?;
    let keys: Vec<_> = elements(document, "Key")
        .into_iter()
        .map(unescaped)
        .collect();
    if keys.is_empty() || keys.len() > PAGE {
        return Err(Refusal::MalformedXml);
    }
    Ok(keys)
}

/// The numbers and etags of a `CompleteMultipartUpload` document, in its order.
pub(crate) fn parts_to_join(document: &[u8]) -> Result<Vec<(u32, String)>, Refusal> {
    let document = std::str::from_utf8(document).map_err(|_| Refusal::MalformedXml)?;
    elements(document, "Part")
        .into_iter()
        .map(|part| {
            let one = |name| elements(part, name).first().copied();
            let number = one("PartNumber").and_then(|number| number.trim().parse().ok());
            let etag = one("ETag").map(unescaped);
            number.zip(etag).ok_or(Refusal::MalformedXml)
        })
        .collect()
}

/// `Wed, 21 Oct 2015 07:28:00 GMT`, for headers.
pub(crate) fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// `2015-10-21T07:28:00.123Z`, for documents.
pub(crate) fn iso_date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A page of keys, as asked for by the parameters of `ListObjectsV2`.
pub(crate) fn listing(shelf: &Shelf, query: &[(String, String)]) -> Result<String, Refusal> {
    let get = |name: &str| {
        let found = query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let (prefix, delimiter) = (get("prefix"), get("delimiter"));
    let most = match get("max-keys") {
        "" => PAGE,
        number => number
            .parse::<usize>()
            .map_err(|_| Refusal::InvalidArgument)?
            .min(PAGE),
    };
    let after = match get("continuation-token") {
        "" => get("start-after").to_owned(),
        token => token_text(token).ok_or(Refusal::InvalidArgument)?,
    };
    let shown = |key: &str| match get("encoding-type") {
        "url" => url_encoded(key),
        _ => escaped(key),
    };
    let (mut contents, mut prefixes) = (String::new(), String::new());
    let (mut count, mut last, mut more) = (0, String::new(), false);
    // A page that ended with a common prefix goes on behind everything that has it.
    let behind = !delimiter.is_empty()
        && after.len() > prefix.len()
        && after.starts_with(prefix)
        && after.ends_with(delimiter);
    let from = Bound::Included(prefix.max(after.as_str()));
    for (key, object) in shelf.objects.range::<str, _>((from, Bound::Unbounded)) {
        if !key.starts_with(prefix) {
            break;
        }
        if *key <= after || (behind && key.starts_with(&after)) {
            continue;
        }
        let rest = &key[prefix.len()..];
        let common = match rest.find(delimiter) {
            Some(place) if !delimiter.is_empty() => {
                Some(&key[..prefix.len() + place + delimiter.len()])
            }
            _ => None,
        };
        if common.is_some_and(|common| common == last) {
            continue;
        }
        if count == most {
            more = true;
            break;
        }
        count += 1;
        common.unwrap_or(key).clone_into(&mut last);
        let written = match common {
            Some(common) => write!(
                prefixes,
                "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                shown(common)
            ),
            None => write!(
                contents,
                "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag>\
                 <Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                shown(key),
                iso_date(object.modified),
                escaped(&object.etag),
                object.bytes.len()
            ),
        };
        written.expect("a string takes what is written to it");
    }
    let next = if more && most > 0 {
        let token = token(&last);
        format!("<NextContinuationToken>{token}</NextContinuationToken>")
    } else {
        String::new()
    };
    Ok(format!(
        "<ListBucketResult><Name>{BUCKET}</Name><Prefix>{}</Prefix><KeyCount>{count}</KeyCount>\
         <MaxKeys>{most}</MaxKeys><IsTruncated>{more}</IsTruncated>{next}{contents}{prefixes}\
         </ListBucketResult>",
        shown(prefix)
    ))
}

/// Opaque to clients: the last entry of a page, in hex.
fn token(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn token_text(token: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = token
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    String::from_utf8(bytes?).ok()
}

fn url_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes what is written to it");
        }
    }
    encoded
}

/// Undoes `%2F` and the like; `None` if that is no text.
pub(crate) fn url_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
            decoded.push(u8::try_from(value).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}
