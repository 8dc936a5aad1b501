//! `dag graph`: the stages, what each takes from which, and whether its result is there.

use std::collections::HashMap;

use clap::{Args, ValueEnum};
use dag_engine::event::StageOutcome;
use dag_engine::plan::{Scope, Status};
use dag_engine::{CacheLookups, Plan};
use serde_json::json;

use super::workspace::{open_cache_for, with_pipeline};
use super::{CommandResult, PipelineArgs};
use crate::exit_codes;
use crate::render::Output;

/// Draw the graph.
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// How
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Indented lines
    Text,
    /// Mermaid, for Markdown
    Mermaid,
    /// Graphviz
    Dot,
}

pub(crate) fn run(args: &GraphArgs, output: &Output) -> CommandResult {
    with_pipeline(&args.pipeline, output, |pipeline| {
        let cache = open_cache_for(&pipeline, output)?;
        let plan = super::plan::make(&pipeline, &Scope::all(), &CacheLookups::new(&cache))?;
        if output.is_json() {
            output.document(&json!({ "pipeline": pipeline.name, "stages": plan.stages }));
            return Ok(exit_codes::OK);
        }
        output.result(&match args.format {
            Format::Text => text(&plan),
            Format::Mermaid => mermaid(&plan),
            Format::Dot => dot(&plan),
        });
        Ok(exit_codes::OK)
    })
}

fn mark(status: &Status) -> &'static str {
    match status {
        Status::Cached | Status::Remote { .. } => "✓",
        Status::Run | Status::Resume { .. } => "▸",
        Status::Unknown { .. } => "·",
        Status::Blocked { .. } => "✗",
    }
}

fn text(plan: &Plan) -> String {
    let width = plan
        .stages
        .iter()
        .map(|stage| stage.stage.chars().count())
        .max()
        .unwrap_or(0);
    let mut lines = Vec::new();
    for stage in &plan.stages {
        let from = if stage.after.is_empty() {
            String::new()
        } else {
            format!("  ← {}", stage.after.join(", "))
        };
        lines.push(
            format!(
                "{} {:width$}  {:9}{from}",
                mark(&stage.status),
                stage.stage,
                stage.kind
            )
            .trim_end()
            .to_owned(),
        );
    }
    lines.push("\n✓ cached  ▸ runs  · after others  ✗ blocked".to_owned());
    lines.join("\n")
}

fn mermaid(plan: &Plan) -> String {
    let mut lines = vec!["flowchart LR".to_owned()];
    let ids: HashMap<&str, usize> = plan
        .stages
        .iter()
        .enumerate()
        .map(|(place, stage)| (stage.stage.as_str(), place))
        .collect();
    for (place, stage) in plan.stages.iter().enumerate() {
        let label = stage.stage.replace('"', "'");
        let class = if stage.status.is_there() {
            ":::cached"
        } else {
            ""
        };
        lines.push(format!("  s{place}[\"{label}<br/>{}\"]{class}", stage.kind));
        for from in stage.after.iter().filter_map(|name| ids.get(name.as_str())) {
            lines.push(format!("  s{from} --> s{place}"));
        }
    }
    lines.push("  classDef cached fill:#d8f0dc,stroke:#3a7d44".to_owned());
    lines.join("\n")
}

fn dot(plan: &Plan) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut lines = vec![
        "digraph pipeline {".to_owned(),
        "  rankdir=LR; node [shape=box];".to_owned(),
    ];
    for stage in &plan.stages {
        let style = if stage.status.is_there() {
            " style=filled fillcolor=\"#d8f0dc\""
        } else {
            ""
        };
        let name = quoted(&stage.stage);
        lines.push(format!(
            "  {name} [label={}{style}];",
            quoted(&format!("{}\n{}", stage.stage, stage.kind)).replace('\n', "\\n")
        ));
        lines.extend(
            stage
                .after
                .iter()
                .map(|from| format!("  {} -> {name};", quoted(from))),
        );
    }
    lines.push("}".to_owned());
    lines.join("\n")
}

/// How a stage ended, in a word.
pub(crate) fn state_word(outcome: Option<StageOutcome>) -> &'static str {
    match outcome {
        Some(StageOutcome::Cached) => "cached",
        Some(StageOutcome::Ran) => "ran",
        Some(StageOutcome::Failed) => "failed",
        Some(StageOutcome::Skipped) => "skipped",
        Some(StageOutcome::Interrupted) => "interrupted",
        None => "unknown",
    }
}
