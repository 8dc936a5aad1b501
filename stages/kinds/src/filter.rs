//! `filter`: judges every response and keeps those that a strategy accepts. Rows stay in their order; those that are
//! not kept are in a second output, with their verdicts and the reason.
//!
//! Three rows before:
//!
//! | id | domain | response | answer | tests |
//! |---|---|---|---|---|
//! | 0a | math | 2+2 is \boxed{4}. | 4 | *null* |
//! | 0a | math | 2+2 is \boxed{5}. | 4 | *null* |
//! | 1b | choice | Well, who knows? | C | *null* |
//!
//! and after, with `strategy = "rejection"`:
//!
//! | id | domain | response | answer | tests | verdict | rule | reason | extracted |
//! |---|---|---|---|---|---|---|---|---|
//! | 0a | math | 2+2 is \boxed{4}. | 4 | *null* | pass | boxed+text | the same writing | 4 |
//!
//! and in the output `rejected`:
//!
//! | id | domain | response | answer | tests | verdict | rule | reason | extracted |
//! |---|---|---|---|---|---|---|---|---|
//! | 0a | math | 2+2 is \boxed{5}. | 4 | *null* | fail | boxed+exact | `5` is not `4` | 5 |
//! | 1b | choice | Well, who knows? | C | *null* | unparsable | none | no letter in the response | *null* |
//!
//! Every strategy judges every row and accepts others: whatever `rejection` accepts, `parsable` accepts too, and `none`
//! accepts everything. `keep` then chooses among the accepted rows of a problem. Programs run once, whatever the
//! settings: their verdicts are in the row memo.

mod choose;
mod judged;

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field, SchemaRef};
use dag_cache::canon;
use dag_engine::{
    Declaration, Estimate, EstimateContext, Fault, Inputs, OutputDecl, StageContext, StageError,
    StageKind, StageRef, Table, extend_schema,
};
use dag_grade::Verdict;
use dag_grade::answer::Policy;
use rayon::ThreadPool;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::grading::{Grader, GradingOptions};
use crate::stop;
use choose::{Choice, Kept, Shortest};
use judged::{Columns, Judged, Outputs, Spill};

/// The output with the rows that are not kept.
const REJECTED: &str = "rejected";
/// Families that are counted one by one; a table with more has the rest under one name.
const MOST_FAMILIES: usize = 256;

/// Settings of `filter`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilterSettings {
    /// The traces. Semantic.
    pub from: StageRef,
    /// Which responses are accepted: `none` filters nothing, `parsable` takes those with an answer or a program in
    /// them, `rejection` the right ones. Default `rejection`. Semantic.
    #[serde(default)]
    pub strategy: Strategy,
    /// Which accepted responses of one problem (one `id`) are kept: `all`, the `first`, or the `shortest`, counted in
    /// characters of reasoning and response; of two as short, the first. Default `all`. Semantic.
    #[serde(default)]
    pub keep: Keep,
    /// What counts as the same answer, by the name of a suite: `default`, `math-verify`, `hendrycks-math`,
    /// `skythought`, `olympiadbench`, `open-r1` or `qwen2.5-math`. Default `default`. Semantic.
    #[serde(default = "default_policy")]
    pub policy: String,
    /// What becomes of responses that were cut by their token limit: `reject` never passes them, `grade` judges them
    /// like the others. Default `reject`. Semantic.
    #[serde(default)]
    pub truncated: Truncated,
    /// Time for one test of a program, in seconds. Default 6. Semantic.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u32,
    /// Memory of a program, in MiB. Default 1024. Semantic.
    #[serde(default = "default_memory_mb")]
    pub memory_mb: u32,
    /// Run programs even where this machine lacks a layer of the sandbox. Default false. Semantic: what was judged with
    /// less protection is told apart, and noted.
    #[serde(default)]
    pub unsafe_ok: bool,
    /// Cores to judge on; no more than the machine has. Default 4. Operational.
    #[serde(default = "default_cpus")]
    pub cpus: u32,
}

/// Which responses are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// All of them.
    None,
    /// Those with an answer, or with a program, that can be read.
    Parsable,
    /// Those with the verdict `pass`.
    #[default]
    Rejection,
}

/// Which of the accepted responses of a problem are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// All of them.
    #[default]
    All,
    /// The first.
    First,
    /// The one with the fewest characters.
    Shortest,
}

/// What becomes of responses that were cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Truncated {
    /// They never pass.
    #[default]
    Reject,
    /// They are judged like the others.
    Grade,
}

fn default_policy() -> String {
    "default".to_owned()
}

fn default_timeout_s() -> u32 {
    GradingOptions::default().timeout_s
}

fn default_memory_mb() -> u32 {
    GradingOptions::default().memory_mb
}

fn default_cpus() -> u32 {
    4
}

impl FilterSettings {
    fn grading(&self) -> Option<GradingOptions> {
        Some(GradingOptions {
            policy: Policy::preset(&self.policy)?,
            timeout_s: self.timeout_s,
            memory_mb: self.memory_mb,
            unsafe_ok: self.unsafe_ok,
        })
    }
}

/// The word of a setting, as in the pipeline file.
fn word(setting: impl Serialize) -> canon::Value {
    // a unit variant is a text in JSON, which cannot fail
    canon::Value::from(&serde_json::to_value(setting).unwrap_or(serde_json::Value::Null))
}

/// The kind `filter`.
pub struct Filter;

impl StageKind for Filter {
    type Settings = FilterSettings;

    const NAME: &'static str = "filter";
    const VERSION: u32 = 3;
    const SUMMARY: &'static str = "judge every response, keep the right ones";
    const VERB: &'static str = "Filtered";

    fn declare(settings: &FilterSettings) -> Declaration {
        let FilterSettings {
            from,
            strategy,
            keep,
            policy,
            truncated,
            timeout_s,
            memory_mb,
            unsafe_ok,
            cpus,
        } = settings;
        Declaration::new()
            .input("from", from)
            .cpus(*cpus)
            .with_memo()
            .unseeded()
            .key(canon::Value::map([
                ("strategy", word(strategy)),
                ("keep", word(keep)),
                ("policy", policy.as_str().into()),
                ("truncated", word(truncated)),
                ("timeout_s", (*timeout_s).into()),
                ("memory_mb", (*memory_mb).into()),
                ("unsafe_ok", (*unsafe_ok).into()),
            ]))
    }

    fn outputs(_: &FilterSettings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        let shape = || {
            inputs.one("from")?;
            inputs.need("from", &["id", "domain", "response", "answer", "tests"])
        };
        let schema = judged_schema(&shape().map_err(|fault| vec![fault])?);
        Ok(vec![
            OutputDecl::table("main", schema.clone()),
            OutputDecl::table(REJECTED, schema),
        ])
    }

    fn check(settings: &FilterSettings) -> Vec<Fault> {
        let mut faults = Vec::new();
        if Policy::preset(&settings.policy).is_none() {
            faults.push(
                Fault::field(
                    "policy",
                    format!("there is no policy `{}`", settings.policy),
                )
                .hint(format!("there are {}", Policy::PRESETS.join(", "))),
            );
        }
        for (field, none, what) in [
            (
                "timeout_s",
                settings.timeout_s == 0,
                "no program would have time to run",
            ),
            (
                "memory_mb",
                settings.memory_mb == 0,
                "no program would have memory to run",
            ),
            (
                "cpus",
                settings.cpus == 0,
                "there would be no core to judge on",
            ),
        ] {
            if none {
                faults.push(Fault::field(field, format!("`{field}` is 0: {what}")));
            }
        }
        faults
    }

    fn estimate(_: &FilterSettings, cx: &EstimateContext<'_>) -> Estimate {
        // How many are kept, only judging tells; a latest run is the best guess.
        let rows = cx.past().and_then(|past| past.rows);
        Estimate {
            rows,
            rows_to_do: cx.rows_in("from"),
            ..Estimate::default()
        }
    }

    fn run(settings: &FilterSettings, cx: &mut StageContext) -> Result<(), StageError> {
        let cx = &*cx;
        let options = settings.grading().ok_or_else(|| {
            StageError::failed(format!("there is no policy `{}`", settings.policy))
        })?;
        let table = cx.table("from")?;
        let judge = Judge {
            settings,
            cx,
            grader: Grader::new(&options, Some(cx.memo()?)),
            pool: pool(cx)?,
        };
        cx.progress().set_total(table.rows());
        let schema = judged_schema(table.schema());
        let outputs = Outputs {
            kept: cx.table_writer("main", schema.clone())?,
            rejected: cx.table_writer(REJECTED, schema)?,
        };
        let mut tally = Tally::default();
        let done = match settings.keep {
            Keep::All => judge.write(&table, outputs, &mut tally, Choice::All),
            Keep::First => judge.write(&table, outputs, &mut tally, Choice::First(Kept::default())),
            Keep::Shortest => judge.write_shortest(&table, outputs, &mut tally),
        };
        cx.memo()?.flush()?;
        let kept = done?;
        tally.tell(cx, kept);
        for note in judge.grader.notes() {
            cx.note(&note);
        }
        Ok(())
    }
}

/// The columns of both outputs: those of the traces, and what was found.
fn judged_schema(traces: &SchemaRef) -> SchemaRef {
    extend_schema(
        traces,
        [
            Field::new("verdict", DataType::Utf8, false),
            Field::new("rule", DataType::Utf8, false),
            Field::new("reason", DataType::Utf8, false),
            Field::new("extracted", DataType::Utf8, true),
        ],
    )
}

/// Threads of this stage alone: as many as it may keep busy.
fn pool(cx: &StageContext) -> Result<ThreadPool, StageError> {
    let threads = usize::try_from(cx.cpus()).unwrap_or(1);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| StageError::environment(format!("threads cannot be started: {error}")))
}

/// A run of the stage.
struct Judge<'a> {
    settings: &'a FilterSettings,
    cx: &'a StageContext,
    grader: Grader<'a>,
    pool: ThreadPool,
}

impl Judge<'_> {
    /// One way over the table. Gives the number of rows kept.
    fn write(
        &self,
        table: &Table,
        mut outputs: Outputs,
        tally: &mut Tally,
        mut choice: Choice,
    ) -> Result<u64, StageError> {
        for batch in table.batches()? {
            let batch = batch?;
            let columns = Columns::of(&batch)?;
            let mut judged = self.batch(&columns)?;
            for (row, judged) in judged.iter_mut().enumerate() {
                tally.add(columns.family(row), judged.verdict());
                judged.settle(|judged| choice.takes(columns.id(row), judged.accepted()));
            }
            outputs.write(&batch, &judged)?;
        }
        outputs.finish()
    }

    /// Two ways over the table: only the end of the first knows which response is the shortest. What was judged waits
    /// in a temporary file, so nothing is judged twice.
    fn write_shortest(
        &self,
        table: &Table,
        mut outputs: Outputs,
        tally: &mut Tally,
    ) -> Result<u64, StageError> {
        let mut spill = Spill::new(self.cx.scratch()?)?;
        let mut shortest = Shortest::default();
        let mut at = 0;
        for batch in table.batches()? {
            let batch = batch?;
            let columns = Columns::of(&batch)?;
            for (row, judged) in self.batch(&columns)?.iter().enumerate() {
                tally.add(columns.family(row), judged.verdict());
                if judged.accepted() {
                    shortest.offer(columns.id(row), columns.characters(row), at);
                }
                spill.write(judged)?;
                at += 1;
            }
        }
        let mut waiting = spill.read()?;
        at = 0;
        for batch in table.batches()? {
            let batch = batch?;
            stop::if_draining(self.cx)?;
            let columns = Columns::of(&batch)?;
            let mut judged = waiting.next(batch.num_rows())?;
            for (row, judged) in judged.iter_mut().enumerate() {
                judged.settle(|_| shortest.is(columns.id(row), at));
                at += 1;
            }
            outputs.write(&batch, &judged)?;
        }
        outputs.finish()
    }

    /// Judges the rows of a batch, in parallel; the result is in their order.
    fn batch(&self, columns: &Columns) -> Result<Vec<Judged>, StageError> {
        use rayon::prelude::*;
        self.pool.install(|| {
            (0..columns.rows())
                .into_par_iter()
                .map(|row| {
                    stop::if_draining(self.cx)?;
                    let graded = self
                        .grader
                        .grade(&columns.gold(row), columns.response(row))?;
                    self.cx.progress().advance(1);
                    Ok(Judged::new(graded, columns.is_cut(row), self.settings))
                })
                .collect()
        })
    }
}

/// Verdicts, counted.
#[derive(Default)]
struct Tally {
    rows: u64,
    verdicts: BTreeMap<Verdict, u64>,
    families: BTreeMap<String, BTreeMap<Verdict, u64>>,
    /// Rows of families beyond [`MOST_FAMILIES`].
    others: BTreeMap<Verdict, u64>,
}

impl Tally {
    fn add(&mut self, family: Option<&str>, verdict: Verdict) {
        self.rows += 1;
        *self.verdicts.entry(verdict).or_default() += 1;
        let Some(family) = family else { return };
        let known = self.families.contains_key(family) || self.families.len() < MOST_FAMILIES;
        let counts = if known {
            self.families.entry(family.to_owned()).or_default()
        } else {
            &mut self.others
        };
        *counts.entry(verdict).or_default() += 1;
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 rows")]
    fn tell(&self, cx: &StageContext, kept: u64) {
        cx.count("in", self.rows);
        cx.count("kept", kept);
        cx.count(REJECTED, self.rows - kept);
        for verdict in Verdict::ALL {
            cx.count(
                verdict.as_str(),
                self.verdicts.get(&verdict).copied().unwrap_or(0),
            );
        }
        for (family, counts) in &self.families {
            for (verdict, rows) in counts {
                cx.count(&format!("family.{family}.{verdict}"), *rows);
            }
        }
        if !self.others.is_empty() {
            let rows: u64 = self.others.values().sum();
            cx.note(&format!("{rows} rows are of other families than the first {MOST_FAMILIES}, and are counted together"));
            for (verdict, rows) in &self.others {
                cx.count(&format!("family.(others).{verdict}"), *rows);
            }
        }
        if self.rows > 0 {
            let passed = self.verdicts.get(&Verdict::Pass).copied().unwrap_or(0);
            cx.metric("pass_rate", passed as f64 / self.rows as f64);
        }
    }
}

#[cfg(test)]
mod tests;
