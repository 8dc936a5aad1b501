//! Programs against tests: honest ones, broken ones, and ones that cheat.

use std::path::Path;
use std::time::Instant;

use dag_grade::Verdict;
use dag_grade::code::{CodeVerdict, Detail, Language, Limits, Sandbox, SandboxError, Tests, run};

/// Whether programs of this language can be run here; says so where not.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn ready(language: Language) -> bool {
    let layers = Sandbox::probe();
    let interpreter = layers.interpreter(language).is_ok();
    let isolated = layers.isolates_language(language);
    if !(interpreter && isolated) {
        eprintln!(
            "skipped: no {} or no isolation here: {layers:?}",
            language.as_str()
        );
    }
    interpreter && isolated
}

pub(crate) fn limits() -> Limits {
    Limits {
        cpu_s: 2.0,
        wall_s: 20.0,
        memory_mb: 256,
        output_bytes: 1 << 20,
        processes: 8,
    }
}

fn judged_within(tests: &str, program: &str, limits: &Limits) -> CodeVerdict {
    run(&Tests::parse(tests).unwrap(), program, limits, false).unwrap()
}

fn judged(tests: &str, program: &str) -> CodeVerdict {
    judged_within(tests, program, &limits())
}

pub(crate) const DOUBLE: &str = r#"{"kind":"stdio","language":"python","cases":[{"stdin":"2\n","stdout":"4\n"},{"stdin":"5\n","stdout":"10\n"}]}"#;
pub(crate) const SILENT: &str =
    r#"{"kind":"stdio","language":"python","cases":[{"stdin":"","stdout":"done"}]}"#;
pub(crate) const CALL: &str = r#"{"kind":"call","fn_name":"f","language":"python","cases":[{"args":[2],"expected":4},{"args":[5],"expected":10}]}"#;
pub(crate) const ASSERT: &str = r#"{"kind":"assert","language":"python","code":"assert f(2) == 4\nassert f(5) == 10\nassert f(0) != 1\n"}"#;

fn check(tests: &str, program: &str, expected: Detail) {
    if ready(Language::Python) {
        let judged = judged(tests, program);
        assert_eq!(judged.detail, expected, "{program}\n{judged:?}");
        assert_eq!(judged.verdict, expected.verdict());
        assert!(!judged.reason.is_empty());
    }
}

#[test]
fn right_programs_pass() {
    check(DOUBLE, "print(2 * int(input()))", Detail::Passed);
    check(
        DOUBLE,
        "import sys\nprint(2 * int(sys.stdin.read()))\nexit()",
        Detail::Passed,
    );
    check(
        DOUBLE,
        "def main():\n    print(2 * int(input()))\nif __name__ == '__main__':\n    main()",
        Detail::Passed,
    );
    check(CALL, "def f(n): return n + n", Detail::Passed);
    check(
        CALL,
        "class Solution:\n    def f(self, n): return n * 2.0",
        Detail::Passed,
    );
    check(ASSERT, "def f(n): return n + n", Detail::Passed);
}

#[test]
fn wrong_programs_fail_and_say_where() {
    if !ready(Language::Python) {
        return;
    }
    for (tests, program, reason) in [
        (
            DOUBLE,
            "print(2 + int(input()))",
            "line 1: expected `10`, got `7`",
        ),
        (CALL, "def f(n): return n + 2", "expected 10, got 7"),
        (
            ASSERT,
            "def f(n): return n + 2",
            "assertion 2 does not hold",
        ),
    ] {
        let judged = judged(tests, program);
        let seen = (
            judged.verdict,
            judged.detail,
            judged.failing_case,
            judged.reason.as_str(),
        );
        assert_eq!(seen, (Verdict::Fail, Detail::WrongAnswer, Some(1), reason));
    }
}

#[test]
fn broken_programs_say_how() {
    for tests in [DOUBLE, CALL, ASSERT] {
        check(tests, "def f(:\n", Detail::CompileError);
        check(tests, "raise ValueError('no')", Detail::RuntimeError);
        check(
            tests,
            "import os; os.kill(os.getpid(), 9)\nos.abort()",
            Detail::RuntimeError,
        );
        check(tests, "   \n", Detail::NoProgram);
    }
    check(CALL, "def g(n): return n", Detail::RuntimeError);
    check(ASSERT, "def g(n): return n", Detail::RuntimeError);
    check(CALL, "def f(n): return f(n)", Detail::RuntimeError);
    check(CALL, "def f(n): return object()", Detail::RuntimeError);
}

#[test]
fn memory_is_bounded() {
    check(DOUBLE, "x = 'a' * (1 << 30)", Detail::Memory);
    check(CALL, "def f(n): return [0] * (1 << 28)", Detail::Memory);
    check(
        ASSERT,
        "x = [0] * (1 << 28)\ndef f(n): return 2 * n",
        Detail::Memory,
    );
}

#[test]
fn output_is_bounded() {
    check(
        DOUBLE,
        "while True: print('x' * 10000)",
        Detail::OutputLimit,
    );
    check(
        DOUBLE,
        "import sys\nwhile True: sys.stderr.write('x' * 10000)",
        Detail::OutputLimit,
    );
    check(
        CALL,
        "def f(n): return 'x' * (1 << 22)",
        Detail::OutputLimit,
    );
    check(
        ASSERT,
        "def f(n):\n    while True: print('x' * 10000)",
        Detail::OutputLimit,
    );
}

#[test]
fn time_is_bounded() {
    if !ready(Language::Python) {
        return;
    }
    let quick = Limits {
        cpu_s: 1.0,
        wall_s: 8.0,
        ..limits()
    };
    let brief = Limits {
        wall_s: 0.5,
        ..limits()
    };
    for tests in [SILENT, CALL, ASSERT] {
        let started = Instant::now();
        let program = "import signal\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n    except Exception: pass\nwhile True: pass";
        let busy = judged_within(tests, program, &quick);
        assert_eq!(busy.verdict, Verdict::Timeout, "{busy:?}");
        let idle = judged_within(
            tests,
            "import time\ndef f(n): time.sleep(60)\ntime.sleep(60)",
            &brief,
        );
        assert_eq!(idle.detail, Detail::Timeout { cpu: false }, "{idle:?}");
        assert!(started.elapsed().as_secs_f64() < 15.0);
    }
}

#[test]
fn a_program_has_a_folder_of_its_own_and_what_it_needs() {
    check(
        SILENT,
        "open('x', 'w').write('done')\nprint(open('x').read())",
        Detail::Passed,
    );
    check(
        SILENT,
        "import os; os.listdir('/usr')\nprint('done')",
        Detail::Passed,
    );
    check(
        SILENT,
        "import threading\nthreading.Thread(target=print, args=('done',)).start()",
        Detail::Passed,
    );
    check(
        SILENT,
        "import collections, heapq, itertools, re, math, random, bisect, functools, decimal, json, datetime, typing\nprint('done')",
        Detail::Passed,
    );
    // Each case starts in an empty one.
    let twice = r#"{"kind":"stdio","language":"python","cases":[{"stdin":"","stdout":"0"},{"stdin":"","stdout":"0"}]}"#;
    check(
        twice,
        "import os\nprint(len(os.listdir()))\nopen('x', 'w')",
        Detail::Passed,
    );
}

#[test]
fn pipes_that_are_closed_or_not_read_do_no_harm() {
    let long = serde_json::json!({"kind": "stdio", "language": "python",
        "cases": [{"stdin": "x".repeat(1 << 20), "stdout": "done"}]});
    check(&long.to_string(), "print('done')", Detail::Passed);
    check(
        &long.to_string(),
        "import sys\nsys.stdin.close()\nprint('done')",
        Detail::Passed,
    );
    check(
        &long.to_string(),
        "print('done' if len(input()) == 1 << 20 else 'cut')",
        Detail::Passed,
    );
    check(SILENT, "import os; os.close(1)", Detail::WrongAnswer);
    check(
        SILENT,
        "import sys\nsys.stdout.buffer.write(b'done\\xff\\xfe')",
        Detail::WrongAnswer,
    );
    check(
        SILENT,
        "import sys\nprint('done')\nsys.stdout.flush()\nsys.stdin.read()",
        Detail::Passed,
    );
}

#[test]
fn shell_programs_run_and_are_bounded() {
    if !ready(Language::Sh) {
        return;
    }
    let tests =
        r#"{"kind":"stdio","language":"sh","cases":[{"stdin":"b\na\n","stdout":"a\nb\n"}]}"#;
    for (program, detail) in [
        ("sort", Detail::Passed),
        (
            "cat | sort | awk '{ print $1 }' 2>/dev/null",
            Detail::Passed,
        ),
        ("cat > x; sort x; rm x", Detail::Passed),
        ("cat", Detail::WrongAnswer),
        ("if", Detail::CompileError),
        ("exit 3", Detail::RuntimeError),
        ("sort; (sleep 100 &) ; exit 0", Detail::Passed),
        (
            "sort; setsid sleep 100 > /dev/null 2>&1 & sort",
            Detail::Passed,
        ),
        ("cat /etc/passwd; ls /; ls /tmp; sort", Detail::Passed),
        ("cp /bin/true ./x; ./x && sort", Detail::RuntimeError),
    ] {
        let started = Instant::now();
        let judged = judged(tests, program);
        assert_eq!(judged.detail, detail, "{program}: {judged:?}");
        assert!(started.elapsed().as_secs_f64() < 10.0, "{program}");
    }
    let quick = Limits {
        cpu_s: 1.0,
        wall_s: 3.0,
        ..limits()
    };
    for bomb in [
        "b() { b | b & }; b; sleep 100",
        "while :; do sleep 100 & done",
    ] {
        assert!(!judged_within(tests, bomb, &quick).verdict.is_pass());
    }
    let left = fs_err::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .filter(|process| {
            fs_err::read(process.path().join("cmdline"))
                .is_ok_and(|line| line.starts_with(b"sleep\x00100\x00"))
        });
    assert_eq!(left.count(), 0, "a sleeping process was left behind");
}

#[test]
fn asserted_values_cross_as_what_they_are() {
    let assert = |code: &str| {
        serde_json::json!({"kind": "assert", "language": "python", "code": code}).to_string()
    };
    for (code, program) in [
        (
            "assert f() == (1, [2], {3: {4}})",
            "def f(): return 1, [2], {3: {4}}",
        ),
        (
            "assert f() != [1]\nassert f() == (1,)",
            "def f(): return (1,)",
        ),
        (
            "assert list(f()) == [0, 1]",
            "def f(): return (n for n in range(2))",
        ),
        ("x = [3, 1]\nf(x)\nassert x == [1, 3]", "def f(x): x.sort()"),
        (
            "try:\n    f()\n    assert False\nexcept ValueError as e:\n    assert 'no' in str(e)",
            "def f(): raise ValueError('no')",
        ),
        (
            "def check(candidate):\n    assert candidate(1) == 2\ncheck(f)",
            "def f(n): return n + 1\ndef check(c): pass",
        ),
        (
            "assert math.isclose(f(), 0.3)",
            "import math\ndef f(): return 0.1 + 0.2",
        ),
        ("assert sum(1, 2) == 3", "def sum(a, b): return a + b"),
        ("assert f() == 10 ** 5000", "def f(): return 10 ** 5000"),
        (
            "assert f() == {'a': 2}",
            "from collections import Counter\ndef f(): return Counter('aa')",
        ),
        (
            "assert f() is None and g() is True",
            "def f(): pass\ndef g(): return True",
        ),
    ] {
        check(&assert(code), program, Detail::Passed);
    }
    check(
        &assert("assert f(Pair(1, 2)) == 3"),
        "class Pair:\n    def __init__(self, a, b): self.s = a + b\ndef f(p): return p.s",
        Detail::Passed,
    );
    let sly = "class A:\n    def __eq__(self, o): return True\ndef f(): return A()";
    check(&assert("assert f() == 3"), sly, Detail::WrongAnswer);
    check(&assert("assert [f()] == [3]"), sly, Detail::WrongAnswer);
    check(
        &assert("assert set(f()) == {1}"),
        "def f(): return [2]\ndef set(x): return 1",
        Detail::WrongAnswer,
    );
    // It answers the tests itself, and says that `f` is no function, so that its `sorted` might be what is tested.
    let forger = r#"
import fcntl, json, os
ends = {}
for fd in range(3, 64):
    try: ends[fcntl.fcntl(fd, fcntl.F_GETFL) & 3] = fd
    except OSError: pass
def say(message): os.write(ends[1], json.dumps(message).encode() + b"\n")
say({"names": {"f": {"value": True}, "sorted": {"call": True}}})
for line in os.fdopen(ends[0]):
    question = json.loads(line)
    value = {"o": 0} if question["do"] == "read" else []
    say({"value": value, "args": [], "seq": question["seq"]})
"#;
    check(
        &assert("assert sorted(f(), key=int) == sorted([3], key=int)"),
        forger,
        Detail::WrongAnswer,
    );
    check(
        &assert("assert math.isclose(f(), 3)"),
        "class math:\n    isclose = lambda *a: True\ndef f(): return 1",
        Detail::WrongAnswer,
    );
    check(
        &assert("assert math.isclose(f(), 3)"),
        "class M:\n    def isclose(self, *a): return True\nmath = M()\ndef f(): return 1",
        Detail::WrongAnswer,
    );
    for comparing in [
        "assert 3 in f()",
        "assert f() < 5",
        "assert not f() != 3",
        "assert f() == f()",
        "assert 3 == f()",
        "assert f().x == 3",
        "assert f() in [3]",
        "assert isinstance(f(), int) and f() + 1 == 4",
    ] {
        let sly = "class A:\n    def __eq__(self, o): return True\n    __lt__ = __gt__ = __contains__ = __instancecheck__ = __eq__\n    def __ne__(self, o): return False\n    def __add__(self, o): return 4\n    def __getattr__(self, n):\n        if n[:2] == '__': raise AttributeError(n)\n        return A()\n    def __iter__(self): return iter([A()])\ndef f(): return A()";
        if ready(Language::Python) {
            let judged = judged(&assert(comparing), sly);
            assert_eq!(judged.verdict, Verdict::Fail, "{comparing}: {judged:?}");
        }
    }
    check(
        &assert("assert type(f()) is int"),
        "class A(int): pass\ndef f(): return True",
        Detail::WrongAnswer,
    );
}

#[test]
fn tests_that_check_nothing_are_refused() {
    for tests in [
        "",
        "{}",
        r#"{"kind":"stdio","language":"python","cases":[]}"#,
        r#"{"kind":"assert","language":"python","code":"f()"}"#,
        r#"{"kind":"call","fn_name":"f","language":"sh","cases":[{"args":[],"expected":1}]}"#,
        r#"{"kind":"call","fn_name":"f","language":"python","cases":[{"args":[],"expected":1}],"extra":1}"#,
    ] {
        assert!(Tests::parse(tests).is_err(), "{tests}");
    }
    if ready(Language::Python) {
        for code in ["assert f(", "# assert nothing"] {
            let tests = Tests::parse(
                &serde_json::json!({"kind": "assert", "language": "python", "code": code})
                    .to_string(),
            );
            let result = run(&tests.unwrap(), "def f(): pass", &limits(), false);
            assert!(matches!(result, Err(SandboxError::Tests(_))), "{result:?}");
        }
    }
}

#[test]
fn many_programs_run_at_once() {
    if !ready(Language::Python) {
        return;
    }
    use rayon::prelude::*;
    let tests = Tests::parse(CALL).unwrap();
    (0..64).into_par_iter().for_each(|number: u32| {
        let right = number.is_multiple_of(2);
        let program = if right {
            "def f(n): return 2 * n"
        } else {
            "def f(n): return n"
        };
        assert_eq!(
            run(&tests, program, &limits(), false)
                .unwrap()
                .verdict
                .is_pass(),
            right
        );
    });
}

/// Reference programs with their own tests, every sixteenth of them (all with `DAG_ALL_PROGRAMS=1`).
#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn reference_programs_hold_their_tests() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/code/mbpp_cases.jsonl");
    let Ok(text) = fs_err::read_to_string(&file) else {
        eprintln!("skipped: {} is not here", file.display());
        return;
    };
    if !ready(Language::Python) {
        return;
    }
    use rayon::prelude::*;
    let every = if std::env::var_os("DAG_ALL_PROGRAMS").is_some() {
        1
    } else {
        16
    };
    let rows: Vec<serde_json::Value> = text
        .lines()
        .step_by(every)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let wrong: Vec<String> = rows
        .par_iter()
        .filter_map(|row| {
            let code = row["tests"].as_str().unwrap();
            let tests = Tests::Assert {
                language: Language::Python,
                code: code.to_owned(),
            };
            let judged = run(
                &tests,
                row["program"].as_str().unwrap(),
                &Limits::default(),
                false,
            );
            let passed = judged.as_ref().is_ok_and(|judged| judged.verdict.is_pass());
            (passed != row["expected"].as_bool().unwrap())
                .then(|| format!("{} {}: {judged:?}", row["suite"], row["id"]))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:#?}",
        wrong.len(),
        rows.len()
    );
}
