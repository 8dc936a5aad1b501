//! How far a stage is. Many threads may report; readers hear of it ten times a second at most.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::event::{Event, EventSink};

/// Pause between two events.
const PAUSE: Duration = Duration::from_millis(100);
/// No total is known.
const NO_TOTAL: u64 = u64::MAX;

/// The progress of one stage. Cheap to clone.
#[derive(Clone)]
pub struct Progress(Arc<Inner>);

struct Inner {
    stage: String,
    sink: Arc<dyn EventSink>,
    done: AtomicU64,
    total: AtomicU64,
    said: Mutex<Said>,
}

struct Said {
    message: Option<String>,
    at: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(stage: &str, sink: Arc<dyn EventSink>) -> Self {
        Self(Arc::new(Inner {
            stage: stage.to_owned(),
            sink,
            done: AtomicU64::new(0),
            total: AtomicU64::new(NO_TOTAL),
            said: Mutex::new(Said {
                message: None,
                at: None,
            }),
        }))
    }

    /// Says how many steps (mostly rows) there are in all.
    pub fn set_total(&self, total: u64) {
        self.0.total.store(total, Ordering::Relaxed);
        self.tell(true);
    }

    /// Counts steps that are done.
    pub fn advance(&self, steps: u64) {
        self.0.done.fetch_add(steps, Ordering::Relaxed);
        self.tell(false);
    }

    /// Says what the stage is at: `epoch 2`; nothing, once it is at nothing special. A first message and the last
    /// are told at once, those between with the rest.
    pub fn set_message(&self, message: impl Into<String>) {
        let message = Some(message.into()).filter(|message| !message.is_empty());
        let turn = {
            let mut said = self.lock();
            let turn = said.message.is_none() || message.is_none();
            said.message = message;
            turn
        };
        self.tell(turn);
    }

    /// Steps done so far.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.0.done.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Said> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, at_once: bool) {
        let done = self.done();
        let total = self.0.total.load(Ordering::Relaxed);
        let complete = done == total;
        let message = {
            let mut said = self.lock();
            let due = said.at.is_none_or(|at| at.elapsed() >= PAUSE);
            if !(due || at_once || complete) {
                return;
            }
            said.at = Some(Instant::now());
            said.message.clone()
        };
        self.0.sink.event(&Event::StageProgress {
            stage: self.0.stage.clone(),
            done,
            total: (total != NO_TOTAL).then_some(total),
            message,
        });
    }
}
