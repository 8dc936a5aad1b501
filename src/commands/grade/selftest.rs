//! `dag grade selftest`: what a data set calls right must pass. A gold answer that is not equal to itself
//! makes a problem that nobody can answer; a reference solution that fails its tests, one that nobody
//! can solve.

use std::path::PathBuf;

use clap::Args;
use dag_data::generate::{GenerateSettings, problems};
use dag_grade::answer::{self, Policy};
use dag_grade::code;
use serde_json::{Map, Value, json};

use super::rows::Rows;
use super::{SandboxArgs, policy, sandbox, unread};
use crate::commands::{CommandResult, Failure};
use crate::exit_codes;
use crate::render::{Output, Tone, count};

/// So many problems of every family are generated where no file is named.
const GENERATED: u32 = 50;

/// What to test.
#[derive(Debug, Args)]
pub(crate) struct SelftestArgs {
    /// Data sets as for `answers` and `code`; without one, generated problems of every family
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    sandbox: SandboxArgs,
}

/// What came of the golds and solutions so far.
#[derive(Default)]
struct Tally {
    golds: u64,
    solutions: u64,
    failed: Vec<Value>,
}

pub(crate) fn run(args: &SelftestArgs, output: &Output) -> CommandResult {
    let mut tally = Tally::default();
    for file in &args.files {
        Rows::open(file)?.map(
            |row| match row {
                Ok(row) => test(&row, &args.sandbox),
                Err(reason) => Ok(vec![Tested::Unread(unread(None, &reason))]),
            },
            |tested| tally.take(tested, &file.display().to_string()),
        )?;
    }
    if args.files.is_empty() {
        for problem in problems(&GenerateSettings::new(GENERATED), 0) {
            let problem = problem
                .map_err(|error| Failure::new(exit_codes::ENVIRONMENT, error.to_string()))?;
            let row = json!({
                "id": problem.id,
                "gold": problem.answer,
                "tests": problem.tests,
                "response": problem.solution,
            });
            tally.take(test(&row, &args.sandbox)?, &problem.family);
        }
    }
    if output.is_json() {
        output.document(&json!({
            "golds": tally.golds,
            "solutions": tally.solutions,
            "failed": tally.failed,
        }));
    } else {
        for line in &tally.failed {
            output.result(&line.to_string());
        }
        let tone = if tally.failed.is_empty() {
            Tone::Good
        } else {
            Tone::Bad
        };
        output.say(
            tone,
            "Tested",
            &format!(
                "{} gold answers and {} reference solutions; {} do not pass",
                count(tally.golds),
                count(tally.solutions),
                count(tally.failed.len() as u64)
            ),
        );
    }
    Ok(if tally.failed.is_empty() {
        exit_codes::OK
    } else {
        exit_codes::STAGE_FAILED
    })
}

/// One thing that was graded against itself, and the line that says how if it does not pass.
enum Tested {
    Gold(Option<Value>),
    Solution(Option<Value>),
    Unread(Value),
}

impl Tally {
    fn take(&mut self, tested: Vec<Tested>, source: &str) {
        for one in tested {
            let line = match one {
                Tested::Gold(line) => {
                    self.golds += 1;
                    line
                }
                Tested::Solution(line) => {
                    self.solutions += 1;
                    line
                }
                Tested::Unread(line) => Some(line),
            };
            if let Some(Value::Object(mut line)) = line {
                line.insert("source".to_owned(), json!(source));
                self.failed.push(Value::Object(line));
            }
        }
    }
}

/// Grades what a row calls right: its gold answer, its reference solution, or both.
fn test(row: &Value, limits: &SandboxArgs) -> Result<Vec<Tested>, Failure> {
    let Value::Object(fields) = row else {
        return Ok(vec![Tested::Unread(unread(
            None,
            "the row is no JSON object",
        ))]);
    };
    let mut tested = Vec::new();
    if has_tests(fields) {
        match reference(fields) {
            Some(program) => {
                let mut row = fields.clone();
                row.extend(program);
                let graded = code::grade_row(
                    &Value::Object(row).to_string(),
                    &limits.limits(),
                    limits.unsafe_ok,
                )
                .map_err(|error| sandbox(&error))?;
                let line = (!graded.verdict.is_pass()).then(|| json!(graded));
                tested.push(Tested::Solution(line));
            }
            None => tested.push(Tested::Unread(unread(
                answer::row_id(row),
                "the row has tests and no reference solution",
            ))),
        }
    } else if let Some(gold) = ["gold", "answer"]
        .iter()
        .find_map(|name| text(fields, name))
    {
        let policy: Policy = policy(None, fields.get("suite"));
        let graded = answer::grade(&gold, &gold, &policy);
        let line = (!graded.verdict.is_pass()).then(|| super::line(answer::row_id(row), &graded));
        tested.push(Tested::Gold(line));
    } else {
        tested.push(Tested::Unread(unread(
            answer::row_id(row),
            "the row has neither a gold answer nor tests",
        )));
    }
    Ok(tested)
}

fn has_tests(row: &Map<String, Value>) -> bool {
    [
        "tests",
        "test_list",
        "test",
        "input_output",
        "input_output_field",
        "public_test_cases",
    ]
    .iter()
    .any(|name| row.get(*name).is_some_and(|tests| !tests.is_null()))
}

/// The field under which grading finds the reference solution, whatever the data set calls it.
fn reference(row: &Map<String, Value>) -> Option<Map<String, Value>> {
    let program = |text: String| Map::from_iter([("program".to_owned(), json!(text))]);
    if text(row, "program").is_some() || text(row, "response").is_some() {
        return Some(Map::new());
    }
    // MBPP; HumanEval, whose solution goes on where the prompt ends; APPS and TACO, a list or its JSON text
    if let Some(code) = text(row, "code") {
        return Some(program(code));
    }
    if let Some(rest) = text(row, "canonical_solution") {
        return Some(program(format!(
            "{}{rest}",
            text(row, "prompt").unwrap_or_default()
        )));
    }
    let solutions: Vec<Value> = match row.get("solutions")? {
        Value::Array(solutions) => solutions.clone(),
        Value::String(json) => serde_json::from_str(json).ok()?,
        _ => return None,
    };
    Some(program(solutions.first()?.as_str()?.to_owned()))
}

fn text(row: &Map<String, Value>, name: &str) -> Option<String> {
    match row.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
