//! `dag explain`: what an error code means and what to do.

use clap::Args;

use super::{CommandResult, Failure};
use crate::exit_codes;
use crate::render::Output;

/// Explain an error code.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A code such as D0101; without one, all are listed
    code: Option<String>,
}

pub(crate) fn run(args: &ExplainArgs, output: &Output) -> CommandResult {
    let Some(code) = &args.code else {
        let lines: Vec<String> = dag_engine::diagnostic::CODES
            .iter()
            .map(|code| format!("{}  {}", code.code, code.title))
            .collect();
        output.result(&lines.join("\n"));
        return Ok(exit_codes::OK);
    };
    match dag_engine::diagnostic::explain(code) {
        Some(page) => {
            output.result(&format!("{}: {}\n\n{}", page.code, page.title, page.text));
            Ok(exit_codes::OK)
        }
        None => Err(
            Failure::new(exit_codes::USAGE, format!("there is no code `{code}`"))
                .hint("`dag explain` lists them all"),
        ),
    }
}
