//! Agreement and speed of answer comparison over a file of labelled pairs, on one core.
//!
//! `cargo bench -p dag-grade --bench answers -- [FILE.jsonl]` prints, suite by suite, how many verdicts agree
//! with the labels, the pairs per second, the slowest pair, and the most memory that a pair held at once. `--list` shows
//! the disagreements. Then the time and memory of long texts and of hard pairs.
//! The file defaults to `../shared/data/math_equiv/cases.jsonl` from the root of the project.

#![expect(clippy::print_stdout, reason = "a program whose output is its purpose")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use dag_grade::answer::{Policy, grade};
use serde::Deserialize;

/// The system's allocator, counting what is held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator is unsafe to implement")]
// SAFETY: every call goes to the system's allocator as it came; beside that only two counters change.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MOST.fetch_max(
            HELD.fetch_add(layout.size(), Relaxed) + layout.size(),
            Relaxed,
        );
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `place` came from the same allocator, with this layout.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that were held at once for one pair, beside what was held before.
fn memory(case: &Case, policy: &Policy) -> usize {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    std::hint::black_box(grade(&case.gold, &case.pred, policy));
    MOST.load(Relaxed).saturating_sub(before)
}

#[derive(Deserialize)]
struct Case {
    suite: String,
    gold: String,
    pred: String,
    expected: bool,
}

/// What texts of 100,000 characters are made of that would cost most, were the search for an answer not linear.
const PIECES: [&str; 12] = [
    r"\boxed{",
    r"\boxed{1}, ",
    "$",
    "$a$ ",
    "{",
    "the answer is ",
    "the answer is ((. ",
    "#### a\n",
    "<answer>",
    "is 5 is a ",
    "1,",
    r"\begin{align}",
];

/// Time and memory of long texts that hold no answer, or many.
fn long_texts() {
    println!("\n| 100,000 characters of | time | most memory |");
    println!("|---|---|---|");
    let policy = Policy {
        last_number: true,
        ..Policy::default()
    };
    for piece in PIECES {
        let case = Case {
            suite: String::new(),
            gold: "5".to_owned(),
            pred: piece.repeat(100_000 / piece.len()),
            expected: false,
        };
        let most = memory(&case, &policy);
        let start = Instant::now();
        std::hint::black_box(grade(&case.gold, &case.pred, &policy));
        println!(
            "| `{}` | {:.2?} | {} KiB |",
            piece.trim(),
            start.elapsed(),
            most.div_ceil(1024)
        );
    }
}

/// Pairs that would take long, were work not counted.
fn hard_pairs() {
    let joined = |parts: Vec<String>, sign: &str| parts.join(sign);
    let fractions = joined(
        (0..120u64)
            .map(|k| {
                format!(
                    r"\frac{{{}}}{{{}}}",
                    k + 1,
                    1_000_000_007 + 2 * k * k + 31 * k
                )
            })
            .collect(),
        "+",
    );
    let members = |from: usize| joined((from..from + 600).map(|k| k.to_string()).collect(), ", ");
    let chain = r"\alpha\ge2".repeat(178);
    // `2\,alpha` is a product of other letters.
    let damaged = format!(r"{0}\alpha\ge2\,alpha\ge2{0}", r"\alpha\ge2".repeat(88));
    let pairs = [
        ("120 fractions", fractions.clone(), format!("{fractions}+1")),
        (
            "a sum to the ninth",
            "(a+b+c+d+e+f)^9".into(),
            "(f+e+d+c+b+a)^9".into(),
        ),
        (
            "a sum to the sixtieth",
            "(a+b+c+d)^{60}".into(),
            "(d+c+b+a)^{60}".into(),
        ),
        ("a tower of powers", "10^{10^{10}}".into(), "7".into()),
        ("a large factorial", "100000!".into(), "7".into()),
        (
            "nested roots",
            r"\sqrt{2+".repeat(15) + "2" + &"}".repeat(15),
            "2".into(),
        ),
        ("two long lists", members(1), members(2)),
        (
            "two long sets",
            format!(r"\{{{}\}}", members(1)),
            format!(r"\{{{}\}}", members(2)),
        ),
        (
            "two long chains",
            chain.replacen(r"\ge2", r"\ge 3", 1),
            chain.clone(),
        ),
        ("a chain with a slip", damaged.clone(), chain.clone()),
        ("a slip in a chain", chain, damaged),
        ("open brackets", "(".repeat(4000), "5".into()),
        ("open groups", r"\frac{".repeat(1000), "5".into()),
    ];
    println!("\n| pair | verdict | time | most memory |");
    println!("|---|---|---|---|");
    for (name, gold, pred) in pairs {
        let case = Case {
            suite: String::new(),
            gold,
            pred,
            expected: false,
        };
        let policy = Policy::default();
        let most = memory(&case, &policy);
        let start = Instant::now();
        let graded = grade(&case.gold, &case.pred, &policy);
        println!(
            "| {name} | {} | {:.2?} | {} KiB |",
            graded.verdict,
            start.elapsed(),
            most.div_ceil(1024)
        );
    }
}

/// How often every pair is graded when time is taken.
const ROUNDS: usize = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut list = false;
    let mut path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/math_equiv/cases.jsonl"
    )
    .to_owned();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--list" => list = true,
            "--bench" => {}
            file => path = file.to_owned(),
        }
    }
    let Ok(text) = fs_err::read_to_string(&path) else {
        println!("no file {path}: nothing to measure");
        return Ok(());
    };
    let mut suites: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for line in text.lines() {
        let case: Case = serde_json::from_str(line)?;
        suites.entry(case.suite.clone()).or_default().push(case);
    }
    println!("| suite | agree | pairs/s | slowest pair | most memory |");
    println!("|---|---|---|---|---|");
    for (suite, cases) in &suites {
        let policy = Policy::preset(suite).unwrap_or_default();
        let mut wrong = Vec::new();
        let mut slowest = Duration::ZERO;
        for case in cases {
            let start = Instant::now();
            let graded = grade(&case.gold, &case.pred, &policy);
            slowest = slowest.max(start.elapsed());
            if graded.verdict.is_pass() != case.expected {
                wrong.push((case, graded));
            }
        }
        let start = Instant::now();
        for _ in 0..ROUNDS {
            for case in cases {
                std::hint::black_box(grade(&case.gold, &case.pred, &policy));
            }
        }
        let rate = (cases.len() * ROUNDS) as f64 / start.elapsed().as_secs_f64();
        // Last, when everything that is made once is made.
        let most = cases.iter().map(|case| memory(case, &policy)).max();
        let most = most.unwrap_or_default();
        println!(
            "| {suite} | {}/{} | {rate:.0} | {slowest:.2?} | {} KiB |",
            cases.len() - wrong.len(),
            cases.len(),
            most.div_ceil(1024)
        );
        if list {
            for (case, graded) in wrong {
                let tail = |text: &str| {
                    let count = text.chars().count();
                    text.chars()
                        .skip(count.saturating_sub(100))
                        .collect::<String>()
                };
                println!(
                    "    label {}: {:?} against {:?}: {} {} {}",
                    case.expected,
                    tail(&case.gold),
                    tail(&case.pred),
                    graded.verdict,
                    graded.rule,
                    graded.reason
                );
            }
        }
    }
    long_texts();
    hard_pairs();
    Ok(())
}
