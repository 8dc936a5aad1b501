//! `dag grade`: the verdicts of filter and eval, on their own. One answer, a file of answers, a file of
//! programs; and whether what a data set calls right passes its own grading.
//!
//! Every row gives one JSON line, in the order of the rows. A verdict that is no pass is a result like
//! any other: the command fails only where nothing could be graded, and `selftest` where something
//! does not pass.

mod rows;
mod selftest;

use std::path::PathBuf;

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use dag_grade::answer::{self, Policy};
use dag_grade::code::{self, Limits, SandboxError};
use serde_json::{Map, Value, json};

use super::{CommandResult, Failure, chain};
use crate::exit_codes;
use crate::render::Output;
use rows::Rows;

/// Grade answers and programs.
#[derive(Debug, Subcommand)]
pub(crate) enum GradeCommand {
    /// Whether one answer is the gold answer
    Answer(AnswerArgs),
    /// Grade a file of answers, one JSON object a line
    Answers(AnswersArgs),
    /// Grade a file of programs with their tests, one JSON object a line
    Code(CodeArgs),
    /// Grade every gold answer against itself and every reference solution by its own tests
    Selftest(selftest::SelftestArgs),
}

/// One pair.
#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// The right answer, or a worked solution that marks it
    #[arg(long, allow_hyphen_values = true)]
    gold: String,
    /// The answer to grade: bare, or a whole response
    #[arg(long, allow_hyphen_values = true)]
    pred: String,
    /// What counts as the same answer where suites disagree
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Policy::PRESETS))]
    policy: Option<String>,
}

/// A file of pairs.
#[derive(Debug, Args)]
pub(crate) struct AnswersArgs {
    /// Rows with `gold` (or `answer`) and `pred` (or `completion`, `response`); `-` is standard input
    file: PathBuf,
    /// What counts as the same answer; by default the preset that a row's `suite` names
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Policy::PRESETS))]
    policy: Option<String>,
}

/// A file of programs.
#[derive(Debug, Args)]
pub(crate) struct CodeArgs {
    /// Rows with `program` (or `completion`, `response`) and tests in a layout of MBPP, HumanEval, APPS,
    /// TACO, LiveCodeBench or this program; `-` is standard input
    file: PathBuf,
    #[command(flatten)]
    sandbox: SandboxArgs,
}

/// What a program may use.
#[derive(Clone, Debug, Args)]
pub(crate) struct SandboxArgs {
    /// Processor time a test run, in seconds; twice that on the clock
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    cpu_s: f64,
    /// Address space, in MiB
    #[arg(long, default_value_t = 1024, value_name = "MIB")]
    memory_mb: u64,
    /// Run programs although this machine cannot isolate them
    #[arg(long)]
    unsafe_ok: bool,
}

impl SandboxArgs {
    fn limits(&self) -> Limits {
        Limits {
            cpu_s: self.cpu_s,
            wall_s: 2.0 * self.cpu_s,
            memory_mb: self.memory_mb,
            ..Limits::default()
        }
    }
}

pub(crate) fn run(command: &GradeCommand, output: &Output) -> CommandResult {
    match command {
        GradeCommand::Answer(args) => answer(args, output),
        GradeCommand::Answers(args) => answers(args, output),
        GradeCommand::Code(args) => programs(args, output),
        GradeCommand::Selftest(args) => selftest::run(args, output),
    }
}

fn answer(args: &AnswerArgs, output: &Output) -> CommandResult {
    let policy = policy(args.policy.as_deref(), None);
    let graded = answer::grade(&args.gold, &args.pred, &policy);
    output.result(&line(None, &graded).to_string());
    Ok(exit_codes::OK)
}

fn answers(args: &AnswersArgs, output: &Output) -> CommandResult {
    Rows::open(&args.file)?.map(
        |row| {
            let row = match row {
                Ok(row) => row,
                Err(reason) => return Ok(unread(None, &reason)),
            };
            let policy = policy(args.policy.as_deref(), row.get("suite"));
            Ok(match answer::grade_row(&row, &policy) {
                Ok(graded) => line(answer::row_id(&row), &graded),
                Err(error) => unread(answer::row_id(&row), &error.to_string()),
            })
        },
        |line| output.result(&line.to_string()),
    )?;
    Ok(exit_codes::OK)
}

fn programs(args: &CodeArgs, output: &Output) -> CommandResult {
    let limits = args.sandbox.limits();
    Rows::open(&args.file)?.map(
        |row| {
            let row = match row {
                Ok(row) => row,
                Err(reason) => return Ok(unread(None, &reason)),
            };
            let graded = code::grade_row(&row.to_string(), &limits, args.sandbox.unsafe_ok)
                .map_err(|error| sandbox(&error))?;
            serde_json::to_value(graded)
                .map_err(|error| Failure::new(exit_codes::ENVIRONMENT, error.to_string()))
        },
        |line| output.result(&line.to_string()),
    )?;
    Ok(exit_codes::OK)
}

/// The policy asked for; else the preset of the row's suite; else the default.
fn policy(asked: Option<&str>, suite: Option<&Value>) -> Policy {
    asked
        .or_else(|| suite.and_then(Value::as_str))
        .and_then(Policy::preset)
        .unwrap_or_default()
}

fn line(id: Option<&Value>, graded: &answer::Graded) -> Value {
    let mut line = named(id);
    line.insert("verdict".to_owned(), json!(graded.verdict));
    line.insert("rule".to_owned(), json!(graded.rule));
    line.insert("reason".to_owned(), json!(graded.reason));
    line.insert("extracted".to_owned(), json!(graded.extracted));
    Value::Object(line)
}

/// The line of a row that holds nothing to grade.
fn unread(id: Option<&Value>, reason: &str) -> Value {
    let mut line = named(id);
    line.insert("verdict".to_owned(), json!("error"));
    line.insert("rule".to_owned(), json!("row"));
    line.insert("reason".to_owned(), json!(reason));
    Value::Object(line)
}

fn named(id: Option<&Value>) -> Map<String, Value> {
    id.map(|id| ("id".to_owned(), id.clone()))
        .into_iter()
        .collect()
}

fn sandbox(error: &SandboxError) -> Failure {
    let failure = Failure::new(exit_codes::ENVIRONMENT, chain(error));
    match error.hint() {
        Some(hint) => failure.hint(hint.replace("unsafe_ok = true", "--unsafe-ok")),
        None => failure,
    }
}
