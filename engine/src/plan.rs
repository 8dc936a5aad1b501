//! The plan: what a run would do, stage by stage, and why. A function of the pipeline and of the
//! answers to [`Lookups`]; it changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dag_cache::{Lookup, Record, StageKey};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::capacity::Capacity;
use crate::checked::{CheckedStage, Pipeline};
use crate::estimate::{Estimate, EstimateContext, EstimateInput};
use crate::event::{Outlook, StageOutlook};
use crate::graph::Graph;
use crate::key::{Need, Resolved, bind_model, resolve};
use crate::lookups::{Lookups, Sought};
use crate::why::{Before, Change, Why, compare};

/// Levels with fewer stages than this are looked up on one thread.
const PARALLEL_FROM: usize = 16;

/// What a run would do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Every stage of the plan, in topological order.
    pub stages: Vec<PlannedStage>,
}

/// What a run would do with one stage.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedStage {
    /// The stage.
    pub stage: String,
    /// Its kind.
    pub kind: String,
    /// What the kind has done when it is done: `Sampled`.
    pub verb: String,
    /// The stages it takes inputs or models from.
    pub after: Vec<String>,
    /// Its key, if known already.
    pub key: Option<StageKey>,
    /// What would happen.
    pub status: Status,
    /// Rows of the main output: exact for a cached stage, else estimated.
    pub rows: Option<u64>,
    /// What it would take; all zero for a cached stage.
    pub estimate: Estimate,
    /// Why it would run; empty for a cached stage.
    pub reasons: Vec<Change>,
    /// The result that the reasons compare with.
    pub before: Option<Before>,
    #[serde(skip)]
    pub(crate) index: usize,
    #[serde(skip)]
    pub(crate) resolved: Option<Arc<Resolved>>,
    #[serde(skip)]
    pub(crate) record: Option<Arc<Record>>,
}

impl PlannedStage {
    fn has(&mut self, record: Box<Record>) {
        let main = record.outputs.get(&record.main);
        self.rows = main.and_then(|output| output.rows);
        self.record = Some(Arc::from(record));
    }

    /// The record of a cached stage.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }
}

/// What would happen to a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// The result is there.
    Cached,
    /// The result is a colleague's. Its files come when somebody reads them.
    Remote {
        /// The remote that has it.
        remote: String,
        /// Bytes that are not here yet.
        bytes: u64,
    },
    /// It would run from its beginning.
    Run,
    /// It would go on from where it was left.
    Resume {
        /// Rows that are finished already, where the kind can tell.
        rows: Option<u64>,
        /// A checkpoint of an interrupted run is there.
        checkpoint: bool,
    },
    /// These stages before it run first; whether it runs depends on what they give.
    Unknown {
        /// The nearest stages before it that are not cached.
        waits_for: Vec<String>,
    },
    /// It cannot run.
    Blocked {
        /// Everything it lacks.
        needs: Vec<Need>,
    },
}

impl Status {
    /// Whether the result is there, on this machine or at a remote.
    #[must_use]
    pub fn is_there(&self) -> bool {
        match self {
            Self::Cached | Self::Remote { .. } => true,
            Self::Run | Self::Resume { .. } | Self::Unknown { .. } | Self::Blocked { .. } => false,
        }
    }

    /// The status in a word.
    #[must_use]
    pub fn outlook(&self) -> Outlook {
        match self {
            Self::Cached => Outlook::Cached,
            Self::Remote { .. } => Outlook::Remote,
            Self::Run => Outlook::Run,
            Self::Resume { .. } => Outlook::Resume,
            Self::Unknown { .. } => Outlook::Unknown,
            Self::Blocked { .. } => Outlook::Blocked,
        }
    }
}

/// What of the pipeline is planned, and what is run although it is cached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only these stages and what they need; empty means all.
    pub targets: Vec<String>,
    /// Run these again although they are cached.
    pub force: Vec<String>,
    /// Run everything in scope again.
    pub force_all: bool,
}

/// A stage that was asked for and is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no stage `{stage}`")]
pub struct UnknownStage {
    /// The name.
    pub stage: String,
    /// Names like it.
    pub nearest: Option<String>,
}

impl Plan {
    /// Plans a run.
    ///
    /// # Errors
    /// The scope names a stage that is not there.
    pub fn of(
        pipeline: &Pipeline,
        graph: &Graph,
        scope: &Scope,
        capacity: &Capacity,
        lookups: &dyn Lookups,
    ) -> Result<Self, UnknownStage> {
        let planner = Planner {
            pipeline,
            graph,
            capacity,
            lookups,
            forced: scope.forced(pipeline, graph)?,
        };
        let selected = scope.selected(pipeline, graph)?;
        let mut done: Vec<Option<PlannedStage>> = vec![None; graph.len()];
        let mut order = Vec::with_capacity(graph.len());
        for level in graph.levels() {
            let level: Vec<usize> = level
                .iter()
                .copied()
                .filter(|stage| selected[*stage])
                .collect();
            for stage in planner.level(level, &done) {
                order.push(stage.index);
                let index = stage.index;
                done[index] = Some(stage);
            }
        }
        Ok(Self {
            stages: order
                .into_iter()
                .filter_map(|index| done[index].take())
                .collect(),
        })
    }

    /// The plan of one stage.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&PlannedStage> {
        self.stages.iter().find(|stage| stage.stage == name)
    }

    /// Stages by status.
    #[must_use]
    pub fn tally(&self) -> BTreeMap<Outlook, u64> {
        let mut tally = BTreeMap::new();
        for stage in &self.stages {
            *tally.entry(stage.status.outlook()).or_insert(0) += 1;
        }
        tally
    }

    /// What the whole run would take: the sum of what is known.
    #[must_use]
    pub fn total(&self) -> Estimate {
        let sum = |of: fn(&Estimate) -> Option<u64>| {
            self.stages
                .iter()
                .filter_map(|stage| of(&stage.estimate))
                .reduce(|a, b| a + b)
        };
        let sum_f64 = |of: fn(&Estimate) -> Option<f64>| {
            self.stages
                .iter()
                .filter_map(|stage| of(&stage.estimate))
                .reduce(|a, b| a + b)
        };
        Estimate {
            rows: None,
            rows_to_do: sum(|estimate| estimate.rows_to_do),
            rows_known: sum(|estimate| estimate.rows_known),
            requests: sum(|estimate| estimate.requests),
            prompt_tokens: sum(|estimate| estimate.prompt_tokens),
            completion_tokens: sum(|estimate| estimate.completion_tokens),
            usd: sum_f64(|estimate| estimate.usd),
            completion_tokens_at_most: sum(|estimate| estimate.completion_tokens_at_most),
            usd_at_most: sum_f64(|estimate| estimate.usd_at_most),
            seconds: sum_f64(|estimate| estimate.seconds),
        }
    }

    /// Why one stage would run, or why its result differs from the one before.
    #[must_use]
    pub fn why(&self, pipeline: &Pipeline, stage: &str, lookups: &dyn Lookups) -> Option<Why> {
        let planned = self.stage(stage)?;
        let checked = pipeline.stages.get(planned.index)?;
        let (before, changes) = match (&planned.status, &planned.resolved) {
            (Status::Cached | Status::Remote { .. }, Some(resolved)) => compare(
                checked,
                &pipeline.name,
                resolved.key,
                &resolved.preimage,
                lookups,
            ),
            _ => (planned.before.clone(), planned.reasons.clone()),
        };
        Some(Why {
            stage: stage.to_owned(),
            key: planned.key,
            before,
            changes,
        })
    }

    /// The plan as a run's first event tells it.
    #[must_use]
    pub fn outlook(&self) -> Vec<StageOutlook> {
        self.stages
            .iter()
            .map(|stage| StageOutlook {
                stage: stage.stage.clone(),
                kind: stage.kind.clone(),
                verb: stage.verb.clone(),
                after: stage.after.clone(),
                status: stage.status.outlook(),
                estimate: stage.estimate.clone(),
            })
            .collect()
    }
}

impl Scope {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    fn selected(&self, pipeline: &Pipeline, graph: &Graph) -> Result<Vec<bool>, UnknownStage> {
        if self.targets.is_empty() {
            return Ok(vec![true; graph.len()]);
        }
        Ok(graph.needed_for(&indices(&self.targets, pipeline, graph)?))
    }

    fn forced(&self, pipeline: &Pipeline, graph: &Graph) -> Result<Vec<bool>, UnknownStage> {
        let mut forced = vec![self.force_all; graph.len()];
        for index in indices(&self.force, pipeline, graph)? {
            forced[index] = true;
        }
        Ok(forced)
    }
}

fn indices(
    names: &[String],
    pipeline: &Pipeline,
    graph: &Graph,
) -> Result<Vec<usize>, UnknownStage> {
    names
        .iter()
        .map(|name| {
            graph.index(name).ok_or_else(|| UnknownStage {
                stage: name.clone(),
                nearest: pipeline
                    .stages
                    .iter()
                    .map(|stage| (strsim::damerau_levenshtein(name, &stage.name), &stage.name))
                    .filter(|(distance, near)| *distance <= near.len() / 3)
                    .min()
                    .map(|(_, near)| near.clone()),
            })
        })
        .collect()
}

/// Does something with every item, on many threads where there are many, and keeps their order.
pub(crate) fn in_order<T: Send, R: Send>(
    items: Vec<T>,
    work: impl Fn(T) -> R + Send + Sync,
) -> Vec<R> {
    if items.len() < PARALLEL_FROM {
        items.into_iter().map(work).collect()
    } else {
        items.into_par_iter().map(work).collect()
    }
}

struct Planner<'a> {
    pipeline: &'a Pipeline,
    graph: &'a Graph,
    capacity: &'a Capacity,
    lookups: &'a dyn Lookups,
    forced: Vec<bool>,
}

/// A stage on its way into the plan.
enum Begun {
    /// All is said of it.
    Planned(PlannedStage),
    /// Its key is known, and is to be looked up.
    Keyed(PlannedStage, Arc<Resolved>),
}

impl Planner<'_> {
    /// Plans stages that do not depend on each other: finds the keys, looks them up all at once, and says
    /// what follows.
    fn level(&self, level: Vec<usize>, done: &[Option<PlannedStage>]) -> Vec<PlannedStage> {
        let begun = in_order(level, |index| self.begin(index, done));
        let sought: Vec<Sought> = begun
            .iter()
            .filter_map(|begun| match begun {
                Begun::Planned(_) => None,
                Begun::Keyed(planned, resolved) => Some(Sought {
                    key: resolved.key,
                    shared: self.pipeline.stages[planned.index].share,
                }),
            })
            .collect();
        let mut found = self.lookups.records(&sought).into_iter();
        let begun: Vec<(Begun, Option<Lookup>)> = begun
            .into_iter()
            .map(|begun| match begun {
                Begun::Planned(_) => (begun, None),
                Begun::Keyed(..) => (begun, found.next()),
            })
            .collect();
        in_order(begun, |(begun, found)| match begun {
            Begun::Planned(planned) => planned,
            Begun::Keyed(planned, resolved) => {
                self.found(planned, &resolved, found.unwrap_or(Lookup::Miss), done)
            }
        })
    }

    fn begin(&self, index: usize, done: &[Option<PlannedStage>]) -> Begun {
        let stage = &self.pipeline.stages[index];
        let mut planned = PlannedStage {
            stage: stage.name.clone(),
            kind: stage.kind.name().to_owned(),
            verb: stage.kind.verb().to_owned(),
            after: self
                .graph
                .parents(index)
                .map(|parent| self.pipeline.stages[parent].name.clone())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            key: None,
            status: Status::Cached,
            rows: None,
            estimate: Estimate::default(),
            reasons: Vec::new(),
            before: None,
            index,
            resolved: None,
            record: None,
        };
        let waits_for: Vec<String> = planned
            .after
            .iter()
            .filter(|name| {
                self.find(name, done)
                    .is_none_or(|parent| parent.record.is_none())
            })
            .cloned()
            .collect();
        let lacks = self.capacity.lacks(&stage.declaration.resources);
        if !waits_for.is_empty() {
            planned.reasons = waits_for
                .iter()
                .map(|stage| Change::Upstream {
                    stage: stage.clone(),
                })
                .collect();
            planned.status = if lacks.is_empty() {
                Status::Unknown { waits_for }
            } else {
                Status::Blocked { needs: lacks }
            };
            self.estimate(stage, &mut planned, done);
            return Begun::Planned(planned);
        }
        let record_of = |name: &str| {
            self.find(name, done)
                .and_then(|parent| parent.record.clone())
        };
        let resolved = match resolve(self.pipeline, stage, &record_of, self.lookups) {
            Ok(resolved) => Arc::new(resolved),
            Err(needs) => {
                planned.status = Status::Blocked { needs };
                self.estimate(stage, &mut planned, done);
                return Begun::Planned(planned);
            }
        };
        planned.key = Some(resolved.key);
        planned.resolved = Some(Arc::clone(&resolved));
        Begun::Keyed(planned, resolved)
    }

    /// What follows from what was found under a stage's key.
    fn found(
        &self,
        mut planned: PlannedStage,
        resolved: &Resolved,
        found: Lookup,
        done: &[Option<PlannedStage>],
    ) -> PlannedStage {
        let index = planned.index;
        let stage = &self.pipeline.stages[index];
        let lost = match found {
            Lookup::Hit(record) if !self.forced[index] => {
                planned.has(record);
                return planned;
            }
            Lookup::Shared {
                record,
                remote,
                bytes,
            } if !self.forced[index] => {
                planned.has(record);
                planned.status = Status::Remote { remote, bytes };
                return planned;
            }
            Lookup::Hit(_) | Lookup::Shared { .. } => Some(Change::Forced),
            Lookup::Miss => None,
            Lookup::Refused { reasons } => Some(Change::Refused { reasons }),
            Lookup::Incomplete { missing, .. } => Some(Change::Lost {
                what: format!("{} missing of its files", missing.len()),
            }),
            Lookup::Damaged { reason } => Some(Change::Lost { what: reason }),
        };
        match lost {
            Some(change) => planned.reasons = vec![change],
            None => {
                (planned.before, planned.reasons) = compare(
                    stage,
                    &self.pipeline.name,
                    resolved.key,
                    &resolved.preimage,
                    self.lookups,
                );
            }
        }
        self.estimate(stage, &mut planned, done);
        let lacks = self.capacity.lacks(&stage.declaration.resources);
        let checkpoint = self.lookups.has_checkpoint(&resolved.key);
        let rows = planned.estimate.rows_known.filter(|rows| *rows > 0);
        planned.status = if !lacks.is_empty() {
            Status::Blocked { needs: lacks }
        } else if checkpoint || rows.is_some() {
            Status::Resume { rows, checkpoint }
        } else {
            Status::Run
        };
        planned
    }

    fn find<'p>(&self, name: &str, done: &'p [Option<PlannedStage>]) -> Option<&'p PlannedStage> {
        done.get(self.graph.index(name)?)?.as_ref()
    }

    /// Fills in estimate and expected rows.
    fn estimate(
        &self,
        stage: &CheckedStage,
        planned: &mut PlannedStage,
        done: &[Option<PlannedStage>],
    ) {
        let inputs = stage
            .inputs
            .iter()
            .map(|input| {
                let parent = self.find(&input.stage, done);
                let artifact =
                    parent
                        .and_then(|parent| parent.record.as_ref())
                        .and_then(|record| {
                            record
                                .outputs
                                .get(input.output.as_deref().unwrap_or(&record.main))
                                .cloned()
                        });
                EstimateInput {
                    slot: input.slot.clone(),
                    rows: match &artifact {
                        Some(artifact) => artifact.rows,
                        None => parent.and_then(|parent| parent.rows),
                    },
                    artifact,
                }
            })
            .collect();
        let record_of = |name: &str| {
            self.find(name, done)
                .and_then(|parent| parent.record.clone())
        };
        let models: Vec<_> = stage
            .models
            .iter()
            .filter_map(|model| {
                let binding = bind_model(self.pipeline, model, &record_of, self.lookups).ok()?;
                Some((model.slot.clone(), binding))
            })
            .collect();
        let memo = if stage.declaration.memo {
            self.lookups.memo(stage.kind.name())
        } else {
            None
        };
        let past = self
            .lookups
            .past(&self.pipeline.name, &stage.name)
            .into_iter()
            .next();
        let cx = EstimateContext {
            stage: &stage.name,
            seed: stage.seed,
            inputs,
            models: &models,
            memo,
            past: past.map(|past| past.past),
            lookups: self.lookups,
        };
        let mut estimate = stage.kind.estimate(&stage.settings, &cx);
        if let Some(past) = cx.past() {
            // What the kind cannot tell is taken to be as it was.
            estimate.rows = estimate.rows.or(past.rows);
            estimate.seconds = estimate.seconds.or(Some(past.seconds));
        }
        planned.rows = estimate.rows;
        planned.estimate = estimate;
    }
}
