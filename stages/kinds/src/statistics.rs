//! What a score says and how surely: intervals, pass@k, majority votes, paired comparisons.
//!
//! Every function is pure and gives the same number for the same arguments, the bootstrap included: its seed is an
//! argument. Proportions are fractions in `0..=1`; turning them into per cent is the renderer's business.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::function::gamma::ln_gamma;

/// The two-sided 95 % quantile of the standard normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// Two bounds of a 95 % interval, as fractions; for a difference they lie in `-1..=1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

impl Interval {
    /// Whether the interval leaves out zero: the difference it bounds is not chance at the 95 % level.
    #[must_use]
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// Wilson's 95 % score interval of a mean `rate` in `0..=1` over `n` problems, without continuity correction.
///
/// With several samples a problem `rate` is the mean of the problems' own rates and `n` still counts problems:
/// samples of one problem are not independent, and counting them would make the interval too narrow. The interval is
/// then conservative, since a problem's rate varies less than a single answer does.
///
/// No problems tell nothing: the interval is all of `0..=1`.
///
/// ```
/// let interval = dag_kinds::statistics::wilson(81.0 / 263.0, 263);
/// assert!((interval.low - 0.2553).abs() < 1e-4);
/// assert!((interval.high - 0.3662).abs() < 1e-4);
/// ```
#[must_use]
pub fn wilson(rate: f64, n: u64) -> Interval {
    if n == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    let n = n as f64;
    let z2 = Z_95 * Z_95;
    let scale = 1.0 + z2 / n;
    let centre = (rate + z2 / (2.0 * n)) / scale;
    let half = Z_95 * (rate * (1.0 - rate) / n + z2 / (4.0 * n * n)).sqrt() / scale;
    // at 0 and 1 the bound is exact; the arithmetic is not
    let low = if rate <= 0.0 {
        0.0
    } else {
        (centre - half).max(0.0)
    };
    let high = if rate >= 1.0 {
        1.0
    } else {
        (centre + half).min(1.0)
    };
    Interval { low, high }
}

/// The unbiased estimate of pass@k from `n` samples of which `passed` passed: the chance that `k` of them, drawn
/// without putting back, hold at least one that passed: `1 - C(n - passed, k) / C(n, k)`.
///
/// `None` when fewer than `k` samples were drawn: the estimate does not exist then.
///
/// ```
/// assert_eq!(dag_kinds::statistics::pass_at_k(4, 1, 2), Some(0.5));
/// assert_eq!(dag_kinds::statistics::pass_at_k(4, 1, 8), None);
/// ```
#[must_use]
pub fn pass_at_k(n: u64, passed: u64, k: u64) -> Option<f64> {
    if k == 0 || n < k || passed > n {
        return None;
    }
    let failed = n - passed;
    if failed < k {
        return Some(1.0);
    }
    // C(failed, k) / C(n, k) as a product, so that no factorial overflows
    let all_fail: f64 = (0..k)
        .map(|i| (failed - i) as f64 / (n - i) as f64)
        .product();
    Some(1.0 - all_fail)
}

/// maj@n of one problem: whether the answer given most often is right. Each vote is the answer's class and whether
/// that class is right; answers that could not be read do not vote.
///
/// A tie between `t` classes of which `r` are right counts `r / t`, the chance of a fair draw, so that the order of
/// the samples decides nothing. `None` when nobody voted.
#[must_use]
pub fn majority<'a>(votes: impl IntoIterator<Item = (&'a str, bool)>) -> Option<f64> {
    let mut classes: std::collections::BTreeMap<(&str, bool), u64> =
        std::collections::BTreeMap::new();
    for vote in votes {
        *classes.entry(vote).or_default() += 1;
    }
    let most = classes.values().copied().max()?;
    let winners: Vec<bool> = classes
        .iter()
        .filter(|(_, count)| **count == most)
        .map(|((_, right), _)| *right)
        .collect();
    Some(winners.iter().filter(|right| **right).count() as f64 / winners.len() as f64)
}

/// Two models on the same problems.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// How many problems both answered.
    pub problems: u64,
    /// The mean of the candidate's rate less the base's, in `-1..=1`.
    pub difference: f64,
    /// The 95 % interval of the difference by a seeded paired bootstrap over problems. Where every problem has the same
    /// difference, drawing again shows no spread, and Wilson's bound on the share of problems that may yet differ
    /// gives the width: none of 12 alike leaves up to 24 %, not certainty.
    pub interval: Interval,
    /// Exact two-sided p of McNemar's test; with several samples a problem, of the sign test on the problems whose
    /// rates differ, of which McNemar's test is the case of one sample.
    pub p: f64,
}

/// Compares a candidate with a base on the same problems: `pairs` holds a problem's rate for the candidate and for the
/// base, in an order that the caller defines. `None` without pairs.
#[must_use]
pub fn compare(pairs: &[(f64, f64)], seed: u64) -> Option<Comparison> {
    if pairs.is_empty() {
        return None;
    }
    let differences: Vec<f64> = pairs
        .iter()
        .map(|(candidate, base)| candidate - base)
        .collect();
    let better = differences.iter().filter(|d| **d > 0.0).count() as u64;
    let worse = differences.iter().filter(|d| **d < 0.0).count() as u64;
    Some(Comparison {
        problems: pairs.len() as u64,
        difference: mean(&differences),
        interval: if differences.iter().all(|d| *d == differences[0]) {
            unseen(differences[0], pairs.len() as u64)
        } else {
            bootstrap_mean(&differences, seed)
        },
        p: mcnemar_exact(better, worse),
    })
}

/// The 95 % interval of a mean difference of which `n` problems all showed the same `value`: a share of problems that
/// none of `n` has shown may have any difference in `-1..=1`.
fn unseen(value: f64, n: u64) -> Interval {
    let share = wilson(0.0, n).high;
    Interval {
        low: (value * (1.0 - share) - share).max(-1.0),
        high: (value * (1.0 - share) + share).min(1.0),
    }
}

/// How many times the bootstrap draws: enough that the bounds move by less than a tenth of their width, few enough that
/// ten thousand problems take well under a second.
fn resamples(n: usize) -> usize {
    if n <= 2_000 { 10_000 } else { 2_000 }
}

/// The 95 % percentile interval of the mean of `values` under drawing with putting back.
fn bootstrap_mean(values: &[f64], seed: u64) -> Interval {
    let n = values.len();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> = (0..resamples(n))
        .map(|_| (0..n).map(|_| values[rng.random_range(0..n)]).sum::<f64>() / n as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    Interval {
        low: quantile(&means, 0.025),
        high: quantile(&means, 0.975),
    }
}

/// The exact two-sided p of McNemar's test: `better` and `worse` count the problems on which only one of the two
/// models is right. Problems on which they agree say nothing.
///
/// ```
/// let p = dag_kinds::statistics::mcnemar_exact(10, 2);
/// assert!((p - 158.0 / 4096.0).abs() < 1e-12);
/// ```
#[must_use]
pub fn mcnemar_exact(better: u64, worse: u64) -> f64 {
    let n = better + worse;
    let few = better.min(worse);
    if n == 0 || better == worse {
        return 1.0;
    }
    // in logarithms: C(n, i) / 2^n leaves the range of f64 near n = 1,030
    let ln_choose = |i: u64| {
        ln_gamma(n as f64 + 1.0) - ln_gamma(i as f64 + 1.0) - ln_gamma((n - i) as f64 + 1.0)
    };
    let tail: f64 = (0..=few)
        .map(|i| (ln_choose(i) - n as f64 * std::f64::consts::LN_2).exp())
        .sum();
    (2.0 * tail).min(1.0)
}

/// The arithmetic mean; zero of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        values.iter().sum::<f64>() / values.len() as f64
    }
}

/// The quantile `q` in `0..=1` of sorted values, linear between neighbours; zero of nothing.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a position within the slice, by construction"
)]
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let position = q.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(got: f64, expected: f64, within: f64) {
        assert!(
            (got - expected).abs() <= within,
            "{got} is not {expected} within {within}"
        );
    }

    #[test]
    fn wilson_agrees_with_newcombes_table() {
        // Newcombe 1998, table I, method 3
        for (passed, n, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let interval = wilson(f64::from(passed) / n as f64, n);
            close(interval.low, low, 5e-5);
            close(interval.high, high, 5e-5);
        }
        assert_eq!(wilson(1.0, 7).high, 1.0);
        assert_eq!(
            wilson(0.0, 0),
            Interval {
                low: 0.0,
                high: 1.0
            }
        );
    }

    /// pass@k by its definition: of all ways to draw k of n samples, the share that holds a right one.
    fn pass_at_k_by_counting(n: u32, passed: u32, k: u32) -> f64 {
        let (mut hit, mut all) = (0_u32, 0_u32);
        for draw in 0_u32..(1 << n) {
            if draw.count_ones() == k {
                all += 1;
                // the first `passed` samples are the right ones
                hit += u32::from(draw & ((1 << passed) - 1) != 0);
            }
        }
        f64::from(hit) / f64::from(all)
    }

    proptest! {
        #[test]
        fn pass_at_k_is_the_share_of_draws_that_hold_a_right_answer(n in 1_u32..10, passed in 0_u32..10, k in 1_u32..10) {
            prop_assume!(passed <= n && k <= n);
            let got = pass_at_k(u64::from(n), u64::from(passed), u64::from(k)).unwrap();
            prop_assert!((got - pass_at_k_by_counting(n, passed, k)).abs() < 1e-12);
        }

        #[test]
        fn wilson_holds_the_rate_and_stays_within_bounds(passed in 0_u64..500, more in 0_u64..500) {
            prop_assume!(passed + more > 0);
            let rate = passed as f64 / (passed + more) as f64;
            let interval = wilson(rate, passed + more);
            prop_assert!(0.0 <= interval.low && interval.low <= rate && rate <= interval.high && interval.high <= 1.0);
        }

        #[test]
        fn mcnemar_is_symmetric_and_a_probability(better in 0_u64..3_000, worse in 0_u64..3_000) {
            let p = mcnemar_exact(better, worse);
            prop_assert!((0.0..=1.0).contains(&p));
            prop_assert_eq!(p, mcnemar_exact(worse, better));
        }
    }

    #[test]
    fn pass_at_k_needs_k_samples() {
        assert_eq!(pass_at_k(3, 3, 4), None);
        assert_eq!(pass_at_k(0, 0, 1), None);
        close(pass_at_k(200, 100, 10).unwrap(), 0.999_229, 1e-5);
    }

    #[test]
    fn the_majority_wins_and_a_tie_is_a_fair_draw() {
        assert_eq!(
            majority([("4", true), ("4", true), ("5", false)]),
            Some(1.0)
        );
        assert_eq!(
            majority([("4", true), ("5", false), ("5", false)]),
            Some(0.0)
        );
        assert_eq!(majority([("5", false), ("4", true)]), Some(0.5));
        assert_eq!(
            majority([("6", false), ("5", false), ("4", true)]),
            Some(1.0 / 3.0)
        );
        assert_eq!(majority(std::iter::empty()), None);
    }

    #[test]
    fn mcnemar_agrees_with_the_binomial_distribution() {
        close(mcnemar_exact(1, 0), 1.0, 0.0);
        close(mcnemar_exact(5, 0), 2.0 / 32.0, 1e-12);
        close(mcnemar_exact(0, 10), 2.0 / 1024.0, 1e-12);
        close(
            mcnemar_exact(3, 9),
            2.0 * (1.0 + 12.0 + 66.0 + 220.0) / 4096.0,
            1e-12,
        );
        assert!(mcnemar_exact(2_000, 1_000) < 1e-60);
    }

    #[test]
    fn a_clear_difference_has_an_interval_without_zero() {
        let pairs: Vec<(f64, f64)> = (0..100)
            .map(|i| (1.0, if i < 20 { 1.0 } else { 0.0 }))
            .collect();
        let comparison = compare(&pairs, 7).unwrap();
        close(comparison.difference, 0.8, 1e-12);
        // the standard error of the mean is 0.04: the percentile interval is near 0.8 ± 1.96 · 0.04
        close(comparison.interval.low, 0.8 - 0.0784, 0.012);
        close(comparison.interval.high, 0.8 + 0.0784, 0.012);
        assert!(comparison.interval.excludes_zero() && comparison.p < 1e-20);
    }

    #[test]
    fn problems_that_are_all_alike_leave_room_for_those_not_seen() {
        let tie = compare(&[(0.0, 0.0); 12], 7).unwrap();
        close(tie.interval.high, wilson(0.0, 12).high, 1e-12);
        close(tie.interval.low, -tie.interval.high, 1e-12);
        assert!(!tie.interval.excludes_zero());
        let all_better = compare(&[(1.0, 0.0); 12], 7).unwrap();
        assert!(all_better.interval.excludes_zero() && all_better.interval.low < 0.6);
        close(all_better.interval.high, 1.0, 1e-12);
        // one pair proves nothing
        assert!(!compare(&[(1.0, 0.0)], 7).unwrap().interval.excludes_zero());
    }

    #[test]
    fn the_bootstrap_repeats_itself() {
        let pairs = [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (0.5, 0.0)];
        assert_eq!(compare(&pairs, 42), compare(&pairs, 42));
        assert!(!compare(&pairs, 42).unwrap().interval.excludes_zero());
        assert_eq!(compare(&[], 42), None);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), 2.5);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 1.0), 4.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
