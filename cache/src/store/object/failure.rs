//! What a request came to when it did not succeed: one kind for the program, one sentence for the person.
//!
//! The words of the libraries below are not passed on: they hold URLs with their queries, and bodies of
//! answers. What a person needs of them is the status, the server's own code for it, and for a connection
//! that failed the cause at the bottom of the chain.

use std::cell::Cell;
use std::error::Error;
use std::future::Future;
use std::io;

use async_trait::async_trait;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use object_store::{ClientOptions, Error as StoreError};

/// Codes of servers that mean that credentials are over or wrong, whatever the status.
const CREDENTIAL_CODES: [&str; 4] = [
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "AuthenticationFailed",
];

/// Codes for a bucket or container that is not there.
const NO_BUCKET_CODES: [&str; 3] = ["NoSuchBucket", "ContainerNotFound", "InvalidBucketName"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The name is absent.
    Absent,
    /// The name is there, or changed meanwhile: a condition of the request did not hold.
    Conflict,
    /// Not with these credentials.
    Denied,
    /// There are no credentials, and nobody who would hand some out answers.
    NoCredentials,
    /// There is no such bucket or container.
    NoBucket,
    /// The bucket is in another region.
    Elsewhere,
    /// The server does not do this.
    Unsupported,
    /// The offset is beyond the end.
    Range,
    /// No answer in time.
    Slow,
    /// No connection.
    Unreachable(io::ErrorKind),
    /// The connection or the answer broke off.
    Cut,
    /// The server is overloaded or ill.
    Busy,
    /// The server has no room left.
    Full,
    /// Something else.
    Odd,
}

#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    /// `503 SlowDown`, or `Connection refused (os error 111)`: no URL, no body.
    detail: String,
}

/// What the transport saw of the attempt at hand.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The status of the last answer.
    status: Option<u16>,
    /// The last request went to a service that hands out credentials.
    credentials: bool,
}

tokio::task_local! {
    static SEEN: Cell<Seen>;
}

/// The connections of an object store. The crate hides the status of an answer in a text; here it is seen.
#[derive(Debug, Default)]
pub(super) struct WatchedConnector(ReqwestConnector);

impl HttpConnector for WatchedConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Watched(self.0.connect(options)?)))
    }
}

struct Watched(HttpClient);

/// A client's own text may hold headers.
impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

#[async_trait]
impl HttpService for Watched {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let credentials = gives_credentials(&request);
        let note = |status| {
            // Outside an attempt nobody asks.
            SEEN.try_with(|seen| {
                seen.set(Seen {
                    status,
                    credentials,
                });
            })
            .ok();
        };
        note(None);
        let answer = self.0.execute(request).await;
        if let Ok(answer) = &answer {
            note(Some(answer.status().as_u16()));
        }
        answer
    }
}

/// Whether an address is one at which clouds hand out credentials: to their machines, or for a token.
fn gives_credentials(request: &HttpRequest) -> bool {
    let uri = request.uri();
    let host = uri.host().unwrap_or_default();
    uri.path().starts_with("/latest/api/token")
        || uri.path().starts_with("/latest/meta-data/")
        || host.starts_with("169.254.")
        || host.starts_with("sts.")
        || matches!(
            host,
            "metadata.google.internal" | "oauth2.googleapis.com" | "login.microsoftonline.com"
        )
}

/// Makes one attempt, and sees how it ends.
pub(super) async fn observed<T>(
    attempt: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Failure> {
    let watched = async {
        match attempt.await {
            Ok(value) => Ok(value),
            Err(error) => Err(Failure::of(&error, SEEN.with(Cell::get))),
        }
    };
    SEEN.scope(Cell::default(), watched).await
}

impl Failure {
    pub(super) fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self {
            cause,
            detail: detail.into(),
        }
    }

    /// No answer in time.
    pub(super) fn slow(after: std::time::Duration) -> Self {
        Self::new(
            Cause::Slow,
            format!("no answer in {:.1} s", after.as_secs_f64()),
        )
    }

    /// An answer's status, and its body if it was read.
    pub(super) fn status(status: u16, body: &str) -> Self {
        let code = code(body);
        let cause = match (status, code) {
            (_, Some(code)) if CREDENTIAL_CODES.contains(&code) => Cause::Denied,
            (_, Some(code)) if NO_BUCKET_CODES.contains(&code) => Cause::NoBucket,
            (401 | 403 | 407, _) => Cause::Denied,
            (404 | 410, _) => Cause::Absent,
            (405 | 501, _) => Cause::Unsupported,
            (304 | 409 | 412, _) => Cause::Conflict,
            (301 | 302 | 307 | 308, _) => Cause::Elsewhere,
            (416, _) => Cause::Range,
            (507, _) => Cause::Full,
            (408 | 423 | 425 | 429 | 500..=599, _) => Cause::Busy,
            // S3 answers 200 and says in the body that it failed.
            (_, Some("InternalError" | "SlowDown" | "ServerBusy")) => Cause::Busy,
            _ => Cause::Odd,
        };
        Self {
            cause,
            detail: match code {
                Some(code) => format!("{status} {code}"),
                None => status.to_string(),
            },
        }
    }

    /// A connection that failed, from the error of a client.
    pub(super) fn transport(error: &(dyn Error + 'static), kind: Option<HttpErrorKind>) -> Self {
        let mut bottom: &(dyn Error + 'static) = error;
        let mut io_kind = None;
        let mut timed_out = kind == Some(HttpErrorKind::Timeout);
        loop {
            if let Some(error) = bottom.downcast_ref::<io::Error>() {
                io_kind = io_kind.or(Some(error.kind()));
            }
            if let Some(error) = bottom.downcast_ref::<reqwest::Error>() {
                timed_out |= error.is_timeout();
            }
            match bottom.source() {
                Some(below) => bottom = below,
                None => break,
            }
        }
        let cause = match (io_kind, kind) {
            _ if timed_out => Cause::Slow,
            (Some(io::ErrorKind::TimedOut), _) => Cause::Slow,
            (Some(kind @ io::ErrorKind::ConnectionRefused), _) => Cause::Unreachable(kind),
            (
                Some(kind @ (io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable)),
                _,
            ) => Cause::Unreachable(kind),
            (_, Some(HttpErrorKind::Connect)) => Cause::Unreachable(io::ErrorKind::NotConnected),
            _ => Cause::Cut,
        };
        Self::new(cause, clean(&bottom.to_string()))
    }

    fn of(error: &StoreError, seen: Seen) -> Self {
        let text = error.to_string();
        let mut found = match error {
            StoreError::NotFound { .. } => Some(Cause::Absent),
            StoreError::AlreadyExists { .. }
            | StoreError::Precondition { .. }
            | StoreError::NotModified { .. } => Some(Cause::Conflict),
            StoreError::NotSupported { .. } | StoreError::NotImplemented { .. } => {
                Some(Cause::Unsupported)
            }
            _ => None,
        };
        let mut failure = if let Some(http) = http_error(error) {
            Self::transport(http, Some(http.kind()))
        } else if let Some(status) = seen
            .status
            .filter(|status| !(200..300).contains(status) || code(&text).is_some())
        {
            Self::status(status, &text)
        } else {
            Self::new(Cause::Odd, "the answer cannot be understood")
        };
        if matches!(failure.cause, Cause::NoBucket | Cause::Denied) {
            found = None;
        }
        if let Some(cause) = found {
            failure.cause = cause;
        }
        if seen.credentials {
            failure.cause = Cause::NoCredentials;
        }
        failure
    }

    /// Whether trying again may help.
    pub(super) fn may_pass(&self) -> bool {
        match self.cause {
            Cause::Slow | Cause::Unreachable(_) | Cause::Cut | Cause::Busy => true,
            Cause::Absent
            | Cause::Conflict
            | Cause::Denied
            | Cause::NoCredentials
            | Cause::NoBucket
            | Cause::Elsewhere
            | Cause::Unsupported
            | Cause::Range
            | Cause::Full
            | Cause::Odd => false,
        }
    }

    /// Whether the server may have done what it was asked, though it did not say so.
    pub(super) fn in_doubt(&self) -> bool {
        matches!(self.cause, Cause::Slow | Cause::Cut | Cause::Busy)
    }

    /// Whether no answer was heard, though the request may have arrived.
    pub(super) fn unheard(&self) -> bool {
        matches!(self.cause, Cause::Slow | Cause::Cut)
    }

    /// The error that a caller sees: `doing` is `read` or `store`, `name` the name, `place` the URL.
    pub(super) fn at(self, place: &str, doing: &str, name: &str) -> io::Error {
        use io::ErrorKind;
        let detail = &self.detail;
        let (kind, why) = match self.cause {
            Cause::Absent => (ErrorKind::NotFound, format!("it is not there ({detail})")),
            Cause::Conflict => (
                ErrorKind::AlreadyExists,
                format!("somebody else changes it ({detail}); try again"),
            ),
            Cause::Denied => (
                ErrorKind::PermissionDenied,
                format!(
                    "access is denied ({detail}); check the credentials, their expiry and their rights"
                ),
            ),
            Cause::NoCredentials => (
                ErrorKind::PermissionDenied,
                format!(
                    "there are no credentials ({detail}); set those of the provider in the environment, \
                     or use a machine with a role"
                ),
            ),
            Cause::NoBucket => (
                ErrorKind::Unsupported,
                format!(
                    "there is no such bucket or container ({detail}); make it, or correct the URL"
                ),
            ),
            Cause::Elsewhere => (
                ErrorKind::Unsupported,
                format!(
                    "the server sends elsewhere ({detail}); for S3 name the bucket's region, with `?region=` or AWS_REGION"
                ),
            ),
            Cause::Unsupported => (
                ErrorKind::Unsupported,
                format!(
                    "the server does not do this ({detail}); it may serve as a mirror that is only read"
                ),
            ),
            Cause::Range => (
                ErrorKind::InvalidInput,
                format!("the server does not give these bytes ({detail})"),
            ),
            Cause::Slow => (
                ErrorKind::TimedOut,
                format!("{detail}; check the network, or that the server is well"),
            ),
            Cause::Unreachable(kind) => (
                kind,
                format!("no connection ({detail}); check the address, and that the server runs"),
            ),
            Cause::Cut => (
                ErrorKind::ConnectionAborted,
                format!("the connection broke off ({detail}); try again"),
            ),
            Cause::Busy => (
                ErrorKind::ResourceBusy,
                format!("the server is overloaded or ill ({detail}); try again later"),
            ),
            Cause::Full => (
                ErrorKind::StorageFull,
                format!("the server has no room left ({detail})"),
            ),
            Cause::Odd => (
                ErrorKind::Other,
                format!("an answer that was not expected ({detail})"),
            ),
        };
        io::Error::new(kind, format!("{place}: cannot {doing} `{name}`: {why}"))
    }
}

fn http_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a HttpError> {
    let mut at: Option<&'a (dyn Error + 'static)> = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<HttpError>() {
            return Some(found);
        }
        at = error.source();
    }
    None
}

/// The server's own code for a failure: `<Code>SlowDown</Code>`.
fn code(body: &str) -> Option<&str> {
    let (_, rest) = body.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let plain =
        !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then_some(code)
}

/// A cause's text without what may be an address with secrets in it.
fn clean(text: &str) -> String {
    let words: Vec<&str> = text
        .split_whitespace()
        .map(|word| {
            if word.contains("://") || word.contains('?') || word.contains('@') {
                "…"
            } else {
                word
            }
        })
        .collect();
    words.join(" ").chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_becomes_a_kind() {
        let cases = [
            (
                403,
                "<Error><Code>AccessDenied</Code></Error>",
                io::ErrorKind::PermissionDenied,
            ),
            (401, "", io::ErrorKind::PermissionDenied),
            (
                400,
                "<Code>ExpiredToken</Code>",
                io::ErrorKind::PermissionDenied,
            ),
            (405, "", io::ErrorKind::Unsupported),
            (
                501,
                "<Code>NotImplemented</Code>",
                io::ErrorKind::Unsupported,
            ),
            (404, "<Code>NoSuchBucket</Code>", io::ErrorKind::Unsupported),
            (503, "<Code>SlowDown</Code>", io::ErrorKind::ResourceBusy),
            (507, "", io::ErrorKind::StorageFull),
            (418, "", io::ErrorKind::Other),
        ];
        for (status, body, kind) in cases {
            let error = Failure::status(status, body).at("s3://b", "read", "n");
            assert_eq!(error.kind(), kind, "{status} {body}: {error}");
        }
    }

    #[test]
    fn a_body_reaches_no_message() {
        let body = "<Code>Denied</Code><AWSAccessKeyId>AKIASECRET</AWSAccessKeyId><Code>a b</Code>";
        let error = Failure::status(403, body).at("s3://b", "read", "n");
        assert!(!error.to_string().contains("AKIASECRET"), "{error}");
        assert!(error.to_string().contains("403 Denied"), "{error}");
    }

    #[test]
    fn an_address_reaches_no_message() {
        assert_eq!(clean("get https://u:p@h/x?sig=1 failed"), "get … failed");
    }
}
