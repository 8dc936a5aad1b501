//! Recorded runs: `runs/<uuid v7>/{run.json,events.jsonl}` under the cache's folder.
//!
//! `run.json` says what the run was and how every stage ended, with its key; `events.jsonl` holds
//! the events as they came, progress every two seconds only, so that a past run replays through the readers
//! of a live one. Nothing here decides what is reused: a lost run costs explanations, not results.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dag_cache::{Cache, StageKey, Usage};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::estimate::Past;
use crate::event::{Event, EventSink, RunOutcome, StageOutcome, StageReport, Stamped};

/// The folder under the cache's root.
const FOLDER: &str = "runs";
/// What a run was.
const RUN_FILE: &str = "run.json";
/// What happened in it.
const EVENTS_FILE: &str = "events.jsonl";
/// Version of both files.
const FORMAT: u32 = 1;
/// Runs that are read when a stage's past is looked for.
const LOOK_BACK: usize = 200;
/// Events wait at most so long before they are written.
const FLUSH: Duration = Duration::from_millis(250);
/// How often a running stage's progress is recorded, for who looks at the run from outside.
const PROGRESS: Duration = Duration::from_secs(2);

/// A recorded run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of the file.
    pub format: u32,
    /// UUID v7; ids sort by time.
    pub id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline file.
    pub file: PathBuf,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none while it runs, or if it was killed.
    pub finished_at: Option<Timestamp>,
    /// How it ended; none while it runs, or if it was killed.
    pub outcome: Option<RunOutcome>,
    /// The process, to see whether it still runs.
    pub pid: u32,
    /// Who ran it (`user@host`).
    pub by: String,
    /// The program's version.
    pub tool: String,
    /// Spent in this run.
    pub usage: Usage,
    /// Every stage that was reached, in the order they ended.
    pub stages: Vec<RunStage>,
}

/// How one stage of a recorded run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStage {
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
    /// What the result cost.
    #[serde(default, skip_serializing_if = "no_usage")]
    pub usage: Usage,
    /// Time the result took, in seconds.
    pub seconds: f64,
    /// Why it failed or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

fn no_usage(usage: &Usage) -> bool {
    *usage == Usage::default()
}

impl From<&StageReport> for RunStage {
    fn from(report: &StageReport) -> Self {
        Self {
            stage: report.stage.clone(),
            kind: report.kind.clone(),
            outcome: report.outcome,
            key: report.key,
            rows: report.rows,
            usage: report.usage.clone(),
            seconds: report.seconds,
            failure: report.failure.clone(),
        }
    }
}

/// The recorded runs of a cache.
#[derive(Clone, Debug)]
pub struct History {
    folder: PathBuf,
}

impl History {
    /// The runs recorded beside this cache.
    #[must_use]
    pub fn of(cache: &Cache) -> Self {
        Self {
            folder: cache.root().join(FOLDER),
        }
    }

    /// Ids of all runs, newest first.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let Ok(entries) = fs_err::read_dir(&self.folder) else {
            return Vec::new();
        };
        let mut ids: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| uuid::Uuid::parse_str(name).is_ok())
            .collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids
    }

    /// A run by its id, or by the beginning or end of one if only one fits (ids of one hour begin
    /// alike).
    #[must_use]
    pub fn find(&self, id: &str) -> Option<RunRecord> {
        let ids = self.ids();
        let mut fitting = ids
            .iter()
            .filter(|full| full.starts_with(id) || full.ends_with(id));
        let first = fitting.next()?;
        if fitting.next().is_some() {
            None
        } else {
            self.read(first)
        }
    }

    /// Runs, newest first; of one pipeline, if named. Unreadable ones are left out.
    pub fn runs(&self, pipeline: Option<&str>) -> impl Iterator<Item = RunRecord> {
        let pipeline = pipeline.map(str::to_owned);
        let history = self.clone();
        self.ids()
            .into_iter()
            .filter_map(move |id| history.read(&id))
            .filter(move |run| pipeline.as_ref().is_none_or(|name| *name == run.pipeline))
    }

    /// The latest run, of one pipeline if named.
    #[must_use]
    pub fn latest(&self, pipeline: Option<&str>) -> Option<RunRecord> {
        self.runs(pipeline).next()
    }

    /// The keys that the latest runs of every pipeline had results for: what a clean-up keeps.
    #[must_use]
    pub fn keys(&self, runs_a_pipeline: usize) -> BTreeSet<StageKey> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut keys = BTreeSet::new();
        for run in self.runs(None) {
            let count = seen.entry(run.pipeline).or_insert(0);
            *count += 1;
            if *count <= runs_a_pipeline {
                keys.extend(run.stages.iter().filter_map(|stage| stage.key));
            }
        }
        keys
    }

    /// The events of a run, oldest first. A last line that a kill cut off is left out.
    #[must_use]
    pub fn events(&self, id: &str) -> Vec<Stamped> {
        let path = self.folder.join(id).join(EVENTS_FILE);
        let Ok(file) = fs_err::File::open(path) else {
            return Vec::new();
        };
        BufReader::new(file)
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| serde_json::from_str(&line).ok())
            .collect()
    }

    /// Sends a recorded run through a reader of live ones.
    pub fn replay(&self, id: &str, sink: &dyn EventSink) {
        for stamped in self.events(id) {
            sink.event(&stamped.event);
        }
    }

    fn read(&self, id: &str) -> Option<RunRecord> {
        let bytes = fs_err::read(self.folder.join(id).join(RUN_FILE)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Earlier results of the stages of a pipeline, from its latest runs.
    pub(crate) fn stages_of(&self, pipeline: &str) -> StageHistory {
        let mut stages: HashMap<String, Vec<PastStage>> = HashMap::new();
        for run in self.runs(Some(pipeline)).take(LOOK_BACK) {
            for stage in run.stages {
                let (Some(key), StageOutcome::Cached | StageOutcome::Ran) =
                    (stage.key, stage.outcome)
                else {
                    continue;
                };
                let past = stages.entry(stage.stage).or_default();
                if past.iter().all(|earlier| earlier.key != key) {
                    past.push(PastStage {
                        run: run.id.clone(),
                        at: run.started_at,
                        key,
                        past: Past {
                            rows: stage.rows,
                            usage: stage.usage,
                            seconds: stage.seconds,
                        },
                    });
                }
            }
        }
        StageHistory { stages }
    }
}

/// Earlier results of stages by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct StageHistory {
    stages: HashMap<String, Vec<PastStage>>,
}

impl StageHistory {
    pub(crate) fn of(&self, stage: &str) -> Vec<PastStage> {
        self.stages.get(stage).cloned().unwrap_or_default()
    }
}

/// An earlier result of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastStage {
    /// The latest run that had it.
    pub run: String,
    /// When that run began.
    pub at: Timestamp,
    /// Its key.
    pub key: StageKey,
    /// What it took.
    pub past: Past,
}

/// Records a run while it happens.
pub(crate) struct Recorder {
    folder: PathBuf,
    inner: Mutex<Recording>,
}

struct Recording {
    run: RunRecord,
    events: BufWriter<fs_err::File>,
    flushed: Instant,
    /// When the progress of a stage was last recorded.
    progress: HashMap<String, Instant>,
}

impl Recorder {
    /// Begins a recording.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn begin(cache_root: &Path, run: RunRecord) -> std::io::Result<Self> {
        let folder = cache_root.join(FOLDER).join(&run.id);
        fs_err::create_dir_all(&folder)?;
        write_run(&folder, &run)?;
        let events =
            BufWriter::with_capacity(1 << 16, fs_err::File::create(folder.join(EVENTS_FILE))?);
        Ok(Self {
            folder,
            inner: Mutex::new(Recording {
                run,
                events,
                flushed: Instant::now(),
                progress: HashMap::new(),
            }),
        })
    }

    /// Records one event. A recording that cannot be written on (a full disk) does not stop the
    /// run: explanations are lost, results are not.
    pub(crate) fn record(&self, event: &Event, at: Timestamp) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        if let Event::StageProgress { stage, .. } = event {
            let last = inner.progress.get(stage);
            if last.is_some_and(|last| last.elapsed() < PROGRESS) {
                return;
            }
            inner.progress.insert(stage.clone(), Instant::now());
        }
        if let Ok(line) = serde_json::to_string(&StampedRef { at, event }) {
            writeln!(inner.events, "{line}").ok();
        }
        match event {
            Event::StageFinished(report) => {
                inner.run.stages.push(RunStage::from(&**report));
                // `run.json` is written whole: not for each of a thousand quick stages.
                if report.outcome != StageOutcome::Cached && inner.flush(false) {
                    write_run(&self.folder, &inner.run).ok();
                }
            }
            Event::StageUsage { spent, .. } => inner.run.usage += spent.clone(),
            Event::RunFinished { outcome, usage, .. } => {
                inner.run.outcome = Some(*outcome);
                inner.run.finished_at = Some(at);
                inner.run.usage = usage.clone();
                inner.flush(true);
                write_run(&self.folder, &inner.run).ok();
            }
            Event::StageLog { .. }
            | Event::StageStarted { .. }
            | Event::StageElsewhere { .. }
            | Event::StagePushed { .. }
            | Event::StageProgress { .. } => {
                inner.flush(false);
            }
            Event::RunStarted { .. } => {}
        }
    }
}

impl Recording {
    /// Writes what waits, now and then; says whether it did.
    fn flush(&mut self, at_once: bool) -> bool {
        let due = at_once || self.flushed.elapsed() >= FLUSH;
        if due {
            self.events.flush().ok();
            self.flushed = Instant::now();
        }
        due
    }
}

/// [`Stamped`], written without a copy of the event.
#[derive(Serialize)]
struct StampedRef<'a> {
    at: Timestamp,
    #[serde(flatten)]
    event: &'a Event,
}

fn write_run(folder: &Path, run: &RunRecord) -> std::io::Result<()> {
    let waiting = folder.join("run.json.new");
    fs_err::write(&waiting, serde_json::to_vec(run)?)?;
    fs_err::rename(&waiting, folder.join(RUN_FILE))
}

/// A new run record, as it stands when the run begins.
pub(crate) fn new_run(
    pipeline: &str,
    file: &Path,
    by: &str,
    tool: &str,
    now: Timestamp,
) -> RunRecord {
    RunRecord {
        format: FORMAT,
        id: uuid::Uuid::now_v7().to_string(),
        pipeline: pipeline.to_owned(),
        file: file.to_owned(),
        started_at: now,
        finished_at: None,
        outcome: None,
        pid: std::process::id(),
        by: by.to_owned(),
        tool: tool.to_owned(),
        usage: Usage::default(),
        stages: Vec::new(),
    }
}

/// Stages by outcome.
pub(crate) fn tally(
    outcomes: impl IntoIterator<Item = StageOutcome>,
) -> BTreeMap<StageOutcome, u64> {
    let mut tally = BTreeMap::new();
    for outcome in outcomes {
        *tally.entry(outcome).or_insert(0) += 1;
    }
    tally
}
