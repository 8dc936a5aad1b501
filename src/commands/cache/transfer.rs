//! `dag cache push` and `pull`: results to colleagues and back, whenever somebody wants it.

use std::path::PathBuf;

use clap::Args;
use dag_cache::remote::Pushed;
use dag_cache::{CacheError, Lookup};
use dag_engine::plan::{Scope, Status};
use dag_engine::{Cache, CacheLookups, Pipeline};
use serde_json::json;

use crate::commands::workspace::{open_cache_for, with_pipeline};
use crate::commands::{CommandResult, Failure, PipelineArgs, chain, plan};
use crate::exit_codes;
use crate::render::{Output, Tone, bytes, plural};

/// Which results of which pipeline.
#[derive(Debug, Args)]
pub(crate) struct TransferArgs {
    /// Only these stages; by default all that have a result
    #[arg(value_name = "STAGE")]
    stages: Vec<String>,
    /// The pipeline file; by default `dag.toml` here or in a folder above
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Change a setting, as in `dag run`
    #[arg(long = "set", value_name = "STAGE.FIELD=VALUE")]
    sets: Vec<String>,
    /// Only this remote; by default all
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,
}

impl TransferArgs {
    fn pipeline(&self) -> PipelineArgs {
        PipelineArgs::of(self.file.clone(), self.sets.clone())
    }

    fn remotes(&self, cache: &Cache) -> Result<Vec<String>, Failure> {
        let names: Vec<String> = cache
            .remotes()
            .into_iter()
            .flat_map(|remotes| remotes.names().map(str::to_owned))
            .collect();
        match &self.remote {
            None if names.is_empty() => Err(Failure::new(
                exit_codes::USAGE,
                "there is no remote to go to",
            )
            .hint("`dag cache remote add NAME URL` writes one down")),
            None => Ok(names),
            Some(name) if names.contains(name) => Ok(vec![name.clone()]),
            Some(name) => Err(Failure::new(
                exit_codes::USAGE,
                format!("there is no remote `{name}`"),
            )
            .hint(if names.is_empty() {
                "`dag cache remote add NAME URL` writes one down".to_owned()
            } else {
                format!("there is {}", names.join(", "))
            })),
        }
    }
}

/// The stages that were asked for, in the plan's order.
fn chosen(
    args: &TransferArgs,
    pipeline: &Pipeline,
    cache: &Cache,
) -> Result<Vec<dag_engine::PlannedStage>, Failure> {
    // Unknown names are told by the plan.
    let scope = Scope {
        targets: args.stages.clone(),
        ..Scope::all()
    };
    let plan = plan::make(pipeline, &scope, &CacheLookups::new(cache))?;
    Ok(plan
        .stages
        .into_iter()
        .filter(|stage| args.stages.is_empty() || args.stages.contains(&stage.stage))
        .collect())
}

pub(crate) fn push(args: &TransferArgs, output: &Output) -> CommandResult {
    with_pipeline(&args.pipeline(), output, |pipeline| {
        let cache = open_cache_for(&pipeline, output)?;
        let remotes = args.remotes(&cache)?;
        let mut told = Vec::new();
        let (mut pushed, mut failed, mut kept) = (0, 0, 0);
        for stage in chosen(args, &pipeline, &cache)? {
            let shared = pipeline.stage(&stage.stage).is_none_or(|stage| stage.share);
            let Some(key) = stage.key.filter(|_| stage.record().is_some()) else {
                if !args.stages.is_empty() {
                    failed += 1;
                    output.say(
                        Tone::Bad,
                        "Not there",
                        &format!("`{}` has no result; `dag run` makes it", stage.stage),
                    );
                }
                continue;
            };
            if !shared {
                kept += 1;
                output.say(
                    Tone::Warn,
                    "Kept",
                    &format!("`{}` is not shared: it stays on this machine", stage.stage),
                );
                continue;
            }
            // It was made by a stage that was not shared then, and is now.
            cache
                .keep_private(&key, false)
                .map_err(|error| super::environment(&error))?;
            for remote in &remotes {
                match cache.push(&key, remote) {
                    Ok(report) => {
                        let text = outcome(&report.outcome);
                        let moved = if report.blobs + report.rows > 0 {
                            format!(
                                " · {}, {}, {}",
                                plural(report.blobs, "blob"),
                                bytes(report.bytes),
                                plural(report.rows, "row")
                            )
                        } else {
                            String::new()
                        };
                        pushed += 1;
                        let tone = match &report.outcome {
                            Pushed::New | Pushed::Same | Pushed::Replaced { .. } => Tone::Good,
                            Pushed::Adopted { .. } => Tone::Warn,
                        };
                        output.say(
                            tone,
                            "Pushed",
                            &format!("{} to `{remote}`: {text}{moved}", stage.stage),
                        );
                        told.push(json!({
                            "stage": stage.stage, "remote": remote, "outcome": text,
                            "blobs": report.blobs, "bytes": report.bytes, "rows": report.rows,
                        }));
                    }
                    Err(error @ CacheError::NoWriterKey) => {
                        return Err(Failure::new(exit_codes::ENVIRONMENT, error.to_string())
                            .hint("`dag cache key new` makes one, and colleagues trust it"));
                    }
                    Err(error) => {
                        failed += 1;
                        let text = chain(&error);
                        output.say(Tone::Bad, "Failed", &format!("{}: {text}", stage.stage));
                        told.push(json!({
                            "stage": stage.stage, "remote": remote, "error": text,
                        }));
                    }
                }
            }
        }
        if output.is_json() {
            output.document(&json!(told));
        } else if pushed + failed + kept == 0 {
            output.say(Tone::Warn, "Nothing", "no stage has a result yet");
        }
        Ok(if failed == 0 {
            exit_codes::OK
        } else {
            exit_codes::ENVIRONMENT
        })
    })
}

fn outcome(outcome: &Pushed) -> String {
    match outcome {
        Pushed::New => "new there".to_owned(),
        Pushed::Same => "there already".to_owned(),
        Pushed::Replaced { reason } => format!("over a record there: {reason}"),
        Pushed::Adopted { writer, .. } => {
            format!("{writer} has another result there for the same key; that one counts here now")
        }
    }
}

pub(crate) fn pull(args: &TransferArgs, output: &Output) -> CommandResult {
    with_pipeline(&args.pipeline(), output, |pipeline| {
        let cache = open_cache_for(&pipeline, output)?;
        args.remotes(&cache)?;
        let mut told = Vec::new();
        let (mut here, mut failed, mut absent) = (0, 0, 0);
        for stage in chosen(args, &pipeline, &cache)? {
            let Some(record) = stage.record() else {
                absent += 1;
                continue;
            };
            let remote = match &stage.status {
                Status::Remote { remote, .. } => remote.clone(),
                _ => {
                    here += 1;
                    continue;
                }
            };
            let pulled: Result<(), CacheError> = record
                .outputs
                .values()
                .try_for_each(|output| cache.pull(output));
            let whole = matches!(cache.lookup(&record.key), Lookup::Hit(_));
            match pulled {
                Ok(()) if whole => {
                    let size = record.outputs.values().map(|output| output.size).sum();
                    output.say(
                        Tone::Good,
                        "Pulled",
                        &format!("{} from `{remote}` · {}", stage.stage, bytes(size)),
                    );
                    told.push(json!({ "stage": stage.stage, "remote": remote, "bytes": size }));
                }
                Ok(()) => failed += 1,
                Err(error) => {
                    failed += 1;
                    let text = chain(&error);
                    output.say(Tone::Bad, "Failed", &format!("{}: {text}", stage.stage));
                    told.push(json!({ "stage": stage.stage, "remote": remote, "error": text }));
                }
            }
        }
        if output.is_json() {
            output.document(&json!(told));
        } else {
            output.say(
                if failed == 0 { Tone::Good } else { Tone::Bad },
                "Here",
                &format!(
                    "{} fetched, {here} here before, {absent} at no remote",
                    told.len() - failed
                ),
            );
        }
        Ok(if failed == 0 {
            exit_codes::OK
        } else {
            exit_codes::ENVIRONMENT
        })
    })
}
