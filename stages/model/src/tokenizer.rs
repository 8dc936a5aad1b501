//! Text to tokens and back, through `tokenizer.json`.

use crate::error::ModelError;
use std::path::Path;
use std::sync::Arc;

/// A tokenizer; cheap to clone.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: Arc<tokenizers::Tokenizer>,
    json: Arc<[u8]>,
}

impl Tokenizer {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// When the file is missing or no tokenizer.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        Self::from_json(crate::error::read(path)?)
            .map_err(|fault| ModelError::malformed(path, fault))
    }

    pub(crate) fn from_json(json: Vec<u8>) -> Result<Self, ModelError> {
        let inner =
            tokenizers::Tokenizer::from_bytes(&json).map_err(|fault| ModelError::Tokenizer {
                message: fault.to_string(),
            })?;
        Ok(Self {
            inner: Arc::new(inner),
            json: json.into(),
        })
    }

    pub(crate) fn json(&self) -> &[u8] {
        &self.json
    }

    /// The tokens of a text. Special tokens written in the text are recognised; none are added.
    ///
    /// # Errors
    /// When the tokenizer cannot take the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        let encoding =
            self.inner
                .encode_fast(text, false)
                .map_err(|fault| ModelError::Tokenizer {
                    message: fault.to_string(),
                })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of tokens, special ones left out.
    ///
    /// # Errors
    /// When the tokenizer does not know an id.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, ModelError> {
        self.inner
            .decode(tokens, true)
            .map_err(|fault| ModelError::Tokenizer {
                message: fault.to_string(),
            })
    }

    /// The id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Number of tokens, added ones included.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab_size(true)
    }
}
