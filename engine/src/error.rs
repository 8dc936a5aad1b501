//! What can go wrong in a stage and around it.

use dag_cache::CacheError;
use serde::{Deserialize, Serialize};

/// Why a stage did not finish. The variant says who must act.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The input or the settings make it impossible; the pipeline's author must act.
    #[error("{message}")]
    Failed {
        /// What happened, place and thing first.
        message: String,
        /// What would help.
        hint: Option<String>,
    },
    /// The machine, network or a server is not as needed; trying again later may do.
    #[error("{message}")]
    Environment {
        /// What happened, place and thing first.
        message: String,
        /// What would help.
        hint: Option<String>,
    },
    /// The run was cancelled. What was finished is kept.
    #[error("interrupted")]
    Interrupted,
    /// The cache could not be read or written.
    #[error("the cache failed")]
    Cache(#[from] CacheError),
    /// A file could not be read or written.
    #[error("reading or writing failed")]
    Io(#[from] std::io::Error),
    /// A promise inside the program was broken: not the user's fault.
    #[error("internal error: {0}")]
    Bug(String),
}

impl StageError {
    /// The author of the pipeline must act.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            hint: None,
        }
    }

    /// Somebody must look at the machine, the network or a server.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::Environment {
            message: message.into(),
            hint: None,
        }
    }

    /// A promise inside the program was broken.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::Bug(message.into())
    }

    /// Adds a hint where the error has room for one.
    #[must_use]
    pub fn with_hint(self, text: impl Into<String>) -> Self {
        match self {
            Self::Failed { message, .. } => Self::Failed {
                message,
                hint: Some(text.into()),
            },
            Self::Environment { message, .. } => Self::Environment {
                message,
                hint: Some(text.into()),
            },
            other @ (Self::Interrupted | Self::Cache(_) | Self::Io(_) | Self::Bug(_)) => other,
        }
    }

    /// The error as it travels in events, records of runs and between processes.
    #[must_use]
    pub fn to_failure(&self) -> Failure {
        let (actor, hint) = match self {
            Self::Failed { hint, .. } => (Actor::Author, hint.clone()),
            Self::Environment { hint, .. } => (Actor::Environment, hint.clone()),
            Self::Interrupted => (Actor::User, None),
            Self::Cache(CacheError::Unreachable { .. }) => (
                Actor::Environment,
                Some(
                    "run again once the remote can be reached; or make again here what gave it: \
                     `dag run --force STAGE`"
                        .to_owned(),
                ),
            ),
            Self::Cache(_) | Self::Io(_) => (Actor::Environment, None),
            Self::Bug(_) => (Actor::Us, None),
        };
        let mut causes = Vec::new();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let text = cause.to_string();
            // io::Error and its wrappers repeat the text of what they wrap.
            if causes.last() != Some(&text) {
                causes.push(text);
            }
            source = cause.source();
        }
        Failure {
            actor,
            message: self.to_string(),
            causes,
            hint,
        }
    }
}

impl From<arrow::error::ArrowError> for StageError {
    fn from(error: arrow::error::ArrowError) -> Self {
        match error {
            arrow::error::ArrowError::IoError(_, io) => Self::Io(io),
            other => Self::Failed {
                message: format!("table: {other}"),
                hint: None,
            },
        }
    }
}

impl From<parquet::errors::ParquetError> for StageError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::Failed {
            message: format!("parquet: {error}"),
            hint: None,
        }
    }
}

/// A failure as a value: serialisable, with its chain of causes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Who must act.
    pub actor: Actor,
    /// What happened.
    pub message: String,
    /// Why, from the nearest cause to the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What would help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<Failure> for StageError {
    /// Back into an error, in the process that waited for the other one.
    fn from(failure: Failure) -> Self {
        let mut message = failure.message;
        for cause in &failure.causes {
            message.push_str(": ");
            message.push_str(cause);
        }
        match failure.actor {
            Actor::Author => Self::Failed {
                message,
                hint: failure.hint,
            },
            Actor::Environment => Self::Environment {
                message,
                hint: failure.hint,
            },
            Actor::User => Self::Interrupted,
            Actor::Us => Self::Bug(
                message
                    .strip_prefix("internal error: ")
                    .unwrap_or(&message)
                    .to_owned(),
            ),
        }
    }
}

/// Who must act on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The author of the pipeline.
    Author,
    /// Whoever keeps the machine, network or server.
    Environment,
    /// Nobody: the user interrupted.
    User,
    /// Whoever maintains this program.
    Us,
}
