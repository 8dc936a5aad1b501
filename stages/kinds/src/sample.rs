//! `sample`: asks a model every problem, `n` times. A row for each answer, in the order of the
//! problems and then of the replicates; rows that got no answer are kept aside with the reason.
//!
//! Three rows before:
//!
//! | id | prompt | answer |
//! |---|---|---|
//! | 0a | What is 2+2? | 4 |
//! | 1b | What is 3*3? | 9 |
//! | 2c | (a prompt longer than the model's context) | 1 |
//!
//! and after, with `n = 1`:
//!
//! | id | prompt | answer | replicate | response | reasoning | finish_reason | prompt_tokens | completion_tokens | model |
//! |---|---|---|---|---|---|---|---|---|---|
//! | 0a | What is 2+2? | 4 | 0 | It is 4. | *null* | stop | 5 | 4 | qwq |
//! | 1b | What is 3*3? | 9 | 0 | It is 8. | *null* | stop | 5 | 4 | qwq |
//!
//! and in the output `failed`:
//!
//! | id | prompt | answer | replicate | reason |
//! |---|---|---|---|---|
//! | 2c | … | 1 | 0 | gpu1:8000 does not take this question (status 400): maximum context length is 2048 tokens |
//!
//! Ten more problems are ten times `n` more questions; a larger `n` asks the new replicates only;
//! another order of the problems asks nothing.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use dag_cache::canon;
use dag_engine::{
    Declaration, Estimate, EstimateContext, Fault, Inputs, ModelRef, OutputDecl, StageContext,
    StageError, StageKind, StageRef, Table, TableWriter, extend_schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answerer::{self, Answer, Answerer, Ask, AskEstimate, Message, Sampling};
use crate::columns::assemble;
use crate::template::Template;

/// The output with the rows that got no answer.
const FAILED: &str = "failed";
/// Text that is gathered before it is written, in bytes.
const GATHERED_BYTES: usize = 16 << 20;

/// Settings of `sample`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleSettings {
    /// The problems. Semantic.
    pub from: StageRef,
    /// The model that is asked. What it is, is semantic; its server is operational.
    pub model: ModelRef,
    /// Answers to each problem. Default 1. Semantic.
    #[serde(default = "one")]
    pub n: u32,
    /// 0 is greedy. Default 0.7. Semantic.
    #[serde(default = "default_temperature")]
    pub temperature: f64,
    /// The mass of the most likely tokens to draw from, above 0 and up to 1. Default 1. Semantic.
    #[serde(default = "default_top_p")]
    pub top_p: f64,
    /// How many of the most likely tokens to draw from. Default all. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// The longest answer, in tokens. Default 4096. Semantic. With a larger one, only the answers that
    /// were cut are asked again.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: u32,
    /// The system message. Default none. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The user message, with the row's columns: `"{{ prompt }}\nThink first."`. Default
    /// `"{{ prompt }}"`. Semantic.
    #[serde(default = "default_template")]
    pub template: String,
    /// What the draws start from. Default: made from the pipeline's seed. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// An answer ends before the first of these. Default none. Semantic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// The share of rows, 0 to 1, that may go without an answer before the stage fails. Default 0.1.
    /// Operational.
    #[serde(default = "default_max_failed")]
    pub max_failed: f64,
}

fn one() -> u32 {
    1
}

fn default_temperature() -> f64 {
    0.7
}

fn default_top_p() -> f64 {
    1.0
}

fn default_max_tokens() -> u32 {
    4096
}

fn default_template() -> String {
    "{{ prompt }}".to_owned()
}

fn default_max_failed() -> f64 {
    0.1
}

/// The kind `sample`.
pub struct Sample;

impl StageKind for Sample {
    type Settings = SampleSettings;

    const NAME: &'static str = "sample";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "ask a model every problem, n times";
    const VERB: &'static str = "Sampled";

    fn declare(settings: &SampleSettings) -> Declaration {
        let SampleSettings {
            from,
            model,
            n,
            temperature,
            top_p,
            top_k,
            max_tokens,
            system,
            template,
            seed,
            stop,
            max_failed: _, // operational
        } = settings;
        let declaration = Declaration::new()
            .input("from", from)
            .model("model", model)
            .with_memo()
            .key(canon::Value::map([
                ("n", (*n).into()),
                ("temperature", (*temperature).into()),
                ("top_p", (*top_p).into()),
                (
                    "top_k",
                    top_k.map_or(canon::Value::Null, canon::Value::from),
                ),
                ("max_tokens", (*max_tokens).into()),
                (
                    "system",
                    system
                        .as_deref()
                        .map_or(canon::Value::Null, canon::Value::from),
                ),
                ("template", template.as_str().into()),
                (
                    "seed",
                    seed.map_or(canon::Value::Null, |seed| seed.to_string().as_str().into()),
                ),
                (
                    "stop",
                    canon::Value::List(stop.iter().map(|stop| stop.as_str().into()).collect()),
                ),
            ]));
        // A seed of its own makes the pipeline's irrelevant.
        if seed.is_some() {
            declaration.unseeded()
        } else {
            declaration
        }
    }

    fn outputs(settings: &SampleSettings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        let template =
            Template::of_setting("template", &settings.template).map_err(|fault| vec![fault])?;
        let shape = || {
            inputs.one("from")?;
            let mut needed = vec!["id"];
            needed.extend(template.columns().iter().map(String::as_str));
            inputs.need("from", &needed)
        };
        let schema = shape().map_err(|fault| vec![fault])?;
        Ok(vec![
            OutputDecl::table("main", traces_schema(&schema)),
            OutputDecl::table(FAILED, failed_schema(&schema)),
        ])
    }

    fn check(settings: &SampleSettings) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut refuse = |wrong: bool, field: &str, message: &str| {
            if wrong {
                faults.push(Fault::field(field, message));
            }
        };
        let s = settings;
        refuse(s.n == 0, "n", "`n` is 0: no answer would be asked for");
        refuse(
            !(0.0..=100.0).contains(&s.temperature),
            "temperature",
            "`temperature` lies between 0 and 100",
        );
        refuse(
            !(s.top_p > 0.0 && s.top_p <= 1.0),
            "top_p",
            "`top_p` lies above 0 and up to 1",
        );
        refuse(
            s.top_k == Some(0),
            "top_k",
            "`top_k` is 0: no token would be left to draw",
        );
        refuse(
            s.max_tokens == 0,
            "max_tokens",
            "`max_tokens` is 0: every answer would be empty",
        );
        refuse(
            s.stop.iter().any(String::is_empty),
            "stop",
            "`stop` holds an empty text, which ends every answer at once",
        );
        refuse(
            !(0.0..=1.0).contains(&s.max_failed),
            "max_failed",
            "`max_failed` is a share between 0 and 1",
        );
        if s.n > 1 && s.temperature == 0.0 {
            faults.push(
                Fault::field(
                    "n",
                    format!(
                        "`n` is {} at temperature 0, where all answers are the same",
                        s.n
                    ),
                )
                .hint("set `temperature` above 0, or `n = 1`"),
            );
        }
        if let Err(fault) = Template::of_setting("template", &s.template) {
            faults.push(fault);
        }
        faults
    }

    fn estimate(settings: &SampleSettings, cx: &EstimateContext<'_>) -> Estimate {
        let asks = cx
            .rows_in("from")
            .map(|rows| rows.saturating_mul(u64::from(settings.n)));
        let few = asks.is_some_and(|asks| asks <= answerer::MOST_LOOKED_UP);
        let known = || {
            let tables = few.then(|| cx.tables("from"))??;
            let questions = Questions::new(settings, cx.seed()).ok()?;
            let [table] = tables.as_slice() else {
                return None;
            };
            answerer::known_answers(cx, "model", questions.of(table).ok()?)
        };
        answerer::estimate(
            cx,
            "model",
            AskEstimate {
                known: known(),
                asks,
                max_tokens: settings.max_tokens,
            },
        )
    }

    fn run(settings: &SampleSettings, cx: &mut StageContext) -> Result<(), StageError> {
        let cx = &*cx;
        let table = cx.table("from")?;
        let questions = Questions::new(settings, settings.seed.unwrap_or(cx.seed()))?;
        let asks = table.rows() * u64::from(settings.n);
        cx.progress().set_total(asks);
        let answerer = Answerer::open(cx, "model")?.tolerating(share(settings.max_failed, asks));
        let asked = answerer.ask_all(questions.of(&table)?)?;
        cx.count("in", table.rows());
        cx.count("asked", asked.answered + asked.failed);
        cx.count("reused", asked.reused);
        write(settings, cx, &table, &questions, &answerer)
    }
}

/// A share of rows, rounded down.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between 0 and 1 of far fewer than 2^53 rows"
)]
pub(crate) fn share(share: f64, rows: u64) -> u64 {
    (share * rows as f64) as u64
}

/// The questions of a stage, made from rows.
struct Questions<'a> {
    template: Template,
    settings: &'a SampleSettings,
    seed: u64,
}

impl<'a> Questions<'a> {
    fn new(settings: &'a SampleSettings, seed: u64) -> Result<Self, StageError> {
        let template = Template::parse(&settings.template).map_err(StageError::failed)?;
        Ok(Self {
            template,
            settings,
            seed: settings.seed.unwrap_or(seed),
        })
    }

    /// All questions, problem by problem and replicate by replicate. Holds one batch of prompts.
    fn of(
        &self,
        table: &Table,
    ) -> Result<impl Iterator<Item = Result<Ask, StageError>>, StageError> {
        let mut columns: Vec<&str> = self.template.columns().iter().map(String::as_str).collect();
        if columns.is_empty() {
            columns.push("id");
        }
        let n = u64::from(self.settings.n);
        let prompts = table.columns(&columns)?.flat_map(|batch| {
            match batch.and_then(|batch| self.template.render(&batch)) {
                Ok(prompts) => prompts.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            }
        });
        Ok(prompts.zip(0_u64..).flat_map(move |(prompt, row)| {
            let (mut error, prompt) = match prompt {
                Ok(prompt) => (None, prompt),
                Err(error) => (Some(error), String::new()),
            };
            (0..self.settings.n).map(move |replicate| match error.take() {
                Some(error) => Err(error),
                None => Ok(self.ask(row * n + u64::from(replicate), &prompt, replicate)),
            })
        }))
    }

    fn ask(&self, index: u64, prompt: &str, replicate: u32) -> Ask {
        let settings = self.settings;
        let system = settings.system.as_deref().map(Message::system);
        Ask {
            index,
            messages: system.into_iter().chain([Message::user(prompt)]).collect(),
            sampling: Sampling {
                temperature: settings.temperature,
                top_p: settings.top_p,
                top_k: settings.top_k,
                max_tokens: settings.max_tokens,
                seed: self.seed,
                stop: settings.stop.clone(),
                replicate,
            },
        }
    }
}

fn traces_schema(problems: &SchemaRef) -> SchemaRef {
    extend_schema(
        problems,
        [
            Field::new("replicate", DataType::Int32, false),
            Field::new("response", DataType::Utf8, false),
            Field::new("reasoning", DataType::Utf8, true),
            Field::new("finish_reason", DataType::Utf8, true),
            Field::new("prompt_tokens", DataType::Int64, true),
            Field::new("completion_tokens", DataType::Int64, true),
            Field::new("model", DataType::Utf8, false),
        ],
    )
}

fn failed_schema(problems: &SchemaRef) -> SchemaRef {
    extend_schema(
        problems,
        [
            Field::new("replicate", DataType::Int32, false),
            Field::new("reason", DataType::Utf8, false),
        ],
    )
}

/// The second way over the problems: every answer is in the memo now, so they are written in order.
fn write(
    settings: &SampleSettings,
    cx: &StageContext,
    table: &Table,
    questions: &Questions<'_>,
    answerer: &Answerer<'_>,
) -> Result<(), StageError> {
    let mut traces = cx.table_writer("main", traces_schema(table.schema()))?;
    let mut failed = cx.table_writer(FAILED, failed_schema(table.schema()))?;
    let (mut cut, mut index) = (0, 0);
    for batch in table.batches()? {
        let batch = batch?;
        let mut rows = Rows::default();
        for (row, prompt) in (0_u32..).zip(questions.template.render(&batch)?) {
            for replicate in 0..settings.n {
                if cx.cancel().stopping() {
                    return Err(StageError::Interrupted);
                }
                let place = (row, i32::try_from(replicate).unwrap_or(i32::MAX));
                match answerer.recall(&questions.ask(index, &prompt, replicate))? {
                    Ok(answer) => {
                        cut += u64::from(answer.finish_reason.as_deref() == Some("length"));
                        rows.bytes +=
                            answer.text.len() + answer.reasoning.as_ref().map_or(0, String::len);
                        rows.answered.push((place, answer));
                    }
                    Err(unanswered) => rows.failed.push((place, unanswered.reason)),
                }
                index += 1;
                if rows.bytes >= GATHERED_BYTES {
                    std::mem::take(&mut rows).write(&batch, &mut traces, &mut failed)?;
                }
            }
        }
        rows.write(&batch, &mut traces, &mut failed)?;
    }
    let (answered, unanswered) = (traces.rows(), failed.rows());
    traces.finish()?;
    failed.finish()?;
    cx.count("answered", answered);
    cx.count(FAILED, unanswered);
    cx.count("cut", cut);
    if cut > 0 {
        cx.note(&format!(
            "{cut} of {answered} answers were cut by `max_tokens = {}`",
            settings.max_tokens
        ));
    }
    if unanswered > 0 {
        cx.note(&format!(
            "{unanswered} of {index} questions got no answer; output `{FAILED}` has the reasons"
        ));
    }
    cx.unfinished(unanswered);
    Ok(())
}

/// Answers and failures that wait to be written, with row and replicate.
#[derive(Default)]
struct Rows {
    answered: Vec<((u32, i32), Answer)>,
    failed: Vec<((u32, i32), String)>,
    bytes: usize,
}

impl Rows {
    fn write(
        self,
        batch: &RecordBatch,
        traces: &mut TableWriter,
        failed: &mut TableWriter,
    ) -> Result<(), StageError> {
        let Self {
            answered,
            failed: unanswered,
            bytes: _,
        } = self;
        let places = |at: &(u32, i32)| *at;
        let (rows, replicates): (Vec<u32>, Vec<i32>) =
            answered.iter().map(|(at, _)| places(at)).unzip();
        let tokens = |count: fn(&Answer) -> Option<u64>| -> ArrayRef {
            let count = |(_, answer): &(_, Answer)| i64::try_from(count(answer)?).ok();
            Arc::new(answered.iter().map(count).collect::<Int64Array>())
        };
        let words = |word: fn(&Answer) -> Option<&str>| -> ArrayRef {
            Arc::new(
                answered
                    .iter()
                    .map(|(_, answer)| word(answer))
                    .collect::<StringArray>(),
            )
        };
        let new = [
            (
                "replicate",
                Arc::new(Int32Array::from(replicates)) as ArrayRef,
            ),
            ("response", words(|answer| Some(&answer.text))),
            ("reasoning", words(|answer| answer.reasoning.as_deref())),
            (
                "finish_reason",
                words(|answer| answer.finish_reason.as_deref()),
            ),
            ("prompt_tokens", tokens(|answer| answer.prompt_tokens)),
            (
                "completion_tokens",
                tokens(|answer| answer.completion_tokens),
            ),
            ("model", words(|answer| Some(&answer.model))),
        ];
        if !rows.is_empty() {
            let schema = Arc::clone(traces.schema());
            traces.write(&assemble(batch, &rows, &schema, &new)?)?;
        }
        let (rows, replicates): (Vec<u32>, Vec<i32>) =
            unanswered.iter().map(|(at, _)| places(at)).unzip();
        let reasons: StringArray = unanswered
            .iter()
            .map(|(_, reason)| Some(reason.as_str()))
            .collect();
        let new = [
            (
                "replicate",
                Arc::new(Int32Array::from(replicates)) as ArrayRef,
            ),
            ("reason", Arc::new(reasons) as ArrayRef),
        ];
        if !rows.is_empty() {
            let schema = Arc::clone(failed.schema());
            failed.write(&assemble(batch, &rows, &schema, &new)?)?;
        }
        Ok(())
    }
}
