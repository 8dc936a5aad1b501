//! The decoder as a burn module, operation by operation: the plain twin of the fused CPU path, and the path for
//! devices. Fields have the checkpoint's names.
//!
//! Legend: b batch, s positions, h heads, w width of a head, d hidden, v vocabulary.

use crate::config::Config;
use crate::runner::Rotary;
use crate::weights::Weights;
use burn::module::{Module, Param};
use burn::tensor::{Bool, Int, Tensor, TensorData, activation, backend::Backend};

/// Attention of one block.
#[derive(Module, Debug)]
#[expect(missing_docs, reason = "the fields are the checkpoint's names")]
pub struct Attention<B: Backend> {
    pub q_proj: Param<Tensor<B, 2>>,
    pub k_proj: Param<Tensor<B, 2>>,
    pub v_proj: Param<Tensor<B, 2>>,
    pub q_bias: Option<Param<Tensor<B, 1>>>,
    pub k_bias: Option<Param<Tensor<B, 1>>>,
    pub v_bias: Option<Param<Tensor<B, 1>>>,
    pub q_norm: Option<Param<Tensor<B, 1>>>,
    pub k_norm: Option<Param<Tensor<B, 1>>>,
    pub o_proj: Param<Tensor<B, 2>>,
}

/// One block.
#[derive(Module, Debug)]
#[expect(missing_docs, reason = "the fields are the checkpoint's names")]
pub struct Block<B: Backend> {
    pub input_layernorm: Param<Tensor<B, 1>>,
    pub self_attn: Attention<B>,
    pub post_attention_layernorm: Param<Tensor<B, 1>>,
    pub gate_proj: Param<Tensor<B, 2>>,
    pub up_proj: Param<Tensor<B, 2>>,
    pub down_proj: Param<Tensor<B, 2>>,
}

/// The whole decoder; `lm_head` is absent where the head is the embedding.
#[derive(Module, Debug)]
#[expect(missing_docs, reason = "the fields are the checkpoint's names")]
pub struct Decoder<B: Backend> {
    pub embed_tokens: Param<Tensor<B, 2>>,
    pub layers: Vec<Block<B>>,
    pub norm: Param<Tensor<B, 1>>,
    pub lm_head: Option<Param<Tensor<B, 2>>>,
}

impl<B: Backend> Decoder<B> {
    /// A decoder with these weights on a device. Parameters are leaves of a tape where `B` has one.
    pub fn new(config: &Config, weights: &Weights, device: &B::Device) -> Self {
        let layout = weights.layout();
        let matrix = |range: &std::ops::Range<usize>, columns: usize| {
            let data = TensorData::new(
                weights.values[range.clone()].to_vec(),
                [range.len() / columns, columns],
            );
            Param::from_tensor(Tensor::<B, 2>::from_data(data, device))
        };
        let vector = |range: &std::ops::Range<usize>| {
            Param::from_tensor(Tensor::<B, 1>::from_data(
                TensorData::new(weights.values[range.clone()].to_vec(), [range.len()]),
                device,
            ))
        };
        let (hidden, inner, queries) = (
            config.hidden_size,
            config.intermediate_size,
            config.num_attention_heads * config.head_dim,
        );
        let layers = layout.layers.iter().map(|places| Block {
            input_layernorm: vector(&places.input_layernorm),
            self_attn: Attention {
                q_proj: matrix(&places.q_proj, hidden),
                k_proj: matrix(&places.k_proj, hidden),
                v_proj: matrix(&places.v_proj, hidden),
                q_bias: places.q_bias.as_ref().map(vector),
                k_bias: places.k_bias.as_ref().map(vector),
                v_bias: places.v_bias.as_ref().map(vector),
                q_norm: places.q_norm.as_ref().map(vector),
                k_norm: places.k_norm.as_ref().map(vector),
                o_proj: matrix(&places.o_proj, queries),
            },
            post_attention_layernorm: vector(&places.post_attention_layernorm),
            gate_proj: matrix(&places.gate_proj, hidden),
            up_proj: matrix(&places.up_proj, hidden),
            down_proj: matrix(&places.down_proj, inner),
        });
        Self {
            embed_tokens: matrix(&layout.embed_tokens, hidden),
            layers: layers.collect(),
            norm: vector(&layout.norm),
            lm_head: (!config.tie_word_embeddings).then(|| matrix(&layout.lm_head, hidden)),
        }
    }

    /// Logits `[b, s, v]` of tokens `[b, s]`. Position `i` sees positions up to `i`; padding goes to the right.
    pub fn forward(&self, config: &Config, tokens: Tensor<B, 2, Int>) -> Tensor<B, 3> {
        let [b, s] = tokens.dims();
        let device = tokens.device();
        let rotary = Rotary::new(config, s);
        let angles = |values: &[f32]| {
            let half = Tensor::<B, 2>::from_data(
                TensorData::new(values.to_vec(), [s, rotary.half]),
                &device,
            );
            Tensor::cat(vec![half.clone(), half], 1).unsqueeze::<4>()
        };
        let (cos, sin) = (angles(&rotary.cos), angles(&rotary.sin));
        let hidden = Tensor::<B, 2, Bool>::tril_mask([s, s], 0, &device).unsqueeze::<4>();
        let mut x_bsd = self
            .embed_tokens
            .val()
            .select(0, tokens.reshape([b * s]))
            .reshape([b, s, config.hidden_size]);
        for layer in &self.layers {
            let seen = norm(x_bsd.clone(), &layer.input_layernorm, config.rms_norm_eps);
            x_bsd = x_bsd + layer.self_attn.forward(config, seen, (&cos, &sin), &hidden);
            let seen = norm(
                x_bsd.clone(),
                &layer.post_attention_layernorm,
                config.rms_norm_eps,
            );
            let gate = activation::silu(linear(seen.clone(), &layer.gate_proj));
            x_bsd = x_bsd + linear(gate * linear(seen, &layer.up_proj), &layer.down_proj);
        }
        linear(
            norm(x_bsd, &self.norm, config.rms_norm_eps),
            self.lm_head.as_ref().unwrap_or(&self.embed_tokens),
        )
    }

    /// Every parameter in the order of [`crate::Layout`], handed over one by one.
    pub fn each_parameter(&self, mut visit: impl FnMut(Parameter<'_, B>)) {
        visit(Parameter::Matrix(&self.embed_tokens));
        for layer in &self.layers {
            let attention = &layer.self_attn;
            visit(Parameter::Vector(&layer.input_layernorm));
            for matrix in [&attention.q_proj, &attention.k_proj, &attention.v_proj] {
                visit(Parameter::Matrix(matrix));
            }
            for vector in [
                &attention.q_bias,
                &attention.k_bias,
                &attention.v_bias,
                &attention.q_norm,
                &attention.k_norm,
            ]
            .into_iter()
            .flatten()
            {
                visit(Parameter::Vector(vector));
            }
            visit(Parameter::Matrix(&attention.o_proj));
            visit(Parameter::Vector(&layer.post_attention_layernorm));
            for matrix in [&layer.gate_proj, &layer.up_proj, &layer.down_proj] {
                visit(Parameter::Matrix(matrix));
            }
        }
        visit(Parameter::Vector(&self.norm));
        if let Some(head) = &self.lm_head {
            visit(Parameter::Matrix(head));
        }
    }
}

/// A parameter, by its rank.
pub enum Parameter<'a, B: Backend> {
    /// `[out, in]`.
    Matrix(&'a Param<Tensor<B, 2>>),
    /// `[n]`.
    Vector(&'a Param<Tensor<B, 1>>),
}

impl<B: Backend> Attention<B> {
    fn forward(
        &self,
        config: &Config,
        x_bsd: Tensor<B, 3>,
        rotary: (&Tensor<B, 4>, &Tensor<B, 4>),
        hidden: &Tensor<B, 4, Bool>,
    ) -> Tensor<B, 3> {
        let [b, s, _] = x_bsd.dims();
        let (queries, keys, width) = (
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
        );
        let heads = |weight, bias: &Option<Param<Tensor<B, 1>>>, count: usize| {
            let mut y = linear(x_bsd.clone(), weight);
            if let Some(bias) = bias {
                y = y + bias.val().unsqueeze::<3>();
            }
            y.reshape([b, s, count, width]).swap_dims(1, 2)
        };
        let ready = |x: Tensor<B, 4>, weight: &Option<Param<Tensor<B, 1>>>| {
            let x = match weight {
                Some(weight) => norm(x, weight, config.rms_norm_eps),
                None => x,
            };
            let turned = Tensor::cat(
                vec![
                    x.clone().narrow(3, width / 2, width / 2).neg(),
                    x.clone().narrow(3, 0, width / 2),
                ],
                3,
            );
            x * rotary.0.clone() + turned * rotary.1.clone()
        };
        let repeated = |x: Tensor<B, 4>| {
            let group = queries / keys;
            x.unsqueeze_dim::<5>(2)
                .repeat_dim(2, group)
                .reshape([b, queries, s, width])
        };
        let q_bhsw = ready(heads(&self.q_proj, &self.q_bias, queries), &self.q_norm);
        let k_bhsw = repeated(ready(heads(&self.k_proj, &self.k_bias, keys), &self.k_norm));
        let v_bhsw = repeated(heads(&self.v_proj, &self.v_bias, keys));
        let scores_bhss = q_bhsw
            .matmul(k_bhsw.swap_dims(2, 3))
            .mul_scalar(1.0 / (width as f64).sqrt());
        let scores_bhss = scores_bhss.mask_fill(hidden.clone(), -1e9);
        let out = activation::softmax(scores_bhss, 3).matmul(v_bhsw);
        linear(
            out.swap_dims(1, 2).reshape([b, s, queries * width]),
            &self.o_proj,
        )
    }
}

fn linear<B: Backend>(x: Tensor<B, 3>, weight: &Param<Tensor<B, 2>>) -> Tensor<B, 3> {
    x.matmul(weight.val().transpose().unsqueeze::<3>())
}

fn norm<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    weight: &Param<Tensor<B, 1>>,
    eps: f64,
) -> Tensor<B, D> {
    let mean = x.clone().powi_scalar(2).mean_dim(D - 1);
    x / (mean + eps).sqrt() * weight.val().unsqueeze::<D>()
}
