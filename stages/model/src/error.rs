//! What can go wrong with a model: each fault names the file and, where there is one, the tensor.

use std::path::{Path, PathBuf};

/// A fault in a model folder, a prompt or a template.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("{}: cannot be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is there, but its content is not what it should be.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The model asks for something this decoder does not do; it is refused, never ignored.
    #[error("not supported: {what}")]
    Unsupported {
        /// The setting and its value.
        what: String,
    },
    /// A tensor is missing, or has another shape or type than the configuration says.
    #[error("{}: tensor `{tensor}` {message}", file.display())]
    Tensor {
        /// The safetensors file.
        file: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        message: String,
    },
    /// The chat template could not be used.
    #[error("chat template: {message}")]
    Template {
        /// What the template said.
        message: String,
    },
    /// Text could not be turned into tokens, or back.
    #[error("tokenizer: {message}")]
    Tokenizer {
        /// What the tokenizer said.
        message: String,
    },
    /// A request that cannot be answered.
    #[error("{message}")]
    Request {
        /// What is wrong with it.
        message: String,
    },
}

impl ModelError {
    pub(crate) fn malformed(path: &Path, message: impl std::fmt::Display) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            message: message.to_string(),
        }
    }

    pub(crate) fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::Unsupported {
            what: what.to_string(),
        }
    }

    pub(crate) fn tensor(file: &Path, tensor: &str, message: impl std::fmt::Display) -> Self {
        Self::Tensor {
            file: file.to_owned(),
            tensor: tensor.to_owned(),
            message: message.to_string(),
        }
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    fs_err::read(path).map_err(|source| ModelError::File {
        path: path.to_owned(),
        source,
    })
}

pub(crate) fn read_json(path: &Path) -> Result<serde_json::Value, ModelError> {
    serde_json::from_slice(&read(path)?).map_err(|fault| ModelError::malformed(path, fault))
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    fs_err::write(path, bytes).map_err(|source| ModelError::File {
        path: path.to_owned(),
        source,
    })
}
