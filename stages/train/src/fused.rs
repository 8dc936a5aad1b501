//! The gradient on the CPU, written out: one pass forward that keeps what the way back needs, one pass back.
//!
//! Rows lie one behind another without padding; only attention knows where each begins. Only learnt positions
//! reach the head, whose logits exist for a few rows at a time.
//!
//! Legend: t tokens of all rows, d hidden, f feed-forward.

use crate::TrainError;
use crate::gradient::Differentiate;
use crate::rows::Row;
use dag_model::cpu::{self, Heads, Packed};
use dag_model::{Config, LayerPlaces, Layout, Rotary};
use std::ops::Range;
use std::sync::Arc;

/// Learnt positions whose logits are held at once.
const HEAD_ROWS: usize = 256;

/// The fused path of one rank; keeps its buffers between steps.
pub struct Fused {
    config: Config,
    layout: Arc<Layout>,
    rotary: Rotary,
}

/// What the way back needs of one block.
struct Kept {
    x: Vec<f32>,
    inverse: Vec<f32>,
    h: Vec<f32>,
    heads: Option<HeadNorms>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attended: Vec<f32>,
    log_sums: Vec<f32>,
    middle: Vec<f32>,
    middle_inverse: Vec<f32>,
    middle_h: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    act: Vec<f32>,
}

struct HeadNorms {
    q: Vec<f32>,
    q_inverse: Vec<f32>,
    k: Vec<f32>,
    k_inverse: Vec<f32>,
}

/// The tokens of a micro batch and their places.
struct Batch {
    tokens: Vec<u32>,
    rows: Vec<Range<usize>>,
    /// `(position whose output predicts, token to be predicted)`.
    targets: Vec<(usize, usize)>,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Fused {
    /// A path for rows of up to `positions` tokens.
    pub fn new(config: &Config, layout: Arc<Layout>, positions: usize) -> Self {
        Self {
            config: config.clone(),
            layout,
            rotary: Rotary::new(config, positions),
        }
    }

    fn batch(&self, rows: &[&Row]) -> Batch {
        let mut batch = Batch {
            tokens: vec![],
            rows: vec![],
            targets: vec![],
            cos: vec![],
            sin: vec![],
        };
        for row in rows {
            let start = batch.tokens.len();
            // the last token predicts nothing
            let length = row.tokens.len() - 1;
            for position in 0..length {
                batch.tokens.push(row.tokens[position]);
                if row.learnt[position + 1] {
                    batch
                        .targets
                        .push((start + position, row.tokens[position + 1] as usize));
                }
                let (cos, sin) = self.rotary.at(position);
                batch.cos.extend_from_slice(cos);
                batch.sin.extend_from_slice(sin);
            }
            batch.rows.push(start..start + length);
        }
        batch
    }

    fn heads(&self) -> Heads {
        Heads {
            queries: self.config.num_attention_heads,
            keys: self.config.num_key_value_heads,
            width: self.config.head_dim,
        }
    }

    fn forward(
        &self,
        weights: &[f32],
        places: &LayerPlaces,
        batch: &Batch,
        x: Vec<f32>,
    ) -> (Kept, Vec<f32>) {
        let (t, d, f) = (
            batch.tokens.len(),
            self.config.hidden_size,
            self.config.intermediate_size,
        );
        let heads = self.heads();
        let (wide, narrow) = (heads.queries * heads.width, heads.keys * heads.width);
        let eps = self.config.rms_norm_eps as f32;
        let linear = |place: &Range<usize>,
                      outputs: usize,
                      inputs: usize,
                      x: &[f32],
                      y: &mut [f32],
                      add: bool| {
            Packed::new(outputs, inputs, &weights[place.clone()]).apply(t, x, y, add);
        };
        let (mut h, mut inverse) = (vec![0.0; t * d], vec![0.0; t]);
        cpu::normalise(
            &x,
            &weights[places.input_layernorm.clone()],
            eps,
            &mut h,
            &mut inverse,
        );
        let (mut q, mut k, mut v) = (
            vec![0.0; t * wide],
            vec![0.0; t * narrow],
            vec![0.0; t * narrow],
        );
        linear(&places.q_proj, wide, d, &h, &mut q, false);
        linear(&places.k_proj, narrow, d, &h, &mut k, false);
        linear(&places.v_proj, narrow, d, &h, &mut v, false);
        for (bias, values) in [
            (&places.q_bias, &mut q),
            (&places.k_bias, &mut k),
            (&places.v_bias, &mut v),
        ] {
            if let Some(bias) = bias {
                values
                    .chunks_exact_mut(bias.len())
                    .for_each(|row| cpu::add_into(row, &weights[bias.clone()]));
            }
        }
        let norms = places
            .q_norm
            .clone()
            .zip(places.k_norm.clone())
            .map(|(q_norm, k_norm)| {
                let mut kept = HeadNorms {
                    q: q.clone(),
                    q_inverse: vec![0.0; t * heads.queries],
                    k: k.clone(),
                    k_inverse: vec![0.0; t * heads.keys],
                };
                cpu::normalise(&kept.q, &weights[q_norm], eps, &mut q, &mut kept.q_inverse);
                cpu::normalise(&kept.k, &weights[k_norm], eps, &mut k, &mut kept.k_inverse);
                kept
            });
        cpu::rotate(
            &mut q,
            heads.queries,
            heads.width,
            &batch.cos,
            &batch.sin,
            false,
        );
        cpu::rotate(
            &mut k,
            heads.keys,
            heads.width,
            &batch.cos,
            &batch.sin,
            false,
        );
        let (mut attended, mut log_sums) = (vec![0.0; t * wide], vec![0.0; t * heads.queries]);
        for row in &batch.rows {
            let (at, by) = (
                row.start * wide..row.end * wide,
                row.start * narrow..row.end * narrow,
            );
            let sums = &mut log_sums[row.start * heads.queries..row.end * heads.queries];
            cpu::attend(
                heads,
                row.len(),
                &q[at.clone()],
                &k[by.clone()],
                &v[by],
                &mut attended[at],
                sums,
            );
        }
        let mut middle = x.clone();
        linear(&places.o_proj, d, wide, &attended, &mut middle, true);
        let (mut middle_h, mut middle_inverse) = (vec![0.0; t * d], vec![0.0; t]);
        cpu::normalise(
            &middle,
            &weights[places.post_attention_layernorm.clone()],
            eps,
            &mut middle_h,
            &mut middle_inverse,
        );
        let (mut gate, mut up, mut act) = (vec![0.0; t * f], vec![0.0; t * f], vec![0.0; t * f]);
        linear(&places.gate_proj, f, d, &middle_h, &mut gate, false);
        linear(&places.up_proj, f, d, &middle_h, &mut up, false);
        cpu::swiglu(&gate, &up, &mut act);
        let mut out = middle.clone();
        linear(&places.down_proj, d, f, &act, &mut out, true);
        (
            Kept {
                x,
                inverse,
                h,
                heads: norms,
                q,
                k,
                v,
                attended,
                log_sums,
                middle,
                middle_inverse,
                middle_h,
                gate,
                up,
                act,
            },
            out,
        )
    }

    /// Turns the gradient of a block's output into that of its input.
    fn backward(
        &self,
        weights: &[f32],
        places: &LayerPlaces,
        batch: &Batch,
        kept: Kept,
        dx: &mut [f32],
        gradient: &mut [f32],
    ) {
        let (t, d, f) = (
            batch.tokens.len(),
            self.config.hidden_size,
            self.config.intermediate_size,
        );
        let heads = self.heads();
        let (wide, narrow) = (heads.queries * heads.width, heads.keys * heads.width);
        let Kept {
            x,
            inverse,
            h,
            heads: norms,
            q,
            k,
            v,
            attended,
            log_sums,
            middle,
            middle_inverse,
            middle_h,
            mut gate,
            mut up,
            act,
        } = kept;
        // dy · weight, and dyᵀ · x added to the weight's gradient
        let back = |place: &Range<usize>,
                    outputs: usize,
                    inputs: usize,
                    dy: &[f32],
                    x: &[f32],
                    into: &mut [f32],
                    add: bool,
                    gradient: &mut [f32]| {
            cpu::matmul(
                t,
                inputs,
                outputs,
                dy,
                outputs,
                1,
                &weights[place.clone()],
                inputs,
                into,
                inputs,
                add,
            );
            cpu::matmul(
                outputs,
                inputs,
                t,
                dy,
                1,
                outputs,
                x,
                inputs,
                &mut gradient[place.clone()],
                inputs,
                true,
            );
        };
        let mut d_act = vec![0.0; t * f];
        back(
            &places.down_proj,
            d,
            f,
            dx,
            &act,
            &mut d_act,
            false,
            gradient,
        );
        cpu::swiglu_backward(&d_act, &mut gate, &mut up);
        let mut dh = vec![0.0; t * d];
        back(
            &places.gate_proj,
            f,
            d,
            &gate,
            &middle_h,
            &mut dh,
            false,
            gradient,
        );
        back(
            &places.up_proj,
            f,
            d,
            &up,
            &middle_h,
            &mut dh,
            true,
            gradient,
        );
        let norm = places.post_attention_layernorm.clone();
        cpu::normalise_backward(
            &dh,
            &middle,
            &middle_inverse,
            &weights[norm.clone()],
            dx,
            &mut gradient[norm],
        );
        let mut d_attended = vec![0.0; t * wide];
        back(
            &places.o_proj,
            d,
            wide,
            dx,
            &attended,
            &mut d_attended,
            false,
            gradient,
        );
        let (mut dq, mut dk, mut dv) = (
            vec![0.0; t * wide],
            vec![0.0; t * narrow],
            vec![0.0; t * narrow],
        );
        for row in &batch.rows {
            let (at, by) = (
                row.start * wide..row.end * wide,
                row.start * narrow..row.end * narrow,
            );
            let sums = &log_sums[row.start * heads.queries..row.end * heads.queries];
            let (q, k, v) = (&q[at.clone()], &k[by.clone()], &v[by.clone()]);
            let (out, d_out) = (&attended[at.clone()], &d_attended[at.clone()]);
            cpu::attend_backward(
                heads,
                row.len(),
                q,
                k,
                v,
                out,
                sums,
                d_out,
                &mut dq[at],
                &mut dk[by.clone()],
                &mut dv[by],
            );
        }
        cpu::rotate(
            &mut dq,
            heads.queries,
            heads.width,
            &batch.cos,
            &batch.sin,
            true,
        );
        cpu::rotate(
            &mut dk,
            heads.keys,
            heads.width,
            &batch.cos,
            &batch.sin,
            true,
        );
        if let (Some(norms), Some(q_norm), Some(k_norm)) =
            (norms, places.q_norm.clone(), places.k_norm.clone())
        {
            let (mut plain_q, mut plain_k) = (vec![0.0; dq.len()], vec![0.0; dk.len()]);
            cpu::normalise_backward(
                &dq,
                &norms.q,
                &norms.q_inverse,
                &weights[q_norm.clone()],
                &mut plain_q,
                &mut gradient[q_norm],
            );
            cpu::normalise_backward(
                &dk,
                &norms.k,
                &norms.k_inverse,
                &weights[k_norm.clone()],
                &mut plain_k,
                &mut gradient[k_norm],
            );
            (dq, dk) = (plain_q, plain_k);
        }
        for (bias, values) in [
            (&places.q_bias, &dq),
            (&places.k_bias, &dk),
            (&places.v_bias, &dv),
        ] {
            if let Some(bias) = bias {
                values
                    .chunks_exact(bias.len())
                    .for_each(|row| cpu::add_into(&mut gradient[bias.clone()], row));
            }
        }
        back(&places.q_proj, wide, d, &dq, &h, &mut dh, false, gradient);
        back(&places.k_proj, narrow, d, &dk, &h, &mut dh, true, gradient);
        back(&places.v_proj, narrow, d, &dv, &h, &mut dh, true, gradient);
        let norm = places.input_layernorm.clone();
        cpu::normalise_backward(
            &dh,
            &x,
            &inverse,
            &weights[norm.clone()],
            dx,
            &mut gradient[norm],
        );
    }
}

impl Differentiate for Fused {
    fn accumulate(
        &mut self,
        weights: &[f32],
        rows: &[&Row],
        scale: f32,
        gradient: Option<&mut [f32]>,
    ) -> Result<f64, TrainError> {
        let batch = self.batch(rows);
        let layout = &self.layout;
        let (d, vocabulary, eps) = (
            self.config.hidden_size,
            self.config.vocab_size,
            self.config.rms_norm_eps as f32,
        );
        let mut x = Vec::with_capacity(batch.tokens.len() * d);
        for &token in &batch.tokens {
            let start = layout.embed_tokens.start + token as usize * d;
            x.extend_from_slice(&weights[start..start + d]);
        }
        let mut kept = Vec::new();
        for places in &layout.layers {
            let (layer, out) = self.forward(weights, places, &batch, x);
            if gradient.is_some() {
                kept.push(layer);
            }
            x = out;
        }
        let head = Packed::new(vocabulary, d, &weights[layout.lm_head.clone()]);
        let norm = &weights[layout.norm.clone()];
        let mut gradient = gradient;
        let mut dx = vec![0.0; x.len()];
        let mut loss = 0.0;
        for targets in batch.targets.chunks(HEAD_ROWS) {
            let rows = targets.len();
            let seen: Vec<f32> = targets
                .iter()
                .flat_map(|&(position, _)| &x[position * d..(position + 1) * d])
                .copied()
                .collect();
            let (mut h, mut inverse, mut logits) = (
                vec![0.0; rows * d],
                vec![0.0; rows],
                vec![0.0; rows * vocabulary],
            );
            cpu::normalise(&seen, norm, eps, &mut h, &mut inverse);
            head.apply(rows, &h, &mut logits, false);
            for (row, &(_, target)) in logits.chunks_exact_mut(vocabulary).zip(targets) {
                loss += f64::from(cpu::softmax_minus_target(row, target, scale));
            }
            let Some(gradient) = gradient.as_deref_mut() else {
                continue;
            };
            let (mut dh, mut d_seen) = (vec![0.0; rows * d], vec![0.0; rows * d]);
            cpu::matmul(
                rows,
                d,
                vocabulary,
                &logits,
                vocabulary,
                1,
                &weights[layout.lm_head.clone()],
                d,
                &mut dh,
                d,
                false,
            );
            cpu::matmul(
                vocabulary,
                d,
                rows,
                &logits,
                1,
                vocabulary,
                &h,
                d,
                &mut gradient[layout.lm_head.clone()],
                d,
                true,
            );
            cpu::normalise_backward(
                &dh,
                &seen,
                &inverse,
                norm,
                &mut d_seen,
                &mut gradient[layout.norm.clone()],
            );
            for (d_row, &(position, _)) in d_seen.chunks_exact(d).zip(targets) {
                dx[position * d..(position + 1) * d].copy_from_slice(d_row);
            }
        }
        if let Some(gradient) = gradient {
            for (places, kept) in layout.layers.iter().zip(kept).rev() {
                self.backward(weights, places, &batch, kept, &mut dx, gradient);
            }
            for (&token, d_row) in batch.tokens.iter().zip(dx.chunks_exact(d)) {
                let start = layout.embed_tokens.start + token as usize * d;
                cpu::add_into(&mut gradient[start..start + d], d_row);
            }
        }
        Ok(loss)
    }
}
