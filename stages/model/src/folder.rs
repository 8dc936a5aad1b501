//! A model as a Hugging Face folder: read whole, written so that `transformers` reads it.

use crate::config::{Config, ids};
use crate::error::{self, ModelError};
use crate::template::{ChatTemplate, Message};
use crate::tokenizer::Tokenizer;
use crate::weights::Weights;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Files that are kept as they are when a model is saved again.
const KEPT: [&str; 8] = [
    "tokenizer_config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "vocab.json",
    "merges.txt",
];

/// A decoder with everything that is needed to talk to it.
#[derive(Debug, Clone)]
pub struct Model {
    /// Shape and switches.
    pub config: Config,
    /// The weights, f32 in memory.
    pub weights: Weights,
    /// Text to tokens.
    pub tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    ends: Vec<u32>,
    files: BTreeMap<String, Vec<u8>>,
}

/// Reads a model folder.
///
/// # Errors
/// Names the file, and the tensor, that is missing, damaged or not supported.
pub fn load(folder: &Path) -> Result<Model, ModelError> {
    let config = Config::from_json(&error::read_json(&folder.join("config.json"))?)?;
    let tokenizer = Tokenizer::read(&folder.join("tokenizer.json"))?;
    let mut files = BTreeMap::new();
    for name in KEPT {
        let path = folder.join(name);
        if path.exists() {
            files.insert(name.to_owned(), error::read(&path)?);
        }
    }
    let weights = Weights::read(folder, &config)?;
    Model::assemble(config, weights, tokenizer, files)
}

/// The tokenizer of a model folder, without its weights.
///
/// # Errors
/// When `tokenizer.json` is missing or damaged.
pub fn load_tokenizer(folder: &Path) -> Result<Tokenizer, ModelError> {
    Tokenizer::read(&folder.join("tokenizer.json"))
}

/// The chat template of a model folder, if it has one.
///
/// # Errors
/// When a file is damaged or the template does not parse.
pub fn load_template(folder: &Path) -> Result<Option<ChatTemplate>, ModelError> {
    let mut files = BTreeMap::new();
    for name in KEPT {
        let path = folder.join(name);
        if path.exists() {
            files.insert(name.to_owned(), error::read(&path)?);
        }
    }
    template_of(&files)
}

impl Model {
    pub(crate) fn assemble(
        config: Config,
        weights: Weights,
        tokenizer: Tokenizer,
        files: BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, ModelError> {
        if tokenizer.vocabulary() > config.vocab_size {
            let message = format!(
                "has {} tokens, the embedding {} rows",
                tokenizer.vocabulary(),
                config.vocab_size
            );
            return Err(ModelError::malformed(Path::new("tokenizer.json"), message));
        }
        let template = template_of(&files)?;
        let mut ends = config.eos.clone();
        ends.extend(ids(
            json(&files, "generation_config.json")?.get("eos_token_id")
        ));
        if let Some(token) = token(&json(&files, "tokenizer_config.json")?, "eos_token") {
            ends.extend(tokenizer.id(&token));
        }
        ends.sort_unstable();
        ends.dedup();
        Ok(Self {
            config,
            weights,
            tokenizer,
            template,
            ends,
            files,
        })
    }

    /// Tokens that end a text: those of `config.json`, `generation_config.json` and the tokenizer's `eos_token`.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The chat template.
    ///
    /// # Errors
    /// When the folder had none.
    pub fn template(&self) -> Result<&ChatTemplate, ModelError> {
        self.template.as_ref().ok_or_else(|| ModelError::Template {
            message: "the model has none".into(),
        })
    }

    /// The tokens of a conversation, ready for the assistant's answer.
    ///
    /// # Errors
    /// When there is no template, or it raises.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, ModelError> {
        self.tokenizer
            .encode(&self.template()?.render(messages, true)?)
    }

    /// The same model with other weights.
    #[must_use]
    pub fn with_weights(&self, weights: Weights) -> Self {
        Self {
            weights,
            ..self.clone()
        }
    }

    /// Writes the folder: `config.json`, `model.safetensors` in the type the weights had, and the tokenizer's files.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        fs_err::create_dir_all(folder).map_err(|source| ModelError::File {
            path: folder.to_owned(),
            source,
        })?;
        let mut config = self.config.raw.clone();
        let name = if config.contains_key("dtype") {
            "dtype"
        } else {
            "torch_dtype"
        };
        config.insert(name.into(), self.weights.stored.torch_name().into());
        error::write(
            &folder.join("config.json"),
            pretty(&Value::Object(config)).as_bytes(),
        )?;
        error::write(&folder.join("tokenizer.json"), self.tokenizer.json())?;
        for (name, bytes) in &self.files {
            error::write(&folder.join(name), bytes)?;
        }
        self.weights.write(folder)
    }
}

pub(crate) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn json(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Result<Value, ModelError> {
    let Some(bytes) = files.get(name) else {
        return Ok(Value::Null);
    };
    serde_json::from_slice(bytes).map_err(|fault| ModelError::malformed(Path::new(name), fault))
}

/// A special token: a string, or an object with `content`.
fn token(config: &Value, name: &str) -> Option<String> {
    let value = config.get(name)?;
    value
        .as_str()
        .or_else(|| value.get("content")?.as_str())
        .map(str::to_owned)
}

fn template_of(files: &BTreeMap<String, Vec<u8>>) -> Result<Option<ChatTemplate>, ModelError> {
    let config = json(files, "tokenizer_config.json")?;
    let source = match files.get("chat_template.jinja") {
        Some(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        None => match config.get("chat_template") {
            Some(Value::String(source)) => Some(source.clone()),
            Some(Value::Array(list)) => {
                let default = list
                    .iter()
                    .find(|one| one.get("name").and_then(Value::as_str) == Some("default"));
                default
                    .and_then(|one| one.get("template"))
                    .and_then(Value::as_str)
                    .map(str::to_owned)
            }
            _ => None,
        },
    };
    let Some(source) = source else {
        return Ok(None);
    };
    let mut tokens = serde_json::Map::new();
    for name in ["bos_token", "eos_token", "pad_token", "unk_token"] {
        if let Some(text) = token(&config, name) {
            tokens.insert(name.into(), text.into());
        }
    }
    ChatTemplate::new(source, tokens).map(Some)
}
