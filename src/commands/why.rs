//! `dag why`: which setting, which input, which line made a stage run again.

use clap::Args;
use dag_engine::CacheLookups;
use dag_engine::plan::Scope;

use super::workspace::{open_cache_for, with_pipeline};
use super::{CommandResult, Failure, PipelineArgs};
use crate::exit_codes;
use crate::render::{Output, short, short_key};

/// Say why a stage runs again: which setting, which input, which line.
#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// The stage
    stage: String,
    #[command(flatten)]
    pipeline: PipelineArgs,
}

pub(crate) fn run(args: &WhyArgs, output: &Output) -> CommandResult {
    with_pipeline(&args.pipeline, output, |pipeline| {
        let cache = open_cache_for(&pipeline, output)?;
        let lookups = CacheLookups::new(&cache);
        let scope = Scope {
            targets: vec![args.stage.clone()],
            ..Scope::all()
        };
        let plan = super::plan::make(&pipeline, &scope, &lookups)?;
        let Some(why) = plan.why(&pipeline, &args.stage, &lookups) else {
            return Err(Failure::new(
                exit_codes::USAGE,
                format!("there is no stage `{}`", args.stage),
            ));
        };
        if output.is_json() {
            output.document(&serde_json::to_value(&why).unwrap_or_default());
            return Ok(exit_codes::OK);
        }
        let cached = plan
            .stage(&args.stage)
            .is_some_and(|stage| stage.status.is_there());
        let mut text = match (cached, &why.key) {
            (true, Some(key)) => format!("`{}` is cached: {}", why.stage, short_key(key)),
            (_, Some(key)) => format!("`{}` will run: {}", why.stage, short_key(key)),
            (_, None) => format!("`{}` waits for stages before it", why.stage),
        };
        match &why.before {
            Some(before) => text.push_str(&format!(
                "\ncompared with {} of run {}",
                short_key(&before.key),
                short(&before.run)
            )),
            None if why.changes.is_empty() => text.push_str("\nnothing to compare it with"),
            None => {}
        }
        text.push('\n');
        for change in &why.changes {
            text.push_str(&format!("\n  {change}"));
            if let Some(line) = change.line() {
                text.push_str(&format!(
                    "\n    {}:{}  {}",
                    line.file,
                    line.line,
                    line.text.trim()
                ));
            }
        }
        output.result(&text);
        Ok(exit_codes::OK)
    })
}
