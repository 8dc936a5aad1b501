//! A warm worker and a fresh interpreter say the same of every program.

use dag_grade::code::{Language, Limits, Sandbox, Tests, run, run_cold};
use proptest::prelude::*;

use crate::attacks::{Runner, descendants};
use crate::code::{ASSERT, CALL, DOUBLE, SILENT, ready};

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn warm() -> bool {
    let warm = ready(Language::Python) && Sandbox::probe().warm;
    if !warm {
        eprintln!("skipped: no warm workers here");
    }
    warm
}

fn limits() -> Limits {
    Limits {
        cpu_s: 1.0,
        wall_s: 10.0,
        memory_mb: 256,
        output_bytes: 1 << 16,
        processes: 8,
    }
}

/// All of a verdict.
fn said(runner: Runner, tests: &str, program: &str) -> String {
    let tests = Tests::parse(tests).unwrap();
    let judged = runner(&tests, program, &limits(), false).unwrap();
    format!("{judged:?}")
}

fn same(tests: &str, program: &str) {
    assert_eq!(
        said(run, tests, program),
        said(run_cold, tests, program),
        "{program}"
    );
}

/// Programs that look at what could differ: how a process starts and ends, and what it finds.
const PROGRAMS: &[&str] = &[
    "print('done')",
    "import atexit\natexit.register(print, 'done')",
    "import atexit\natexit.register(lambda: 1 / 0)\nprint('done')",
    "class A:\n    def __del__(self): print('done')\na = A()",
    "class A:\n    def __del__(self): print('done')\na = A()\na.a = a\ndel a",
    "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), print('done'))).start()",
    "import sys\nsys.stdout.write('do')\nsys.stdout.flush()\nsys.stdout.write('ne')",
    "import sys\nsys.exit('bad')",
    "import sys\nsys.exit(3)",
    "import sys\nprint('done')\nsys.exit()",
    "raise SystemExit(0)",
    "import os\nos._exit(7)",
    "print('done')\nraise KeyError('x')",
    "import os\nos.abort()",
    "import ctypes\nctypes.string_at(0)",
    "import sys\nprint(sorted(k for k in globals() if k[:2] != '__'), __name__, __doc__, sys.argv, sys.path[:1])",
    "import os, sys\nprint(os.getcwd() != '/', os.listdir(), os.getpid(), os.getppid(), sorted(os.environ))",
    "import sys\nprint(sys.stdin.encoding, sys.stdin.errors, sys.stdout.encoding, sys.stdout.errors, sys.stderr.errors)",
    "import sys\nprint(sys.stdin.isatty(), sys.stdin.seekable(), sys.stdout.seekable(), sys.stdout.line_buffering, sys.stdin.name)",
    "import sys\nprint(repr(sys.stdin.read()), sys.stdin.fileno(), repr(input))",
    "print(input())",
    "import resource\nprint([resource.getrlimit(n) for n in range(16) if n != 3])",
    "import os\nopen_ones = []\nfor fd in range(256):\n    try: os.fstat(fd)\n    except OSError: continue\n    open_ones.append(fd)\nprint(open_ones)",
    "print(hash('a'), {'a', 'b', 'c', 'd'})",
    "import sys\nprint(sys.getrecursionlimit(), sys.flags, sys.getswitchinterval(), 'ctypes' in sys.modules)",
    "def f(n): return f(n + 1)\nf(0)",
    "import signal\nprint([signal.getsignal(n) for n in (2, 13, 15, 17)])",
    "import os\nprint(os.getuid() == os.geteuid(), os.getgid() == os.getegid(), os.umask(0))",
    "import ctypes\nl = ctypes.CDLL(None)\nprint([l.prctl(n, 0, 0, 0, 0) for n in (3, 21, 39)], [l.prctl(23, n, 0, 0, 0) > 1 for n in range(8)])",
    "x = 'a' * (1 << 30)",
    "print('x' * 100000)",
    "import os\nos.fork()",
    "while True: pass",
    "def f(:",
    "x = '\\ud800'\nprint(x)",
    "# caf\u{e9}\nprint('\u{e9}\u{4e16}'.encode())",
    "import json, collections.abc, concurrent.futures, urllib.parse, xml.sax\nprint('done')",
    "import importlib\nprint(hasattr(importlib, 'util'))",
    "import sys\nsys.stdout.close()",
    "import sys\nsys.stdout = None",
    "import os\nos.close(1)\nprint('done')",
    "import sys\ndel sys.modules['__main__']\nprint('done')",
    "import __main__\nprint(sorted(k for k in vars(__main__) if k[:2] != '__'))",
    "def f(n): return 2 * n",
    "def f(n):\n    print('noise')\n    return n * 2.0",
    "class Solution:\n    def f(self, n): return n + n",
    "def f(n): return {'a': [n, (n,)]}",
    "def f(n): raise ValueError(n)",
    "import os\ndef f(n): os._exit(0)",
    "import sys\ndef f(n): sys.exit(0)",
];

#[test]
fn a_warm_run_is_one() {
    if !warm() {
        return;
    }
    // A worker that fails is made up for by a cold run, which says the same and costs more.
    let program = "import sys\nprint('heapq' in sys.modules and 'done')";
    assert!(said(run, SILENT, program).contains("Passed"));
    assert!(!said(run_cold, SILENT, program).contains("Passed"));
}

#[test]
fn programs_meet_the_same_world_and_end_the_same_way() {
    if !warm() {
        return;
    }
    use rayon::prelude::*;
    let all: Vec<_> = PROGRAMS
        .iter()
        .flat_map(|program| [SILENT, DOUBLE, CALL, ASSERT].map(|tests| (tests, *program)))
        .filter(|(tests, program)| *tests == SILENT || !program.starts_with("while"))
        .collect();
    all.par_iter()
        .for_each(|(tests, program)| same(tests, program));
}

#[test]
fn one_program_leaves_nothing_for_the_next() {
    if !warm() {
        return;
    }
    let tests =
        r#"{"kind":"stdio","language":"python","cases":[{"stdin":"","stdout":"[] False 1"}]}"#;
    let program = "import os, sys, math\nprint(os.listdir(), hasattr(math, 'mark'), len([]) + 1)\nopen('left', 'w').write('x')\nmath.mark = 1\nos.mkdir('d')\nimport builtins\nbuiltins.len = None";
    let tests = Tests::parse(tests).unwrap();
    for _ in 0..20 {
        let judged = run(&tests, program, &limits(), false).unwrap();
        assert!(judged.verdict.is_pass(), "{judged:?}");
    }
}

/// Whatever runs in them meanwhile: it is judged all the same.
#[test]
fn killing_the_workers_changes_no_verdict() {
    if !warm() {
        return;
    }
    let tests = Tests::parse(CALL).unwrap();
    for _ in 0..5 {
        let mut killed = 0;
        for (pid, depth) in descendants() {
            let line = fs_err::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let worker = String::from_utf8_lossy(&line).contains("A warm interpreter.");
            let pid = i32::try_from(pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid.filter(|_| worker && depth == 1) {
                // It may have ended by itself.
                killed += usize::from(
                    rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok(),
                );
            }
        }
        let judged = run(&tests, "def f(n): return 2 * n", &limits(), false).unwrap();
        assert!(judged.verdict.is_pass(), "{killed} killed: {judged:?}");
    }
}

/// Small programs over a few statements, right and wrong ones, with all ways to end.
fn programs() -> impl Strategy<Value = String> {
    let statement = prop_oneof![
        Just("n = int(input())".to_owned()),
        Just("print(2 * n)".to_owned()),
        Just("print(end='')".to_owned()),
        (0..9i32).prop_map(|n| format!("n = n + {n}")),
        (0..5u8).prop_map(|n| format!("if n > {n}: print(n)")),
        Just("n = [n] * 3".to_owned()),
        Just("import os, sys, math".to_owned()),
        Just("sys.stderr.write('e')".to_owned()),
        Just("print(sorted(os.listdir()))".to_owned()),
        Just("open(str(n), 'w').close()".to_owned()),
        (0..3u8).prop_map(|n| format!("sys.exit({n})")),
        Just("raise ValueError(n)".to_owned()),
        Just("print(math.sqrt(n), {'b', 'a', 'c'})".to_owned()),
        Just("def f(x): return x * n".to_owned()),
        Just("f = lambda x: 2 * x".to_owned()),
        Just("print(1 +".to_owned()),
    ];
    prop::collection::vec(statement, 1..7)
        .prop_map(|lines| format!("n = 2\n{}\n", lines.join("\n")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_program_has_the_same_verdict_warm_and_cold(program in programs()) {
        if warm() {
            for tests in [DOUBLE, CALL, ASSERT] {
                prop_assert_eq!(said(run, tests, &program), said(run_cold, tests, &program));
            }
        }
    }
}
