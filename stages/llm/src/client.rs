//! One question, one reply: the request, its retries, and the proof that the right model answered.

use std::error::Error as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use tokio::sync::Semaphore;

use crate::pace::Pace;
use crate::retry_after;
use crate::wire::{ChatReply, ChatRequest, error_message};
use crate::{Endpoint, LlmError, Reply, Request};

/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// A server to talk with. Cheap to clone; clones share pace and concurrency.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    /// The address of the chat.
    chat: reqwest::Url,
    /// Host and port, for messages.
    host: String,
    authorization: Option<HeaderValue>,
    http: reqwest::Client,
    places: Semaphore,
    pace: Pace,
    /// Why a request waits for its next try, until any request succeeds.
    trouble: Mutex<Option<String>>,
}

impl Client {
    /// A client for `endpoint`. Connects to nothing yet.
    ///
    /// # Errors
    /// [`LlmError::BadUrl`] and [`LlmError::UnusableKey`].
    pub fn new(endpoint: Endpoint) -> Result<Self, LlmError> {
        let (chat, host) = chat_address(&endpoint.url)?;
        let authorization = match &endpoint.api_key {
            None => None,
            Some(key) => {
                let mut value = HeaderValue::try_from(format!("Bearer {}", key.reveal()))
                    .map_err(|_| LlmError::UnusableKey)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let http = reqwest::Client::builder()
            .timeout(endpoint.timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(endpoint.timeout))
            // A redirected POST loses its body or sends the key elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("dag/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| LlmError::NoClient(root_cause(&error)))?;
        let places = usize::try_from(endpoint.concurrency.max(1)).unwrap_or(1);
        let pace = Pace::new(endpoint.requests_per_minute, endpoint.tokens_per_minute);
        Ok(Self(Arc::new(Inner {
            chat,
            host,
            authorization,
            http,
            places: Semaphore::new(places.min(Semaphore::MAX_PERMITS)),
            pace,
            trouble: Mutex::new(None),
            endpoint,
        })))
    }

    /// The endpoint it was made for.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// What the server's last answer was lacking, while requests wait for their next try: for somebody who
    /// watches. `None` once a request succeeds.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.0.trouble().clone()
    }

    /// Asks, and asks again as long as it may help and the endpoint's `retries` allow. Waits for a free
    /// place first: at most `concurrency` requests are in flight. A request keeps its place while it
    /// waits for its next try, so that a struggling server gets fewer requests, not more.
    ///
    /// # Errors
    /// The last error, if no try succeeded.
    pub async fn chat(&self, request: &Request) -> Result<Reply, LlmError> {
        let inner = &*self.0;
        let _place = inner
            .places
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let mut attempts = 0_u32;
        let backoff = ExponentialBuilder::default()
            .with_min_delay(inner.endpoint.first_wait)
            .with_max_delay(inner.endpoint.longest_wait)
            .with_factor(2.0)
            .with_jitter()
            .with_max_times(usize::try_from(inner.endpoint.retries).unwrap_or(usize::MAX));
        let ask = || {
            attempts += 1;
            inner.once(request)
        };
        let result = ask
            .retry(backoff)
            .when(LlmError::may_pass)
            .adjust(|error, wait| wait.map(|wait| inner.wait_after(error, wait)))
            .notify(|error, _| *inner.trouble() = Some(error.to_string()))
            .await;
        if result.is_ok() {
            inner.trouble().take();
        }
        result.map(|reply| Reply { attempts, ..reply })
    }
}

impl Inner {
    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The wait before the next try. A server that names one is obeyed, by every request.
    fn wait_after(&self, error: &LlmError, own: Duration) -> Duration {
        match error.retry_after() {
            None => own,
            Some(asked) => {
                let asked = asked.min(self.endpoint.longest_wait);
                self.pace.hold(asked);
                asked
            }
        }
    }

    async fn once(&self, request: &Request) -> Result<Reply, LlmError> {
        self.pace.turn().await;
        let body = serde_json::to_vec(&ChatRequest::from(request))
            .map_err(|error| self.malformed(&format!("the question is no JSON: {error}")))?;
        let mut post = self
            .http
            .post(self.chat.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(authorization) = &self.authorization {
            post = post.header(AUTHORIZATION, authorization.clone());
        }
        let response = post.send().await.map_err(|error| self.broken(&error))?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after::parse(value, Timestamp::now()));
        let body = response
            .bytes()
            .await
            .map_err(|error| self.broken(&error))?;
        if !status.is_success() {
            let message = self.without_key(error_message(&body));
            return Err(self.status_error(status.as_u16(), message, retry_after, &request.model));
        }
        let reply = ChatReply::read(&body, &self.host).map_err(|error| match error {
            LlmError::ServerFailed {
                host,
                status,
                message,
            } => LlmError::ServerFailed {
                host,
                status,
                message: self.without_key(message),
            },
            other => other,
        })?;
        self.pace
            .spent(reply.prompt_tokens.unwrap_or(0) + reply.completion_tokens.unwrap_or(0));
        match &reply.model {
            Some(answered) if !same_model(&request.model, answered) => Err(LlmError::WrongModel {
                asked: request.model.clone(),
                answered: answered.clone(),
            }),
            Some(_) | None => Ok(reply),
        }
    }

    fn status_error(
        &self,
        status: u16,
        message: String,
        retry_after: Option<Duration>,
        model: &str,
    ) -> LlmError {
        let host = self.host.clone();
        match status {
            429 => LlmError::Busy {
                host,
                status,
                message,
                retry_after,
            },
            503 if retry_after.is_some() => LlmError::Busy {
                host,
                status,
                message,
                retry_after,
            },
            401..=403 => LlmError::Denied {
                host,
                status,
                message,
            },
            300..=399 | 404 | 405 => LlmError::NotFound {
                host,
                model: model.to_owned(),
                status,
                message,
            },
            408 | 409 | 425 | 500.. => LlmError::ServerFailed {
                host,
                status,
                message,
            },
            _ => LlmError::Refused {
                host,
                status,
                message,
            },
        }
    }

    fn broken(&self, error: &reqwest::Error) -> LlmError {
        let host = self.host.clone();
        let reason = root_cause(error);
        if error.is_connect() {
            LlmError::Unreachable { host, reason }
        } else if error.is_timeout() {
            LlmError::TimedOut {
                host,
                limit: self.endpoint.timeout,
            }
        } else {
            LlmError::BrokeOff { host, reason }
        }
    }

    fn malformed(&self, reason: &str) -> LlmError {
        LlmError::Malformed {
            host: self.host.clone(),
            reason: reason.to_owned(),
        }
    }

    /// Servers like to repeat a key that they do not know.
    fn without_key(&self, message: String) -> String {
        match &self.endpoint.api_key {
            Some(key) if message.contains(key.reveal()) => message.replace(key.reveal(), "…"),
            Some(_) | None => message,
        }
    }
}

/// The address of the chat below a base address, and host and port for messages. User and password in
/// an address are refused, because addresses are shown.
fn chat_address(url: &str) -> Result<(reqwest::Url, String), LlmError> {
    let bad = |reason: &str| {
        // What stands before an `@` may be a password.
        let shown = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
        LlmError::BadUrl {
            url: shown.to_owned(),
            reason: reason.to_owned(),
        }
    };
    let base = reqwest::Url::parse(url).map_err(|error| bad(&error.to_string()))?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(bad("it begins with neither http:// nor https://"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(bad(
            "user and password do not belong into it; `api_key_env` names a variable",
        ));
    }
    let Some(name) = base.host_str() else {
        return Err(bad("it names no host"));
    };
    let host = base
        .port()
        .map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
    let mut chat = base.clone();
    chat.set_path(&format!(
        "{}/chat/completions",
        base.path().trim_end_matches('/')
    ));
    Ok((chat, host))
}

/// Whether `answered` is what was asked for. Services answer a family's name with a dated member of it
/// (`gpt-4o-mini` with `gpt-4o-mini-2024-07-18`); everything else must be equal but for case.
fn same_model(asked: &str, answered: &str) -> bool {
    let (asked, answered) = (asked.to_ascii_lowercase(), answered.to_ascii_lowercase());
    answered.strip_prefix(&asked).is_some_and(|rest| {
        let date = rest.strip_prefix(['-', '@']);
        rest.is_empty()
            || date.is_some_and(|date| {
                date.chars().filter(char::is_ascii_digit).count() >= 4
                    && date.chars().all(|c| c.is_ascii_digit() || c == '-')
            })
    })
}

/// The innermost cause: the outer ones repeat the address.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.source().is_none() {
        return "the request could not be made".to_owned();
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dated_names_are_the_same_model_and_others_are_not() {
        assert!(same_model("gpt-4o-mini", "gpt-4o-mini-2024-07-18"));
        assert!(same_model("Qwen/QwQ-32B-Preview", "qwen/qwq-32b-preview"));
        assert!(!same_model("gpt-4o", "gpt-4o-mini"));
        assert!(!same_model("gpt-4", "gpt-4-32k"));
        assert!(!same_model("qwq", "/models/other.gguf"));
        assert!(!same_model("long-name", "long"));
    }

    #[test]
    fn addresses_end_at_the_chat_and_hold_no_password() {
        let (chat, host) = chat_address("http://gpu1:8000/v1/").unwrap();
        assert_eq!(
            (chat.as_str(), host.as_str()),
            ("http://gpu1:8000/v1/chat/completions", "gpu1:8000")
        );
        let error = chat_address("https://me:secret@host/v1").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(chat_address("gpu1:8000/v1").is_err());
        assert!(chat_address("").is_err());
    }
}
