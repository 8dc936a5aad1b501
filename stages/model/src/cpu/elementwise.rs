//! Norms, rotations, gates, softmax and the optimizer's update, each in one pass over its row.
#![expect(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use super::vectorised;

const LANES: usize = 16;

/// The exponential, to about one part in ten million; the same bits on every machine.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5 · 2²³: adding it rounds to an integer
    let x = x.clamp(-87.0, 88.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, SHIFT);
    let power = shifted - SHIFT;
    let rest = power.mul_add(-0.693_145_75, x);
    let rest = power.mul_add(-1.428_606_8e-6, rest);
    let mut series = 1.388_731_6e-3f32;
    for term in [8.333_366e-3, 4.166_662_6e-2, 0.166_666_66, 0.5, 1.0, 1.0] {
        series = series.mul_add(rest, term);
    }
    // the low bits of `shifted` are the integer; moved into the exponent they are the power of two
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    series * scale
}

#[inline(always)]
fn lanes_of(values: impl Fn(usize) -> f32, len: usize) -> f32 {
    let mut sums = [0.0f32; LANES];
    let whole = len - len % LANES;
    let mut i = 0;
    while i < whole {
        for lane in 0..LANES {
            sums[lane] += values(i + lane);
        }
        i += LANES;
    }
    for lane in 0..len - whole {
        sums[lane] += values(whole + lane);
    }
    fold(&mut sums)
}

#[inline(always)]
fn fold(sums: &mut [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

vectorised! {
    /// The inner product of two vectors of equal length.
    pub fn dot(a: &[f32], b: &[f32]) -> f32 {
        let b = &b[..a.len()];
        lanes_of(|i| a[i] * b[i], a.len())
    }
}

vectorised! {
    /// The sum of squares, in f64 across stretches of 4096 values so that long vectors keep their precision.
    pub fn square_sum(values: &[f32]) -> f64 {
        values.chunks(4096).map(|part| f64::from(lanes_of(|i| part[i] * part[i], part.len()))).sum()
    }
}

vectorised! {
    /// `into += from`.
    pub fn add_into(into: &mut [f32], from: &[f32]) {
        for (into, from) in into.iter_mut().zip(from) {
            *into += from;
        }
    }
}

vectorised! {
    /// RMSNorm of every row: `y = x / rms(x) · weight`; `inverse[row]` is kept for the way back.
    pub fn normalise(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32], inverse: &mut [f32]) {
        let width = weight.len();
        for ((x, y), inverse) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(inverse) {
            let mean = lanes_of(|i| x[i] * x[i], width) / width as f32;
            let scale = 1.0 / (mean + eps).sqrt();
            *inverse = scale;
            for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
                *y = x * scale * weight;
            }
        }
    }
}

vectorised! {
    /// The way back of [`normalise`]: adds to `dx` and to `d_weight`.
    pub fn normalise_backward(dy: &[f32], x: &[f32], inverse: &[f32], weight: &[f32], dx: &mut [f32], d_weight: &mut [f32]) {
        let width = weight.len();
        let d_weight = &mut d_weight[..width];
        for (((dy, x), dx), &scale) in dy.chunks_exact(width).zip(x.chunks_exact(width)).zip(dx.chunks_exact_mut(width)).zip(inverse) {
            let along = lanes_of(|i| dy[i] * weight[i] * x[i], width) * scale * scale / width as f32;
            for i in 0..width {
                d_weight[i] = (dy[i] * scale).mul_add(x[i], d_weight[i]);
                dx[i] += scale * (dy[i] * weight[i] - x[i] * along);
            }
        }
    }
}

vectorised! {
    /// Rotates each head of each row by its position: `(a, b)` of the two halves becomes `(a·cos − b·sin, b·cos + a·sin)`.
    ///
    /// `x` is `[rows, heads · head]`; `cos` and `sin` are `[rows, head / 2]`; `back` turns the other way.
    pub fn rotate(x: &mut [f32], heads: usize, head: usize, cos: &[f32], sin: &[f32], back: bool) {
        let half = head / 2;
        let sign = if back { -1.0 } else { 1.0 };
        for ((row, cos), sin) in x.chunks_exact_mut(heads * head).zip(cos.chunks_exact(half)).zip(sin.chunks_exact(half)) {
            for one in row.chunks_exact_mut(head) {
                let (left, right) = one.split_at_mut(half);
                for i in 0..half {
                    let (a, b, turn) = (left[i], right[i], sin[i] * sign);
                    left[i] = a.mul_add(cos[i], -(b * turn));
                    right[i] = b.mul_add(cos[i], a * turn);
                }
            }
        }
    }
}

vectorised! {
    /// `y = silu(gate) · up`.
    pub fn swiglu(gate: &[f32], up: &[f32], y: &mut [f32]) {
        let (up, y) = (&up[..gate.len()], &mut y[..gate.len()]);
        for i in 0..gate.len() {
            y[i] = gate[i] / (1.0 + exp(-gate[i])) * up[i];
        }
    }
}

vectorised! {
    /// The way back of [`swiglu`]; `gate` and `up` become their own gradients.
    pub fn swiglu_backward(dy: &[f32], gate: &mut [f32], up: &mut [f32]) {
        let (gate, up) = (&mut gate[..dy.len()], &mut up[..dy.len()]);
        for i in 0..dy.len() {
            let share = 1.0 / (1.0 + exp(-gate[i]));
            let silu = gate[i] * share;
            let d_gate = dy[i] * up[i] * (share + silu * (1.0 - share));
            up[i] = dy[i] * silu;
            gate[i] = d_gate;
        }
    }
}

vectorised! {
    /// The logarithm of the sum of exponentials; `scores` become `exp(score − maximum)`. Returns `(maximum, sum)`.
    pub fn log_sum_exp(scores: &mut [f32]) -> (f32, f32) {
        let mut largest = [f32::MIN; LANES];
        let (blocks, rest) = scores.as_chunks::<LANES>();
        for block in blocks {
            for lane in 0..LANES {
                largest[lane] = if block[lane] > largest[lane] { block[lane] } else { largest[lane] };
            }
        }
        let maximum = largest.iter().chain(rest).fold(f32::MIN, |a, &b| if b > a { b } else { a });
        for score in scores.iter_mut() {
            *score = exp(*score - maximum);
        }
        let scores = &*scores;
        (maximum, lanes_of(|i| scores[i], scores.len()))
    }
}

vectorised! {
    /// Turns a row of logits into `scale · (softmax − target)`, the gradient of its loss. Returns the loss in nats.
    pub fn softmax_minus_target(logits: &mut [f32], target: usize, scale: f32) -> f32 {
        let wanted = logits[target];
        let (maximum, sum) = log_sum_exp(logits);
        let factor = scale / sum;
        for value in logits.iter_mut() {
            *value *= factor;
        }
        logits[target] -= scale;
        maximum - wanted + sum.ln()
    }
}

vectorised! {
    /// One AdamW step with decoupled weight decay. `gradient` is scaled by `scale` first; the corrections are `1 − betaᵗ`.
    #[expect(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
    pub fn adamw(weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], scale: f32, rate: f32, decay: f32, betas: (f32, f32), corrections: (f32, f32), eps: f32) {
        let len = weights.len();
        let (gradient, first, second) = (&gradient[..len], &mut first[..len], &mut second[..len]);
        for i in 0..len {
            let g = gradient[i] * scale;
            first[i] = betas.0.mul_add(first[i], (1.0 - betas.0) * g);
            second[i] = betas.1.mul_add(second[i], (1.0 - betas.1) * g * g);
            let step = first[i] / corrections.0 / ((second[i] / corrections.1).sqrt() + eps);
            weights[i] = weights[i] * (1.0 - rate * decay) - rate * step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_close_to_the_true_one() {
        for i in -8000..8000 {
            let x = i as f32 / 100.0;
            let true_value = f64::from(x).exp();
            let error = (f64::from(exp(x)) - true_value).abs() / true_value;
            assert!(error < 3e-7, "exp({x}) is off by {error:e}");
        }
        assert!(exp(-1e30) < 1e-37);
    }

    #[test]
    fn the_gradient_of_a_loss_row_sums_to_zero() {
        let mut logits: Vec<f32> = (0..37).map(|i| (i * 7 % 11) as f32 * 0.3).collect();
        let plain: f64 =
            logits.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln() - f64::from(logits[5]);
        let loss = softmax_minus_target(&mut logits, 5, 2.0);
        assert!((f64::from(loss) - plain).abs() < 1e-5);
        assert!(logits.iter().sum::<f32>().abs() < 1e-5);
        assert!(logits[5] < 0.0);
    }
}
