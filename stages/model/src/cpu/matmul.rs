//! Matrix products. Rows of `a` are repacked a few at a time, columns of `b` are read as they lie.
//!
//! The tiles are written for each vector unit: left to itself the compiler gathers and scatters. Whatever the unit,
//! an element is the same chain of fused multiply-adds.

use super::tile;

/// Rows of `c` computed together; with [`COLUMNS`] they fill the registers of AVX-512, and of AVX2 with some spilling.
const ROWS: usize = 8;
/// Columns of `c` computed together.
const COLUMNS: usize = 32;
/// Steps of the inner dimension between two writes of `c`.
const DEPTH: usize = 256;

/// `c[i, j] (+)= Σ a[i, l] · b[l, j]` for `m × n` results and `k` terms; `add` keeps what `c` holds.
///
/// `a[i, l]` lies at `i * a_row + l * a_column` (so a transposed matrix is another pair of strides),
/// `b[l, j]` at `l * b_row + j`, `c[i, j]` at `i * c_row + j`.
///
/// # Panics
/// When a slice is too short for its strides: a bug of the caller.
#[expect(
    clippy::too_many_arguments,
    reason = "a kernel takes its buffers one by one"
)]
pub fn matmul(
    m: usize,
    n: usize,
    k: usize,
    a: &[f32],
    a_row: usize,
    a_column: usize,
    b: &[f32],
    b_row: usize,
    c: &mut [f32],
    c_row: usize,
    add: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if !add {
            for i in 0..m {
                c[i * c_row..i * c_row + n].fill(0.0);
            }
        }
        return;
    }
    let mut panel = [0.0f32; DEPTH * ROWS];
    let mut start = 0;
    while start < k {
        let depth = DEPTH.min(k - start);
        let keep = add || start > 0;
        let b = &b[start * b_row..];
        let mut i = 0;
        while i < m {
            let left = m - i;
            let a = &a[i * a_row + start * a_column..];
            let c = &mut c[i * c_row..];
            if left >= 8 {
                columns::<8>(
                    n, depth, a, a_row, a_column, b, b_row, c, c_row, keep, &mut panel,
                );
                i += 8;
            } else if left >= 4 {
                columns::<4>(
                    n, depth, a, a_row, a_column, b, b_row, c, c_row, keep, &mut panel,
                );
                i += 4;
            } else if left >= 2 {
                columns::<2>(
                    n, depth, a, a_row, a_column, b, b_row, c, c_row, keep, &mut panel,
                );
                i += 2;
            } else {
                columns::<1>(
                    n, depth, a, a_row, a_column, b, b_row, c, c_row, keep, &mut panel,
                );
                i += 1;
            }
        }
        start += depth;
    }
}

/// `R` rows of `c`, all columns, one stretch of the inner dimension.
#[inline(always)]
#[expect(
    clippy::too_many_arguments,
    reason = "a kernel takes its buffers one by one"
)]
fn columns<const R: usize>(
    n: usize,
    depth: usize,
    a: &[f32],
    a_row: usize,
    a_column: usize,
    b: &[f32],
    b_row: usize,
    c: &mut [f32],
    c_row: usize,
    keep: bool,
    panel: &mut [f32; DEPTH * ROWS],
) {
    let panel = &mut panel[..depth * R];
    if a_row == 1 {
        for (l, into) in panel.as_chunks_mut::<R>().0.iter_mut().enumerate() {
            into.copy_from_slice(&a[l * a_column..l * a_column + R]);
        }
    } else {
        for r in 0..R {
            for l in 0..depth {
                panel[l * R + r] = a[r * a_row + l * a_column];
            }
        }
    }
    let mut j = 0;
    while j + COLUMNS <= n {
        tile::tile::<R, COLUMNS>(panel, &b[j..], b_row, &mut c[j..], c_row, keep);
        j += COLUMNS;
    }
    if j + 16 <= n {
        tile::tile::<R, 16>(panel, &b[j..], b_row, &mut c[j..], c_row, keep);
        j += 16;
    }
    if j + 8 <= n {
        tile::tile::<R, 8>(panel, &b[j..], b_row, &mut c[j..], c_row, keep);
        j += 8;
    }
    while j < n {
        tile::tile::<R, 1>(panel, &b[j..], b_row, &mut c[j..], c_row, keep);
        j += 1;
    }
}

/// Writes the transpose of a `rows × columns` matrix.
pub fn transpose(rows: usize, columns: usize, from: &[f32], to: &mut [f32]) {
    const BLOCK: usize = 16;
    for i in (0..rows).step_by(BLOCK) {
        for j in (0..columns).step_by(BLOCK) {
            for r in i..rows.min(i + BLOCK) {
                for c in j..columns.min(j + BLOCK) {
                    to[c * rows + r] = from[r * columns + c];
                }
            }
        }
    }
}

/// Values of a weight that is kept in one panel; larger ones are cut, so that a panel stays in the cache.
const WHOLE: usize = 1 << 18;

/// A weight `[out, in]` laid out for `x · weightᵀ`: panels of outputs, each read from start to end.
#[derive(Debug, Clone)]
pub struct Packed {
    panels: Vec<f32>,
    outputs: usize,
    inputs: usize,
    /// Outputs of a panel.
    width: usize,
}

impl Packed {
    /// Packs a row-major `[outputs, inputs]` weight.
    pub fn new(outputs: usize, inputs: usize, weight: &[f32]) -> Self {
        let width = if outputs * inputs <= WHOLE {
            outputs
        } else {
            outputs.min(4 * COLUMNS)
        };
        let mut packed = Self {
            panels: vec![0.0; outputs.div_ceil(width) * inputs * width],
            outputs,
            inputs,
            width,
        };
        packed.fill(weight);
        packed
    }

    /// Packs other values of the same shape into the same memory.
    pub fn fill(&mut self, weight: &[f32]) {
        let (inputs, width) = (self.inputs, self.width);
        for (panel, weight) in self
            .panels
            .chunks_exact_mut(inputs * width)
            .zip(weight.chunks(inputs * width))
        {
            for (column, row) in weight.chunks_exact(inputs).enumerate() {
                for (l, &value) in row.iter().enumerate() {
                    panel[l * width + column] = value;
                }
            }
        }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `y[m, outputs] (+)= x[m, inputs] · weightᵀ`.
    pub fn apply(&self, m: usize, x: &[f32], y: &mut [f32], add: bool) {
        for (index, panel) in self
            .panels
            .chunks_exact(self.inputs * self.width)
            .enumerate()
        {
            let start = index * self.width;
            let n = self.width.min(self.outputs - start);
            matmul(
                m,
                n,
                self.inputs,
                x,
                self.inputs,
                1,
                panel,
                self.width,
                &mut y[start..],
                self.outputs,
                add,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matrix(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_element_is_one_chain_of_multiply_adds(m in 1usize..20, n in 1usize..80, k in 1usize..600, turned: bool, add: bool) {
            let (a, b) = (matrix(m * k, 1), matrix(k * n, 2));
            let (row, column) = if turned { (1, m) } else { (k, 1) };
            let mut c = matrix(m * n, 3);
            let mut plain = c.clone();
            for i in 0..m {
                for j in 0..n {
                    let start = if add { plain[i * n + j] } else { 0.0 };
                    plain[i * n + j] = (0..k).fold(start, |sum, l| a[i * row + l * column].mul_add(b[l * n + j], sum));
                }
            }
            matmul(m, n, k, &a, row, column, &b, n, &mut c, n, add);
            prop_assert_eq!(c, plain);
        }

        #[test]
        fn a_packed_weight_gives_the_same_product(m in 1usize..5, n in 1usize..70, k in 1usize..50) {
            let (x, weight) = (matrix(m * k, 4), matrix(n * k, 5));
            let mut turned = vec![0.0; n * k];
            transpose(n, k, &weight, &mut turned);
            let (mut plain, mut packed) = (vec![0.0; m * n], vec![0.0; m * n]);
            matmul(m, n, k, &x, k, 1, &turned, n, &mut plain, n, false);
            Packed::new(n, k, &weight).apply(m, &x, &mut packed, false);
            prop_assert_eq!(plain, packed);
        }
    }
}
