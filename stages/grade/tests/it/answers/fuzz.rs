//! Noise and damaged golds, for as long as `DAG_FUZZ_SECONDS` says: no panic, no verdict that depends on the side, and
//! no pair that takes longer than 50 ms.
//!
//! `DAG_FUZZ_SECONDS=1800 cargo test --release -p dag-grade --test it fuzz -- --nocapture`; `DAG_FUZZ_SEED` begins
//! with another pair. Without the variable a few thousand pairs are tried, without a clock.

use std::time::{Duration, Instant};

use dag_grade::answer::{Policy, grade};

use super::Random;
use super::corpus::{GOLDS, PIECES};

/// The longest that one pair may take, in a release build.
const LIMIT: Duration = Duration::from_millis(50);
/// How many pairs are tried without the clock.
const WITHOUT_CLOCK: u64 = 3_000;

fn noise(random: &mut Random, most: usize) -> String {
    let len = random.below(most) + 1;
    (0..len).map(|_| random.one_of(&PIECES)).collect()
}

/// A text with up to three changes.
fn damaged(text: &str, random: &mut Random) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(3) {
        let (from, to) = (random.below(text.len() + 1), random.below(text.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        match random.below(6) {
            0 => text.truncate(from),
            1 => drop(text.drain(from..to)),
            2 => {
                let part = text[from..to].to_vec();
                text.splice(from..from, part);
            }
            3 => {
                let piece: Vec<char> = random.one_of(&PIECES).chars().collect();
                text.splice(from..from, piece);
            }
            4 => {
                let part: Vec<char> = random.one_of(&GOLDS).chars().collect();
                text.splice(from..to, part);
            }
            _ => text[from..to].reverse(),
        }
    }
    text.into_iter().collect()
}

/// Whether every brace that is not escaped has its other.
fn is_balanced(text: &str) -> bool {
    let (mut depth, mut escaped) = (0i32, false);
    for c in text.chars() {
        match c {
            '{' if !escaped => depth += 1,
            '}' if !escaped => depth -= 1,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        if depth < 0 {
            return false;
        }
    }
    depth == 0 && !escaped
}

/// The same text as a response may write it.
fn dressed(text: &str, random: &mut Random) -> String {
    match random.below(6) {
        0 => format!("${text}$"),
        // A box that does not close counts in golds only.
        1 if is_balanced(text) => format!(r"\boxed{{{text}}}"),
        2 => format!("The answer is ${text}$."),
        3 => text.replace(r"\left", "").replace(r"\right", ""),
        4 => text.replace(' ', "").replace(r"\frac", r"\dfrac"),
        _ => text.replace('+', " + ").replace('x', " y "),
    }
}

fn text(random: &mut Random) -> String {
    match random.below(8) {
        0..3 => damaged(random.one_of(&GOLDS), random),
        3..5 => noise(random, 12),
        5 => random.one_of(&GOLDS).to_owned(),
        6 => noise(random, 60),
        // The same again and again, which is what budgets are for.
        _ => {
            let piece = noise(random, 4);
            let times = random.below(200) + 1;
            piece.repeat(times)
        }
    }
}

/// How long this thread has had the processor, where the system tells: others may be using it too.
fn processor_time() -> Option<Duration> {
    let text = fs_err::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

#[test]
#[expect(clippy::print_stderr, reason = "a command that tells what it did")]
fn fuzz() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|value| value.parse::<u64>().unwrap())
    };
    let seconds = number("DAG_FUZZ_SECONDS");
    let random = &mut Random(number("DAG_FUZZ_SEED").unwrap_or(1));
    let policies: Vec<Policy> = Policy::PRESETS
        .iter()
        .filter_map(|name| Policy::preset(name))
        .collect();
    let start = Instant::now();
    let (mut pairs, mut passes) = (0u64, 0u64);
    let mut faults = Vec::new();
    let mut slowest = (Duration::ZERO, String::new());
    while seconds.map_or(pairs < WITHOUT_CLOCK, |s| start.elapsed().as_secs() < s) {
        let gold = text(random);
        // Half of the answers are near their gold: these may pass.
        let answer = match random.below(4) {
            0 => damaged(&gold, random),
            1 => dressed(&gold, random),
            _ => text(random),
        };
        // Every third pair under a preset, which need not be symmetric.
        let preset = random.below(3 * policies.len());
        let policy = policies.get(preset);
        let once = || {
            let (clock, processor) = (Instant::now(), processor_time());
            let graded = grade(&gold, &answer, policy.unwrap_or(&Policy::default()));
            let taken = clock.elapsed();
            match (processor, processor_time()) {
                (Some(before), Some(after)) => (graded, taken.min(after.saturating_sub(before))),
                _ => (graded, taken),
            }
        };
        let (graded, mut taken) = once();
        if seconds.is_some() && taken > slowest.0 {
            // The machine may have been busy.
            taken = (0..5).map(|_| once().1).min().unwrap_or(taken).min(taken);
            if taken > LIMIT {
                faults.push(format!(
                    "{taken:?} for {gold:?} against {answer:?}: {graded:?}"
                ));
            }
        }
        if taken > slowest.0 {
            slowest = (taken, format!("{gold:?} against {answer:?}"));
        }
        if policy.is_none() {
            let back = grade(&answer, &gold, &Policy::default());
            if graded.verdict.is_pass() != back.verdict.is_pass() {
                faults.push(format!("{gold:?} against {answer:?}: {graded:?}, {back:?}"));
            }
        }
        pairs += 1;
        passes += u64::from(graded.verdict.is_pass());
    }
    eprintln!(
        "{pairs} pairs in {:.0} s, {passes} passes, the slowest took {:.2?}: {}",
        start.elapsed().as_secs_f64(),
        slowest.0,
        slowest.1.chars().take(300).collect::<String>()
    );
    let shown: Vec<String> = faults
        .iter()
        .take(20)
        .map(|fault| fault.chars().take(1_000).collect())
        .collect();
    assert!(faults.is_empty(), "{} faults: {shown:#?}", faults.len());
}
