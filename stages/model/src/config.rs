//! `config.json`, read switch by switch. What the decoder does not do is refused by name: a setting
//! that is silently ignored gives a model that is silently wrong.

use crate::error::ModelError;
use serde_json::{Map, Value};

/// The families one decoder covers; they differ in the switches of [`Config`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Llama 2 and 3, SmolLM2.
    Llama,
    /// Qwen2 and Qwen2.5: bias on q, k and v.
    Qwen2,
    /// Qwen3: RMSNorm on each head's q and k.
    Qwen3,
}

/// How the rotary frequencies are stretched beyond the length they were trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// As they are.
    Default,
    /// Llama 3.1's rule: long wavelengths are divided by `factor`, short ones kept, those between blended.
    Llama3 {
        /// Divisor of long wavelengths.
        factor: f64,
        /// Below `original / low` turns, fully scaled.
        low: f64,
        /// Above `original / high` turns, not scaled.
        high: f64,
        /// The length the model was first trained on, in tokens.
        original: f64,
    },
}

/// The decoder's shape and switches, under the names of `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Which family.
    pub architecture: Architecture,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward part.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Width of a head; need not be `hidden_size / num_attention_heads`.
    pub head_dim: usize,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Longest sequence, in tokens.
    pub max_position_embeddings: usize,
    /// Added to the mean square before its root is taken.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Stretching of the rotary frequencies.
    pub rope_scaling: RopeScaling,
    /// Whether the head is the embedding.
    pub tie_word_embeddings: bool,
    /// Whether q, k and v have a bias.
    pub qkv_bias: bool,
    /// Whether q and k are normalised head by head.
    pub qk_norm: bool,
    /// Ids that end a text, from `eos_token_id`.
    pub eos: Vec<u32>,
    /// The file as it was read; saved again as it is.
    pub raw: Map<String, Value>,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Names the field that is missing, impossible or not supported.
    pub fn from_json(value: &Value) -> Result<Self, ModelError> {
        let raw = value
            .as_object()
            .cloned()
            .ok_or_else(|| fault("config.json is not an object"))?;
        let fields = Fields(&raw);
        let architecture = fields.architecture()?;
        let hidden_size = fields.size("hidden_size")?;
        let num_attention_heads = fields.size("num_attention_heads")?;
        let num_key_value_heads = fields.size_or("num_key_value_heads", num_attention_heads)?;
        let head_dim = match fields.get("head_dim") {
            Some(_) => fields.size("head_dim")?,
            None if architecture == Architecture::Qwen3 => 128,
            None => hidden_size / num_attention_heads.max(1),
        };
        if num_attention_heads % num_key_value_heads != 0 {
            return Err(fault(format!(
                "num_attention_heads = {num_attention_heads} is no multiple of num_key_value_heads = {num_key_value_heads}"
            )));
        }
        if head_dim % 2 != 0 {
            return Err(fault(format!("head_dim = {head_dim} is odd")));
        }
        match fields.get("hidden_act").and_then(Value::as_str) {
            None | Some("silu") => {}
            Some(other) => return Err(ModelError::unsupported(format!("hidden_act = `{other}`"))),
        }
        for switch in ["use_sliding_window", "mlp_bias"] {
            if fields.truth(switch, false) {
                return Err(ModelError::unsupported(format!("{switch} = true")));
            }
        }
        let attention_bias = fields.truth("attention_bias", false);
        if attention_bias && architecture != Architecture::Qwen2 {
            return Err(ModelError::unsupported(
                "attention_bias = true, which also asks for a bias on o_proj",
            ));
        }
        if let Some(layers) = fields.get("layer_types").and_then(Value::as_array)
            && let Some(other) = layers
                .iter()
                .find(|layer| layer.as_str() != Some("full_attention"))
        {
            return Err(ModelError::unsupported(format!("layer type {other}")));
        }
        let (rope_theta, rope_scaling) = fields.rope()?;
        Ok(Self {
            architecture,
            hidden_size,
            intermediate_size: fields.size("intermediate_size")?,
            num_hidden_layers: fields.size("num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            vocab_size: fields.size("vocab_size")?,
            max_position_embeddings: fields.size_or("max_position_embeddings", 2048)?,
            rms_norm_eps: fields.number("rms_norm_eps", 1e-6)?,
            rope_theta,
            rope_scaling,
            tie_word_embeddings: fields.truth("tie_word_embeddings", false),
            qkv_bias: architecture == Architecture::Qwen2,
            qk_norm: architecture == Architecture::Qwen3,
            eos: ids(fields.get("eos_token_id")),
            raw,
        })
    }

    /// Number of parameters, a tied head counted once.
    pub fn parameters(&self) -> usize {
        crate::Layout::of(self).len()
    }

    /// The rotary frequency of each pair of a head, in radians a position.
    pub fn rope_frequencies(&self) -> Vec<f64> {
        let half = self.head_dim / 2;
        (0..half)
            .map(|pair| {
                let plain = 1.0
                    / self
                        .rope_theta
                        .powf(2.0 * pair as f64 / self.head_dim as f64);
                match self.rope_scaling {
                    RopeScaling::Default => plain,
                    RopeScaling::Llama3 {
                        factor,
                        low,
                        high,
                        original,
                    } => {
                        let turns = original * plain / (2.0 * std::f64::consts::PI);
                        let blend = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                        (1.0 - blend) * plain / factor + blend * plain
                    }
                }
            })
            .collect()
    }
}

/// Token ids of a field that is a number or a list of numbers.
pub(crate) fn ids(value: Option<&Value>) -> Vec<u32> {
    let one = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    }
}

fn fault(message: impl std::fmt::Display) -> ModelError {
    ModelError::malformed(std::path::Path::new("config.json"), message)
}

struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn size(&self, name: &str) -> Result<usize, ModelError> {
        let value = self
            .get(name)
            .ok_or_else(|| fault(format!("`{name}` is missing")))?;
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.filter(|&size| size > 0)
            .ok_or_else(|| fault(format!("`{name}` = {value} is no positive number")))
    }

    fn size_or(&self, name: &str, default: usize) -> Result<usize, ModelError> {
        if self.get(name).is_some() {
            self.size(name)
        } else {
            Ok(default)
        }
    }

    fn number(&self, name: &str, default: f64) -> Result<f64, ModelError> {
        let Some(value) = self.get(name) else {
            return Ok(default);
        };
        value
            .as_f64()
            .ok_or_else(|| fault(format!("`{name}` = {value} is no number")))
    }

    fn truth(&self, name: &str, default: bool) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    fn architecture(&self) -> Result<Architecture, ModelError> {
        let class = self
            .get("architectures")
            .and_then(|list| list.get(0))
            .and_then(Value::as_str);
        let kind = self.get("model_type").and_then(Value::as_str);
        match (class, kind) {
            (Some("LlamaForCausalLM"), _) | (None, Some("llama")) => Ok(Architecture::Llama),
            (Some("Qwen2ForCausalLM"), _) | (None, Some("qwen2")) => Ok(Architecture::Qwen2),
            (Some("Qwen3ForCausalLM"), _) | (None, Some("qwen3")) => Ok(Architecture::Qwen3),
            (Some(other), _) | (None, Some(other)) => Err(ModelError::unsupported(format!(
                "architecture `{other}` (known: LlamaForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM)"
            ))),
            (None, None) => Err(fault("neither `architectures` nor `model_type` is given")),
        }
    }

    /// Older files have `rope_theta` beside `rope_scaling`, newer ones `rope_parameters` with both.
    fn rope(&self) -> Result<(f64, RopeScaling), ModelError> {
        let object = self
            .get("rope_parameters")
            .or_else(|| self.get("rope_scaling"))
            .and_then(Value::as_object);
        let Some(object) = object else {
            return Ok((self.number("rope_theta", 10_000.0)?, RopeScaling::Default));
        };
        let rope = Fields(object);
        let theta = match rope.get("rope_theta") {
            Some(_) => rope.number("rope_theta", 10_000.0)?,
            None => self.number("rope_theta", 10_000.0)?,
        };
        let kind = rope
            .get("rope_type")
            .or_else(|| rope.get("type"))
            .and_then(Value::as_str)
            .unwrap_or("default");
        match kind {
            "default" => Ok((theta, RopeScaling::Default)),
            "llama3" => {
                let need = |name: &str| {
                    rope.get(name)
                        .and_then(Value::as_f64)
                        .ok_or_else(|| fault(format!("rope scaling `llama3` needs `{name}`")))
                };
                let (low, high) = (need("low_freq_factor")?, need("high_freq_factor")?);
                let (factor, original) =
                    (need("factor")?, need("original_max_position_embeddings")?);
                Ok((
                    theta,
                    RopeScaling::Llama3 {
                        factor,
                        low,
                        high,
                        original,
                    },
                ))
            }
            other => Err(ModelError::unsupported(format!(
                "rope type `{other}` (known: default, llama3)"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn small() -> Value {
        json!({"architectures": ["LlamaForCausalLM"], "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1,
               "num_attention_heads": 2, "vocab_size": 10})
    }

    fn refused(name: &str, value: Value) -> String {
        let mut config = small();
        config[name] = value;
        Config::from_json(&config).unwrap_err().to_string()
    }

    #[test]
    fn what_the_decoder_does_not_do_is_refused_by_name() {
        assert!(refused("architectures", json!(["MambaForCausalLM"])).contains("MambaForCausalLM"));
        assert!(refused("rope_scaling", json!({"rope_type": "longrope"})).contains("longrope"));
        assert!(refused("use_sliding_window", json!(true)).contains("use_sliding_window"));
        assert!(refused("hidden_act", json!("gelu")).contains("gelu"));
        assert!(refused("hidden_size", json!(0)).contains("hidden_size"));
    }

    #[test]
    fn both_places_of_the_rotary_base_are_read() {
        let mut config = small();
        config["rope_theta"] = json!(5e5);
        assert_eq!(Config::from_json(&config).unwrap().rope_theta, 5e5);
        config["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 1e6});
        assert_eq!(Config::from_json(&config).unwrap().rope_theta, 1e6);
    }
}
