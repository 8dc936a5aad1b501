//! The events of a run on their way: to the reader, to the recording, and past the budget.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dag_cache::{Cache, Usage};
use jiff::Timestamp;

use crate::cancel::Cancel;
use crate::checked::Pipeline;
use crate::error::Failure;
use crate::event::{Event, EventSink, Level, RunOutcome, StageOutlook, StageReport};
use crate::history::{Recorder, new_run, tally};
use crate::run::RunOptions;
use crate::task::Task;

/// Where all events of a run pass.
pub(crate) struct RunEvents {
    id: String,
    passage: Arc<Passage>,
}

struct Passage {
    reader: Arc<dyn EventSink>,
    recorder: Recorder,
    budget: Option<f64>,
    cancel: Cancel,
    money: Mutex<Money>,
}

#[derive(Default)]
struct Money {
    spent: Usage,
    exhausted: bool,
}

impl EventSink for Passage {
    fn event(&self, event: &Event) {
        if let Event::StageUsage { spent, .. } = event {
            let mut money = self.money();
            money.spent += spent.clone();
            if self.budget.is_some_and(|budget| money.spent.usd >= budget) && spent.usd > 0.0 {
                // Rows in flight are paid for: finish them, start nothing new.
                money.exhausted = true;
                self.cancel.drain();
            }
        }
        self.recorder.record(event, Timestamp::now());
        self.reader.event(event);
    }
}

impl Passage {
    fn money(&self) -> std::sync::MutexGuard<'_, Money> {
        self.money.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunEvents {
    pub(crate) fn begin(
        pipeline: &Pipeline,
        cache: &Cache,
        options: &RunOptions,
        reader: Arc<dyn EventSink>,
        cancel: &Cancel,
        budget: Option<f64>,
    ) -> std::io::Result<Self> {
        let now = Timestamp::now();
        let run = new_run(
            &pipeline.name,
            &pipeline.path,
            &options.by,
            &options.tool,
            now,
        );
        let id = run.id.clone();
        let recorder = Recorder::begin(cache.root(), run)?;
        let passage = Passage {
            reader,
            recorder,
            budget,
            cancel: cancel.clone(),
            money: Mutex::default(),
        };
        Ok(Self {
            id,
            passage: Arc::new(passage),
        })
    }

    pub(crate) fn id(&self) -> String {
        self.id.clone()
    }

    pub(crate) fn sink(&self) -> Arc<dyn EventSink> {
        Arc::clone(&self.passage) as Arc<dyn EventSink>
    }

    pub(crate) fn started(&self, pipeline: &Pipeline, stages: Vec<StageOutlook>) {
        self.passage.event(&Event::RunStarted {
            run: self.id.clone(),
            pipeline: pipeline.name.clone(),
            file: pipeline.path.clone(),
            stages,
        });
    }

    pub(crate) fn stage_started(&self, task: &Task, resumed: bool) {
        self.passage.event(&Event::StageStarted {
            stage: task.stage.clone(),
            kind: task.kind.clone(),
            key: task.key,
            resumed,
        });
    }

    pub(crate) fn stage_finished(&self, report: &StageReport) {
        self.passage
            .event(&Event::StageFinished(Box::new(report.clone())));
    }

    /// A stage read something damaged, which is made again before the stage is.
    pub(crate) fn healing(&self, stage: &str, failure: &Failure) {
        let mut text = failure.message.clone();
        for cause in &failure.causes {
            text.push_str(": ");
            text.push_str(cause);
        }
        self.passage.event(&Event::StageLog {
            stage: stage.to_owned(),
            level: Level::Warn,
            text: format!("{text}; what it read is damaged or gone and is made again"),
        });
    }

    pub(crate) fn finished(
        &self,
        outcome: RunOutcome,
        reports: &[StageReport],
        notes: &[String],
        took: Duration,
    ) {
        self.passage.event(&Event::RunFinished {
            outcome,
            stages: tally(reports.iter().map(|report| report.outcome)),
            usage: self.spent(),
            seconds: took.as_secs_f64(),
            notes: notes.to_vec(),
        });
    }

    pub(crate) fn spent(&self) -> Usage {
        self.passage.money().spent.clone()
    }

    /// Whether a stage that would cost so much may begin. If not, the run drains.
    pub(crate) fn affords(&self, usd: f64) -> bool {
        let mut money = self.passage.money();
        let Some(budget) = self.passage.budget else {
            return true;
        };
        let affords = usd <= 0.0 || money.spent.usd + usd <= budget;
        if !affords {
            money.exhausted = true;
        }
        affords
    }

    pub(crate) fn out_of_budget(&self) -> bool {
        self.passage.money().exhausted
    }

    pub(crate) fn budget_note(&self) -> String {
        let spent = self.passage.money().spent.usd;
        let budget = self.passage.budget.unwrap_or_default();
        format!("the budget of {budget:.2} USD does not cover the rest; {spent:.2} USD were spent")
    }
}
