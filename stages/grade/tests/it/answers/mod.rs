//! Answers from outside: laws, defects of other graders, golds of known sets, labelled pairs, and fuzzing.

mod corpus;
mod defects;
mod docs;
mod doubts;
mod expressions;
mod fuzz;
mod golds;
mod laws;
mod responses;
mod suites;

use std::path::{Path, PathBuf};

use dag_grade::Verdict;
use dag_grade::answer::{Graded, Policy, grade};

/// The verdict under the default policy.
fn graded(gold: &str, answer: &str) -> Graded {
    grade(gold, answer, &Policy::default())
}

#[track_caller]
fn check(gold: &str, answer: &str, verdict: Verdict) {
    let graded = graded(gold, answer);
    assert_eq!(
        graded.verdict, verdict,
        "{gold} against {answer}: {graded:?}"
    );
}

/// A file of the shared test data, if it is here; says so where not.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn shared(name: &str) -> Option<String> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let text = fs_err::read_to_string(folder.join(name)).ok();
    if text.is_none() {
        eprintln!("skipped: {name} is not here");
    }
    text
}

/// The rows of a file of JSON lines.
fn rows(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Numbers that are the same each time: SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`, which is not zero.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn one_of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}
