//! A run: does what the plan says, as far as it can.
//!
//! One thread decides, a thread per running stage works. A stage's key is found when everything
//! before it has its result, so a result that did not change stops the work behind it. A failure
//! stops only what needs the failed stage. If a stage fails because a result before it turned out
//! to be damaged, that result is made again first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use dag_cache::{Cache, Record, Usage};

use crate::cancel::Cancel;
use crate::capacity::Capacity;
use crate::checked::Pipeline;
use crate::event::{EventSink, RunOutcome, StageOutcome, StageReport};
use crate::executor::{Executor, InProcess};
use crate::graph::{Graph, GraphError};
use crate::lookups::CacheLookups;
use crate::plan::{Plan, Scope, UnknownStage};
use crate::registry::Registry;
use crate::run_events::RunEvents;
use crate::scheduler::{Scheduler, Surroundings};

/// How to run.
#[derive(Clone)]
pub struct RunOptions {
    /// What to run.
    pub scope: Scope,
    /// What the machine offers.
    pub capacity: Capacity,
    /// Go on with independent stages after a failure. On by default.
    pub keep_going: bool,
    /// Spend no more than this, in USD; the pipeline's own budget if none.
    pub budget: Option<f64>,
    /// Begin stages although they would cost more than is left of the budget: they are stopped when
    /// it is spent. Off by default.
    pub until_spent: bool,
    /// Who runs it (`user@host`).
    pub by: String,
    /// The program's version.
    pub tool: String,
    /// Where stages run that want a process of their own; in this process if none.
    pub isolated: Option<Arc<dyn Executor>>,
    /// Put every stage there, not only those that ask for it.
    pub isolate_all: bool,
    /// Wait for colleagues who are at work on the same stages, instead of working beside them. Off by
    /// default.
    pub wait: bool,
}

impl RunOptions {
    /// Everything, on so many cores, in this process.
    #[must_use]
    pub fn cpus(cpus: u32) -> Self {
        Self {
            scope: Scope::all(),
            capacity: Capacity::cpus(cpus),
            keep_going: true,
            budget: None,
            until_spent: false,
            by: String::new(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            isolated: None,
            isolate_all: false,
            wait: false,
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// The run's id in the history.
    pub id: String,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Every stage in scope, in the order they ended.
    pub stages: Vec<StageReport>,
    /// Records of the stages that have a result, by stage.
    pub records: BTreeMap<String, Arc<Record>>,
    /// Spent in this run.
    pub usage: Usage,
    /// What the reader should know.
    pub notes: Vec<String>,
}

impl RunSummary {
    /// How a stage ended.
    #[must_use]
    pub fn outcome_of(&self, stage: &str) -> Option<StageOutcome> {
        self.stages
            .iter()
            .find(|report| report.stage == stage)
            .map(|report| report.outcome)
    }

    /// Stages that ended so, in the order they ended.
    #[must_use]
    pub fn ended(&self, outcome: StageOutcome) -> Vec<&str> {
        self.stages
            .iter()
            .filter(|report| report.outcome == outcome)
            .map(|report| report.stage.as_str())
            .collect()
    }
}

/// A run that could not begin. What goes wrong later is in the summary.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The pipeline is no graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A stage was asked for that is not there.
    #[error(transparent)]
    Unknown(#[from] UnknownStage),
    /// The run cannot be recorded beside the cache.
    #[error("the run cannot be recorded")]
    Record(#[source] std::io::Error),
}

/// Runs a pipeline.
///
/// # Errors
/// The run could not begin. Failures of stages are in the summary.
pub fn run(
    pipeline: &Pipeline,
    registry: &Registry,
    cache: &Cache,
    options: &RunOptions,
    sink: Arc<dyn EventSink>,
    cancel: &Cancel,
) -> Result<RunSummary, RunError> {
    let began = Instant::now();
    let graph = Graph::of(pipeline)?;
    let capacity = options.capacity.clone().with_limits_of(pipeline);
    let lookups = CacheLookups::new(cache);
    let plan = Plan::of(pipeline, &graph, &options.scope, &capacity, &lookups)?;
    let budget = options.budget.or(pipeline.budget);
    let events = RunEvents::begin(pipeline, cache, options, sink, cancel, budget)
        .map_err(RunError::Record)?;
    events.started(pipeline, plan.outlook());

    let around = Surroundings {
        pipeline,
        graph: &graph,
        cache,
        lookups: &lookups,
        events: &events,
        cancel,
        options,
        in_process: Arc::new(InProcess::new(registry, cache)),
    };
    let mut scheduler = Scheduler::new(around, capacity);
    scheduler.adopt(plan);
    scheduler.work();
    let Scheduler {
        reports,
        records,
        mut notes,
        ..
    } = scheduler;

    let any = |outcome| reports.iter().any(|report| report.outcome == outcome);
    let outcome = if events.out_of_budget() {
        notes.push(events.budget_note());
        RunOutcome::OutOfBudget
    } else if any(StageOutcome::Failed) {
        RunOutcome::Failed
    } else if any(StageOutcome::Interrupted) {
        RunOutcome::Interrupted
    } else {
        // A stage is skipped only behind one that failed.
        RunOutcome::Succeeded
    };
    let usage = events.spent();
    events.finished(outcome, &reports, &notes, began.elapsed());
    let records = records
        .into_iter()
        .enumerate()
        .filter_map(|(index, record)| Some((pipeline.stages[index].name.clone(), record?)))
        .collect();
    Ok(RunSummary {
        id: events.id(),
        outcome,
        stages: reports,
        records,
        usage,
        notes,
    })
}
