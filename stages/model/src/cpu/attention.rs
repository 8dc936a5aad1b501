//! Causal attention of one document, head by head. The scores of a block of queries are all that is ever held.
//!
//! Legend: `s` positions of the document, `h` width of a head; grouped heads read their key head where it lies.

use super::elementwise::{dot, exp, log_sum_exp};
use super::matmul::{matmul, transpose};

/// Queries handled together.
const BLOCK: usize = 32;

/// How many heads there are, and how wide.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Query heads.
    pub queries: usize,
    /// Key and value heads.
    pub keys: usize,
    /// Width of a head.
    pub width: usize,
}

impl Heads {
    fn scale(self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }
}

/// `out[s, queries · width]` from `q`, `k`, `v` of one document; `log_sums[s, queries]` is kept for the way back.
pub fn attend(
    heads: Heads,
    length: usize,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    out: &mut [f32],
    log_sums: &mut [f32],
) {
    let Heads {
        queries,
        keys,
        width,
    } = heads;
    let (q_row, k_row, scale) = (queries * width, keys * width, heads.scale());
    let mut turned = vec![0.0; width * length];
    let mut scores = vec![0.0; BLOCK.min(length) * length];
    let mut packed = vec![0.0; length * width];
    for key in 0..keys {
        gather(k, k_row, key * width, width, &mut packed);
        transpose(length, width, &packed, &mut turned);
        for head in key * (queries / keys)..(key + 1) * (queries / keys) {
            for start in (0..length).step_by(BLOCK) {
                let (rows, seen) = (BLOCK.min(length - start), (start + BLOCK).min(length));
                let place = start * q_row + head * width;
                matmul(
                    rows,
                    seen,
                    width,
                    &q[place..],
                    q_row,
                    1,
                    &turned,
                    length,
                    &mut scores,
                    seen,
                    false,
                );
                for row in 0..rows {
                    let (visible, hidden) =
                        scores[row * seen..(row + 1) * seen].split_at_mut(start + row + 1);
                    visible.iter_mut().for_each(|score| *score *= scale);
                    let (maximum, sum) = log_sum_exp(visible);
                    let share = 1.0 / sum;
                    visible.iter_mut().for_each(|score| *score *= share);
                    hidden.fill(0.0);
                    log_sums[(start + row) * queries + head] = maximum + sum.ln();
                }
                matmul(
                    rows,
                    width,
                    seen,
                    &scores,
                    seen,
                    1,
                    &v[key * width..],
                    k_row,
                    &mut out[place..],
                    q_row,
                    false,
                );
            }
        }
    }
}

/// The way back of [`attend`]: writes `dq`, adds to `dk` and `dv`.
#[expect(
    clippy::too_many_arguments,
    reason = "a kernel takes its buffers one by one"
)]
pub fn attend_backward(
    heads: Heads,
    length: usize,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    out: &[f32],
    log_sums: &[f32],
    d_out: &[f32],
    dq: &mut [f32],
    dk: &mut [f32],
    dv: &mut [f32],
) {
    let Heads {
        queries,
        keys,
        width,
    } = heads;
    let (q_row, k_row, scale) = (queries * width, keys * width, heads.scale());
    let size = BLOCK.min(length) * length;
    let (mut shares, mut d_shares) = (vec![0.0; size], vec![0.0; size]);
    let (mut packed, mut k_turned, mut v_turned) = (
        vec![0.0; length * width],
        vec![0.0; length * width],
        vec![0.0; length * width],
    );
    for key in 0..keys {
        gather(k, k_row, key * width, width, &mut packed);
        transpose(length, width, &packed, &mut k_turned);
        gather(v, k_row, key * width, width, &mut packed);
        transpose(length, width, &packed, &mut v_turned);
        for head in key * (queries / keys)..(key + 1) * (queries / keys) {
            for start in (0..length).step_by(BLOCK) {
                let (rows, seen) = (BLOCK.min(length - start), (start + BLOCK).min(length));
                let place = start * q_row + head * width;
                matmul(
                    rows,
                    seen,
                    width,
                    &q[place..],
                    q_row,
                    1,
                    &k_turned,
                    length,
                    &mut shares,
                    seen,
                    false,
                );
                matmul(
                    rows,
                    seen,
                    width,
                    &d_out[place..],
                    q_row,
                    1,
                    &v_turned,
                    length,
                    &mut d_shares,
                    seen,
                    false,
                );
                for row in 0..rows {
                    let at = place + row * q_row;
                    let along = dot(&out[at..at + width], &d_out[at..at + width]);
                    let log_sum = log_sums[(start + row) * queries + head];
                    let (p, dp) = (
                        &mut shares[row * seen..(row + 1) * seen],
                        &mut d_shares[row * seen..(row + 1) * seen],
                    );
                    soften_backward(p, dp, start + row + 1, scale, log_sum, along);
                }
                let d_key = &mut dk[key * width..];
                matmul(
                    seen,
                    width,
                    rows,
                    &d_shares,
                    1,
                    seen,
                    &q[place..],
                    q_row,
                    d_key,
                    k_row,
                    true,
                );
                matmul(
                    seen,
                    width,
                    rows,
                    &shares,
                    1,
                    seen,
                    &d_out[place..],
                    q_row,
                    &mut dv[key * width..],
                    k_row,
                    true,
                );
                matmul(
                    rows,
                    width,
                    seen,
                    &d_shares,
                    seen,
                    1,
                    &k[key * width..],
                    k_row,
                    &mut dq[place..],
                    q_row,
                    false,
                );
            }
        }
    }
}

super::vectorised! {
    /// Scores become shares again; `d_shares` become the gradients of the raw products.
    fn soften_backward(shares: &mut [f32], d_shares: &mut [f32], visible: usize, scale: f32, log_sum: f32, along: f32) {
        shares[visible..].fill(0.0);
        d_shares[visible..].fill(0.0);
        for (share, d_share) in shares[..visible].iter_mut().zip(&mut d_shares[..visible]) {
            *share = exp(*share * scale - log_sum);
            *d_share = *share * (*d_share - along) * scale;
        }
    }
}

fn gather(from: &[f32], row: usize, start: usize, width: usize, into: &mut [f32]) {
    for (into, from) in into.chunks_exact_mut(width).zip(from.chunks(row)) {
        into.copy_from_slice(&from[start..start + width]);
    }
}
