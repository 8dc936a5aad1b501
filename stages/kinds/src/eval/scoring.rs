//! From graded answers to scores: pure, in a defined order, whatever order answers came in.

use std::collections::BTreeMap;

use crate::statistics::{Comparison, Interval, compare, majority, mean, pass_at_k, wilson};

/// The family that stands for all of a benchmark.
pub(super) const ALL: &str = "all";

/// What the answers to one problem were.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) family: String,
    pub(super) samples: u64,
    pub(super) passed: u64,
    pub(super) truncated: u64,
    pub(super) tokens: Vec<f64>,
    /// The answers that were read, and whether each passed; `None` where answers cannot be counted against each other,
    /// as programs.
    pub(super) votes: Option<Vec<(String, bool)>>,
}

/// One line of the scores.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Score {
    pub(super) model: String,
    pub(super) benchmark: String,
    pub(super) family: String,
    pub(super) problems: u64,
    pub(super) samples: u64,
    pub(super) k: u32,
    /// Mean pass@k over problems.
    pub(super) rate: f64,
    pub(super) interval: Interval,
    /// Mean of maj@n over the problems whose answers can be counted; `None` if there is no such problem.
    pub(super) majority: Option<f64>,
    pub(super) mean_tokens: Option<f64>,
    /// Share of answers that ended at the limit.
    pub(super) truncated: f64,
    pub(super) difference: Option<Comparison>,
}

/// Outcomes of one model on one benchmark, in the order of the problems.
pub(super) struct Answered {
    pub(super) model: String,
    pub(super) benchmark: String,
    pub(super) outcomes: Vec<Outcome>,
}

/// Scores of every model on every benchmark, over all and by family; models other than `base` are compared with it on
/// the same problems.
pub(super) fn scores(
    answered: &[Answered],
    ks: &[u32],
    base: Option<&str>,
    seed: u64,
) -> Vec<Score> {
    let mut scores = Vec::new();
    for one in answered {
        let against = base.filter(|base| *base != one.model).and_then(|base| {
            answered
                .iter()
                .find(|other| other.model == base && other.benchmark == one.benchmark)
        });
        let mut families: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, outcome) in one.outcomes.iter().enumerate() {
            families.entry(&outcome.family).or_default().push(at);
        }
        let all: Vec<usize> = (0..one.outcomes.len()).collect();
        let mut groups = vec![(ALL, all)];
        if families.len() > 1 {
            groups.extend(families);
        }
        for (family, problems) in groups {
            for k in ks {
                scores.extend(score(one, against, family, &problems, *k, seed));
            }
        }
    }
    scores
}

fn score(
    one: &Answered,
    against: Option<&Answered>,
    family: &str,
    problems: &[usize],
    k: u32,
    seed: u64,
) -> Option<Score> {
    let outcomes: Vec<&Outcome> = problems
        .iter()
        .filter_map(|at| one.outcomes.get(*at))
        .collect();
    let rates = |outcomes: &[&Outcome]| -> Option<Vec<f64>> {
        outcomes
            .iter()
            .map(|outcome| pass_at_k(outcome.samples, outcome.passed, u64::from(k)))
            .collect()
    };
    let own = rates(&outcomes)?;
    let difference = against.and_then(|base| {
        let base: Vec<&Outcome> = problems
            .iter()
            .map(|at| base.outcomes.get(*at))
            .collect::<Option<_>>()?;
        let pairs: Vec<(f64, f64)> = own.iter().copied().zip(rates(&base)?).collect();
        compare(&pairs, seed)
    });
    // A problem none of whose answers could be read counts as wrong.
    let votes: Vec<f64> = outcomes
        .iter()
        .filter_map(|outcome| outcome.votes.as_ref())
        .map(|votes| {
            // all right answers are one class, however they are written
            let classes = votes
                .iter()
                .map(|(answer, right)| (if *right { "" } else { answer.as_str() }, *right));
            majority(classes).unwrap_or(0.0)
        })
        .collect();
    let samples: u64 = outcomes.iter().map(|outcome| outcome.samples).sum();
    let truncated: u64 = outcomes.iter().map(|outcome| outcome.truncated).sum();
    let tokens: Vec<f64> = outcomes
        .iter()
        .flat_map(|outcome| outcome.tokens.iter().copied())
        .collect();
    let rate = mean(&own);
    Some(Score {
        model: one.model.clone(),
        benchmark: one.benchmark.clone(),
        family: family.to_owned(),
        problems: outcomes.len() as u64,
        samples,
        k,
        rate,
        interval: wilson(rate, outcomes.len() as u64),
        majority: (!votes.is_empty()).then(|| mean(&votes)),
        mean_tokens: (!tokens.is_empty()).then(|| mean(&tokens)),
        truncated: truncated as f64 / samples.max(1) as f64,
        difference,
    })
}

/// A score as a sentence: `87.0 % [83.1, 90.2] (base 21.0 %, +66.0 [61.2, 70.4])`.
pub(super) fn sentence(score: &Score, base: Option<&Score>) -> String {
    let percent = |fraction: f64| format!("{:.1}", fraction * 100.0);
    let signed = |fraction: f64| format!("{:+.1}", fraction * 100.0);
    let own = format!(
        "{} % [{}, {}]",
        percent(score.rate),
        percent(score.interval.low),
        percent(score.interval.high)
    );
    match (&score.difference, base) {
        (Some(difference), Some(base)) => format!(
            "{own} ({} {} %, {} [{}, {}])",
            base.model,
            percent(base.rate),
            signed(difference.difference),
            signed(difference.interval.low),
            signed(difference.interval.high)
        ),
        _ => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(model: &str, passed: &[u64]) -> Answered {
        let outcome = |(at, passed): (usize, &u64)| Outcome {
            family: if at % 2 == 0 { "sums" } else { "strings" }.into(),
            samples: 2,
            passed: *passed,
            truncated: 0,
            tokens: vec![10.0, 20.0],
            votes: Some((0..2).map(|i| (format!("{i}"), i < *passed)).collect()),
        };
        Answered {
            model: model.into(),
            benchmark: "test".into(),
            outcomes: passed.iter().enumerate().map(outcome).collect(),
        }
    }

    #[test]
    fn scores_are_over_all_and_by_family_and_against_the_base() {
        let both = [
            answered("base", &[0, 0, 0, 1]),
            answered("student", &[2, 2, 2, 1]),
        ];
        let scores = scores(&both, &[1, 2], Some("base"), 7);
        let told: Vec<(&str, &str, u32, u64, f64)> = scores
            .iter()
            .map(|s| (s.model.as_str(), s.family.as_str(), s.k, s.problems, s.rate))
            .collect();
        assert_eq!(told[0], ("base", "all", 1, 4, 0.125));
        assert_eq!(told[1], ("base", "all", 2, 4, 0.25));
        assert_eq!(told[2], ("base", "strings", 1, 2, 0.25));
        assert_eq!(told[6], ("student", "all", 1, 4, 0.875));
        assert_eq!(scores[6].difference.unwrap().difference, 0.75);
        assert!(scores[0].difference.is_none());
        assert_eq!(scores[6].mean_tokens, Some(15.0));
    }

    #[test]
    fn programs_have_no_majority_and_do_not_lower_that_of_the_others() {
        let mut one = answered("m", &[2, 2, 0, 2]);
        one.outcomes[1].votes = None;
        one.outcomes[3].votes = None;
        let scores = scores(&[one], &[1], None, 7);
        let of = |family: &str| scores.iter().find(|s| s.family == family).unwrap();
        assert_eq!(
            of("all").majority,
            Some(0.5),
            "two of four can be counted, one is right"
        );
        assert_eq!(of("strings").majority, None);
    }

    #[test]
    fn a_problem_whose_answers_cannot_be_read_counts_as_wrong() {
        let mut one = answered("m", &[2, 2]);
        one.outcomes[1].votes = Some(Vec::new());
        assert_eq!(scores(&[one], &[1], None, 7)[0].majority, Some(0.5));
    }

    #[test]
    fn a_k_beyond_the_samples_has_no_score() {
        assert!(scores(&[answered("m", &[1, 1])], &[4], None, 7).is_empty());
    }

    #[test]
    fn a_score_reads_as_a_sentence() {
        let both = [answered("base", &[0; 40]), answered("student", &[2; 40])];
        let scores = scores(&both, &[1], Some("base"), 7);
        let (base, student) = (
            &scores[0],
            scores.iter().find(|s| s.model == "student").unwrap(),
        );
        assert_eq!(
            sentence(student, Some(base)),
            "100.0 % [91.2, 100.0] (base 0.0 %, +100.0 [+82.5, +100.0])"
        );
    }
}
