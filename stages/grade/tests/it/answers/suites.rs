//! Labelled pairs of known suites, each under its preset: agreement does not fall below a floor.

use std::collections::BTreeMap;

use dag_grade::answer::{Policy, grade};

use super::{rows, shared};

/// Pairs that agree with their label, of how many. What disagrees is listed in `docs/grading.md`.
const FLOORS: [(&str, usize, usize); 6] = [
    ("hendrycks-math", 8, 8),
    ("math-verify", 134, 135),
    ("olympiadbench", 17, 18),
    ("open-r1", 1, 1),
    ("qwen2.5-math", 399, 400),
    ("skythought", 14, 14),
];

#[test]
fn agreement_with_the_labels_of_known_suites_does_not_fall() {
    let Some(text) = shared("math_equiv/cases.jsonl") else {
        return;
    };
    let mut agreed: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut other = Vec::new();
    for row in rows(&text) {
        let field = |name: &str| row[name].as_str().unwrap();
        let policy = Policy::preset(field("suite")).unwrap();
        let graded = grade(field("gold"), field("pred"), &policy);
        let counts = agreed.entry(field("suite").to_owned()).or_default();
        counts.1 += 1;
        if graded.verdict.is_pass() == row["expected"].as_bool().unwrap() {
            counts.0 += 1;
        } else {
            other.push(format!(
                "{} {}: {}",
                field("suite"),
                field("gold"),
                graded.rule
            ));
        }
    }
    for (suite, floor, all) in FLOORS {
        let (agreed, seen) = agreed[suite];
        assert_eq!(seen, all, "{suite}");
        assert!(agreed >= floor, "{suite}: {agreed} of {all}, {other:#?}");
    }
}
