//! Judging a program: starting it, feeding it, and comparing on this side.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use serde_json::{Value, json};

use super::process::{Finished, watch};
use super::{CallCase, Detail, Language, Layers, Limits, SandboxError, StdioCase, Tests, compare};

const START: &str = include_str!("start.py");
const CALL: &str = concat!(include_str!("wire.py"), include_str!("call.py"));
/// What both sides of `assert` tests speak comes before what each of them does.
const SERVE: &str = concat!(
    include_str!("wire.py"),
    include_str!("codec.py"),
    "\n",
    include_str!("serve.py")
);
const CHECK: &str = concat!(
    include_str!("wire.py"),
    include_str!("codec.py"),
    "\n",
    include_str!("check.py")
);

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

fn setup(step: &'static str) -> impl Fn(io::Error) -> SandboxError {
    move |source| SandboxError::Setup { step, source }
}

/// One program in its folder: `program` is read-only to it, `box/work` is its own.
struct Bench<'a> {
    folder: tempfile::TempDir,
    language: Language,
    limits: &'a Limits,
    layers: &'a Layers,
}

impl<'a> Bench<'a> {
    fn new(
        program: &str,
        language: Language,
        limits: &'a Limits,
        layers: &'a Layers,
    ) -> Result<Self, SandboxError> {
        let folder = tempfile::Builder::new()
            .prefix("dag-run-")
            .tempdir()
            .map_err(setup("making a folder"))?;
        let bench = Self {
            folder,
            language,
            limits,
            layers,
        };
        let root = bench.folder.path();
        fs_err::create_dir(root.join("box")).map_err(setup("making a folder"))?;
        fs_err::create_dir(root.join("box/work")).map_err(setup("making a folder"))?;
        fs_err::write(bench.program(), program).map_err(setup("writing the program"))?;
        for path in [
            root.to_owned(),
            root.join("box"),
            root.join("box/work"),
            bench.program(),
        ] {
            if let Some(owner) = layers.owner() {
                std::os::unix::fs::chown(path, Some(owner), Some(owner))
                    .map_err(setup("handing over the folder"))?;
            }
        }
        Ok(bench)
    }

    fn program(&self) -> std::path::PathBuf {
        self.folder.path().join("program")
    }

    /// Without a mount namespace, what the last case wrote is removed before the next one starts.
    fn clean(&self) -> Result<(), SandboxError> {
        if self.layers.mount_ns {
            return Ok(());
        }
        let work = self.folder.path().join("box/work");
        fs_err::remove_dir_all(&work).map_err(setup("emptying the folder"))?;
        fs_err::create_dir(&work).map_err(setup("making a folder"))?;
        if let Some(owner) = self.layers.owner() {
            std::os::unix::fs::chown(&work, Some(owner), Some(owner))
                .map_err(setup("handing over the folder"))?;
        }
        Ok(())
    }

    /// `keep` are the descriptors the process has besides the standard three.
    fn run(
        &self,
        arguments: &[&str],
        input: &[u8],
        keep: Vec<OwnedFd>,
        report: Option<OwnedFd>,
    ) -> Result<Finished, SandboxError> {
        let root = self.folder.path();
        let mut confinement = self.layers.confine(
            self.language,
            self.limits,
            &root.join("box"),
            &self.program(),
        )?;
        confinement.keep = keep;
        let mut command = Command::new(self.layers.interpreter(self.language)?);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LANG", "C.UTF-8");
        if self.language == Language::Python {
            command.args(["-I", "-S", "-E", "-B"]);
        }
        command.args(arguments);
        confinement.apply(&mut command);
        let most = usize::try_from(self.limits.output_bytes).unwrap_or(usize::MAX);
        watch(command, input, report, self.limits.wall(), most)
            .map_err(setup("starting the program"))
    }

    fn program_text(&self) -> Result<String, SandboxError> {
        self.program()
            .to_str()
            .map(str::to_owned)
            .ok_or_else(|| SandboxError::Setup {
                step: "naming the program",
                source: io::Error::from(io::ErrorKind::InvalidInput),
            })
    }

    /// Why a process did not end well. None where it did.
    fn trouble(&self, done: &Finished) -> Option<(Detail, String)> {
        if done.flood {
            return Some((
                Detail::OutputLimit,
                format!("wrote more than {} bytes", self.limits.output_bytes),
            ));
        }
        if done.late {
            return Some((
                Detail::Timeout { cpu: false },
                format!("took longer than {} s", self.limits.wall_s),
            ));
        }
        // The kernel kills by its own clock ticks, which may run ahead of the time it reports: it is given a second
        // more than the limit, and the limit is held here.
        let cpu = done.cpu.as_secs_f64();
        let killed = done.status.signal() == Some(libc::SIGKILL) && cpu > self.limits.cpu_s / 2.0;
        if cpu > self.limits.cpu_s || killed {
            return Some((
                Detail::Timeout { cpu: true },
                format!("took {cpu:.1} s of processor time"),
            ));
        }
        if done.status.success() {
            return None;
        }
        let stderr = String::from_utf8_lossy(&done.stderr);
        let last = stderr.trim_end().lines().last().unwrap_or("").trim();
        let error = last.split([':', ' ']).next().unwrap_or("");
        let python = self.language == Language::Python;
        let detail = match error {
            "MemoryError" if python => Detail::Memory,
            "SyntaxError" | "IndentationError" | "TabError" if python => Detail::CompileError,
            _ if stderr.contains("Syntax error:") && !python => Detail::CompileError,
            _ => Detail::RuntimeError,
        };
        let how = match (done.status.code(), done.status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => "no exit status".to_owned(),
        };
        Some((
            detail,
            if last.is_empty() {
                how
            } else {
                format!("{how}: {}", compare::shown(last))
            },
        ))
    }
}

pub(super) fn judge(
    tests: &Tests,
    program: &str,
    limits: &Limits,
    layers: &Layers,
) -> Result<Outcome, SandboxError> {
    let bench = Bench::new(program, tests.language(), limits, layers)?;
    match tests {
        Tests::Stdio {
            cases, tolerance, ..
        } => stdio(&bench, cases, *tolerance),
        Tests::Call { fn_name, cases, .. } => call(&bench, fn_name, cases),
        Tests::Assert { code, .. } => assertions(&bench, code),
    }
}

fn stdio(
    bench: &Bench<'_>,
    cases: &[StdioCase],
    tolerance: Option<f64>,
) -> Result<Outcome, SandboxError> {
    let program = bench.program_text()?;
    let arguments: Vec<&str> = match bench.language {
        Language::Python => vec!["-c", START, &program],
        Language::Sh => vec![&program],
    };
    for (number, case) in cases.iter().enumerate() {
        if number > 0 {
            bench.clean()?;
        }
        let done = bench.run(&arguments, case.stdin.as_bytes(), Vec::new(), None)?;
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
    let channel = writer.as_raw_fd().to_string();
    let args: Vec<&Vec<Value>> = cases.iter().map(|case| &case.args).collect();
    let input = json!({ "token": token, "fn_name": fn_name, "cases": args }).to_string();
    let done = bench.run(
        &["-c", CALL, &bench.program_text()?, &channel],
        input.as_bytes(),
        vec![writer],
        Some(report),
    )?;
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
    let other = Bench::new(code, Language::Python, bench.limits, bench.layers)?;
    let token = token()?;
    let (questions_in, questions_out) = pipe()?;
    let (answers_in, answers_out) = pipe()?;
    let (report, writer) = pipe()?;
    let names = [
        &questions_in,
        &answers_out,
        &answers_in,
        &questions_out,
        &writer,
    ]
    .map(|fd| fd.as_raw_fd().to_string());
    let (program, tests) = (bench.program_text()?, other.program_text()?);
    let (served, checked) = std::thread::scope(|scope| {
        let served = scope.spawn(|| {
            bench.run(
                &["-c", SERVE, &program, &names[0], &names[1]],
                b"",
                vec![questions_in, answers_out],
                None,
            )
        });
        let checked = other.run(
            &["-c", CHECK, &tests, &names[2], &names[3], &names[4]],
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
