//! `dag exec`: runs one task from standard input, events as JSON lines on standard output. What a stage
//! in a process of its own, or on another machine, is given.

use std::path::PathBuf;

use clap::Args;

use super::workspace::registry;
use super::{CommandResult, Failure};
use crate::render::Output;
use crate::{exit_codes, remotes};

/// Run one task from standard input.
#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// The folder of the pipeline, whose remotes count
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
}

pub(crate) fn run(args: &ExecArgs, output: &Output) -> CommandResult {
    let cancel = dag_engine::Cancel::new();
    let on_signal = cancel.clone();
    let signals = crate::signals::listen(move |_| on_signal.advance())
        .map_err(|error| Failure::new(exit_codes::ENVIRONMENT, error.to_string()))?;
    let input = std::io::BufReader::new(std::io::stdin());
    let published =
        dag_engine::serve_exec(&registry(), input, std::io::stdout(), &cancel, |cache| {
            // Without its remotes a task still runs.
            drop(remotes::connect(cache, &args.project, output));
        })
        .map_err(|error| {
            Failure::new(
                exit_codes::USAGE,
                format!("standard input holds no task: {error}"),
            )
        })?;
    Ok(match (published, signals.exit_code()) {
        (true, _) => exit_codes::OK,
        (false, Some(code)) => code,
        (false, None) => exit_codes::STAGE_FAILED,
    })
}
