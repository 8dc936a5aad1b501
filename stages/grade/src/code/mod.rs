//! Running model-written programs against tests: a program in, a verdict out.
//!
//! What it promises:
//! * **The program never holds the verdict.** For `stdio` and `call` tests the expected values do not enter
//!   the sandbox: the comparison happens here. For `assert` tests one process runs the test code and another
//!   one the program; they exchange plain values over pipes, so nothing the program prints, raises, patches or
//!   exits with says "passed".
//! * **What is missing is never a verdict on the program**: no interpreter, no isolation and malformed tests
//!   are [`SandboxError`]s.
//! * **Isolation is achieved, or the run is refused** (unless the caller says `unsafe_ok`): no network, no files
//!   of the user, bounded time, memory, output and processes. [`Sandbox::probe`] tries each layer once.
//!
//! Limits hold for each process: every case of `stdio`, all cases of `call` together, both sides of `assert`.
//! A Python program starts no other process. The commands of a shell program share its memory evenly:
//! each may take `memory_mb / processes`. Since only namespaces bound and end them, shell programs need those.
//!
//! Not protected: test code that is itself hostile can pass anything. Only plain values travel between the two
//! sides of an `assert` test; an object of the program's own classes can be made and handed back, but not
//! looked into, so tests that do that, or that hand a function to the program, fail right programs too.

mod bench;
mod calls;
mod compare;
mod confine;
mod extract;
mod filters;
mod group;
mod judge;
mod language;
mod layers;
mod layouts;
mod pickled;
mod process;
mod roles;
mod row;
mod rules;
mod worker;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Verdict;

pub use extract::extract_program;
pub use language::Language;
pub use layers::{LayerReport, Layers, Sandbox};
pub use layouts::{assertion_tests, input_output_tests, live_code_bench_tests};
pub use pickled::{PackedFault, unpack_private_tests};
pub use row::{RowVerdict, grade_row};

/// One run of a program: what it reads and what it should write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdioCase {
    /// What the program reads.
    pub stdin: String,
    /// What it should write.
    pub stdout: String,
}

/// One call of a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallCase {
    /// The positional arguments.
    pub args: Vec<serde_json::Value>,
    /// The value it should return.
    pub expected: serde_json::Value,
}

/// The tests of one problem, as they stand in the `tests` column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Tests {
    /// Whole programs: standard input in, standard output compared token by token, line by line.
    Stdio {
        /// The language of the programs.
        language: Language,
        /// At least one.
        cases: Vec<StdioCase>,
        /// How far a number may be off, relative to the larger of 1 and the expected one. None: tokens are equal.
        #[serde(default)]
        tolerance: Option<f64>,
    },
    /// One function, called with JSON values. A method of a class `Solution` is found too.
    Call {
        /// The name of the function.
        fn_name: String,
        /// Python.
        language: Language,
        /// At least one.
        cases: Vec<CallCase>,
    },
    /// Test code with assertions that uses the names the program defines.
    Assert {
        /// Python.
        language: Language,
        /// The test code.
        code: String,
    },
}

impl Tests {
    /// Reads the JSON text of the `tests` column. Tests that check nothing are refused.
    ///
    /// ```
    /// use dag_grade::code::Tests;
    ///
    /// assert!(Tests::parse(r#"{"kind":"assert","language":"python","code":"assert f(1) == 2"}"#).is_ok());
    /// assert!(Tests::parse(r#"{"kind":"stdio","language":"sh","cases":[]}"#).is_err());
    /// ```
    pub fn parse(json: &str) -> Result<Tests, String> {
        let tests: Tests = serde_json::from_str(json).map_err(|error| error.to_string())?;
        tests.checked()
    }

    /// The JSON text as it stands in the `tests` column.
    pub fn to_json(&self) -> String {
        // A tree of plain values cannot fail to become JSON: its keys are texts.
        serde_json::to_value(self).map_or_else(|_| String::new(), |tests| tests.to_string())
    }

    fn checked(self) -> Result<Tests, String> {
        self.check()?;
        Ok(self)
    }

    /// The language of the programs.
    pub fn language(&self) -> Language {
        match self {
            Tests::Stdio { language, .. }
            | Tests::Call { language, .. }
            | Tests::Assert { language, .. } => *language,
        }
    }

    /// What judges: `stdio`, `call`, `assert`.
    pub fn rule(&self) -> &'static str {
        match self {
            Tests::Stdio { .. } => "stdio",
            Tests::Call { .. } => "call",
            Tests::Assert { .. } => "assert",
        }
    }

    fn check(&self) -> Result<(), String> {
        let empty = match self {
            Tests::Stdio {
                cases, tolerance, ..
            } => {
                if tolerance.is_some_and(|tolerance| !tolerance.is_finite() || tolerance < 0.0) {
                    return Err("`tolerance` is neither null nor a number from 0 up".to_owned());
                }
                cases.is_empty()
            }
            Tests::Call { cases, fn_name, .. } => cases.is_empty() || fn_name.trim().is_empty(),
            Tests::Assert { code, .. } => !code.contains("assert"),
        };
        if empty {
            return Err(format!("`{}` tests that check nothing", self.rule()));
        }
        if self.language() != Language::Python && !matches!(self, Tests::Stdio { .. }) {
            return Err(format!(
                "`{}` tests are for python, not {}",
                self.rule(),
                self.language().as_str()
            ));
        }
        Ok(())
    }
}

/// What one process of a program may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Processor time in seconds. The program is stopped up to a second later.
    pub cpu_s: f64,
    /// Time on the clock in seconds.
    pub wall_s: f64,
    /// Address space in MiB; the commands of a shell program share it.
    pub memory_mb: u64,
    /// Bytes on standard output, and on standard error, each; and in one file.
    pub output_bytes: u64,
    /// Processes of a shell program, or threads of a Python program, at once. A Python program is one process.
    pub processes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu_s: 10.0,
            wall_s: 20.0,
            memory_mb: 1024,
            output_bytes: 8 << 20,
            processes: 16,
        }
    }
}

impl Limits {
    fn wall(&self) -> Duration {
        Duration::try_from_secs_f64(self.wall_s.clamp(0.01, 86_400.0))
            .unwrap_or(Duration::from_secs(20))
    }
}

/// How a program came to its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Every case holds.
    Passed,
    /// It ran and gave something else.
    WrongAnswer,
    /// It ran out of time.
    Timeout {
        /// Processor time; otherwise time on the clock, which a busy machine can cause.
        cpu: bool,
    },
    /// It ran out of memory.
    Memory,
    /// It wrote too much.
    OutputLimit,
    /// It was refused another process or thread.
    ProcessLimit,
    /// It raised, crashed or stopped early.
    RuntimeError,
    /// It is no program of its language.
    CompileError,
    /// There is none.
    NoProgram,
}

impl Detail {
    /// Whether it took more than it may, whatever its answers were.
    pub(crate) fn is_limit(self) -> bool {
        matches!(self, Detail::Timeout { .. } | Detail::OutputLimit)
    }

    /// The verdict that follows.
    pub fn verdict(self) -> Verdict {
        match self {
            Detail::Passed => Verdict::Pass,
            Detail::Timeout { .. } => Verdict::Timeout,
            Detail::NoProgram => Verdict::Unparsable,
            Detail::WrongAnswer
            | Detail::Memory
            | Detail::OutputLimit
            | Detail::ProcessLimit
            | Detail::RuntimeError
            | Detail::CompileError => Verdict::Fail,
        }
    }
}

/// What became of one program.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeVerdict {
    /// Only [`Verdict::Pass`] is a pass.
    pub verdict: Verdict,
    /// What judged: `stdio`, `call`, `assert`.
    pub rule: String,
    /// How.
    pub detail: Detail,
    /// The first case that does not hold, from 0.
    pub failing_case: Option<usize>,
    /// A short sentence, with what was expected and what came.
    pub reason: String,
    /// The isolating layers that this machine lacks. The program ran without them.
    pub missing_layers: Vec<&'static str>,
}

/// Why a program could not be judged. Never its own fault.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The interpreter is not there.
    #[error("no {language} interpreter found", language = .0.as_str())]
    NoInterpreter(Language),
    /// The machine does not isolate, and the caller did not allow running without.
    #[error("programs cannot be isolated here: {missing}")]
    NotIsolated {
        /// The layers that are missing.
        missing: String,
        /// What the user can do.
        hint: String,
    },
    /// The tests cannot be run as they are.
    #[error("the tests are malformed: {0}")]
    Tests(String),
    /// The sandbox could not be set up.
    #[error("the sandbox could not be set up: {step}")]
    Setup {
        /// What was being done.
        step: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl SandboxError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            SandboxError::NoInterpreter(language) => Some(language.row().remedy.to_owned()),
            SandboxError::NotIsolated { hint, .. } => Some(hint.clone()),
            SandboxError::Tests(_) | SandboxError::Setup { .. } => None,
        }
    }
}

/// Runs a program against its tests. Blocks; many threads may call it at once.
///
/// ```no_run
/// use dag_grade::code::{self, Limits, Tests};
///
/// let tests = Tests::parse(r#"{"kind":"call","fn_name":"twice","language":"python","cases":[{"args":[2],"expected":4}]}"#)?;
/// let judged = code::run(&tests, "def twice(n):\n    return 2 * n\n", &Limits::default(), false)?;
/// assert!(judged.verdict.is_pass());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run(
    tests: &Tests,
    program: &str,
    limits: &Limits,
    unsafe_ok: bool,
) -> Result<CodeVerdict, SandboxError> {
    run_in(tests, program, limits, unsafe_ok, true)
}

/// As [`run`], but every process starts an interpreter of its own: slower, and the plain way that warm workers
/// must agree with.
pub fn run_cold(
    tests: &Tests,
    program: &str,
    limits: &Limits,
    unsafe_ok: bool,
) -> Result<CodeVerdict, SandboxError> {
    run_in(tests, program, limits, unsafe_ok, false)
}

fn run_in(
    tests: &Tests,
    program: &str,
    limits: &Limits,
    unsafe_ok: bool,
    warm: bool,
) -> Result<CodeVerdict, SandboxError> {
    tests.check().map_err(SandboxError::Tests)?;
    let layers = Sandbox::probe();
    let language = tests.language();
    let outcome = if program.trim().is_empty() {
        judge::Outcome::new(Detail::NoProgram, None, "there is no program".to_owned())
    } else if !language.row().functions && program.len() > bench::LONGEST_ARGUMENT {
        let most = bench::LONGEST_ARGUMENT;
        let reason = format!("a program of more than {most} bytes");
        judge::Outcome::new(Detail::CompileError, None, reason)
    } else {
        if !unsafe_ok && !layers.isolates_language(language) {
            return Err(layers.refusal(language));
        }
        judge::judge(tests, program, limits, layers, warm)?
    };
    Ok(CodeVerdict {
        verdict: outcome.detail.verdict(),
        rule: tests.rule().to_owned(),
        detail: outcome.detail,
        failing_case: outcome.case,
        reason: outcome.reason,
        missing_layers: layers.missing_layers(),
    })
}
