//! A run on a terminal: finished stages as lines, running ones as bars below them.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::VERB_WIDTH;
use super::events::RunView;

/// The bars of the stages that run.
pub(crate) struct Bars {
    all: MultiProgress,
    running: BTreeMap<String, ProgressBar>,
}

impl Bars {
    pub(crate) fn new() -> Self {
        Self {
            all: bars().clone(),
            running: BTreeMap::new(),
        }
    }

    pub(crate) fn started(&mut self, view: &RunView, stage: &str) {
        let width = view.width;
        let bar = self.all.add(ProgressBar::no_length());
        bar.set_style(spinner());
        bar.set_prefix(format!("{:>VERB_WIDTH$} {stage:width$}", "Running"));
        bar.enable_steady_tick(Duration::from_millis(120));
        self.running.insert(stage.to_owned(), bar);
    }

    pub(crate) fn progress(&mut self, view: &RunView, stage: &str) {
        let (Some(bar), Some(stage)) = (self.running.get(stage), view.stage(stage)) else {
            return;
        };
        if let Some(total) = stage.total
            && bar.length() != Some(total)
        {
            bar.set_length(total);
            bar.set_style(measured());
        }
        bar.set_position(stage.done);
        bar.set_message(stage.message.clone().unwrap_or_default());
    }

    pub(crate) fn finished(&mut self, stage: &str) {
        if let Some(bar) = self.running.remove(stage) {
            bar.finish_and_clear();
        }
    }

    pub(crate) fn line(&self, text: &str) {
        above_bars(text);
    }

    pub(crate) fn end(&mut self) {
        for (_, bar) in std::mem::take(&mut self.running) {
            bar.finish_and_clear();
        }
    }
}

/// The one place on the terminal where bars are drawn.
pub(crate) fn bars() -> &'static MultiProgress {
    static ALL: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);
    &ALL
}

/// A line on standard error, above the bars if there are any.
pub(crate) fn above_bars(text: &str) {
    bars().suspend(|| super::message(text));
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:.cyan} {spinner} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn measured() -> ProgressStyle {
    ProgressStyle::with_template(
        "{prefix:.cyan} {bar:24.cyan/blue} {human_pos}/{human_len}  {msg}  {left}",
    )
    .map(|style| style.progress_chars("━╸─").with_key("left", left))
    .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The time that the rest will take; before the first step nobody knows.
fn left(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    if state.pos() > 0 {
        // The writer is a string.
        write!(out, "{:#} left", HumanDuration(state.eta())).ok();
    }
}
