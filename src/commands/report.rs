//! `dag report`: the pages that `report` stages made, filled in with what ran.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use dag_cache::{ArtifactType, Record};
use dag_engine::event::StageOutcome;
use dag_engine::{Cache, CacheLookups, History, Pipeline, Scope};
use serde_json::{Value, json};

use super::workspace::{open_cache_for, with_pipeline};
use super::{CommandResult, Failure, PipelineArgs, chain};
use crate::exit_codes;
use crate::render::{Output, RunView, Tone};

/// Write the report of a pipeline again.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,
}

pub(crate) fn run(args: &ReportArgs, output: &Output) -> CommandResult {
    with_pipeline(&args.pipeline, output, |pipeline| {
        let cache = open_cache_for(&pipeline, output)?;
        let plan = super::plan::make(&pipeline, &Scope::all(), &CacheLookups::new(&cache))?;
        let records: BTreeMap<String, Arc<Record>> = plan
            .stages
            .iter()
            .filter_map(|stage| Some((stage.stage.clone(), Arc::new(stage.record()?.clone()))))
            .collect();
        let history = History::of(&cache);
        let view = history
            .latest(Some(&pipeline.name))
            .map_or_else(RunView::default, |run| {
                RunView::replay(history.events(&run.id).iter().map(|stamped| &stamped.event))
            });
        let written = write_all(&pipeline, &cache, &records, &view, output)?;
        if written.is_empty() {
            return Err(Failure::new(
                exit_codes::STAGE_FAILED,
                format!("no `report` stage of `{}` has a result yet", pipeline.name),
            )
            .hint("run the pipeline first, or add a stage of kind `report`"));
        }
        if output.is_json() {
            output.document(&json!({ "reports": written }));
        } else {
            for path in &written {
                output.result(&path.display().to_string());
            }
        }
        Ok(exit_codes::OK)
    })
}

/// Writes every report stage's page beside the pipeline, filled in with the run.
pub(crate) fn write_all(
    pipeline: &Pipeline,
    cache: &Cache,
    records: &BTreeMap<String, Arc<Record>>,
    view: &RunView,
    output: &Output,
) -> Result<Vec<PathBuf>, Failure> {
    let mut written = Vec::new();
    for stage in pipeline
        .stages
        .iter()
        .filter(|stage| stage.kind.name() == "report")
    {
        let Some(record) = records.get(&stage.name) else {
            continue;
        };
        let Some(page) = record.outputs.get(&record.main) else {
            continue;
        };
        if page.artifact != ArtifactType::Document {
            continue;
        }
        let environment =
            |error: &dyn std::error::Error| Failure::new(exit_codes::ENVIRONMENT, chain(error));
        let bytes = match cache.read_blob(&page.bytes) {
            Ok(bytes) => bytes,
            Err(error) => {
                output.say(
                    Tone::Warn,
                    "Report",
                    &format!("`{}`: {}", stage.name, chain(&error)),
                );
                continue;
            }
        };
        let html = dag_kinds::report::with_run(
            &String::from_utf8_lossy(&bytes),
            &told(pipeline, records, view),
        );
        let folder = super::run::report_folder(pipeline);
        fs_err::create_dir_all(&folder).map_err(|error| environment(&error))?;
        let path = folder.join(format!(
            "{}-{}.html",
            file_name(&pipeline.name),
            file_name(&stage.name)
        ));
        if fs_err::read_to_string(&path).ok().as_ref() != Some(&html) {
            fs_err::write(&path, html).map_err(|error| environment(&error))?;
        }
        written.push(path);
    }
    Ok(written)
}

/// The run as the page wants it: what ran, what was cached, from what, with which settings.
fn told(pipeline: &Pipeline, records: &BTreeMap<String, Arc<Record>>, view: &RunView) -> Value {
    let settings: BTreeMap<&str, _> = pipeline
        .stages
        .iter()
        .map(|stage| (stage.name.as_str(), &stage.settings_json))
        .collect();
    let stages: Vec<Value> = view
        .stages
        .iter()
        .map(|stage| {
            let report = stage.report.as_ref();
            let outputs: Vec<Value> = records
                .get(&stage.name)
                .map(|record| {
                    let mut outputs: Vec<_> = record.outputs.iter().collect();
                    outputs.sort_by_key(|(name, _)| (**name != record.main, (*name).clone()));
                    outputs
                        .into_iter()
                        .map(|(name, output)| {
                            json!({ "name": name, "rows": output.rows, "content": output.content })
                        })
                        .collect()
                })
                .unwrap_or_default();
            json!({
                "name": stage.name,
                "kind": stage.kind,
                "after": stage.after,
                "state": report.map_or("unknown", |report| match report.outcome {
                    StageOutcome::Cached => "cached",
                    StageOutcome::Ran => "ran",
                    StageOutcome::Failed => "failed",
                    StageOutcome::Skipped => "skipped",
                    StageOutcome::Interrupted => "interrupted",
                }),
                "seconds": report.map(|report| report.seconds),
                "key": report.and_then(|report| report.key),
                "outputs": outputs,
                "settings": settings.get(stage.name.as_str()),
            })
        })
        .collect();
    json!({
        "pipeline": pipeline.name,
        "run": view.run,
        "seconds": view.finished.as_ref().map(|finished| finished.seconds),
        "usd": view.finished.as_ref().map(|finished| finished.usd),
        "tool": env!("CARGO_PKG_VERSION"),
        "stages": stages,
    })
}

/// A name as part of a file's name.
fn file_name(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect()
}
