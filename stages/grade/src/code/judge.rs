//! Judging a program: starting it, feeding it, and comparing on this side.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{PoisonError, RwLock};

use serde_json::{Value, json};

use super::bench::{Bench, setup};
use super::roles::Role;
use super::{CallCase, Detail, Layers, Limits, SandboxError, StdioCase, Tests, compare};

/// A verdict in the making.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) detail: Detail,
    pub(super) case: Option<usize>,
    pub(super) reason: String,
}

impl Outcome {
    pub(super) fn new(detail: Detail, case: Option<usize>, reason: String) -> Self {
        Self {
            detail,
            case,
            reason,
        }
    }

    fn passed(what: String) -> Self {
        Self::new(Detail::Passed, None, what)
    }
}

/// Ordinary runs share it; a run that must be alone has it to itself.
static MACHINE: RwLock<()> = RwLock::new(());

/// Judges, and if the time ran out, judges what was late once more with no other program of ours beside it: a busy
/// machine must not decide.
pub(super) fn judge(
    tests: &Tests,
    program: &str,
    limits: &Limits,
    layers: &Layers,
    warm: bool,
) -> Result<Outcome, SandboxError> {
    let bench = Bench::new(program, tests.language(), limits, layers, warm)?;
    let first = {
        let _shared = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
        surely(&bench, tests, program, 0)?
    };
    if !matches!(first.detail, Detail::Timeout { .. }) {
        return Ok(first);
    }
    let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    surely(&bench, tests, program, first.case.unwrap_or(0))
}

/// A worker that was killed, by the machine or by hand, is no fault of the program: then it runs without one.
fn surely(
    bench: &Bench<'_>,
    tests: &Tests,
    program: &str,
    from: usize,
) -> Result<Outcome, SandboxError> {
    match attempt(bench, tests, from) {
        Err(SandboxError::Setup { .. }) if bench.is_warm() => {
            attempt(&bench.cold(program)?, tests, from)
        }
        outcome => outcome,
    }
}

/// `from`: cases of `stdio` tests before this one are known to hold.
fn attempt(bench: &Bench<'_>, tests: &Tests, from: usize) -> Result<Outcome, SandboxError> {
    match tests {
        Tests::Stdio {
            cases, tolerance, ..
        } => stdio(bench, cases, *tolerance, from),
        Tests::Call { fn_name, cases, .. } => call(bench, fn_name, cases),
        Tests::Assert { code, .. } => assertions(bench, code),
    }
}

fn stdio(
    bench: &Bench<'_>,
    cases: &[StdioCase],
    tolerance: Option<f64>,
    from: usize,
) -> Result<Outcome, SandboxError> {
    for (number, case) in cases.iter().enumerate().skip(from) {
        let done = bench.run(Role::Start, case.stdin.as_bytes(), Vec::new(), None)?;
        if let Some((detail, reason)) = bench.trouble(&done) {
            return Ok(Outcome::new(detail, Some(number), reason));
        }
        let Ok(stdout) = std::str::from_utf8(&done.stdout) else {
            return Ok(Outcome::new(
                Detail::WrongAnswer,
                Some(number),
                "the output is not UTF-8".to_owned(),
            ));
        };
        if let Some(reason) = compare::text(&case.stdout, stdout, tolerance) {
            return Ok(Outcome::new(Detail::WrongAnswer, Some(number), reason));
        }
    }
    Ok(Outcome::passed(format!("{} cases hold", cases.len())))
}

/// A word the program cannot know beforehand.
fn token() -> Result<String, SandboxError> {
    let mut bytes = [0u8; 16];
    let mut source = fs_err::File::open("/dev/urandom").map_err(setup("drawing a token"))?;
    io::Read::read_exact(&mut source, &mut bytes).map_err(setup("drawing a token"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn pipe() -> Result<(OwnedFd, OwnedFd), SandboxError> {
    let (reader, writer) = io::pipe().map_err(setup("making a pipe"))?;
    Ok((reader.into(), writer.into()))
}

fn call(bench: &Bench<'_>, fn_name: &str, cases: &[CallCase]) -> Result<Outcome, SandboxError> {
    let token = token()?;
    let (report, writer) = pipe()?;
    let args: Vec<&Vec<Value>> = cases.iter().map(|case| &case.args).collect();
    let input = json!({ "token": token, "fn_name": fn_name, "cases": args }).to_string();
    let done = bench.run(Role::Call, input.as_bytes(), vec![writer], Some(report))?;
    let report = String::from_utf8_lossy(&done.report);
    let mut replies = report
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    for (number, case) in cases.iter().enumerate() {
        let reply = replies
            .next()
            .and_then(|line| line.strip_prefix(token.as_str()))
            .and_then(|line| serde_json::from_str::<Value>(line.trim()).ok());
        let Some(reply) = reply else {
            let (detail, reason) = bench.trouble(&done).unwrap_or_else(|| {
                (
                    Detail::RuntimeError,
                    "the program stopped before it answered".to_owned(),
                )
            });
            return Ok(Outcome::new(detail, Some(number), reason));
        };
        let (detail, reason) = match (
            reply.get("value"),
            reply.get("raised").and_then(Value::as_str),
        ) {
            (Some(value), None) if compare::values(&case.expected, value) => continue,
            (Some(value), None) => (
                Detail::WrongAnswer,
                format!(
                    "expected {}, got {}",
                    compare::shown(&case.expected.to_string()),
                    compare::shown(&value.to_string())
                ),
            ),
            (_, Some(raised)) if raised.starts_with("MemoryError") => {
                (Detail::Memory, raised.to_owned())
            }
            (_, Some(raised)) => (Detail::RuntimeError, compare::shown(raised)),
            (None, None) => (Detail::WrongAnswer, compare::shown(&reply.to_string())),
        };
        // As for assertions: too much output is that, whatever came first.
        let flood = bench.trouble(&done).filter(|_| done.flood);
        let (detail, reason) = flood.unwrap_or((detail, reason));
        return Ok(Outcome::new(detail, Some(number), reason));
    }
    // All answers came; how the program ends does not matter any more, but that it ends in its limits does.
    match bench.trouble(&done) {
        Some((detail, reason)) if detail.is_limit() => Ok(Outcome::new(detail, None, reason)),
        _ => Ok(Outcome::passed(format!("{} cases hold", cases.len()))),
    }
}

/// Two processes: `check.py` runs the test code and asks, `serve.py` runs the program and answers.
fn assertions(bench: &Bench<'_>, code: &str) -> Result<Outcome, SandboxError> {
    let other = bench.beside(code)?;
    let token = token()?;
    let (questions_in, questions_out) = pipe()?;
    let (answers_in, answers_out) = pipe()?;
    let (report, writer) = pipe()?;
    let (served, checked) = std::thread::scope(|scope| {
        let served =
            scope.spawn(|| bench.run(Role::Serve, b"", vec![questions_in, answers_out], None));
        let checked = other.run(
            Role::Check,
            token.as_bytes(),
            vec![answers_in, questions_out, writer],
            Some(report),
        );
        (served.join(), checked)
    });
    let served = served.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let checked = checked?;
    let report = String::from_utf8_lossy(&checked.report);
    let said = report
        .lines()
        .next()
        .and_then(|line| line.strip_prefix(token.as_str()))
        .and_then(|line| serde_json::from_str::<Value>(line).ok());
    let text = |key: &str| {
        said.as_ref()
            .and_then(|said| said.get(key))
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned()
    };
    let case = said
        .as_ref()
        .and_then(|said| said.get("case"))
        .and_then(Value::as_u64)
        .and_then(|n| usize::try_from(n).ok());
    // Whether it was killed before it answered is a race; that it wrote too much is not.
    if let Some((detail, reason)) = bench.trouble(&served).filter(|_| served.flood) {
        return Ok(Outcome::new(detail, None, reason));
    }
    Ok(match text("outcome").as_str() {
        "passed" => match bench
            .trouble(&served)
            .filter(|(detail, _)| detail.is_limit())
        {
            Some((detail, reason)) => Outcome::new(detail, None, reason),
            None => Outcome::passed("every assertion holds".to_owned()),
        },
        "malformed" => return Err(SandboxError::Tests(text("reason"))),
        "failed" => Outcome::new(Detail::WrongAnswer, case, compare::shown(&text("reason"))),
        "syntax" => Outcome::new(Detail::CompileError, None, compare::shown(&text("reason"))),
        "memory" => Outcome::new(Detail::Memory, case, compare::shown(&text("reason"))),
        "raised" => Outcome::new(Detail::RuntimeError, case, compare::shown(&text("reason"))),
        _ => {
            // The program's side went away, or one of them used up what it may.
            let (detail, reason) = bench
                .trouble(&served)
                .or_else(|| other.trouble(&checked))
                .unwrap_or_else(|| {
                    (
                        Detail::RuntimeError,
                        "the program stopped before the tests were done".to_owned(),
                    )
                });
            Outcome::new(detail, case, reason)
        }
    })
}
