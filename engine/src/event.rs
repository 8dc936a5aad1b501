//! What happens in a run, as facts. Terminal, JSON, log and report are readers of these events,
//! live or from a recorded run; nothing here says how to show anything.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dag_cache::{StageKey, Usage};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::estimate::Estimate;

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins; the plan as it was known then.
    RunStarted {
        /// The run's id, a UUID v7: sorts by time.
        run: String,
        /// The pipeline's name.
        pipeline: String,
        /// The pipeline file.
        file: PathBuf,
        /// Every stage of the run, in topological order.
        stages: Vec<StageOutlook>,
    },
    /// A stage begins to run (cached stages only finish).
    StageStarted {
        /// The stage.
        stage: String,
        /// Its kind.
        kind: String,
        /// Its key.
        key: StageKey,
        /// An interrupted run left a checkpoint that it goes on from.
        resumed: bool,
    },
    /// How far a running stage is. A few a second at most.
    StageProgress {
        /// The stage.
        stage: String,
        /// Steps done, in the stage's own unit (mostly rows).
        done: u64,
        /// Steps in all, once known.
        total: Option<u64>,
        /// What it is at, in the stage's words.
        message: Option<String>,
    },
    /// A stage says something.
    StageLog {
        /// The stage.
        stage: String,
        /// How much it matters.
        level: Level,
        /// What it says.
        text: String,
    },
    /// A stage spent tokens or money.
    StageUsage {
        /// The stage.
        stage: String,
        /// Spent since the last such event of this stage.
        spent: Usage,
    },
    /// A colleague is at work on the same stage.
    StageElsewhere {
        /// The stage.
        stage: String,
        /// Who, as they say themselves.
        by: String,
        /// The remote that says so.
        remote: String,
        /// Whether the run waits for their result, or works beside them.
        waits: bool,
    },
    /// A result was pushed to a remote, or could not be.
    StagePushed {
        /// The stage.
        stage: String,
        /// The remote.
        remote: String,
        /// Blobs that were stored there.
        blobs: u64,
        /// Their bytes.
        bytes: u64,
        /// Memo rows that were stored there.
        rows: u64,
        /// Why a record there had to give way, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        over: Option<String>,
        /// Why it could not be pushed, if it could not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
    /// A stage is done, one way or another.
    StageFinished(Box<StageReport>),
    /// The run is over.
    RunFinished {
        /// How it ended.
        outcome: RunOutcome,
        /// Stages by outcome.
        stages: BTreeMap<StageOutcome, u64>,
        /// Spent in this run.
        usage: Usage,
        /// Wall time, in seconds.
        seconds: f64,
        /// What the reader should know: a budget that stopped the run, two results for one key.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
}

/// What a plan said of a stage when the run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageOutlook {
    /// The stage.
    pub stage: String,
    /// Its kind.
    pub kind: String,
    /// What the kind has done when it is done: `Sampled`.
    pub verb: String,
    /// The stages it takes inputs or models from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Cached, to run, not known yet…
    pub status: Outlook,
    /// What it would take.
    #[serde(default, skip_serializing_if = "is_default")]
    pub estimate: Estimate,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What is foreseen for a stage, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// The result is there.
    Cached,
    /// The result is at a remote.
    Remote,
    /// It will run.
    Run,
    /// It will go on from rows or a checkpoint that are there.
    Resume,
    /// A stage before it runs first; then its key is known.
    Unknown,
    /// Something is missing.
    Blocked,
}

/// How a stage ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageReport {
    /// The stage.
    pub stage: String,
    /// Its kind.
    pub kind: String,
    /// How it ended.
    pub outcome: StageOutcome,
    /// Its key; none if it never became known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<StageKey>,
    /// Rows of the main output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Rows in, kept, per verdict.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    /// Losses, scores.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// What the result cost when it was made; for a cached stage, what it saved.
    #[serde(default, skip_serializing_if = "is_default")]
    pub usage: Usage,
    /// The remote a cached result came from, if its files are not all here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// Time the result took when it was made, in seconds.
    pub seconds: f64,
    /// Approximations and other things to know about the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Why it failed, or why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// How a stage ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageOutcome {
    /// The result was there.
    Cached,
    /// It ran, and its result is there.
    Ran,
    /// It failed.
    Failed,
    /// A stage before it failed or was skipped, or something it needs is missing.
    Skipped,
    /// The run was cancelled or out of budget before it was done.
    Interrupted,
}

/// How a run ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// Every stage has its result.
    Succeeded,
    /// At least one stage failed.
    Failed,
    /// The user cancelled.
    Interrupted,
    /// The budget is spent.
    OutOfBudget,
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// For who looks for a fault.
    Debug,
    /// Good to know.
    Info,
    /// Look at this.
    Warn,
    /// This went wrong.
    Error,
}

/// A reader of events. Called from many threads at once, in order for each stage; it must return
/// quickly, for the caller waits, and must not fail: a reader that cannot go on is silent.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn event(&self, event: &Event);
}

/// A reader that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl EventSink for NoEvents {
    fn event(&self, _: &Event) {}
}

/// A reader that keeps everything, for tests and for readers that draw at the end.
#[derive(Debug, Default)]
pub struct Collect(std::sync::Mutex<Vec<Event>>);

impl Collect {
    /// The events so far, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}

impl EventSink for Collect {
    fn event(&self, event: &Event) {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(event.clone());
    }
}
