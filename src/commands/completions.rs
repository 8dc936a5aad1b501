//! `dag completions`: scripts for shells.

use clap::{Args, Command};
use clap_complete::Shell;

use super::CommandResult;
use crate::exit_codes;

/// Print a completion script for a shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, command: &mut Command) -> CommandResult {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "dag", &mut script);
    // a closed pipe is no error
    drop(std::io::Write::write_all(&mut std::io::stdout(), &script));
    Ok(exit_codes::OK)
}
