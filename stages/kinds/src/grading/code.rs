//! Programs and their tests. A program runs in the sandbox once: what may come out differently the next time, an error
//! or a timeout on the clock, is never remembered.

use std::sync::atomic::{AtomicU64, Ordering};

use dag_cache::{RowKey, RowMemo, canon};
use dag_engine::StageError;
use dag_grade::Verdict;
use dag_grade::code::{self, Detail, Limits, SandboxError, Tests, extract_program};
use serde::{Deserialize, Serialize};

use super::{Graded, GradingOptions, error, unparsable};

/// A change of what the sandbox says is a new version: what was remembered before is not asked any more.
const VERSION: u32 = 3;

/// Grades programs.
pub(super) struct Coder<'a> {
    limits: Limits,
    unsafe_ok: bool,
    memo: Option<&'a RowMemo>,
    ran: AtomicU64,
}

/// What the memo holds of a program.
#[derive(Serialize, Deserialize)]
struct Remembered {
    verdict: Verdict,
    rule: String,
    reason: String,
}

impl<'a> Coder<'a> {
    pub(super) fn new(options: &GradingOptions, memo: Option<&'a RowMemo>) -> Self {
        let seconds = f64::from(options.timeout_s);
        let memory_mb = u64::from(options.memory_mb);
        // a busy machine gets twice the time on the clock
        let limits = Limits {
            cpu_s: seconds,
            wall_s: 2.0 * seconds,
            memory_mb,
            ..Limits::default()
        };
        Self {
            limits,
            unsafe_ok: options.unsafe_ok,
            memo,
            ran: AtomicU64::new(0),
        }
    }

    /// The verdict of the program in a response.
    pub(super) fn grade(&self, tests: &str, response: &str) -> Result<Graded, StageError> {
        let parsed = match Tests::parse(tests) {
            Ok(parsed) => parsed,
            Err(fault) => return Ok(error(&format!("the tests cannot be read: {fault}"))),
        };
        let Some(program) = extract_program(response, parsed.language(), false) else {
            return Ok(unparsable("no program in the response"));
        };
        let key = self.key(tests, &program);
        let found = self.memo.map(|memo| memo.get(&key)).transpose()?.flatten();
        if let Some(Remembered {
            verdict,
            rule,
            reason,
        }) = found.and_then(|row| serde_json::from_slice(&row).ok())
        {
            return Ok(Graded {
                verdict,
                rule,
                reason,
                extracted: Some(program),
            });
        }
        self.ran.fetch_add(1, Ordering::Relaxed);
        let judged = match code::run(&parsed, &program, &self.limits, self.unsafe_ok) {
            Ok(judged) => judged,
            Err(SandboxError::Tests(fault)) => {
                return Ok(error(&format!("the tests are malformed: {fault}")));
            }
            Err(fault) => {
                let failure = StageError::environment(fault.to_string());
                return Err(match fault.hint() {
                    Some(hint) => failure.with_hint(hint),
                    None => failure,
                });
            }
        };
        let remembered = Remembered {
            verdict: judged.verdict,
            rule: judged.rule,
            reason: judged.reason,
        };
        let lasting =
            judged.detail != Detail::Timeout { cpu: false } && judged.verdict != Verdict::Error;
        if let Some(memo) = self.memo.filter(|_| lasting) {
            memo.put(
                key,
                &serde_json::to_vec(&remembered).map_err(std::io::Error::from)?,
            )?;
        }
        let Remembered {
            verdict,
            rule,
            reason,
        } = remembered;
        Ok(Graded {
            verdict,
            rule,
            reason,
            extracted: Some(program),
        })
    }

    fn key(&self, tests: &str, program: &str) -> RowKey {
        let Limits {
            cpu_s,
            wall_s,
            memory_mb,
            output_bytes,
            processes,
        } = &self.limits;
        RowKey(canon::digest(
            "dag code verdict v1",
            &canon::Value::map([
                ("version", VERSION.into()),
                ("program", program.into()),
                ("tests", tests.into()), // the language is in them
                ("cpu_s", (*cpu_s).into()),
                ("wall_s", (*wall_s).into()),
                ("memory_mb", (*memory_mb).into()),
                ("output_bytes", (*output_bytes).into()),
                ("processes", (*processes).into()),
                ("unsafe_ok", self.unsafe_ok.into()),
            ]),
        ))
    }

    /// What the reader of the verdicts must know.
    pub(super) fn notes(&self) -> Vec<String> {
        match (self.unsafe_ok, self.ran.load(Ordering::Relaxed)) {
            (false, _) | (true, 0) => Vec::new(),
            (true, ran) => vec![format!(
                "{ran} programs ran with `unsafe_ok`: layers of the sandbox may be missing"
            )],
        }
    }
}
