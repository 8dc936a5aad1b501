//! `dag status`: a run, the latest or one by its id.

use clap::Args;
use dag_engine::History;

use super::workspace::open_cache;
use super::{CommandResult, Failure};
use crate::exit_codes;
use crate::render::{Output, RunView, count, duration, short, table};

/// Show a run: the latest, or one by its id.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The run's id or its beginning
    run: Option<String>,
    /// Only runs of this pipeline, by name
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// List the last runs instead
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(args: &StatusArgs, output: &Output) -> CommandResult {
    let history = History::of(&open_cache()?);
    if args.list {
        let runs: Vec<_> = history.runs(args.pipeline.as_deref()).take(20).collect();
        if output.is_json() {
            output.document(&serde_json::to_value(&runs).unwrap_or_default());
        } else {
            let rows = runs.iter().map(|run| {
                let outcome = run
                    .outcome
                    .map_or("running or killed", super::logs::outcome_word);
                vec![
                    short(&run.id).to_owned(),
                    run.pipeline.clone(),
                    run.started_at.to_string(),
                    outcome.to_owned(),
                ]
            });
            output.result(&table(&["run", "pipeline", "began", "outcome"], rows));
        }
        return Ok(exit_codes::OK);
    }
    let found = match &args.run {
        Some(id) => history.find(id),
        None => history.latest(args.pipeline.as_deref()),
    };
    let Some(record) = found else {
        return Err(Failure::new(exit_codes::USAGE, "there is no such run")
            .hint("`dag status --list` shows the last ones"));
    };
    let events = history.events(&record.id);
    if output.is_json() {
        output.document(&serde_json::json!({ "run": record, "events": events }));
        return Ok(exit_codes::OK);
    }
    let view = RunView::replay(events.iter().map(|stamped| &stamped.event));
    let rows = view.stages.iter().map(|stage| {
        let (state, seconds) = match &stage.report {
            Some(report) => (
                super::graph::state_word(Some(report.outcome)).to_owned(),
                duration(report.seconds),
            ),
            None if stage.running => {
                let total = stage
                    .total
                    .map_or_else(String::new, |total| format!("/{}", count(total)));
                let message = stage
                    .message
                    .as_ref()
                    .map_or_else(String::new, |message| format!(" · {message}"));
                (
                    format!("running {}{total}{message}", count(stage.done)),
                    String::new(),
                )
            }
            None => ("waiting".to_owned(), String::new()),
        };
        let rows = stage
            .report
            .as_ref()
            .and_then(|report| report.rows)
            .map_or_else(String::new, count);
        vec![stage.name.clone(), state, rows, seconds]
    });
    let drawn = table(&["stage", "state", ">rows", ">time"], rows);
    let end = match view.summary() {
        Some((_, verb, text)) => format!("{verb} {text}"),
        None => format!("run {} has not ended", short(&record.id)),
    };
    output.result(&format!(
        "{} · began {}\n\n{drawn}\n\n{end}",
        record.pipeline, record.started_at
    ));
    Ok(exit_codes::OK)
}
