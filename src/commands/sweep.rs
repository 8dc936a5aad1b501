//! `dag sweep`: the variants of a sweep, what they share, and after a run their results side by side.

use std::collections::{BTreeMap, HashMap};

use clap::Args;
use dag_engine::CacheLookups;
use dag_engine::plan::{PlannedStage, Scope};
use serde_json::json;

use super::workspace::{open_cache_for, with_pipeline};
use super::{CommandResult, PipelineArgs};
use crate::exit_codes;
use crate::render::{Output, plural, table};

/// Show the variants of a sweep, and after a run their results.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,
}

/// One stage of one variant.
struct Row {
    variant: BTreeMap<String, String>,
    stage: String,
    state: &'static str,
    metrics: BTreeMap<String, f64>,
}

pub(crate) fn run(args: &SweepArgs, output: &Output) -> CommandResult {
    with_pipeline(&args.pipeline, output, |pipeline| {
        let cache = open_cache_for(&pipeline, output)?;
        let plan = super::plan::make(&pipeline, &Scope::all(), &CacheLookups::new(&cache))?;
        let planned: HashMap<&str, &PlannedStage> = plan
            .stages
            .iter()
            .map(|planned| (planned.stage.as_str(), planned))
            .collect();
        let mut rows = Vec::new();
        for stage in pipeline
            .stages
            .iter()
            .filter(|stage| !stage.variant.is_empty())
        {
            let Some(planned) = planned.get(stage.name.as_str()) else {
                continue;
            };
            let metrics = planned
                .record()
                .map_or_else(BTreeMap::new, |record| record.metrics.clone());
            let state = if planned.status.is_there() {
                "cached"
            } else {
                "to run"
            };
            rows.push(Row {
                variant: stage.variant.clone(),
                stage: stage.name.clone(),
                state,
                metrics,
            });
        }
        let shared = pipeline
            .stages
            .iter()
            .filter(|stage| stage.variant.is_empty())
            .count();
        if output.is_json() {
            let list: Vec<_> = rows
                .iter()
                .map(|Row { variant, stage, state, metrics }| {
                    json!({ "stage": stage, "variant": variant, "state": state, "metrics": metrics })
                })
                .collect();
            output
                .document(&json!({ "pipeline": pipeline.name, "shared": shared, "stages": list }));
            return Ok(exit_codes::OK);
        }
        if rows.is_empty() {
            output.result(&format!(
                "{} has no [sweep]: {}",
                pipeline.name,
                plural(shared as u64, "stage")
            ));
            return Ok(exit_codes::OK);
        }
        let drawn = table(
            &["stage", "variant", "state", "measured"],
            rows.iter().map(
                |Row {
                     variant,
                     stage,
                     state,
                     metrics,
                 }| {
                    let variant: Vec<_> = variant
                        .iter()
                        .map(|(name, value)| format!("{name} = {value}"))
                        .collect();
                    let measured: Vec<_> = metrics
                        .iter()
                        .filter(|(name, _)| !name.contains('.'))
                        .take(4)
                        .map(|(name, value)| format!("{name} {value:.3}"))
                        .collect();
                    let family = super::plan::family(stage);
                    vec![
                        family.to_owned(),
                        variant.join(", "),
                        (*state).to_owned(),
                        measured.join(" · "),
                    ]
                },
            ),
        );
        output.result(&format!(
            "{} · {} of variants, {} shared by them\n\n{drawn}",
            pipeline.name,
            plural(rows.len() as u64, "stage"),
            plural(shared as u64, "stage"),
        ));
        Ok(exit_codes::OK)
    })
}
