//! `dag logs`: what the stages of a run said.

use clap::Args;
use dag_engine::History;
use dag_engine::event::{Event, Level, RunOutcome};

use super::workspace::open_cache;
use super::{CommandResult, Failure};
use crate::exit_codes;
use crate::render::Output;

/// Show the log of a run.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Only this stage
    stage: Option<String>,
    /// Another run than the latest, by its id or its beginning
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Every event as a JSON line, not only what was said
    #[arg(long)]
    events: bool,
}

pub(crate) fn run(args: &LogsArgs, output: &Output) -> CommandResult {
    let history = History::of(&open_cache()?);
    let found = match &args.run {
        Some(id) => history.find(id),
        None => history.latest(None),
    };
    let Some(record) = found else {
        return Err(Failure::new(exit_codes::USAGE, "there is no such run")
            .hint("`dag status --list` shows the last ones"));
    };
    let mut text = String::new();
    for stamped in history.events(&record.id) {
        if args.events || output.is_json() {
            text.push_str(&serde_json::to_string(&stamped).unwrap_or_default());
            text.push('\n');
            continue;
        }
        let wanted = |stage: &str| args.stage.as_deref().is_none_or(|name| name == stage);
        match &stamped.event {
            Event::StageStarted { stage, .. } if wanted(stage) => {
                text.push_str(&format!("{}  {stage}  started\n", stamped.at));
            }
            Event::StageLog {
                stage,
                level,
                text: said,
            } if wanted(stage) => {
                text.push_str(&format!(
                    "{}  {stage}  {}{said}\n",
                    stamped.at,
                    level_word(*level)
                ));
            }
            Event::StageFinished(report) if wanted(&report.stage) => {
                let failure = report
                    .failure
                    .as_ref()
                    .map_or_else(String::new, |failure| format!(": {}", failure.message));
                let state = super::graph::state_word(Some(report.outcome));
                text.push_str(&format!(
                    "{}  {}  {state}{failure}\n",
                    stamped.at, report.stage
                ));
            }
            Event::StageElsewhere {
                stage, by, remote, ..
            } if wanted(stage) => text.push_str(&format!(
                "{}  {stage}  {by} is at work on it, says `{remote}`\n",
                stamped.at
            )),
            Event::StagePushed {
                stage,
                remote,
                blobs,
                bytes,
                rows,
                failure,
                ..
            } if wanted(stage) => {
                let what = match failure {
                    Some(failure) => format!("warning: not pushed to `{remote}`: {failure}"),
                    None => format!(
                        "pushed to `{remote}`: {blobs} blobs, {bytes} bytes, {rows} memo rows"
                    ),
                };
                text.push_str(&format!("{}  {stage}  {what}\n", stamped.at));
            }
            Event::RunStarted { .. }
            | Event::StageElsewhere { .. }
            | Event::StagePushed { .. }
            | Event::StageStarted { .. }
            | Event::StageProgress { .. }
            | Event::StageLog { .. }
            | Event::StageUsage { .. }
            | Event::StageFinished(_)
            | Event::RunFinished { .. } => {}
        }
    }
    output.result(&text);
    Ok(exit_codes::OK)
}

fn level_word(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug: ",
        Level::Info => "",
        Level::Warn => "warning: ",
        Level::Error => "error: ",
    }
}

/// How a run ended, in a word.
pub(crate) fn outcome_word(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Succeeded => "succeeded",
        RunOutcome::Failed => "failed",
        RunOutcome::Interrupted => "interrupted",
        RunOutcome::OutOfBudget => "out of budget",
    }
}
