//! `dag schema`: the JSON Schema of pipeline files, for editors.

use clap::Args;
use dag_engine::Registry;

use super::CommandResult;
use super::workspace::registry;
use crate::exit_codes;
use crate::render::Output;

/// Print the JSON Schema of pipeline files.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {}

/// The schema as text.
pub(crate) fn text(registry: &Registry) -> String {
    let mut text =
        serde_json::to_string_pretty(&dag_engine::pipeline::schema(registry)).unwrap_or_default();
    text.push('\n');
    text
}

pub(crate) fn run(_: &SchemaArgs, output: &Output) -> CommandResult {
    output.result(&text(&registry()));
    Ok(exit_codes::OK)
}
