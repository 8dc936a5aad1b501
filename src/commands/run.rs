//! `dag run`: runs what changed.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use dag_engine::event::{StageOutcome, StageReport};
use dag_engine::run::RunError;
use dag_engine::{
    CacheLookups, Cancel, CheckedStage, Pipeline, RunOptions, RunOutcome, Scope, Subprocess,
};

use super::workspace::{capacity, open_cache_for, registry, who, with_pipeline};
use super::{CommandResult, Failure, PipelineArgs, chain, hub};
use crate::exit_codes;
use crate::render::{Follow, Output, Tone, usd};
use crate::{places, signals};

/// Run what changed.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Run only this stage and what it needs (can be given more than once)
    #[arg(long = "until", value_name = "STAGE")]
    until: Vec<String>,
    /// Run this stage again although it is cached (can be given more than once)
    #[arg(long = "force", value_name = "STAGE")]
    force: Vec<String>,
    /// Cores that stages may keep busy at once; by default all
    #[arg(short, long, env = "DAG_JOBS", value_name = "N")]
    jobs: Option<u32>,
    /// Stop before more than this is spent, in USD; the pipeline's own budget otherwise
    #[arg(long, value_name = "USD")]
    budget: Option<f64>,
    /// Go on although the plan costs more than the budget
    #[arg(short, long)]
    yes: bool,
    /// After a failure, start nothing new
    #[arg(long)]
    fail_fast: bool,
    /// Use no network to find out what a hub name means
    #[arg(long, env = "DAG_OFFLINE", value_parser = clap::builder::FalseyValueParser::new())]
    offline: bool,
    /// Run every stage in a process of its own
    #[arg(long)]
    isolate: bool,
    /// Wait for colleagues who are at work on the same stages, instead of working beside them
    #[arg(long)]
    wait: bool,
}

pub(crate) fn run(args: &RunArgs, output: &Output) -> CommandResult {
    with_pipeline(&args.pipeline, output, |mut pipeline| {
        if !(args.offline || places::offline()) {
            hub::resolve(&mut pipeline, output)?;
        }
        let cache = open_cache_for(&pipeline, output)?;
        let scope = Scope {
            targets: args.until.clone(),
            force: args.force.clone(),
            force_all: false,
        };
        let Some(until_spent) = within_budget(args, &pipeline, &scope, &cache, output)? else {
            return Ok(exit_codes::BUDGET);
        };
        let options = RunOptions {
            scope,
            capacity: capacity(args.jobs),
            keep_going: !args.fail_fast,
            budget: args.budget,
            until_spent,
            by: who(),
            isolated: Some(Arc::new(
                Subprocess::current_exe(&pipeline.folder()).map_err(|error| {
                    Failure::new(
                        exit_codes::ENVIRONMENT,
                        format!("this program cannot find itself: {error}"),
                    )
                })?,
            )),
            isolate_all: args.isolate,
            wait: args.wait,
            ..RunOptions::cpus(1)
        };
        let cancel = Cancel::new();
        let on_signal = cancel.clone();
        let signals = signals::listen(move |count| {
            on_signal.advance();
            announce(count);
        })
        .map_err(|error| Failure::new(exit_codes::ENVIRONMENT, error.to_string()))?;
        let follow = Follow::new(output);
        let summary = dag_engine::run(
            &pipeline,
            &registry(),
            &cache,
            &options,
            Arc::clone(&follow) as _,
            &cancel,
        )
        .map_err(|error| match error {
            RunError::Graph(_) => Failure::new(exit_codes::PIPELINE, error.to_string()),
            RunError::Unknown(unknown) => super::plan::unknown_stage(&unknown),
            RunError::Record(_) => Failure::new(exit_codes::ENVIRONMENT, chain(&error)),
        })?;
        let view = follow.into_view();
        let quiet_success = view.all_cached();
        for (name, record) in &summary.records {
            // What the model measured is worth seeing once, when it is new.
            if !quiet_success && let Some(text) = super::show::scores(&cache, record) {
                output.text(&format!("\n{name}\n{text}\n"));
            }
        }
        let mut records = summary.records.clone();
        if quiet_success {
            // Who only asked whether anything is to be done is sent no page.
            let before = records.len();
            records.retain(|_, record| is_here(&cache, record));
            let named = |stage: &CheckedStage| {
                stage.kind.name() == "report" && !records.contains_key(&stage.name)
            };
            if records.len() < before && pipeline.stages.iter().any(named) {
                output.say(
                    Tone::Good,
                    "Report",
                    "at the remote; `dag report` fetches it",
                );
            }
        }
        let reports = super::report::write_all(&pipeline, &cache, &records, &view, output)?;
        if !output.is_json() {
            for report in summary
                .stages
                .iter()
                .filter(|report| report.outcome == StageOutcome::Failed)
            {
                tell_failure(report, output);
            }
        }
        for note in &summary.notes {
            output.say(Tone::Warn, "Note", note);
        }
        if !quiet_success {
            for report in &reports {
                output.say(Tone::Good, "Report", &report.display().to_string());
            }
        }
        if let Some((tone, verb, text)) = view.summary() {
            output.say(tone, verb, &text);
        }
        if output.is_json() {
            output.document(&serde_json::json!({
                "run": summary.id,
                "outcome": summary.outcome,
                "stages": summary.stages,
                "usage": summary.usage,
                "notes": summary.notes,
                "reports": reports,
            }));
        }
        Ok(match (summary.outcome, signals.exit_code()) {
            (RunOutcome::Succeeded, _) => exit_codes::OK,
            (RunOutcome::Interrupted, Some(code)) => {
                output.say(Tone::Warn, "Resume", &again(args));
                code
            }
            (RunOutcome::Interrupted, None) => exit_codes::INTERRUPTED,
            (RunOutcome::OutOfBudget, _) => exit_codes::BUDGET,
            (RunOutcome::Failed, _) => {
                output.say(Tone::Warn, "Resume", &again(args));
                exit_codes::STAGE_FAILED
            }
        })
    })
}

/// Whether the main output of a result is on this machine.
fn is_here(cache: &dag_engine::Cache, record: &dag_cache::Record) -> bool {
    record
        .outputs
        .get(&record.main)
        .is_none_or(|output| cache.blob_size(&output.bytes).is_some())
}

fn announce(count: u32) {
    let line = if count == 1 {
        "finishing what is under way; Ctrl-C again to stop now"
    } else {
        "stopping now; what was finished is kept"
    };
    crate::render::interrupt_line(line);
}

fn again(args: &RunArgs) -> String {
    let file = args
        .pipeline
        .file
        .as_ref()
        .map(|file| format!(" {}", file.display()))
        .unwrap_or_default();
    format!("dag run{file}    nothing finished will be repeated")
}

/// Why a stage failed, what to do about it, and where to read more.
fn tell_failure(report: &StageReport, output: &Output) {
    let Some(failure) = &report.failure else {
        return;
    };
    let mut text = format!("stage `{}` failed: {}", report.stage, failure.message);
    for cause in failure
        .causes
        .iter()
        .filter(|cause| !failure.message.contains(cause.as_str()))
    {
        text.push_str(&format!("\n  caused by: {cause}"));
    }
    output.fail(&text, failure.hint.as_deref());
    output.say(Tone::Warn, "Log", &format!("dag logs {}", report.stage));
}

/// Whether stages may begin although they cost more than is left of the budget, as the user says yes
/// to that; `None` if the plan costs more than the budget and nobody does.
fn within_budget(
    args: &RunArgs,
    pipeline: &Pipeline,
    scope: &Scope,
    cache: &dag_engine::Cache,
    output: &Output,
) -> Result<Option<bool>, Failure> {
    if args.yes {
        return Ok(Some(true));
    }
    let Some(budget) = args.budget.or(pipeline.budget) else {
        return Ok(Some(false));
    };
    let plan = super::plan::make(pipeline, scope, &CacheLookups::new(cache))?;
    let Some(cost) = plan.total().usd.filter(|cost| *cost > budget) else {
        return Ok(Some(false));
    };
    let question = format!(
        "the plan costs about {}, the budget is {}",
        usd(cost),
        usd(budget)
    );
    if std::io::stdin().is_terminal() && !output.is_json() {
        output.say(
            Tone::Warn,
            "Budget",
            &format!("{question}; run until it is spent? [y/N]"),
        );
        let mut answer = String::new();
        drop(std::io::stdin().lock().read_line(&mut answer));
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(Some(true));
        }
    }
    output.fail(
        &question,
        Some("raise the budget, or say --yes to run until it is spent"),
    );
    Ok(None)
}

/// Where a pipeline's reports are written.
pub(crate) fn report_folder(pipeline: &Pipeline) -> PathBuf {
    places::beside(&pipeline.path).join("reports")
}
