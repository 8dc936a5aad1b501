//! The data stages hold batches, not tables: a million rows pass in under 1 GiB.
//!
//! By default a few thousand rows pass, which takes seconds. The whole million, built for speed:
//!
//! ```text
//! DAG_SLOW=1 cargo test --release -p dag --test cli memory -- --nocapture
//! ```

use std::io::{BufWriter, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::world::World;

const LIMIT_KIB: u64 = 1 << 20;

/// Traces come from a file, as they would from somebody else's run.
const PIPELINE: &str = r#"[pipeline]
name = "many"
seed = 7

[stage.traces]
kind    = "command"
run     = ["sh", "-c", "cat \"$DAG_FILE_0\" > \"$DAG_OUTPUT.jsonl\""]
files   = ["traces.jsonl"]
columns = ["id", "domain", "prompt", "answer", "tests", "response"]

[stage.mixed]
kind = "mix"
from = "traces"

[stage.accepted]
kind     = "filter"
from     = "mixed"
strategy = "rejection"

[stage.formatted]
kind  = "reformat"
from  = "accepted"
style = "think"
"#;

#[test]
#[expect(clippy::print_stderr, reason = "a long test says what it measured")]
fn a_table_passes_through_mix_filter_and_reformat_in_less_than_a_gibibyte() {
    let slow = std::env::var_os("DAG_SLOW").is_some_and(|slow| slow == "1");
    let rows: u64 = if slow { 1_000_000 } else { 4_000 };
    if !slow {
        eprintln!("{rows} rows instead of 1,000,000: DAG_SLOW is not 1");
    }
    let world = World::with_problems(1);
    world.write(PIPELINE);
    write_traces(&world, rows);

    let began = Instant::now();
    let mut child = world
        .command(&["run", "--json", "--quiet"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_kib(&status).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{told:#}");
    eprintln!(
        "{rows} rows: peak {} MiB, {:.1?}",
        peak / 1024,
        began.elapsed()
    );
    assert!(peak > 0 && peak < LIMIT_KIB, "peak {} MiB", peak / 1024);

    let kept = |stage: &str| {
        let stages = told["stages"].as_array().unwrap();
        stages.iter().find(|told| told["stage"] == stage).unwrap()["rows"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(kept("mixed"), rows);
    // one answer in four is wrong
    assert_eq!(kept("accepted"), rows - rows / 4);
    assert_eq!(kept("formatted"), rows - rows / 4);
}

fn write_traces(world: &World, rows: u64) {
    let file = fs_err::File::create(world.home().join("traces.jsonl")).unwrap();
    let mut file = BufWriter::new(file);
    for row in 0..rows {
        let (sum, said) = (row + 3, if row % 4 == 3 { row + 4 } else { row + 3 });
        let thought =
            "I take the first number and add the second one to it, slowly, digit after digit. "
                .repeat(4);
        writeln!(
            file,
            r#"{{"id":"{row:016x}","domain":"math","prompt":"What is {row} + 3?","answer":"{sum}","tests":"","response":"{thought}\n\nThe answer is \\boxed{{{said}}}."}}"#
        )
        .unwrap();
    }
    file.flush().unwrap();
}

/// The largest resident size so far, as the system tells it.
fn peak_kib(status: &str) -> Option<u64> {
    let text = fs_err::read_to_string(status).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
