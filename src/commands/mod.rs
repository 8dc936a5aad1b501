//! One file a command: parse, call the engine once, render.

mod cache;
mod check;
mod completions;
mod doctor;
mod exec;
mod explain;
mod grade;
mod graph;
mod hub;
mod init;
mod logs;
mod plan;
mod report;
mod run;
mod schema;
mod show;
mod status;
mod sweep;
mod why;
mod workspace;

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::render::Output;

/// A declarative dataflow engine for reasoning-distillation research.
///
/// A TOML file declares a graph of stages; `dag run` runs what changed and reuses the rest.
#[derive(Debug, Parser)]
#[command(name = "dag", version = VERSION, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What every command understands.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Work as if started in this folder
    #[arg(short = 'C', long = "directory", global = true, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// One JSON document on standard output, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// How progress is shown: bars on a terminal, lines elsewhere
    #[arg(long, global = true, value_enum, default_value_t = ProgressStyle::Auto, value_name = "HOW")]
    pub(crate) progress: ProgressStyle,
    /// Only errors and the result
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// If standard error is a terminal and `NO_COLOR` is not set.
    Auto,
    /// Even into a file.
    Always,
    /// Never.
    Never,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressStyle {
    /// Bars on a terminal, lines elsewhere.
    Auto,
    /// Bars.
    Bar,
    /// A line for what is finished, now and then one for what is not.
    Plain,
    /// Events as JSON lines on standard error.
    Json,
    /// Nothing until the summary.
    None,
}

/// Which pipeline, and what to change in it.
#[derive(Clone, Debug, Args)]
pub(crate) struct PipelineArgs {
    /// The pipeline file; by default `dag.toml` here or in a folder above
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Change a setting: `--set sample.n=8`, `--set stage.field=value` in TOML's notation
    #[arg(long = "set", value_name = "STAGE.FIELD=VALUE")]
    sets: Vec<String>,
}

impl PipelineArgs {
    /// For commands whose words name something else.
    pub(crate) fn of(file: Option<PathBuf>, sets: Vec<String>) -> Self {
        Self { file, sets }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a new pipeline to start from
    Init(init::InitArgs),
    /// Check a pipeline file: every error at once, without a network
    Check(check::CheckArgs),
    /// Say what would run, why, and what it takes
    Plan(plan::PlanArgs),
    /// Run what changed
    Run(run::RunArgs),
    /// Say why a stage runs again: which setting, which input, which line
    Why(why::WhyArgs),
    /// Show a run: the latest, or one by its id
    Status(status::StatusArgs),
    /// Show what a stage put out: schema, rows, counts, where it lies
    Show(show::ShowArgs),
    /// Draw the graph
    Graph(graph::GraphArgs),
    /// Show the variants of a sweep, and after a run their results
    Sweep(sweep::SweepArgs),
    /// Write the report of a pipeline again
    Report(report::ReportArgs),
    /// Show the log of a run
    Logs(logs::LogsArgs),
    /// Look after the cache
    #[command(subcommand)]
    Cache(cache::CacheCommand),
    /// Grade answers and programs without a pipeline
    #[command(subcommand)]
    Grade(grade::GradeCommand),
    /// Say what this machine offers and what it lacks
    Doctor(doctor::DoctorArgs),
    /// Print the JSON Schema of pipeline files
    Schema(schema::SchemaArgs),
    /// Explain an error code
    Explain(explain::ExplainArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Run one task from standard input (what other processes and machines are given)
    #[command(hide = true)]
    Exec(exec::ExecArgs),
}

/// Parses this process's arguments and runs the command. Gives the exit code.
pub(crate) fn dispatch() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // a closed pipe is no error of ours
            drop(error.print());
            return u8::try_from(error.exit_code()).unwrap_or(crate::exit_codes::USAGE);
        }
    };
    let output = Output::new(&cli.global);
    if let Some(directory) = &cli.global.directory
        && let Err(error) = std::env::set_current_dir(directory)
    {
        output.fail(
            &format!("cannot work in `{}`: {error}", directory.display()),
            None,
        );
        return crate::exit_codes::USAGE;
    }
    let result = match cli.command {
        Command::Init(args) => init::run(&args, &output),
        Command::Check(args) => check::run(&args, &output),
        Command::Plan(args) => plan::run(&args, &output),
        Command::Run(args) => run::run(&args, &output),
        Command::Why(args) => why::run(&args, &output),
        Command::Status(args) => status::run(&args, &output),
        Command::Show(args) => show::run(&args, &output),
        Command::Graph(args) => graph::run(&args, &output),
        Command::Sweep(args) => sweep::run(&args, &output),
        Command::Report(args) => report::run(&args, &output),
        Command::Logs(args) => logs::run(&args, &output),
        Command::Cache(command) => cache::run(&command, &output),
        Command::Grade(command) => grade::run(&command, &output),
        Command::Doctor(args) => doctor::run(&args, &output),
        Command::Schema(args) => schema::run(&args, &output),
        Command::Explain(args) => explain::run(&args, &output),
        Command::Completions(args) => completions::run(&args, &mut Cli::command()),
        Command::Exec(args) => exec::run(&args, &output),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            output.fail(&failure.message, failure.hint.as_deref());
            failure.code
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The chain of an error's causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

type CommandResult = Result<u8, Failure>;
