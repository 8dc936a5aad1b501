//! Ten thousand programs, a tenth of them hostile: `DAG_SLOW=1 cargo test --release -p dag-grade --test it load::
//! -- --nocapture`. Without `DAG_SLOW`, two hundred. Memory stays, and no process, mount or file is left.

use std::sync::atomic::{AtomicUsize, Ordering};

use dag_grade::code::{Detail, Language, Limits, Tests, run};
use rayon::prelude::*;

use crate::attacks::{descendants, mounts};
use crate::code::{ASSERT, CALL, DOUBLE, ready};

/// Each does what it does until it is stopped.
const HOSTILE: [(&str, Detail); 10] = [
    ("import os\nwhile True: os.fork()", Detail::ProcessLimit),
    (
        "x = []\nwhile True: x.append('a' * (1 << 20) + str(len(x)))",
        Detail::Memory,
    ),
    ("while True: print('x' * 10000)", Detail::OutputLimit),
    (
        "f = open('x', 'wb')\nwhile True: f.write(b'x' * 65536)",
        Detail::OutputLimit,
    ),
    (
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        Detail::ProcessLimit,
    ),
    (
        "import os, signal\nos.kill(os.getpid(), 9)\nos.abort()",
        Detail::RuntimeError,
    ),
    ("import ctypes\nctypes.string_at(0)", Detail::RuntimeError),
    (
        "import os\nfor fd in range(256):\n    try: os.close(fd)\n    except OSError: pass\nos._exit(0)",
        Detail::WrongAnswer,
    ),
    ("import mmap\nx = mmap.mmap(-1, 1 << 40)", Detail::Memory),
    ("while True: pass", Detail::Timeout { cpu: true }),
];

fn limits() -> Limits {
    Limits {
        cpu_s: 0.9,
        wall_s: 30.0,
        memory_mb: 128,
        output_bytes: 1 << 20,
        processes: 8,
    }
}

/// Bytes that this process and all below it hold in memory.
fn resident() -> u64 {
    let own = std::process::id();
    let pids = descendants().into_iter().map(|(pid, _)| pid).chain([own]);
    pids.filter_map(|pid| {
        let statm = fs_err::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        statm.split(' ').nth(1)?.parse::<u64>().ok()
    })
    .sum::<u64>()
        * 4096
}

#[test]
#[expect(clippy::print_stderr, reason = "the figures are for people")]
fn many_programs_leave_nothing_behind() {
    if !ready(Language::Python) {
        return;
    }
    let count = if std::env::var_os("DAG_SLOW").is_some() {
        10_000
    } else {
        200
    };
    let kinds = [DOUBLE, CALL, ASSERT].map(|tests| Tests::parse(tests).unwrap());
    let mounts_before = mounts();
    let started = std::time::Instant::now();
    let done = AtomicUsize::new(0);
    let batch = |numbers: std::ops::Range<usize>| {
        numbers.into_par_iter().for_each(|number: usize| {
            let [stdio, call, assert] = &kinds;
            if number.is_multiple_of(10) {
                let (program, detail) = HOSTILE[number / 10 % HOSTILE.len()];
                let judged = run(stdio, program, &limits(), false).unwrap();
                assert_eq!(judged.detail, detail, "{program}: {judged:?}");
            } else {
                let right = number.is_multiple_of(2);
                let sum = if right { "n + n" } else { "n + 2 * n" };
                let (tests, program) = match number % 3 {
                    0 => (stdio, format!("n = int(input())\nprint({sum})")),
                    1 => (call, format!("def f(n): return {sum}")),
                    _ => (assert, format!("def f(n): return {sum}")),
                };
                let judged = run(tests, &program, &limits(), false).unwrap();
                assert_eq!(judged.verdict.is_pass(), right, "{program}: {judged:?}");
            }
            done.fetch_add(1, Ordering::Relaxed);
        });
    };
    batch(0..count / 5);
    let early = resident();
    batch(count / 5..count);
    let late = resident();
    eprintln!(
        "{} programs in {:.1} s; {} MiB after a fifth of them, {} MiB at the end",
        done.load(Ordering::Relaxed),
        started.elapsed().as_secs_f64(),
        early >> 20,
        late >> 20
    );
    assert!(late < early + early / 2 + (64 << 20), "{early} {late}");
    assert_eq!(mounts(), mounts_before);
}
