//! The golds of known sets: each is itself, and no other.

use std::collections::BTreeSet;

use dag_grade::Verdict;
use dag_grade::answer::{Policy, grade, selftest};

use super::{graded, rows, shared};

fn answers(name: &str) -> Option<Vec<String>> {
    let rows = rows(&shared(name)?);
    Some(
        rows.iter()
            .map(|row| row["answer"].as_str().unwrap().to_owned())
            .collect(),
    )
}

#[test]
fn every_gold_of_math_500_and_gsm8k_is_itself() {
    for (name, len) in [
        ("math500/test.jsonl", 500),
        ("gsm8k/train.jsonl", 7473),
        ("gsm8k/test.jsonl", 1319),
    ] {
        let Some(golds) = answers(name) else { continue };
        assert_eq!(golds.len(), len, "{name}");
        let failures = selftest(golds.iter().map(String::as_str), &Policy::default());
        assert!(failures.is_empty(), "{name}: {failures:?}");
    }
}

#[test]
fn a_worked_solution_of_math_500_gives_its_gold() {
    let Some(text) = shared("math500/test.jsonl") else {
        return;
    };
    let mut other = Vec::new();
    for row in rows(&text) {
        let (gold, solution) = (
            row["answer"].as_str().unwrap(),
            row["solution"].as_str().unwrap(),
        );
        let graded = graded(gold, solution);
        if !graded.verdict.is_pass() {
            other.push((gold.to_owned(), graded));
        }
    }
    assert!(other.is_empty(), "{other:#?}");
}

#[test]
fn a_gold_of_math_500_is_not_its_neighbour() {
    let Some(golds) = answers("math500/test.jsonl") else {
        return;
    };
    let mut passes = BTreeSet::new();
    for pair in golds.windows(2) {
        let [gold, next] = pair else { continue };
        for (gold, answer) in [(gold, next), (next, gold)] {
            if graded(gold, answer).verdict.is_pass() {
                passes.insert(format!("{gold} = {answer}"));
            }
        }
    }
    let passes: Vec<&str> = passes.iter().map(String::as_str).collect();
    // Neighbours that are the same answer.
    assert_eq!(passes, NEIGHBOURS);
}

/// The neighbours of MATH-500 that a person would call the same.
const NEIGHBOURS: [&str; 4] = ["3 = 3", "5 = x=5", "7 = 7", "x=5 = 5"];

/// A text with what its boxes hold in their place.
fn without_boxes(text: &str) -> String {
    let mut text = text.to_owned();
    while let Some(start) = text.rfind(r"\boxed{") {
        let open = start + r"\boxed".len();
        let mut depth = 0;
        let end = text[open..]
            .char_indices()
            .find(|(_, c)| {
                depth += match c {
                    '{' => 1,
                    '}' => -1,
                    _ => 0,
                };
                depth == 0
            })
            .map_or(text.len(), |(len, _)| open + len);
        let held = text[open + 1..end].to_owned();
        text.replace_range(start..(end + 1).min(text.len()), &held);
    }
    text
}

#[test]
#[expect(clippy::print_stderr, reason = "a figure that the docs quote")]
fn a_worked_solution_without_its_box_says_its_answer_mostly_and_hardly_another() {
    let Some(text) = shared("math500/test.jsonl") else {
        return;
    };
    let rows: Vec<(String, String)> = rows(&text)
        .iter()
        .map(|row| {
            let field = |name: &str| row[name].as_str().unwrap().to_owned();
            (field("answer"), without_boxes(&field("solution")))
        })
        .collect();
    let found = rows
        .iter()
        .filter(|(gold, solution)| graded(gold, solution).verdict.is_pass())
        .count();
    let others = rows
        .iter()
        .zip(rows.iter().cycle().skip(1))
        .filter(|((gold, _), (other, solution))| {
            gold != other && graded(gold, solution).verdict.is_pass()
        })
        .count();
    eprintln!(
        "{found} of {} say their answer, {others} say their neighbour's",
        rows.len()
    );
    assert!(found >= 425, "{found}");
    assert!(others <= 2, "{others}");
}

/// Every gold of MATH-500 against every other; a debug build takes each thirteenth.
#[test]
fn a_gold_of_math_500_is_no_other_gold() {
    let Some(golds) = answers("math500/test.jsonl") else {
        return;
    };
    let golds: Vec<String> = BTreeSet::from_iter(golds).into_iter().collect();
    let step = if cfg!(debug_assertions) { 13 } else { 1 };
    let mut undecided = Vec::new();
    for (number, gold) in golds.iter().enumerate() {
        for answer in golds.iter().skip(number % step).step_by(step) {
            let graded = graded(gold, answer);
            let same = gold == answer || is_known(gold, answer);
            assert_eq!(
                graded.verdict.is_pass(),
                same,
                "{gold} against {answer}: {graded:?}"
            );
            if !same && graded.verdict != Verdict::Fail {
                undecided.push(format!("{gold} against {answer}"));
            }
        }
    }
    assert!(undecided.is_empty(), "{undecided:?}");
}

fn is_known(gold: &str, answer: &str) -> bool {
    SAME.contains(&(gold, answer)) || SAME.contains(&(answer, gold))
}

/// The golds of MATH-500 that a person would call the same: another writing, another order, a unit that is left out.
const SAME: [(&str, &str); 13] = [
    ("-2,1", "1,-2"),
    (r"10,\!080", "10080"),
    ("120", r"120^\circ"),
    ("15", r"15\mbox{ cm}^2"),
    (r"2 \sqrt{5}", r"2\sqrt{5}"),
    (r"180^\circ", r"\pi"),
    ("30", r"30^\circ"),
    ("36", r"36^\circ"),
    ("36", r"\$36"),
    // The question says in which base.
    ("40", "40_9"),
    ("5", "x=5"),
    ("90", r"90^\circ"),
    (r"\frac14", r"\frac{1}{4}"),
];

#[test]
fn the_number_of_gsm8k_is_found_without_its_mark() {
    let Some(golds) = answers("gsm8k/test.jsonl") else {
        return;
    };
    let policy = Policy {
        last_number: true,
        ..Policy::default()
    };
    for gold in golds {
        let (_, number) = gold.rsplit_once("####").unwrap();
        for response in [
            format!("So there are {} of them left.", number.trim()),
            format!("The answer is {}.", number.trim()),
            format!("Answer: ${}", number.trim()),
        ] {
            let graded = grade(&gold, &response, &policy);
            assert!(graded.verdict.is_pass(), "{response}: {graded:?}");
        }
    }
}
