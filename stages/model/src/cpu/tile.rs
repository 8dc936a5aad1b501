//! A tile of a matrix product, in registers: one body for each vector unit, all with the same result.
#![expect(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

/// An `R × C` tile of `c`: `c[r, j] (+)= Σ panel[l, r] · b[l, j]`, the terms in order of `l`.
///
/// # Panics
/// When a slice is too short for its strides: a bug of the caller.
#[inline]
pub(super) fn tile<const R: usize, const C: usize>(
    panel: &[f32],
    b: &[f32],
    b_row: usize,
    c: &mut [f32],
    c_row: usize,
    keep: bool,
) {
    let depth = panel.len() / R;
    // what the loads and stores below rely on
    assert!(
        depth == 0 || b.len() >= (depth - 1) * b_row + C,
        "`b` has a row for every term"
    );
    assert!(
        c.len() >= (R - 1) * c_row + C,
        "`c` has a row for every row of the tile"
    );
    #[cfg(target_arch = "x86_64")]
    #[expect(
        unsafe_code,
        reason = "calling a function compiled for a vector unit that was found present"
    )]
    match super::level() {
        super::Level::Avx512 if C.is_multiple_of(16) => {
            // SAFETY: `level` found AVX-512 on this machine, and the slices are long enough.
            return unsafe { wide::<R, C>(panel, b, b_row, c, c_row, keep) };
        }
        super::Level::Avx512 | super::Level::Avx2 if C.is_multiple_of(8) => {
            let mut at = 0;
            // few enough sums at a time for sixteen registers
            while at < C {
                let width = if C - at >= 16 && R <= 4 { 16 } else { 8 };
                let (b, c) = (&b[at..], &mut c[at..]);
                // SAFETY: `level` found AVX2 and FMA on this machine, and the slices are long enough.
                unsafe {
                    if width == 16 {
                        medium::<R, 2>(panel, b, b_row, c, c_row, keep);
                    } else {
                        medium::<R, 1>(panel, b, b_row, c, c_row, keep);
                    }
                }
                at += width;
            }
            return;
        }
        super::Level::Avx512 | super::Level::Avx2 | super::Level::Baseline => {}
    }
    plain::<R, C>(panel, b, b_row, c, c_row, keep);
}

fn plain<const R: usize, const C: usize>(
    panel: &[f32],
    b: &[f32],
    b_row: usize,
    c: &mut [f32],
    c_row: usize,
    keep: bool,
) {
    for r in 0..R {
        for j in 0..C {
            let start = if keep { c[r * c_row + j] } else { 0.0 };
            let terms = panel.as_chunks::<R>().0.iter().enumerate();
            c[r * c_row + j] = terms.fold(start, |sum, (l, a)| a[r].mul_add(b[l * b_row + j], sum));
        }
    }
}

/// `C` is a multiple of 16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "loads and stores of vectors")]
fn wide<const R: usize, const C: usize>(
    panel: &[f32],
    b: &[f32],
    b_row: usize,
    c: &mut [f32],
    c_row: usize,
    keep: bool,
) {
    let vectors = C / 16;
    let mut sums = [[_mm512_setzero_ps(); 2]; R];
    if keep {
        for r in 0..R {
            for v in 0..vectors {
                // SAFETY: the caller checked that `c` has `C` values in each of its `R` rows.
                sums[r][v] = unsafe { _mm512_loadu_ps(c.as_ptr().add(r * c_row + 16 * v)) };
            }
        }
    }
    for (l, a) in panel.as_chunks::<R>().0.iter().enumerate() {
        let mut row = [_mm512_setzero_ps(); 2];
        for v in 0..vectors {
            // SAFETY: the caller checked that `b` has `C` values for every term.
            row[v] = unsafe { _mm512_loadu_ps(b.as_ptr().add(l * b_row + 16 * v)) };
        }
        for r in 0..R {
            let factor = _mm512_set1_ps(a[r]);
            for v in 0..vectors {
                sums[r][v] = _mm512_fmadd_ps(factor, row[v], sums[r][v]);
            }
        }
    }
    for r in 0..R {
        for v in 0..vectors {
            // SAFETY: the caller checked that `c` has `C` values in each of its `R` rows.
            unsafe { _mm512_storeu_ps(c.as_mut_ptr().add(r * c_row + 16 * v), sums[r][v]) };
        }
    }
}

/// A tile of `8 · V` columns.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[expect(unsafe_code, reason = "loads and stores of vectors")]
fn medium<const R: usize, const V: usize>(
    panel: &[f32],
    b: &[f32],
    b_row: usize,
    c: &mut [f32],
    c_row: usize,
    keep: bool,
) {
    let mut sums = [[_mm256_setzero_ps(); V]; R];
    if keep {
        for r in 0..R {
            for v in 0..V {
                // SAFETY: the caller checked that `c` has these values in each of its `R` rows.
                sums[r][v] = unsafe { _mm256_loadu_ps(c.as_ptr().add(r * c_row + 8 * v)) };
            }
        }
    }
    for (l, a) in panel.as_chunks::<R>().0.iter().enumerate() {
        let mut row = [_mm256_setzero_ps(); V];
        for v in 0..V {
            // SAFETY: the caller checked that `b` has these values for every term.
            row[v] = unsafe { _mm256_loadu_ps(b.as_ptr().add(l * b_row + 8 * v)) };
        }
        for r in 0..R {
            let factor = _mm256_set1_ps(a[r]);
            for v in 0..V {
                sums[r][v] = _mm256_fmadd_ps(factor, row[v], sums[r][v]);
            }
        }
    }
    for r in 0..R {
        for v in 0..V {
            // SAFETY: the caller checked that `c` has these values in each of its `R` rows.
            unsafe { _mm256_storeu_ps(c.as_mut_ptr().add(r * c_row + 8 * v), sums[r][v]) };
        }
    }
}
