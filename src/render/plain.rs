//! A run in a file or a log: a line for what is finished, and now and then one for what is not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::events::RunView;
use super::{Tone, count, verb_line};

const EVERY: Duration = Duration::from_secs(30);

/// When each running stage was last spoken of.
#[derive(Default)]
pub(crate) struct Plain {
    last: BTreeMap<String, Instant>,
}

impl Plain {
    pub(crate) fn started(&mut self, stage: &str) {
        self.last.insert(stage.to_owned(), Instant::now());
    }

    pub(crate) fn progress(&mut self, view: &RunView, stage: &str) {
        let Some(last) = self.last.get_mut(stage) else {
            return;
        };
        if last.elapsed() < EVERY {
            return;
        }
        *last = Instant::now();
        let Some(stage) = view.stage(stage) else {
            return;
        };
        let total = stage
            .total
            .map_or(String::new(), |total| format!("/{}", count(total)));
        let message = stage
            .message
            .as_deref()
            .map_or(String::new(), |text| format!("  {text}"));
        line(&verb_line(
            Tone::Good,
            "Running",
            &format!("{}  {}{total}{message}", stage.name, count(stage.done)),
        ));
    }

    pub(crate) fn finished(&mut self, stage: &str) {
        self.last.remove(stage);
    }
}

/// A line on standard error.
pub(crate) fn line(text: &str) {
    super::message(text);
}
