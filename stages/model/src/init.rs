//! A model from nothing: a Llama-shaped configuration, a tokenizer with a token a character, seeded weights.

use crate::config::Config;
use crate::error::ModelError;
use crate::folder::{Model, pretty};
use crate::tokenizer::Tokenizer;
use crate::weights::{Layout, Stored, Weights};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The shape of a model to start from scratch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Query heads; divides `hidden`.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of the feed-forward part.
    pub intermediate: usize,
    /// Longest sequence, in tokens.
    pub positions: usize,
    /// Whether the head is the embedding.
    pub tied: bool,
}

const SPECIAL: [&str; 4] = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"];
const TEMPLATE: &str = "{% for message in messages %}{% if message['role'] == 'assistant' %}{{ '<|assistant|>' + message['content'] + '<|end|>' }}{% else %}{{ '<|user|>' + message['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/// A model whose weights follow from the seed alone. Characters are printable ASCII and the line break; others become a blank.
///
/// # Errors
/// When the shape is impossible.
pub fn from_scratch(spec: &Spec, seed: u64) -> Result<Model, ModelError> {
    if spec.heads == 0 || !spec.hidden.is_multiple_of(spec.heads) {
        return Err(ModelError::Request {
            message: format!(
                "hidden = {} is no multiple of heads = {}",
                spec.hidden, spec.heads
            ),
        });
    }
    let characters: Vec<char> = std::iter::once('\n').chain(' '..='~').collect();
    let mut vocabulary = serde_json::Map::new();
    let names = SPECIAL
        .iter()
        .map(|name| (*name).to_owned())
        .chain(characters.iter().map(char::to_string));
    for (id, name) in names.enumerate() {
        vocabulary.insert(name, id.into());
    }
    let size = vocabulary.len();
    let added: Vec<_> = SPECIAL
        .iter()
        .enumerate()
        .map(|(id, name)| json!({"id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}))
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Isolated", "invert": false},
        "post_processor": null, "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": " "},
    });
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": spec.hidden,
        "intermediate_size": spec.intermediate, "num_hidden_layers": spec.layers, "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads, "head_dim": spec.hidden / spec.heads, "vocab_size": size,
        "max_position_embeddings": spec.positions, "rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "hidden_act": "silu",
        "tie_word_embeddings": spec.tied, "attention_bias": false, "mlp_bias": false,
        "bos_token_id": null, "eos_token_id": 1, "pad_token_id": 0, "torch_dtype": "float32",
    });
    let special = json!({"eos_token": "<|end|>", "pad_token": "<|pad|>"});
    let mut about = special.clone();
    about["tokenizer_class"] = "PreTrainedTokenizerFast".into();
    about["model_max_length"] = spec.positions.into();
    about["clean_up_tokenization_spaces"] = false.into();
    about["chat_template"] = TEMPLATE.into();
    let files = BTreeMap::from([
        (
            "tokenizer_config.json".to_owned(),
            pretty(&about).into_bytes(),
        ),
        (
            "special_tokens_map.json".to_owned(),
            pretty(&special).into_bytes(),
        ),
        (
            "generation_config.json".to_owned(),
            pretty(&json!({"eos_token_id": 1, "pad_token_id": 0})).into_bytes(),
        ),
    ]);
    let config = Config::from_json(&config)?;
    let weights = weights(&config, seed);
    Model::assemble(
        config,
        weights,
        Tokenizer::from_json(pretty(&tokenizer).into_bytes())?,
        files,
    )
}

/// Norms are one; matrices uniform with the variance `1 / (3 · inputs)`, the embedding with variance one (with the
/// head's variance where it also is the head).
fn weights(config: &Config, seed: u64) -> Weights {
    let layout = Arc::new(Layout::of(config));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut values = vec![0.0; layout.len()];
    for place in &layout.tensors {
        let into = &mut values[place.range.clone()];
        let bound = match place.shape.as_slice() {
            [_, _] if place.range == layout.embed_tokens && !config.tie_word_embeddings => {
                3f32.sqrt()
            }
            [_, inputs] => 1.0 / (*inputs as f32).sqrt(),
            _ if place.name.ends_with("bias") => continue,
            _ => {
                into.fill(1.0);
                continue;
            }
        };
        for value in into {
            *value = ((rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0) * bound;
        }
    }
    Weights::new(layout, values, Stored::F32)
}
