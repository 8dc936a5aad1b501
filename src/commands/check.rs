//! `dag check`: every error of a pipeline file at once.

use clap::Args;
use dag_engine::diagnostic::json;
use serde_json::json;

use super::workspace::{drawn, pipeline_file, read, registry};
use super::{CommandResult, PipelineArgs};
use crate::exit_codes;
use crate::render::{Output, Tone, plural};

/// Check a pipeline file: every error at once, without a network.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,
}

pub(crate) fn run(args: &CheckArgs, output: &Output) -> CommandResult {
    let file = pipeline_file(args.pipeline.file.as_deref())?;
    let loaded = read(&file, &args.pipeline, &registry())?;
    let errors = loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.is_error())
        .count();
    let warnings = loaded.diagnostics.len() - errors;
    if output.is_json() {
        output.document(&json!({
            "file": file,
            "ok": errors == 0,
            "stages": loaded.pipeline.as_ref().map(|pipeline| pipeline.stages.len()),
            "diagnostics": json(&loaded.diagnostics),
        }));
    } else {
        if !loaded.diagnostics.is_empty() {
            output.text(drawn(&loaded, output).trim_end());
        }
        match &loaded.pipeline {
            Some(pipeline) if errors == 0 => {
                let stages = plural(pipeline.stages.len() as u64, "stage");
                let warned = if warnings == 0 {
                    String::new()
                } else {
                    format!(", {}", plural(warnings as u64, "warning"))
                };
                output.say(
                    Tone::Good,
                    "Checked",
                    &format!("{} · {stages}{warned}", file.display()),
                );
            }
            _ => output.say(
                Tone::Bad,
                "Refused",
                &format!(
                    "{} · {}; `dag explain CODE` says more",
                    file.display(),
                    plural(errors as u64, "error")
                ),
            ),
        }
    }
    Ok(if errors == 0 {
        exit_codes::OK
    } else {
        exit_codes::PIPELINE
    })
}
