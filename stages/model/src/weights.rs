//! The weights: one flat buffer of f32, and a layout that knows every tensor by its Hugging Face name.
//!
//! Flat, because optimizer, gradients, sharding and checkpoints then are slices of equal shape. Files are
//! read through a memory map, tensor by tensor, and converted from bf16, f16 or f32.

use crate::config::Config;
use crate::error::{self, ModelError};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// One tensor's place in the flat buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorPlace {
    /// Name in the checkpoint, `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// Shape in the checkpoint: `[out, in]`, or `[n]` for norms and biases.
    pub shape: Vec<usize>,
    /// Where its values lie, row-major.
    pub range: Range<usize>,
}

/// Where one block's tensors lie. Optional ones are absent where the configuration switches them off.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the checkpoint's names")]
pub struct LayerPlaces {
    pub input_layernorm: Range<usize>,
    pub q_proj: Range<usize>,
    pub k_proj: Range<usize>,
    pub v_proj: Range<usize>,
    pub q_bias: Option<Range<usize>>,
    pub k_bias: Option<Range<usize>>,
    pub v_bias: Option<Range<usize>>,
    pub q_norm: Option<Range<usize>>,
    pub k_norm: Option<Range<usize>>,
    pub o_proj: Range<usize>,
    pub post_attention_layernorm: Range<usize>,
    pub gate_proj: Range<usize>,
    pub up_proj: Range<usize>,
    pub down_proj: Range<usize>,
}

/// Every tensor of a decoder and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// In the order of the buffer: embedding, blocks, norm, head.
    pub tensors: Vec<TensorPlace>,
    /// `model.embed_tokens.weight`.
    pub embed_tokens: Range<usize>,
    /// The blocks.
    pub layers: Vec<LayerPlaces>,
    /// `model.norm.weight`.
    pub norm: Range<usize>,
    /// `lm_head.weight`; the embedding's place where the two are tied.
    pub lm_head: Range<usize>,
}

impl Layout {
    /// The layout a configuration asks for.
    pub fn of(config: &Config) -> Self {
        let mut tensors = Vec::new();
        let mut add = |name: String, shape: &[usize]| {
            let start = tensors
                .last()
                .map_or(0, |last: &TensorPlace| last.range.end);
            let range = start..start + shape.iter().product::<usize>();
            tensors.push(TensorPlace {
                name,
                shape: shape.to_vec(),
                range: range.clone(),
            });
            range
        };
        let hidden = config.hidden_size;
        let (queries, keys) = (
            config.num_attention_heads * config.head_dim,
            config.num_key_value_heads * config.head_dim,
        );
        let embed_tokens = add(
            "model.embed_tokens.weight".into(),
            &[config.vocab_size, hidden],
        );
        let layers = (0..config.num_hidden_layers)
            .map(|layer| {
                let mut add = |part: &str, shape: &[usize]| {
                    add(format!("model.layers.{layer}.{part}"), shape)
                };
                let input_layernorm = add("input_layernorm.weight", &[hidden]);
                let q_proj = add("self_attn.q_proj.weight", &[queries, hidden]);
                let k_proj = add("self_attn.k_proj.weight", &[keys, hidden]);
                let v_proj = add("self_attn.v_proj.weight", &[keys, hidden]);
                let bias = config.qkv_bias;
                let q_bias = bias.then(|| add("self_attn.q_proj.bias", &[queries]));
                let k_bias = bias.then(|| add("self_attn.k_proj.bias", &[keys]));
                let v_bias = bias.then(|| add("self_attn.v_proj.bias", &[keys]));
                let q_norm = config
                    .qk_norm
                    .then(|| add("self_attn.q_norm.weight", &[config.head_dim]));
                let k_norm = config
                    .qk_norm
                    .then(|| add("self_attn.k_norm.weight", &[config.head_dim]));
                LayerPlaces {
                    input_layernorm,
                    q_proj,
                    k_proj,
                    v_proj,
                    q_bias,
                    k_bias,
                    v_bias,
                    q_norm,
                    k_norm,
                    o_proj: add("self_attn.o_proj.weight", &[hidden, queries]),
                    post_attention_layernorm: add("post_attention_layernorm.weight", &[hidden]),
                    gate_proj: add("mlp.gate_proj.weight", &[config.intermediate_size, hidden]),
                    up_proj: add("mlp.up_proj.weight", &[config.intermediate_size, hidden]),
                    down_proj: add("mlp.down_proj.weight", &[hidden, config.intermediate_size]),
                }
            })
            .collect();
        let norm = add("model.norm.weight".into(), &[hidden]);
        let lm_head = match config.tie_word_embeddings {
            true => embed_tokens.clone(),
            false => add("lm_head.weight".into(), &[config.vocab_size, hidden]),
        };
        Self {
            tensors,
            embed_tokens,
            layers,
            norm,
            lm_head,
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.tensors.last().map_or(0, |last| last.range.end)
    }

    /// Never true for a layout of a real configuration.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The type weights have in a file. In memory they are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// 32 bits.
    F32,
    /// 16 bits, brain float.
    Bf16,
    /// 16 bits, half.
    F16,
}

impl Stored {
    /// The name `config.json` has for it.
    pub fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
            Self::F16 => "float16",
        }
    }
}

/// A decoder's weights, f32, in the order of their [`Layout`].
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    layout: Arc<Layout>,
    /// All values; `layout().tensors` says what lies where.
    pub values: Vec<f32>,
    /// The type they had, and will be saved as.
    pub stored: Stored,
}

impl Weights {
    /// Weights from a flat buffer.
    ///
    /// # Panics
    /// If the buffer has another length than the layout: a bug of the caller.
    pub fn new(layout: Arc<Layout>, values: Vec<f32>, stored: Stored) -> Self {
        assert_eq!(
            layout.len(),
            values.len(),
            "as many values as the layout has places"
        );
        Self {
            layout,
            values,
            stored,
        }
    }

    /// Where every tensor lies.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Reads `model.safetensors`, or the shards that `model.safetensors.index.json` names.
    ///
    /// # Errors
    /// A missing or damaged file; a tensor that is missing, of another shape, or of a type other than bf16, f16, f32.
    pub fn read(folder: &Path, config: &Config) -> Result<Self, ModelError> {
        let layout = Arc::new(Layout::of(config));
        let single = folder.join("model.safetensors");
        let index = folder.join("model.safetensors.index.json");
        let mut by_file: BTreeMap<String, Vec<&TensorPlace>> = BTreeMap::new();
        if !single.exists() && index.exists() {
            let map = error::read_json(&index)?;
            for place in &layout.tensors {
                let file = map
                    .pointer("/weight_map")
                    .and_then(|map| map.get(&place.name))
                    .and_then(serde_json::Value::as_str);
                let file =
                    file.ok_or_else(|| ModelError::tensor(&index, &place.name, "is not listed"))?;
                if file.contains(['/', '\\']) {
                    return Err(ModelError::malformed(
                        &index,
                        format!("shard `{file}` lies outside the folder"),
                    ));
                }
                by_file.entry(file.to_owned()).or_default().push(place);
            }
        } else {
            by_file.insert("model.safetensors".into(), layout.tensors.iter().collect());
        }
        let mut values = vec![0.0; layout.len()];
        let mut stored = Stored::F32;
        for (file, places) in by_file {
            let path = folder.join(file);
            let handle = fs_err::File::open(&path).map_err(|source| ModelError::File {
                path: path.clone(),
                source,
            })?;
            #[expect(
                unsafe_code,
                reason = "a memory map is the only way to read weights without holding them twice"
            )]
            // SAFETY: the file is only read; whoever truncates a model while it is being loaded gets a signal, not wrong weights.
            let map = unsafe { memmap2::Mmap::map(handle.file()) }.map_err(|source| {
                ModelError::File {
                    path: path.clone(),
                    source,
                }
            })?;
            let tensors = SafeTensors::deserialize(&map).map_err(|fault| {
                ModelError::malformed(&path, format!("no sound safetensors file ({fault})"))
            })?;
            for place in places {
                let view = tensors
                    .tensor(&place.name)
                    .map_err(|_| ModelError::tensor(&path, &place.name, "is missing"))?;
                stored = copy_out(&view, place, &path, &mut values[place.range.clone()])?;
            }
        }
        Ok(Self {
            layout,
            values,
            stored,
        })
    }

    /// Writes `model.safetensors` in the stored type.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ModelError> {
        let path = folder.join("model.safetensors");
        let dtype = match self.stored {
            Stored::F32 => Dtype::F32,
            Stored::Bf16 => Dtype::BF16,
            Stored::F16 => Dtype::F16,
        };
        let bytes: Vec<Vec<u8>> = self
            .layout
            .tensors
            .iter()
            .map(|place| bytes_of(&self.values[place.range.clone()], self.stored))
            .collect();
        let views = self
            .layout
            .tensors
            .iter()
            .zip(&bytes)
            .map(|(place, bytes)| {
                TensorView::new(dtype, place.shape.clone(), bytes)
                    .map(|view| (place.name.as_str(), view))
            });
        let views = views
            .collect::<Result<Vec<_>, _>>()
            .map_err(|fault| ModelError::malformed(&path, fault))?;
        let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
        safetensors::serialize_to_file(views, Some(metadata), &path)
            .map_err(|fault| ModelError::malformed(&path, fault))
    }
}

fn copy_out(
    view: &TensorView<'_>,
    place: &TensorPlace,
    file: &Path,
    into: &mut [f32],
) -> Result<Stored, ModelError> {
    if view.shape() != place.shape {
        return Err(ModelError::tensor(
            file,
            &place.name,
            format!(
                "has shape {:?}, config.json asks for {:?}",
                view.shape(),
                place.shape
            ),
        ));
    }
    let data = view.data();
    let (pairs, _) = data.as_chunks::<2>();
    match view.dtype() {
        Dtype::F32 => {
            for (value, bytes) in into.iter_mut().zip(data.as_chunks::<4>().0) {
                *value = f32::from_le_bytes(*bytes);
            }
            Ok(Stored::F32)
        }
        Dtype::BF16 => {
            for (value, bytes) in into.iter_mut().zip(pairs) {
                *value = bf16::from_le_bytes(*bytes).to_f32();
            }
            Ok(Stored::Bf16)
        }
        Dtype::F16 => {
            for (value, bytes) in into.iter_mut().zip(pairs) {
                *value = f16::from_le_bytes(*bytes).to_f32();
            }
            Ok(Stored::F16)
        }
        other => Err(ModelError::tensor(
            file,
            &place.name,
            format!("is {other:?}; only F32, BF16 and F16 are read"),
        )),
    }
}

fn bytes_of(values: &[f32], stored: Stored) -> Vec<u8> {
    match stored {
        Stored::F32 => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        Stored::Bf16 => values
            .iter()
            .flat_map(|&value| bf16::from_f32(value).to_le_bytes())
            .collect(),
        Stored::F16 => values
            .iter()
            .flat_map(|&value| f16::from_f32(value).to_le_bytes())
            .collect(),
    }
}
