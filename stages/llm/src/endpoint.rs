//! Where to ask, with which key and how patiently. None of it decides what the answer says.

use std::fmt;
use std::time::Duration;

use crate::LlmError;

/// A server and how to treat it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The base address, up to and with `/v1`.
    pub url: String,
    /// The most requests in flight at one time.
    pub concurrency: u32,
    /// How long one request may take, from connecting to the last byte.
    pub timeout: Duration,
    /// How many times a request that may yet succeed is sent again.
    pub retries: u32,
    /// The wait before the first repeat; it doubles each time, up to [`Endpoint::longest_wait`], with
    /// jitter. `Retry-After` goes before it.
    pub first_wait: Duration,
    /// The longest wait between two tries, `Retry-After` included.
    pub longest_wait: Duration,
    /// The most requests started within a minute.
    pub requests_per_minute: Option<u32>,
    /// The most tokens (question and reply) within a minute. A reply's length is known afterwards, so
    /// a burst is paid back by waiting.
    pub tokens_per_minute: Option<u32>,
    /// Sent as a bearer token.
    pub api_key: Option<ApiKey>,
}

impl Endpoint {
    /// The server at `url`, 16 requests at a time, ten minutes each, six repeats.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            concurrency: 16,
            timeout: Duration::from_secs(600),
            retries: 6,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(120),
            requests_per_minute: None,
            tokens_per_minute: None,
            api_key: None,
        }
    }
}

/// A secret that no `Debug`, no error and no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key in the environment variable `name`.
    ///
    /// # Errors
    /// [`LlmError::NoKey`] if it is unset, empty or no text.
    pub fn from_env(name: &str) -> Result<Self, LlmError> {
        match std::env::var(name) {
            Ok(key) if !key.trim().is_empty() => Ok(Self(key.trim().to_owned())),
            Ok(_) | Err(_) => Err(LlmError::NoKey {
                variable: name.to_owned(),
            }),
        }
    }

    /// The key itself.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}
