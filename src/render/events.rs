//! A run as its events tell it. The same readers draw a run that happens now and one that is recorded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dag_engine::event::{Event, EventSink, RunOutcome, StageOutcome, StageReport};

use super::{Output, Tone, count, duration, plain, progress, short_key, tokens, usd, verb_line};
use crate::commands::ProgressStyle;

/// The widest column of stage names, in bytes.
const WIDEST: usize = 40;

/// What a reader has seen of a run so far.
#[derive(Default)]
pub(crate) struct RunView {
    /// The run's id.
    pub(crate) run: String,
    /// The pipeline's name.
    pub(crate) pipeline: String,
    /// Every stage, in topological order, with the verb of its kind.
    pub(crate) stages: Vec<StageView>,
    places: HashMap<String, usize>,
    /// The room that the names take in a line, in bytes.
    pub(crate) width: usize,
    /// Results that were pushed, by remote.
    pushed: std::collections::BTreeMap<String, u64>,
    /// How the run ended.
    pub(crate) finished: Option<Finished>,
}

/// What is known of one stage of a run.
pub(crate) struct StageView {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) verb: String,
    pub(crate) after: Vec<String>,
    pub(crate) running: bool,
    pub(crate) done: u64,
    pub(crate) total: Option<u64>,
    pub(crate) message: Option<String>,
    pub(crate) report: Option<StageReport>,
}

/// How a run ended.
pub(crate) struct Finished {
    pub(crate) outcome: RunOutcome,
    pub(crate) seconds: f64,
    pub(crate) usd: f64,
}

impl RunView {
    /// Takes one event in.
    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::RunStarted {
                run,
                pipeline,
                stages,
                ..
            } => {
                self.run.clone_from(run);
                self.pipeline.clone_from(pipeline);
                self.places = (0..)
                    .zip(stages)
                    .map(|(place, stage)| (stage.stage.clone(), place))
                    .collect();
                let longest = stages.iter().map(|stage| stage.stage.len()).max();
                self.width = longest.unwrap_or(0).min(WIDEST);
                self.stages = stages
                    .iter()
                    .map(|stage| StageView {
                        name: stage.stage.clone(),
                        kind: stage.kind.clone(),
                        verb: stage.verb.clone(),
                        after: stage.after.clone(),
                        running: false,
                        done: 0,
                        total: None,
                        message: None,
                        report: None,
                    })
                    .collect();
            }
            Event::StageStarted { stage, .. } => self.with(stage, |view| view.running = true),
            Event::StageProgress {
                stage,
                done,
                total,
                message,
            } => self.with(stage, |view| {
                view.done = *done;
                view.total = *total;
                view.message.clone_from(message);
            }),
            Event::StagePushed {
                remote,
                failure: None,
                ..
            } => *self.pushed.entry(remote.clone()).or_insert(0) += 1,
            Event::StageLog { .. }
            | Event::StageUsage { .. }
            | Event::StageElsewhere { .. }
            | Event::StagePushed { .. } => {}
            Event::StageFinished(report) => self.with(&report.stage, |view| {
                view.running = false;
                view.report = Some((**report).clone());
            }),
            Event::RunFinished {
                outcome,
                usage,
                seconds,
                ..
            } => {
                self.finished = Some(Finished {
                    outcome: *outcome,
                    seconds: *seconds,
                    usd: usage.usd,
                });
            }
        }
    }

    /// A run from its recorded events.
    pub(crate) fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut view = Self::default();
        for event in events {
            view.take(event);
        }
        view
    }

    pub(crate) fn stage(&self, name: &str) -> Option<&StageView> {
        self.stages.get(*self.places.get(name)?)
    }

    fn with(&mut self, name: &str, change: impl FnOnce(&mut StageView)) {
        let place = self.places.get(name).copied();
        if let Some(stage) = place.and_then(|place| self.stages.get_mut(place)) {
            change(stage);
        }
    }

    fn ended(&self, outcome: StageOutcome) -> impl Iterator<Item = &StageReport> {
        self.stages
            .iter()
            .filter_map(|stage| stage.report.as_ref())
            .filter(move |report| report.outcome == outcome)
    }

    /// Whether nothing had to be done.
    pub(crate) fn all_cached(&self) -> bool {
        self.ended(StageOutcome::Cached).count() == self.stages.len()
    }

    /// `5 of them at team`: results whose files are not all here.
    fn at_remotes(&self) -> Option<String> {
        let mut remotes = std::collections::BTreeMap::new();
        for remote in self
            .ended(StageOutcome::Cached)
            .filter_map(|report| report.remote.as_deref())
        {
            *remotes.entry(remote).or_insert(0) += 1;
        }
        let told: Vec<String> = remotes
            .into_iter()
            .map(|(remote, stages)| format!("{stages} of them at `{remote}`"))
            .collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    /// `Finished run 0199a4c9 in 0.06 s · 7 cached · saved 4 h 18 m and $13.84`
    pub(crate) fn summary(&self) -> Option<(Tone, &'static str, String)> {
        let finished = self.finished.as_ref()?;
        let (tone, verb) = match finished.outcome {
            RunOutcome::Succeeded => (Tone::Good, "Finished"),
            RunOutcome::Failed => (Tone::Bad, "Failed"),
            RunOutcome::Interrupted => (Tone::Warn, "Stopped"),
            RunOutcome::OutOfBudget => (Tone::Warn, "Out of budget"),
        };
        let mut parts = vec![format!(
            "run {} in {}",
            short(&self.run),
            duration(finished.seconds)
        )];
        for (outcome, word) in [
            (StageOutcome::Ran, "ran"),
            (StageOutcome::Cached, "cached"),
            (StageOutcome::Failed, "failed"),
            (StageOutcome::Skipped, "skipped"),
            (StageOutcome::Interrupted, "interrupted"),
        ] {
            let stages = self.ended(outcome).count();
            if stages > 0 {
                parts.push(format!("{stages} {word}"));
            }
        }
        parts.extend(self.at_remotes());
        for (remote, results) in &self.pushed {
            parts.push(format!("{results} pushed to `{remote}`"));
        }
        if finished.usd > 0.0 {
            parts.push(usd(finished.usd));
        }
        let (seconds, saved) = self
            .ended(StageOutcome::Cached)
            .fold((0.0, 0.0), |(time, money), report| {
                (time + report.seconds, money + report.usage.usd)
            });
        if seconds >= 1.0 || saved > 0.0 {
            let money = if saved > 0.0 {
                format!(" and {}", usd(saved))
            } else {
                String::new()
            };
            parts.push(format!("saved {}{money}", duration(seconds)));
        }
        Some((tone, verb, parts.join(" · ")))
    }
}

/// The first part of a run's id that tells it from its neighbours: UUID v7 begins with the time.
pub(crate) fn short(run: &str) -> &str {
    run.get(..13).unwrap_or(run)
}

/// `     Sampled traces      40 rows · 12.3k tok   3.1 s   9b2e41c0`
pub(crate) fn stage_line(view: &RunView, report: &StageReport) -> (Tone, String, String) {
    let verb = view
        .stage(&report.stage)
        .map_or("Ran", |stage| stage.verb.as_str());
    let (tone, verb) = match report.outcome {
        StageOutcome::Cached if report.remote.is_some() => (Tone::Good, "Remote"),
        StageOutcome::Cached => (Tone::Good, "Cached"),
        StageOutcome::Ran => (Tone::Good, verb),
        StageOutcome::Failed => (Tone::Bad, "Failed"),
        StageOutcome::Skipped => (Tone::Warn, "Skipped"),
        StageOutcome::Interrupted => (Tone::Warn, "Interrupted"),
    };
    let mut parts = Vec::new();
    if let Some(rows) = report.rows {
        parts.push(format!(
            "{} {}",
            count(rows),
            if rows == 1 { "row" } else { "rows" }
        ));
    }
    let spent = report.usage.prompt_tokens + report.usage.completion_tokens;
    if spent > 0 {
        parts.push(tokens(spent));
    }
    if report.usage.usd > 0.0 {
        parts.push(usd(report.usage.usd));
    }
    parts.extend(headline(report));
    let width = view.width;
    let mut text = format!("{:width$}  {}", report.stage, parts.join(" · "));
    match report.outcome {
        // Why a stage failed, and what to do, is told once, at the end.
        StageOutcome::Ran | StageOutcome::Failed => {
            text.push_str(&format!("  {}", duration(report.seconds)));
        }
        StageOutcome::Cached | StageOutcome::Interrupted => {}
        StageOutcome::Skipped => {
            if let Some(failure) = &report.failure {
                text.push_str(&failure.message);
            }
        }
    }
    if let Some(key) = &report.key
        && matches!(report.outcome, StageOutcome::Ran | StageOutcome::Cached)
    {
        text.push_str(&format!("  {}", short_key(key)));
    }
    (tone, verb.to_owned(), text)
}

/// The few metrics worth a place on the stage's line: those the kind marked by a name without a dot.
fn headline(report: &StageReport) -> impl Iterator<Item = String> + '_ {
    report
        .metrics
        .iter()
        .filter(|(name, _)| !name.contains(['.', '/']))
        .take(3)
        .map(|(name, value)| format!("{name} {value:.3}"))
}

/// Draws a run while it happens.
pub(crate) struct Follow {
    state: Mutex<State>,
}

struct State {
    view: RunView,
    reader: Reader,
    held: Vec<String>,
}

enum Reader {
    Bars(progress::Bars),
    Plain(plain::Plain),
    Json,
    Silent,
}

impl Follow {
    pub(crate) fn new(output: &Output) -> Arc<Self> {
        let reader = match output.progress() {
            ProgressStyle::Auto | ProgressStyle::Bar => Reader::Bars(progress::Bars::new()),
            ProgressStyle::Plain => Reader::Plain(plain::Plain::default()),
            ProgressStyle::Json => Reader::Json,
            ProgressStyle::None => Reader::Silent,
        };
        Arc::new(Self {
            state: Mutex::new(State {
                view: RunView::default(),
                reader,
                held: Vec::new(),
            }),
        })
    }

    /// What was seen, once the run is over.
    pub(crate) fn into_view(self: Arc<Self>) -> RunView {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.view)
    }
}

impl EventSink for Follow {
    fn event(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { view, reader, held } = &mut *state;
        view.take(event);
        if matches!(reader, Reader::Silent) {
            return;
        }
        if let Reader::Json = reader {
            super::json::event_line(event);
            return;
        }
        match event {
            // A run that finds everything says one line: what is cached is told once something runs.
            Event::StageStarted { stage, .. } => {
                for line in held.drain(..) {
                    reader.line(&line);
                }
                reader.started(view, stage);
            }
            Event::StageProgress { stage, .. } => reader.progress(view, stage),
            Event::StageFinished(report) => {
                let (tone, verb, text) = stage_line(view, report);
                let line = verb_line(tone, &verb, &text);
                if report.outcome == StageOutcome::Cached {
                    held.push(line);
                } else {
                    for line in held.drain(..) {
                        reader.line(&line);
                    }
                    reader.finished(&report.stage);
                    reader.line(&line);
                    for note in &report.notes {
                        reader.line(&verb_line(Tone::Warn, "Note", note));
                    }
                }
            }
            Event::RunFinished { .. } => {
                if !view.all_cached() {
                    for line in held.drain(..) {
                        reader.line(&line);
                    }
                }
                reader.end();
            }
            Event::StageElsewhere { .. } | Event::StagePushed { .. } => {
                if let Some(line) = of_colleagues(event) {
                    reader.line(&line);
                }
            }
            Event::RunStarted { .. } | Event::StageLog { .. } | Event::StageUsage { .. } => {}
        }
    }
}

/// What is told of colleagues and remotes while a stage runs.
fn of_colleagues(event: &Event) -> Option<String> {
    match event {
        Event::StageElsewhere {
            stage,
            by,
            remote,
            waits,
        } => {
            let what = if *waits {
                "waiting for their result"
            } else {
                "`dag run --wait` waits for their result"
            };
            Some(verb_line(
                Tone::Warn,
                "Elsewhere",
                &format!("{by} is at work on {stage}, says `{remote}`; {what}"),
            ))
        }
        Event::StagePushed {
            stage,
            remote,
            failure: Some(failure),
            ..
        } => Some(verb_line(
            Tone::Warn,
            "Not pushed",
            &format!("{stage} to `{remote}`: {failure}; `dag cache push {stage}` does it later"),
        )),
        Event::StagePushed {
            stage,
            remote,
            over: Some(over),
            ..
        } => Some(verb_line(
            Tone::Warn,
            "Pushed",
            &format!("{stage} to `{remote}`, over a record there: {over}"),
        )),
        _ => None,
    }
}

impl Reader {
    fn line(&mut self, line: &str) {
        match self {
            Self::Bars(bars) => bars.line(line),
            Self::Plain(_) => plain::line(line),
            Self::Json | Self::Silent => {}
        }
    }

    fn started(&mut self, view: &RunView, stage: &str) {
        match self {
            Self::Bars(bars) => bars.started(view, stage),
            Self::Plain(plain) => plain.started(stage),
            Self::Json | Self::Silent => {}
        }
    }

    fn progress(&mut self, view: &RunView, stage: &str) {
        match self {
            Self::Bars(bars) => bars.progress(view, stage),
            Self::Plain(plain) => plain.progress(view, stage),
            Self::Json | Self::Silent => {}
        }
    }

    fn finished(&mut self, stage: &str) {
        match self {
            Self::Bars(bars) => bars.finished(stage),
            Self::Plain(plain) => plain.finished(stage),
            Self::Json | Self::Silent => {}
        }
    }

    fn end(&mut self) {
        if let Self::Bars(bars) = self {
            bars.end();
        }
    }
}
