//! What goes wrong between a question and its reply, and who must act: the one who wrote the question,
//! the one who runs the server, or nobody but time.

use std::time::Duration;

/// Who must act before the same request can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The question itself is at fault (too long, refused): others may well succeed.
    Question,
    /// The set-up is at fault (address, key, model name): no request will succeed.
    Setup,
    /// Nobody: it may pass by itself. The request has been repeated as often as allowed.
    Time,
}

/// Why there is no reply.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LlmError {
    /// The environment variable that should hold the key is unset or empty.
    #[error("environment variable {variable} holds no API key")]
    NoKey {
        /// The variable's name.
        variable: String,
    },
    /// The key cannot stand in a header.
    #[error("the API key holds characters that no HTTP header may hold")]
    UnusableKey,
    /// The address is none.
    #[error("{url} is no server address: {reason}")]
    BadUrl {
        /// As it was given, without user and password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No HTTP client could be made on this machine.
    #[error("no HTTP client: {0}")]
    NoClient(String),
    /// The connection could not be made.
    #[error("no connection to {host}: {reason}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// The system's words.
        reason: String,
    },
    /// The connection broke before the reply was whole.
    #[error("the connection to {host} broke off: {reason}")]
    BrokeOff {
        /// Host and port.
        host: String,
        /// The system's words.
        reason: String,
    },
    /// The reply took longer than a request may take.
    #[error("no reply from {host} within {limit:?}")]
    TimedOut {
        /// Host and port.
        host: String,
        /// The endpoint's timeout.
        limit: Duration,
    },
    /// The server asks for patience (429), or says it is overloaded (503) and for how long.
    #[error("{host} is busy (status {status}): {message}")]
    Busy {
        /// Host and port.
        host: String,
        /// 429 or 503.
        status: u16,
        /// The server's words.
        message: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The server failed (408, 409, 425, 5xx).
    #[error("{host} failed (status {status}): {message}")]
    ServerFailed {
        /// Host and port.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// The server does not let us in (401, 402, 403).
    #[error("{host} refuses the key or the account (status {status}): {message}")]
    Denied {
        /// Host and port.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// There is no such model, or no chat, at this address (404, 405, 3xx).
    #[error(
        "{host} knows no model `{model}` or no chat at this address (status {status}): {message}"
    )]
    NotFound {
        /// Host and port.
        host: String,
        /// The model that was asked for.
        model: String,
        /// The HTTP status.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// The server does not take this question (400, 413, 422): too long, or a setting it does not know.
    #[error("{host} does not take this question (status {status}): {message}")]
    Refused {
        /// Host and port.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// The reply is no chat reply.
    #[error("{host} sent no chat reply: {reason}")]
    Malformed {
        /// Host and port.
        host: String,
        /// Where reading it failed.
        reason: String,
    },
    /// The reply has neither answer nor thought.
    #[error("{host} sent an empty reply")]
    Empty {
        /// Host and port.
        host: String,
    },
    /// Another model answered.
    #[error("asked `{asked}`, but `{answered}` answered")]
    WrongModel {
        /// The model that was asked.
        asked: String,
        /// The model that the server says answered.
        answered: String,
    },
}

impl LlmError {
    /// Who must act.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self {
            Self::Refused { .. } | Self::Empty { .. } => Actor::Question,
            Self::NoKey { .. }
            | Self::UnusableKey
            | Self::BadUrl { .. }
            | Self::NoClient(_)
            | Self::Denied { .. }
            | Self::NotFound { .. }
            | Self::WrongModel { .. } => Actor::Setup,
            Self::Unreachable { .. }
            | Self::BrokeOff { .. }
            | Self::TimedOut { .. }
            | Self::Busy { .. }
            | Self::ServerFailed { .. }
            | Self::Malformed { .. } => Actor::Time,
        }
    }

    /// Whether sending the same request again may help. An empty reply is worth another try, although
    /// in the end it is the question's.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.actor() == Actor::Time || matches!(self, Self::Empty { .. })
    }

    /// What to do about it, where that is not plain from the message.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoKey { variable } => Some(format!("export {variable}=… before the run")),
            Self::UnusableKey => Some("look for a line break within the key".to_owned()),
            Self::BadUrl { .. } => Some("an address looks like `http://localhost:8000/v1`".to_owned()),
            Self::Unreachable { .. } => Some("is the server up, and is `server.url` right?".to_owned()),
            Self::TimedOut { .. } => {
                Some("raise `server.timeout_s`, or lower `server.concurrency` or `max_tokens`".to_owned())
            }
            Self::Busy { .. } => {
                Some("lower `server.concurrency`, or set `server.requests_per_minute`".to_owned())
            }
            Self::Denied { .. } => Some("`server.api_key_env` names the variable with the key".to_owned()),
            Self::NotFound { .. } => {
                Some("compare the model's name with GET {server.url}/models; the address ends in `/v1`".to_owned())
            }
            Self::WrongModel { .. } => {
                Some("start the server with the model that the pipeline names, or set `name` of the model".to_owned())
            }
            Self::NoClient(_)
            | Self::BrokeOff { .. }
            | Self::ServerFailed { .. }
            | Self::Refused { .. }
            | Self::Malformed { .. }
            | Self::Empty { .. } => None,
        }
    }

    /// How long the server asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
