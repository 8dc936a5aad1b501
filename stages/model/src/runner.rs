//! The decoder on the CPU, one token after another: weights packed once, keys and values kept per sequence.
//!
//! Sequences of any length run in one step without padding; what one gives never depends on the others.

use crate::config::Config;
use crate::cpu::{self, Packed};
use crate::weights::Weights;

/// The rotary angles of every position: `[positions, head / 2]` cosines and sines.
#[derive(Debug, Clone)]
pub struct Rotary {
    /// Cosines.
    pub cos: Vec<f32>,
    /// Sines.
    pub sin: Vec<f32>,
    /// Numbers a position.
    pub half: usize,
}

impl Rotary {
    /// The angles of positions `0..positions`.
    pub fn new(config: &Config, positions: usize) -> Self {
        let frequencies = config.rope_frequencies();
        let angles = |turn: fn(f64) -> f64| -> Vec<f32> {
            // the angle is rounded to f32 first, as in transformers
            let angle =
                |position: usize, frequency: f64| f64::from((position as f32) * (frequency as f32));
            (0..positions)
                .flat_map(|position| {
                    frequencies
                        .iter()
                        .map(move |&f| turn(angle(position, f)) as f32)
                })
                .collect()
        };
        Self {
            cos: angles(f64::cos),
            sin: angles(f64::sin),
            half: frequencies.len(),
        }
    }

    /// Cosines and sines of one position.
    pub fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let range = position * self.half..(position + 1) * self.half;
        (&self.cos[range.clone()], &self.sin[range])
    }
}

struct Layer {
    input_layernorm: Vec<f32>,
    q_proj: Packed,
    k_proj: Packed,
    v_proj: Packed,
    biases: Option<[Vec<f32>; 3]>,
    head_norms: Option<[Vec<f32>; 2]>,
    o_proj: Packed,
    post_attention_layernorm: Vec<f32>,
    gate_proj: Packed,
    up_proj: Packed,
    down_proj: Packed,
}

/// A decoder ready to run; shared by the threads that generate.
pub(crate) struct Runner {
    config: Config,
    embed: Vec<f32>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Packed,
    rotary: Rotary,
}

/// The keys and values of one sequence. Keys are kept turned, `[kv heads, head, capacity]`; values `[kv heads, capacity, head]`.
pub(crate) struct Past {
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
    capacity: usize,
    pub(crate) length: usize,
}

impl Runner {
    pub(crate) fn new(config: &Config, weights: &Weights, positions: usize) -> Self {
        let layout = weights.layout();
        let part = |range: &std::ops::Range<usize>| weights.values[range.clone()].to_vec();
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let (queries, keys) = (
            config.num_attention_heads * config.head_dim,
            config.num_key_value_heads * config.head_dim,
        );
        let pack = |range: &std::ops::Range<usize>, outputs, inputs| {
            Packed::new(outputs, inputs, &weights.values[range.clone()])
        };
        let layers = layout.layers.iter().map(|places| Layer {
            input_layernorm: part(&places.input_layernorm),
            q_proj: pack(&places.q_proj, queries, hidden),
            k_proj: pack(&places.k_proj, keys, hidden),
            v_proj: pack(&places.v_proj, keys, hidden),
            biases: match (&places.q_bias, &places.k_bias, &places.v_bias) {
                (Some(q), Some(k), Some(v)) => Some([part(q), part(k), part(v)]),
                _ => None,
            },
            head_norms: places
                .q_norm
                .as_ref()
                .zip(places.k_norm.as_ref())
                .map(|(q, k)| [part(q), part(k)]),
            o_proj: pack(&places.o_proj, hidden, queries),
            post_attention_layernorm: part(&places.post_attention_layernorm),
            gate_proj: pack(&places.gate_proj, inner, hidden),
            up_proj: pack(&places.up_proj, inner, hidden),
            down_proj: pack(&places.down_proj, hidden, inner),
        });
        Self {
            config: config.clone(),
            embed: part(&layout.embed_tokens),
            layers: layers.collect(),
            norm: part(&layout.norm),
            head: pack(&layout.lm_head, config.vocab_size, hidden),
            rotary: Rotary::new(config, positions),
        }
    }

    pub(crate) fn vocabulary(&self) -> usize {
        self.config.vocab_size
    }

    pub(crate) fn past(&self, capacity: usize) -> Past {
        let size = capacity * self.config.num_key_value_heads * self.config.head_dim;
        let fresh = || (0..self.layers.len()).map(|_| vec![0.0; size]).collect();
        Past {
            keys: fresh(),
            values: fresh(),
            capacity,
            length: 0,
        }
    }

    /// Extends every sequence by its tokens. Returns logits `[rows, vocabulary]`: of each sequence's last token, or of
    /// every token where `all` is set.
    pub(crate) fn extend(&self, steps: &mut [(&mut Past, &[u32])], all: bool) -> Vec<f32> {
        let config = &self.config;
        let (hidden, inner, head) = (
            config.hidden_size,
            config.intermediate_size,
            config.head_dim,
        );
        let (queries, keys) = (
            config.num_attention_heads * head,
            config.num_key_value_heads * head,
        );
        let eps = config.rms_norm_eps as f32;
        let tokens: usize = steps.iter().map(|(_, tokens)| tokens.len()).sum();
        let (mut x, mut cos, mut sin) =
            (Vec::with_capacity(tokens * hidden), Vec::new(), Vec::new());
        for (past, tokens) in steps.iter() {
            for (offset, &token) in tokens.iter().enumerate() {
                let row = (token as usize).min(config.vocab_size - 1) * hidden;
                x.extend_from_slice(&self.embed[row..row + hidden]);
                let (c, s) = self.rotary.at(past.length + offset);
                cos.extend_from_slice(c);
                sin.extend_from_slice(s);
            }
        }
        let buffer = |width: usize| vec![0.0f32; tokens * width];
        let (mut h, mut inverse) = (buffer(hidden), buffer(config.num_attention_heads));
        let (mut q, mut k, mut v, mut attended) =
            (buffer(queries), buffer(keys), buffer(keys), buffer(queries));
        let (mut gate, mut up) = (buffer(inner), buffer(inner));
        let mut act = buffer(inner);
        for (index, layer) in self.layers.iter().enumerate() {
            cpu::normalise(&x, &layer.input_layernorm, eps, &mut h, &mut inverse);
            layer.q_proj.apply(tokens, &h, &mut q, false);
            layer.k_proj.apply(tokens, &h, &mut k, false);
            layer.v_proj.apply(tokens, &h, &mut v, false);
            if let Some(biases) = &layer.biases {
                for (values, bias) in [&mut q, &mut k, &mut v].into_iter().zip(biases) {
                    values
                        .chunks_exact_mut(bias.len())
                        .for_each(|row| cpu::add_into(row, bias));
                }
            }
            if let Some([q_norm, k_norm]) = &layer.head_norms {
                let plain = q.clone();
                cpu::normalise(&plain, q_norm, eps, &mut q, &mut inverse);
                let plain = k.clone();
                cpu::normalise(&plain, k_norm, eps, &mut k, &mut inverse);
            }
            cpu::rotate(&mut q, config.num_attention_heads, head, &cos, &sin, false);
            cpu::rotate(&mut k, config.num_key_value_heads, head, &cos, &sin, false);
            let mut row = 0;
            for (past, new) in steps.iter_mut() {
                for offset in 0..new.len() {
                    past.keep(
                        index,
                        config,
                        offset,
                        &k[(row + offset) * keys..][..keys],
                        &v[(row + offset) * keys..][..keys],
                    );
                    let at = (row + offset) * queries..(row + offset + 1) * queries;
                    past.attend(
                        index,
                        config,
                        past.length + offset + 1,
                        &q[at.clone()],
                        &mut attended[at],
                    );
                }
                row += new.len();
            }
            layer.o_proj.apply(tokens, &attended, &mut x, true);
            cpu::normalise(
                &x,
                &layer.post_attention_layernorm,
                eps,
                &mut h,
                &mut inverse,
            );
            layer.gate_proj.apply(tokens, &h, &mut gate, false);
            layer.up_proj.apply(tokens, &h, &mut up, false);
            cpu::swiglu(&gate, &up, &mut act);
            layer.down_proj.apply(tokens, &act, &mut x, true);
        }
        let mut last = Vec::new();
        let mut row = 0;
        for (past, new) in steps.iter_mut() {
            past.length += new.len();
            let first = if all { row } else { row + new.len() - 1 };
            row += new.len();
            last.extend_from_slice(&x[first * hidden..row * hidden]);
        }
        let rows = last.len() / hidden;
        let mut normed = vec![0.0; last.len()];
        cpu::normalise(&last, &self.norm, eps, &mut normed, &mut vec![0.0; rows]);
        let mut logits = vec![0.0; rows * config.vocab_size];
        self.head.apply(rows, &normed, &mut logits, false);
        logits
    }
}

impl Past {
    fn keep(&mut self, layer: usize, config: &Config, offset: usize, k: &[f32], v: &[f32]) {
        let (head, at) = (config.head_dim, self.length + offset);
        for key in 0..config.num_key_value_heads {
            for i in 0..head {
                self.keys[layer][(key * head + i) * self.capacity + at] = k[key * head + i];
            }
            let place = (key * self.capacity + at) * head;
            self.values[layer][place..place + head]
                .copy_from_slice(&v[key * head..(key + 1) * head]);
        }
    }

    fn attend(&self, layer: usize, config: &Config, seen: usize, q: &[f32], out: &mut [f32]) {
        let (head, group) = (
            config.head_dim,
            config.num_attention_heads / config.num_key_value_heads,
        );
        let scale = 1.0 / (head as f32).sqrt();
        let mut scores = vec![0.0; group * seen];
        for key in 0..config.num_key_value_heads {
            let place = key * group * head;
            cpu::matmul(
                group,
                seen,
                head,
                &q[place..],
                head,
                1,
                &self.keys[layer][key * head * self.capacity..],
                self.capacity,
                &mut scores,
                seen,
                false,
            );
            for row in scores.chunks_exact_mut(seen) {
                row.iter_mut().for_each(|score| *score *= scale);
                let (_, sum) = cpu::log_sum_exp(row);
                let share = 1.0 / sum;
                row.iter_mut().for_each(|score| *score *= share);
            }
            let values = &self.values[layer][key * self.capacity * head..];
            cpu::matmul(
                group,
                head,
                seen,
                &scores,
                seen,
                1,
                values,
                head,
                &mut out[place..],
                head,
                false,
            );
        }
    }
}
