//! Which answers are the same, and where in a response they stand, case by case.

use super::*;

mod numbers;
mod policy;
mod reading;
mod relations;
mod robust;
mod senses;
mod sets;
mod symbols;
mod units;
mod words;

/// Grades every pair, and tells of all that came out otherwise than `expected`.
fn check_all(policy: &Policy, expected: Verdict, pairs: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (gold, answer) in pairs {
        for (gold, answer) in [(gold, answer), (answer, gold)] {
            let decision = equal::decide(gold, answer, policy);
            if decision.verdict != expected {
                wrong.push(format!("`{gold}` against `{answer}`: {decision:?}"));
            }
            assert!(!decision.reason.is_empty(), "`{gold}` against `{answer}`");
        }
    }
    assert!(wrong.is_empty(), "not {expected}:\n{}", wrong.join("\n"));
}

/// Pairs that are the same answer under the default policy, whichever is the gold.
fn same(pairs: &[(&str, &str)]) {
    check_all(&Policy::default(), Verdict::Pass, pairs);
}

/// Pairs that are different answers under the default policy, whichever is the gold.
fn differ(pairs: &[(&str, &str)]) {
    check_all(&Policy::default(), Verdict::Fail, pairs);
}

fn check(gold: &str, response: &str, expected: Verdict) {
    let graded = grade(gold, response, &Policy::default());
    assert_eq!(
        graded.verdict, expected,
        "{gold} against {response}: {graded:?}"
    );
}

#[test]
fn the_same_value_in_another_writing_passes() {
    for (gold, answer) in [
        ("1/2", r"\frac12"),
        ("0.5", r"\dfrac{1}{2}"),
        ("1000", r"\boxed{1,000}"),
        ("1000", r"\boxed{1{,}000}"),
        ("1.5", r"1\frac{1}{2}"),
        ("3/2", "1 1/2"),
        (r"2\sqrt{3}", r"\sqrt{12}"),
        ("5", "x = 5"),
        ("50%", "1/2"),
        (r"\frac{1}{1+\sqrt{2}}", r"\sqrt{2}-1"),
        ("(x-2)(x+2)", "x^2-4"),
        ("{1,2}", r"\{2, 1\}"),
        ("1, 2", "2, 1"),
        (r"\text{Evelyn}", "evelyn"),
        ("C", "(C)"),
        ("5 cm", "5"),
        ("7", "The answer is 7 because 3+4"),
        ("2, 3", r"\boxed{2}, \boxed{3}"),
        (r"\pi/2", "0.5π"),
        (r"1\pm 2", "-1, 3"),
        ("10^{20}", "100000000000000000000"),
    ] {
        check(gold, answer, Verdict::Pass);
    }
}

#[test]
fn what_the_fields_graders_confuse_fails() {
    for (gold, answer) in [
        ("10001", "10000"),
        ("[0,1)", "(0,1]"),
        ("(1,2)", "1,2"),
        ("k=3", "m=3"),
        ("50", "0.5"),
        ("7", "8"),
        ("n^2+19n+88", "n^2+19n+89"),
        ("5 cm", "5 m^2"),
    ] {
        check(gold, answer, Verdict::Fail);
    }
}

#[test]
fn what_has_no_exact_form_is_decided_by_its_values() {
    for (gold, answer, verdict) in [
        (r"\tan^2(y)+1", r"\sec^2(y)", Verdict::Pass),
        (r"\cos\frac{\pi}{5}", r"\frac{1+\sqrt{5}}{4}", Verdict::Pass),
        (r"\sqrt{3+2\sqrt{2}}", r"1+\sqrt{2}", Verdict::Pass),
        (r"\sqrt[3]{-8}", "-2", Verdict::Pass),
        (r"\log_2 8", "3", Verdict::Pass),
        (r"e^{i\pi}", "-1", Verdict::Pass),
        (r"\sqrt{ab}", r"\sqrt{a}\sqrt{b}", Verdict::Pass),
        (r"\sin x", r"\cos x", Verdict::Fail),
        // Equal to thirty digits, and not equal.
        (r"e^{\pi\sqrt{163}}", "262537412640768744", Verdict::Fail),
        // The same for positive variables only.
        (r"\sqrt{x^2}", "x", Verdict::Fail),
        (r"\ln 0", "1", Verdict::Unparsable),
    ] {
        check(gold, answer, verdict);
    }
    let graded = grade(r"\sin^2 x+\cos^2 x", "1", &Policy::default());
    assert_eq!(graded.rule, "whole+numeric");
}

#[test]
fn a_tower_of_powers_is_refused_at_once() {
    let start = std::time::Instant::now();
    check("10^{10^{10}}", "7", Verdict::Unparsable);
    check("7", r"2^{9^{9^{9}}}", Verdict::Unparsable);
    assert!(start.elapsed().as_secs() < 5, "took {:?}", start.elapsed());
}

#[test]
fn nothing_against_nothing_is_no_pass() {
    assert!(!grade("", "", &Policy::default()).verdict.is_pass());
    assert_eq!(
        grade("5", r"\boxed{}", &Policy::default()).verdict,
        Verdict::Unparsable
    );
    assert_eq!(
        grade(r"\frac{1", "5", &Policy::default()).verdict,
        Verdict::Error
    );
}

#[test]
fn a_division_by_zero_equals_nothing() {
    for answer in [
        "x/(y-y)",
        r"\frac{x}{y-y}",
        "(x+1)/((a+b)^2-a^2-2ab-b^2)",
        "1/0",
        r"\frac{0}{x-x}",
    ] {
        for gold in ["1", "0", "x", "y/7"] {
            let graded = grade(gold, answer, &Policy::default());
            assert!(
                !graded.verdict.is_pass(),
                "{gold} against {answer}: {graded:?}"
            );
        }
    }
    check("x", "x/(y-y)", Verdict::Unparsable);
}

proptest::proptest! {
    #[test]
    fn no_text_panics(gold in r"[-0-9a-z\\{}()\[\],.^_/%|=<> ]{0,60}", answer in ".{0,60}") {
        grade(&gold, &answer, &Policy::default());
    }
}
