//! A cache in a temporary folder, a pipeline that is edited, and runs of it.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use dag_cache::CacheError;
use dag_engine::event::Collect;
use dag_engine::{
    Cache, CacheLookups, Cancel, Capacity, Event, EventSink, Graph, History, Pipeline,
    PipelineBuilder, Plan, RunOptions, RunSummary, Scope, StageOutcome, StageRef, Table,
};

use crate::kind::{Numbers, NumbersSettings, calls, registry};

/// Stages by name and settings, in order.
pub(crate) type Stages = Vec<(&'static str, NumbersSettings)>;

pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) cache: Cache,
    pub(crate) stages: Stages,
    pub(crate) options: RunOptions,
    pub(crate) seed: u64,
    pub(crate) budget: Option<f64>,
    pub(crate) limits: Vec<(&'static str, u32)>,
}

/// A source of numbers.
pub(crate) fn source(values: &[i64]) -> NumbersSettings {
    NumbersSettings {
        values: values.to_vec(),
        cpus: 1,
        ..NumbersSettings::default()
    }
}

/// A stage that takes other stages' numbers.
pub(crate) fn after(from: &[&str]) -> NumbersSettings {
    NumbersSettings {
        from: from.iter().map(|name| StageRef::from(*name)).collect(),
        cpus: 1,
        ..NumbersSettings::default()
    }
}

/// `a → b → c`.
pub(crate) fn chain() -> Stages {
    vec![
        ("a", source(&[1, 2, 3, 40])),
        (
            "b",
            NumbersSettings {
                max: Some(10),
                ..after(&["a"])
            },
        ),
        ("c", after(&["b"])),
    ]
}

impl World {
    pub(crate) fn with(stages: Stages) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("cache")).unwrap();
        fs_err::create_dir_all(folder.path().join("work")).unwrap();
        Self {
            folder,
            cache,
            stages,
            options: RunOptions::cpus(4),
            seed: 0,
            budget: None,
            limits: Vec::new(),
        }
    }

    /// The same world after its stages ran once.
    pub(crate) fn ran(self) -> Self {
        let ran = self.run();
        assert_eq!(
            ran.calls.len(),
            self.stages.len(),
            "{:?}",
            ran.summary.stages
        );
        self
    }

    /// A path beside the pipeline file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    /// The settings of a stage, to edit.
    pub(crate) fn stage(&mut self, name: &str) -> &mut NumbersSettings {
        &mut self
            .stages
            .iter_mut()
            .find(|(there, _)| *there == name)
            .unwrap()
            .1
    }

    /// Puts trouble into the way of a stage; empty for none.
    pub(crate) fn trouble(&mut self, stage: &str, what: &str) {
        let path = self.path(&format!("{stage}.trouble"));
        fs_err::write(&path, what).unwrap();
        self.stage(stage).trouble = Some(path);
    }

    fn probe(&self) -> String {
        self.folder.path().display().to_string()
    }

    pub(crate) fn pipeline(&self) -> Pipeline {
        let mut builder = PipelineBuilder::new("test", &self.path("pipeline.toml")).seed(self.seed);
        if let Some(usd) = self.budget {
            builder = builder.budget(usd);
        }
        for (name, capacity) in &self.limits {
            builder = builder.limit(name, *capacity);
        }
        for (name, settings) in &self.stages {
            let settings = NumbersSettings {
                probe: self.probe(),
                ..settings.clone()
            };
            builder = builder.stage::<Numbers>(name, settings);
        }
        builder.build().unwrap()
    }

    pub(crate) fn plan(&self) -> Plan {
        let pipeline = self.pipeline();
        let graph = Graph::of(&pipeline).unwrap();
        Plan::of(
            &pipeline,
            &graph,
            &Scope::all(),
            &Capacity::cpus(4),
            &CacheLookups::new(&self.cache),
        )
        .unwrap()
    }

    /// Why a stage runs or ran, a line each.
    pub(crate) fn why(&self, stage: &str) -> Vec<String> {
        let why = self
            .plan()
            .why(&self.pipeline(), stage, &CacheLookups::new(&self.cache))
            .unwrap();
        why.changes.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn run(&self) -> Ran {
        self.run_cancelled(|_| ())
    }

    /// A run that is cancelled as soon as its first stage has begun.
    pub(crate) fn run_cancelled(&self, how: fn(&Cancel)) -> Ran {
        let cancel = Cancel::new();
        let sink = Arc::new(CancelAtFirst {
            collect: Collect::default(),
            cancel: cancel.clone(),
            how,
        });
        let summary = dag_engine::run(
            &self.pipeline(),
            &registry(),
            &self.cache,
            &self.options,
            sink.clone(),
            &cancel,
        )
        .unwrap();
        Ran {
            calls: calls(&self.probe()),
            events: sink.collect.events(),
            cache: self.cache.clone(),
            summary,
        }
    }

    pub(crate) fn history(&self) -> History {
        History::of(&self.cache)
    }
}

/// Keeps every event, and cancels at the first stage that begins.
struct CancelAtFirst {
    collect: Collect,
    cancel: Cancel,
    how: fn(&Cancel),
}

impl EventSink for CancelAtFirst {
    fn event(&self, event: &Event) {
        self.collect.event(event);
        if matches!(event, Event::StageStarted { .. }) {
            (self.how)(&self.cancel);
        }
    }
}

/// What a run did.
pub(crate) struct Ran {
    pub(crate) calls: Vec<String>,
    pub(crate) summary: RunSummary,
    pub(crate) events: Vec<Event>,
    cache: Cache,
}

impl Ran {
    /// Stages that ran, by name.
    pub(crate) fn sorted_calls(&self) -> Vec<String> {
        let mut calls = self.calls.clone();
        calls.sort();
        calls
    }

    /// The numbers a stage put out.
    pub(crate) fn numbers(&self, stage: &str) -> Vec<i64> {
        self.try_numbers(stage).unwrap()
    }

    /// The same, where its file may be out of reach.
    pub(crate) fn try_numbers(&self, stage: &str) -> Result<Vec<i64>, CacheError> {
        let record = &self.summary.records[stage];
        let path = self.cache.blob_path(&record.outputs[&record.main].bytes)?;
        let mut numbers = Vec::new();
        for batch in Table::open(&path).unwrap().batches().unwrap() {
            numbers.extend(
                batch
                    .unwrap()
                    .column(0)
                    .as_primitive::<Int64Type>()
                    .values(),
            );
        }
        Ok(numbers)
    }

    pub(crate) fn outcome(&self, stage: &str) -> StageOutcome {
        self.summary.outcome_of(stage).unwrap()
    }

    /// What a failed or skipped stage says.
    pub(crate) fn failure(&self, stage: &str) -> String {
        let report = self
            .summary
            .stages
            .iter()
            .find(|report| report.stage == stage)
            .unwrap();
        report.failure.as_ref().unwrap().message.clone()
    }
}
