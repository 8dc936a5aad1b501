//! The scheduler of a run: finds keys, starts what fits, takes answers, heals what is damaged.
//!
//! Everything is decided on one thread; threads that run stages only answer. Every stage in scope
//! is reported once it is settled, and again if its result had to be made again.

mod finder;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use dag_cache::{Cache, CacheError, Lookup, Record, StageKey, Usage};

use crate::cancel::Cancel;
use crate::capacity::Capacity;
use crate::checked::Pipeline;
use crate::declaration::Resources;
use crate::error::{Actor, Failure, StageError};
use crate::event::{StageOutcome, StageReport};
use crate::executor::{Execution, Executor, Finished};
use crate::graph::Graph;
use crate::key::{Need, Resolved};
use crate::lookups::{CacheLookups, Lookups};
use crate::plan::{Plan, Status};
use crate::run::RunOptions;
use crate::run_events::RunEvents;
use crate::task::{Task, TaskOutput};
use finder::{Finder, Found};

/// How often the deciding thread looks whether it was cancelled.
const POLL: Duration = Duration::from_millis(50);
/// How long stages may take to obey a stop before the run ends without them.
const GRACE: Duration = Duration::from_secs(5);
/// How often one stage may be tried again after what it read was made again.
const HEALS: u8 = 3;

/// Where a stage stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Not in scope.
    Out,
    /// Waits for so many stages.
    Waiting(usize),
    /// Everything before it is there; its key is to be found.
    Open,
    /// It must run, as soon as there is room.
    Queued,
    /// It runs.
    Running,
    /// It has its result.
    Done,
    /// It will have none in this run.
    Over,
}

/// A stage that must run.
struct Ready {
    index: usize,
    resolved: Arc<Resolved>,
    estimated_usd: f64,
}

/// What a scheduler works with.
#[derive(Clone)]
pub(crate) struct Surroundings<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) graph: &'a Graph,
    pub(crate) cache: &'a Cache,
    pub(crate) lookups: &'a CacheLookups,
    pub(crate) events: &'a RunEvents,
    pub(crate) cancel: &'a Cancel,
    pub(crate) options: &'a RunOptions,
    pub(crate) in_process: Arc<dyn Executor>,
}

/// The state of a run.
pub(crate) struct Scheduler<'a> {
    around: Surroundings<'a>,
    free: Capacity,
    whole: Capacity,
    standing: Vec<Standing>,
    force: Vec<bool>,
    heals: Vec<u8>,
    keys: Vec<Option<StageKey>>,
    pub(crate) records: Vec<Option<Arc<Record>>>,
    estimates_usd: Vec<f64>,
    open: Vec<usize>,
    queue: Vec<Ready>,
    running: usize,
    halted: bool,
    pub(crate) reports: Vec<StageReport>,
    pub(crate) notes: Vec<String>,
    answers: (mpsc::Sender<Answer>, mpsc::Receiver<Answer>),
}

/// A result that is made again rather than waited for takes no longer, in seconds.
const CHEAP: f64 = 120.0;

/// Whether making a result again costs next to nothing: no request, no money, little time.
fn is_cheap(record: &Record) -> bool {
    record.usage == Usage::default() && record.seconds <= CHEAP
}

/// What a working thread comes back with.
struct Answer {
    index: usize,
    share: Resources,
    seconds: f64,
    result: Result<Finished, StageError>,
}

impl<'a> Scheduler<'a> {
    /// A run that has not begun.
    pub(crate) fn new(around: Surroundings<'a>, capacity: Capacity) -> Self {
        let stages = around.graph.len();
        Self {
            around,
            free: capacity.clone(),
            whole: capacity,
            standing: vec![Standing::Out; stages],
            force: vec![false; stages],
            heals: vec![0; stages],
            keys: vec![None; stages],
            records: vec![None; stages],
            estimates_usd: vec![0.0; stages],
            open: Vec::new(),
            queue: Vec::new(),
            running: 0,
            halted: false,
            reports: Vec::with_capacity(stages),
            notes: Vec::new(),
            answers: mpsc::channel(),
        }
    }

    /// Takes over what the plan knows already.
    pub(crate) fn adopt(&mut self, plan: Plan) {
        for planned in &plan.stages {
            let waiting = self.around.graph.parents(planned.index).count();
            self.standing[planned.index] = Standing::Waiting(waiting);
            self.estimates_usd[planned.index] = planned.estimate.usd.unwrap_or(0.0);
        }
        // Topological order: by the time a stage is looked at, those before it are settled.
        for planned in plan.stages {
            let index = planned.index;
            if self.standing[index] == Standing::Over {
                continue;
            }
            match planned.status {
                Status::Cached => {
                    if let Some(record) = planned.record {
                        self.done(index, record, StageOutcome::Cached, None);
                    }
                }
                Status::Remote { remote, .. } => {
                    if let Some(record) = planned.record {
                        self.done(index, record, StageOutcome::Cached, Some(remote));
                    }
                }
                Status::Run | Status::Resume { .. } => {
                    self.force[index] = planned
                        .reasons
                        .iter()
                        .any(|reason| matches!(reason, crate::why::Change::Forced));
                    if let Some(resolved) = planned.resolved {
                        self.enqueue(index, resolved);
                    }
                }
                Status::Unknown { .. } => {
                    let scope = &self.around.options.scope;
                    let name = &self.around.pipeline.stages[index].name;
                    self.force[index] = scope.force_all || scope.force.contains(name);
                }
                Status::Blocked { needs } => self.blocked(index, &needs),
            }
        }
        // Stages that became open while adopting are settled above.
        self.open.clear();
    }

    /// The loop: find keys, start what fits, wait for an answer.
    pub(crate) fn work(&mut self) {
        let mut stopping_since = None;
        loop {
            self.settle_open();
            self.start_queued();
            if self.running == 0 {
                if self.open.is_empty() || self.idle() {
                    break;
                }
                continue;
            }
            if self.around.cancel.stopping() {
                let since = *stopping_since.get_or_insert_with(Instant::now);
                if since.elapsed() > GRACE {
                    self.notes
                        .push(format!("{} stages did not stop in time", self.running));
                    break;
                }
            }
            if let Ok(answer) = self.answers.1.recv_timeout(POLL) {
                self.take(answer);
            }
        }
        self.close();
    }

    /// Finds the keys of open stages and looks them up, many at once where there are many.
    fn settle_open(&mut self) {
        while !self.open.is_empty() && !self.idle() {
            let mut open = std::mem::take(&mut self.open);
            open.sort_unstable();
            let found = self.finder().find(open);
            for (index, found) in found {
                match found {
                    Found::Hit(record, remote) => {
                        self.done(index, record, StageOutcome::Cached, remote);
                    }
                    Found::Run(resolved) => self.enqueue(index, resolved),
                    Found::Blocked(needs) => self.blocked(index, &needs),
                }
            }
        }
    }

    fn finder(&self) -> Finder<'_> {
        Finder {
            pipeline: self.around.pipeline,
            graph: self.around.graph,
            records: &self.records,
            force: &self.force,
            lookups: self.around.lookups,
        }
    }

    /// Nothing new may begin.
    fn idle(&self) -> bool {
        self.halted || self.around.cancel.draining()
    }

    fn enqueue(&mut self, index: usize, resolved: Arc<Resolved>) {
        self.standing[index] = Standing::Queued;
        self.keys[index] = Some(resolved.key);
        let estimated_usd = self.estimates_usd[index];
        self.queue.push(Ready {
            index,
            resolved,
            estimated_usd,
        });
    }

    /// Starts queued stages that fit, in the file's order; one that does not fit lets others pass.
    fn start_queued(&mut self) {
        if self.idle() || self.queue.is_empty() {
            return;
        }
        let mut queue = std::mem::take(&mut self.queue);
        queue.sort_by_key(|ready| ready.index);
        for ready in queue {
            if self.idle() {
                self.queue.push(ready);
                continue;
            }
            let asked = &self.around.pipeline.stages[ready.index]
                .declaration
                .resources;
            let share = self.whole.share(asked);
            if !self.free.take(&share) {
                self.queue.push(ready);
                continue;
            }
            if !self.around.options.until_spent && !self.around.events.affords(ready.estimated_usd)
            {
                self.free.give_back(&share);
                self.queue.push(ready);
                continue;
            }
            self.start(&ready, share);
        }
    }

    fn start(&mut self, ready: &Ready, share: Resources) {
        let index = ready.index;
        let task = Arc::new(self.task(index, &ready.resolved, share.clone()));
        let isolate = self.around.pipeline.stages[index].declaration.isolate;
        let options = self.around.options;
        let executor = options
            .isolated
            .clone()
            .filter(|_| isolate || options.isolate_all)
            .unwrap_or_else(|| Arc::clone(&self.around.in_process));
        let resumed = self.around.lookups.has_checkpoint(&ready.resolved.key);
        self.around.events.stage_started(&task, resumed);
        self.standing[index] = Standing::Running;
        self.running += 1;
        let answers = self.answers.0.clone();
        let (sink, cancel) = (self.around.events.sink(), self.around.cancel.clone());
        let spare = share.clone();
        let spawned = std::thread::Builder::new()
            .name(format!("stage {}", task.stage))
            .stack_size(16 << 20)
            .spawn(move || {
                let began = Instant::now();
                let result = executor.execute(task, sink, &cancel);
                let seconds = began.elapsed().as_secs_f64();
                // The receiver is gone only if the run ended without waiting for this stage.
                answers
                    .send(Answer {
                        index,
                        share,
                        seconds,
                        result,
                    })
                    .ok();
            });
        if let Err(error) = spawned {
            let result = Err(StageError::environment(format!(
                "no thread for the stage: {error}"
            )));
            self.take(Answer {
                index,
                share: spare,
                seconds: 0.0,
                result,
            });
        }
    }

    fn task(&self, index: usize, resolved: &Resolved, share: Resources) -> Task {
        let stage = &self.around.pipeline.stages[index];
        let options = self.around.options;
        Task {
            stage: stage.name.clone(),
            kind: stage.kind.name().to_owned(),
            version: stage.kind.version(),
            settings: stage.settings_json.clone(),
            key: resolved.key,
            preimage: resolved.preimage.clone(),
            seed: stage.seed,
            inputs: resolved.inputs.clone(),
            models: resolved.models.clone(),
            files: resolved.files.clone(),
            hub: resolved.hub.clone(),
            outputs: stage
                .outputs
                .iter()
                .map(|output| TaskOutput {
                    name: output.name.clone(),
                    artifact: output.artifact,
                    columns: output.schema.as_ref().map(|schema| {
                        schema
                            .fields()
                            .iter()
                            .map(|field| field.name().clone())
                            .collect()
                    }),
                })
                .collect(),
            resources: share,
            cache: self.around.cache.root().to_owned(),
            by: options.by.clone(),
            tool: options.tool.clone(),
            force: self.force[index],
            share: stage.share,
            wait: options.wait,
            supervised: false,
        }
    }

    fn take(&mut self, answer: Answer) {
        let Answer {
            index,
            share,
            seconds,
            result,
        } = answer;
        self.running -= 1;
        self.free.give_back(&share);
        match result {
            Ok(finished) => {
                let outcome = match finished.outcome {
                    Execution::Ran => StageOutcome::Ran,
                    Execution::Found => StageOutcome::Cached,
                    Execution::RanButKept => {
                        self.notes.push(format!(
                            "stage `{}` gave another result than the one stored for the same key; \
                             the stored one was kept",
                            self.around.pipeline.stages[index].name
                        ));
                        StageOutcome::Ran
                    }
                    Execution::RanButAdopted { writer, remote } => {
                        self.notes.push(format!(
                            "stage `{}` gave another result than {writer} has pushed to `{remote}` for \
                             the same key; that one counts for both",
                            self.around.pipeline.stages[index].name
                        ));
                        StageOutcome::Ran
                    }
                };
                self.force[index] = false;
                self.done(index, Arc::new(finished.record), outcome, None);
            }
            Err(error) if self.heal(index, &error) => {
                self.around.events.healing(
                    &self.around.pipeline.stages[index].name,
                    &error.to_failure(),
                );
            }
            Err(StageError::Interrupted) => {
                self.over(index, StageOutcome::Interrupted, None, seconds)
            }
            Err(error) => {
                if !self.around.options.keep_going {
                    self.halted = true;
                }
                self.over(
                    index,
                    StageOutcome::Failed,
                    Some(error.to_failure()),
                    seconds,
                );
            }
        }
    }

    /// If a stage failed because results before it are damaged or gone, has them made again.
    ///
    /// Files of a colleague's result that no remote can be asked for are no damage. What made them is run
    /// again only if that costs next to nothing: who is off the network for an hour has not asked for a
    /// week of sampling.
    fn heal(&mut self, index: usize, error: &StageError) -> bool {
        if self.idle() || self.heals[index] >= HEALS {
            return false;
        }
        let mut broken = Vec::new();
        let mut awaited = 0;
        for parent in self.around.graph.parents(index) {
            match self.standing[parent] {
                Standing::Done => match self.keys[parent].map(|key| self.around.cache.lookup(&key))
                {
                    Some(Lookup::Hit(_)) => {}
                    // A record whose files cannot be had would be found again: made again by force.
                    Some(Lookup::Shared { record, .. }) => match error {
                        StageError::Cache(CacheError::Missing(_)) => broken.push((parent, true)),
                        StageError::Cache(CacheError::Unreachable { .. }) if is_cheap(&record) => {
                            broken.push((parent, true));
                        }
                        _ => {}
                    },
                    _ => broken.push((parent, false)),
                },
                // Another stage found the damage first.
                Standing::Waiting(_) | Standing::Open | Standing::Queued | Standing::Running => {
                    awaited += 1;
                }
                Standing::Out | Standing::Over => return false,
            }
        }
        if broken.is_empty() && awaited == 0 {
            return false;
        }
        self.heals[index] += 1;
        awaited += broken.len();
        for (parent, force) in broken {
            self.records[parent] = None;
            self.force[parent] |= force;
            self.standing[parent] = Standing::Open;
            self.open.push(parent);
            // It was counted among the finished ones; it will be told of again.
            let name = &self.around.pipeline.stages[parent].name;
            self.reports.retain(|report| report.stage != *name);
            for child in self.around.graph.children(parent) {
                if let Standing::Waiting(count) = self.standing[child] {
                    self.standing[child] = Standing::Waiting(count + 1);
                }
            }
        }
        self.standing[index] = Standing::Waiting(awaited);
        true
    }

    fn done(
        &mut self,
        index: usize,
        record: Arc<Record>,
        outcome: StageOutcome,
        remote: Option<String>,
    ) {
        let stage = &self.around.pipeline.stages[index];
        let report = StageReport {
            stage: stage.name.clone(),
            kind: stage.kind.name().to_owned(),
            outcome,
            key: Some(record.key),
            rows: record
                .outputs
                .get(&record.main)
                .and_then(|output| output.rows),
            counts: record.counts.clone(),
            metrics: record.metrics.clone(),
            usage: record.usage.clone(),
            remote,
            seconds: record.seconds,
            notes: record.notes.clone(),
            failure: None,
        };
        self.standing[index] = Standing::Done;
        self.keys[index] = Some(record.key);
        self.records[index] = Some(record);
        self.report(report);
        for child in self.around.graph.children(index) {
            if let Standing::Waiting(count) = self.standing[child] {
                let left = count.saturating_sub(1);
                self.standing[child] = Standing::Waiting(left);
                if left == 0 {
                    self.standing[child] = Standing::Open;
                    self.open.push(child);
                }
            }
        }
    }

    fn blocked(&mut self, index: usize, needs: &[Need]) {
        let mut texts = needs.iter().map(ToString::to_string);
        let failure = Failure {
            actor: Actor::Environment,
            message: texts.next().unwrap_or_default(),
            causes: texts.collect(),
            hint: None,
        };
        self.over(index, StageOutcome::Failed, Some(failure), 0.0);
    }

    /// A stage gets no result in this run, and neither does what needs it.
    fn over(
        &mut self,
        index: usize,
        outcome: StageOutcome,
        failure: Option<Failure>,
        seconds: f64,
    ) {
        self.standing[index] = Standing::Over;
        self.report(self.without_result(index, outcome, failure, seconds));
        let after: Vec<usize> = self
            .around
            .graph
            .reached_from(&[index])
            .iter()
            .enumerate()
            .filter(|(other, reached)| **reached && *other != index)
            .map(|(other, _)| other)
            .filter(|other| matches!(self.standing[*other], Standing::Waiting(_) | Standing::Open))
            .collect();
        for other in after {
            self.standing[other] = Standing::Over;
            self.open.retain(|open| *open != other);
            let (outcome, failure) = match outcome {
                StageOutcome::Interrupted => (StageOutcome::Interrupted, None),
                StageOutcome::Cached
                | StageOutcome::Ran
                | StageOutcome::Failed
                | StageOutcome::Skipped => {
                    let name = &self.around.pipeline.stages[index].name;
                    let failure = Failure {
                        actor: Actor::Author,
                        message: format!("`{name}` has no result"),
                        causes: Vec::new(),
                        hint: None,
                    };
                    (StageOutcome::Skipped, Some(failure))
                }
            };
            self.report(self.without_result(other, outcome, failure, 0.0));
        }
    }

    fn without_result(
        &self,
        index: usize,
        outcome: StageOutcome,
        failure: Option<Failure>,
        seconds: f64,
    ) -> StageReport {
        let stage = &self.around.pipeline.stages[index];
        StageReport {
            stage: stage.name.clone(),
            kind: stage.kind.name().to_owned(),
            outcome,
            key: self.keys[index],
            rows: None,
            counts: BTreeMap::new(),
            metrics: BTreeMap::new(),
            usage: Usage::default(),
            remote: None,
            seconds,
            notes: Vec::new(),
            failure,
        }
    }

    fn report(&mut self, report: StageReport) {
        self.around.events.stage_finished(&report);
        self.reports.push(report);
    }

    /// What was not reached is told too.
    fn close(&mut self) {
        for level in self.around.graph.levels() {
            for &index in level {
                match self.standing[index] {
                    Standing::Out | Standing::Done | Standing::Over => {}
                    Standing::Waiting(_)
                    | Standing::Open
                    | Standing::Queued
                    | Standing::Running => {
                        self.standing[index] = Standing::Over;
                        let report =
                            self.without_result(index, StageOutcome::Interrupted, None, 0.0);
                        self.report(report);
                    }
                }
            }
        }
    }
}
