//! `reformat`: brings answers into the form a model is trained on: a thought and a solution between
//! tags, and the conversation as `messages`. By rule, or rewritten by a model. Every row is read back
//! before it is kept: both sections are there, each tag once, and the final answer is what it was. A
//! row that fails this goes to the output `rejected` with the reason.
//!
//! Three rows before:
//!
//! | id | domain | prompt | response |
//! |---|---|---|---|
//! | 0a | math | What is 2+2? | Two and two.⏎⏎It is \boxed{4}. |
//! | 1b | math | What is 3*3? | `<think>`Thrice three.`</think>` \boxed{9} |
//! | 2c | math | What is 5-1? | \boxed{4} |
//!
//! and after, with `style = "think"`:
//!
//! | id | domain | prompt | response | messages |
//! |---|---|---|---|---|
//! | 0a | math | What is 2+2? | `<think>`⏎Two and two.⏎`</think>`⏎⏎It is \boxed{4}. | user: What is 2+2?, assistant: `<think>`… |
//! | 1b | math | What is 3*3? | `<think>`⏎Thrice three.⏎`</think>`⏎⏎\boxed{9} | user: What is 3*3?, assistant: `<think>`… |
//!
//! and in the output `rejected`:
//!
//! | id | domain | prompt | response | reason |
//! |---|---|---|---|---|
//! | 2c | math | What is 5-1? | \boxed{4} | nothing tells the thought from the solution |
//!
//! A column `reasoning`, if there is one, is the thought; it is empty afterwards, being part of the
//! response.

mod answer;
mod split;
mod style;

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StringArray, StructArray, new_null_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use dag_cache::canon;
use dag_engine::{
    Declaration, Estimate, EstimateContext, Fault, Inputs, ModelRef, OutputDecl, StageContext,
    StageError, StageKind, StageRef, Table, TableWriter, extend_schema,
};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answerer::{self, Answerer, Ask, AskEstimate, Message, Role, Sampling};
use crate::columns::{assemble, filled, optional_text, text};
use crate::template::Template;
use style::Sections;
pub use style::TagStyle;

/// The output with the rows that could not be brought into form.
const REJECTED: &str = "rejected";

/// Settings of `reformat`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReformatSettings {
    /// The traces: `id`, `prompt`, `response`, and `reasoning` and `domain` if they have them. Semantic.
    pub from: StageRef,
    /// The column with the responses, for tables that are no traces: a data set of worked solutions has them in
    /// `solution`. Default `response`. Semantic.
    #[serde(
        default = "default_response",
        skip_serializing_if = "is_default_response"
    )]
    pub response: String,
    /// The tags around thought and solution. Default `begin_of_thought`. Semantic.
    #[serde(default)]
    pub style: TagStyle,
    /// The text with which a solution begins (`"Answer:"`), for responses without tags; its last
    /// occurrence counts, and without one the last code block. Default: a heading such as `**Final Answer**`, else the last code block, else
    /// the paragraph with the answer. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solution_starts: Option<String>,
    /// A model that rewrites the responses instead of the rules. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<RewriteSettings>,
    /// The system message of the training rows. Default none. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The user message of the training rows, with the row's columns. Default `"{{ prompt }}"`. Semantic.
    #[serde(default = "default_template")]
    pub template: String,
    /// Whether the final answer must be in the solution and what it was before. Default true. Semantic.
    #[serde(default = "yes")]
    pub same_answer: bool,
}

/// Settings of `reformat.rewrite`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewriteSettings {
    /// The model that rewrites. What it is, is semantic; its server is operational.
    pub model: ModelRef,
    /// The system message it gets. Semantic.
    #[serde(default = "default_rewrite_system")]
    pub system: String,
    /// The user message it gets, with the row's columns. Its answer must come in the four tags of
    /// `begin_of_thought`, whatever `style` is. Semantic.
    #[serde(default = "default_rewrite_template")]
    pub template: String,
    /// 0 is greedy. Default 0.7. Semantic.
    #[serde(default = "default_temperature")]
    pub temperature: f64,
    /// The longest answer, in tokens. Default 16384. Semantic.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: u32,
    /// The share of rows, 0 to 1, that may go without an answer before the stage fails. Default 0.1.
    /// Operational.
    #[serde(default = "default_max_failed")]
    pub max_failed: f64,
}

fn yes() -> bool {
    true
}

fn default_response() -> String {
    "response".to_owned()
}

fn is_default_response(column: &String) -> bool {
    *column == default_response()
}

fn default_template() -> String {
    "{{ prompt }}".to_owned()
}

fn default_temperature() -> f64 {
    0.7
}

fn default_max_tokens() -> u32 {
    16_384
}

fn default_max_failed() -> f64 {
    0.1
}

fn default_rewrite_system() -> String {
    "You sort written solutions into a thought and a solution without changing what they say."
        .to_owned()
}

fn default_rewrite_template() -> String {
    "Below is an answer to a problem, in which thinking and solution are mixed. Sort it into two \
     sections. The first is the thought: every step, check, doubt and correction, in the author's own \
     words and order, nothing left out. The second is the solution: a clean write-up of the steps that \
     hold, with the final answer exactly as it stands below; if the answer is a program, the solution \
     holds it once, in one code block. Add nothing of your own. Write exactly this, and nothing before \
     or after it:\n\n\
     <|begin_of_thought|>\n\n(the thought)\n\n<|end_of_thought|>\n\n\
     <|begin_of_solution|>\n\n(the solution)\n\n<|end_of_solution|>\n\n\
     The problem:\n\n{{ prompt }}\n\nThe answer:\n\n{{ response }}"
        .to_owned()
}

/// The kind `reformat`.
pub struct Reformat;

impl StageKind for Reformat {
    type Settings = ReformatSettings;

    const NAME: &'static str = "reformat";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "bring answers into the tagged form that a model is trained on";
    const VERB: &'static str = "Reformatted";

    fn declare(settings: &ReformatSettings) -> Declaration {
        let ReformatSettings {
            from,
            response,
            style,
            solution_starts,
            rewrite,
            system,
            template,
            same_answer,
        } = settings;
        let text = |text: &Option<String>| {
            text.as_deref()
                .map_or(canon::Value::Null, canon::Value::from)
        };
        let rewritten = match rewrite {
            None => canon::Value::Null,
            Some(rewrite) => {
                // The model enters by what it is; `max_failed` is operational.
                let RewriteSettings {
                    model: _,
                    system,
                    template,
                    temperature,
                    max_tokens,
                    max_failed: _,
                } = rewrite;
                canon::Value::map([
                    ("system", system.as_str().into()),
                    ("template", template.as_str().into()),
                    ("temperature", (*temperature).into()),
                    ("max_tokens", (*max_tokens).into()),
                ])
            }
        };
        let style = match style {
            TagStyle::BeginOfThought => "begin_of_thought",
            TagStyle::Think => "think",
            TagStyle::Thinking => "thinking",
            TagStyle::None => "none",
        };
        let mut key = vec![
            ("style", style.into()),
            ("solution_starts", text(solution_starts)),
            ("rewrite", rewritten),
            ("system", text(system)),
            ("template", template.as_str().into()),
            ("same_answer", (*same_answer).into()),
        ];
        // a newer setting: the keys of older files stay what they were
        if !is_default_response(response) {
            key.push(("response", response.as_str().into()));
        }
        let declaration = Declaration::new()
            .input("from", from)
            .key(canon::Value::map(key));
        match rewrite {
            Some(rewrite) => declaration
                .model("rewrite.model", &rewrite.model)
                .with_memo(),
            None => declaration.unseeded(),
        }
    }

    fn outputs(
        settings: &ReformatSettings,
        inputs: &Inputs,
    ) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        let faults = |fault| vec![fault];
        let user = Template::of_setting("template", &settings.template).map_err(faults)?;
        let mut needed = vec![
            "id".to_owned(),
            "prompt".to_owned(),
            settings.response.clone(),
        ];
        needed.extend(user.columns().iter().cloned());
        if let Some(rewrite) = &settings.rewrite {
            let ask =
                Template::of_setting("rewrite.template", &rewrite.template).map_err(faults)?;
            needed.extend(ask.columns().iter().cloned());
        }
        let needed: Vec<&str> = needed.iter().map(String::as_str).collect();
        inputs.one("from").map_err(faults)?;
        let schema = inputs.need("from", &needed).map_err(faults)?;
        Ok(vec![
            OutputDecl::table("main", formatted_schema(&schema)),
            OutputDecl::table(REJECTED, rejected_schema(&schema)),
        ])
    }

    fn check(settings: &ReformatSettings) -> Vec<Fault> {
        let mut faults = Vec::new();
        faults.extend(Template::of_setting("template", &settings.template).err());
        if settings.solution_starts.as_deref() == Some("") {
            faults.push(Fault::field(
                "solution_starts",
                "`solution_starts` is empty, and would be found everywhere",
            ));
        }
        if let Some(rewrite) = &settings.rewrite {
            faults.extend(Template::of_setting("rewrite.template", &rewrite.template).err());
            if !(0.0..=100.0).contains(&rewrite.temperature) {
                faults.push(Fault::field(
                    "rewrite.temperature",
                    "`temperature` lies between 0 and 100",
                ));
            }
            if rewrite.max_tokens == 0 {
                faults.push(Fault::field(
                    "rewrite.max_tokens",
                    "`max_tokens` is 0: every answer would be empty",
                ));
            }
            if !(0.0..=1.0).contains(&rewrite.max_failed) {
                faults.push(Fault::field(
                    "rewrite.max_failed",
                    "`max_failed` is a share between 0 and 1",
                ));
            }
            if settings.solution_starts.is_some() {
                faults.push(Fault::field(
                    "solution_starts",
                    "`solution_starts` is for the rules, and `rewrite` replaces them",
                ));
            }
        }
        faults
    }

    fn estimate(settings: &ReformatSettings, cx: &EstimateContext<'_>) -> Estimate {
        let rows = cx.rows_in("from");
        let Some(rewrite) = &settings.rewrite else {
            return Estimate {
                rows,
                rows_to_do: rows,
                ..Estimate::default()
            };
        };
        let known = || {
            rows.filter(|rows| *rows <= answerer::MOST_LOOKED_UP)?;
            let tables = cx.tables("from")?;
            let rewriter = Rewriter::new(rewrite, cx.seed()).ok()?;
            let [table] = tables.as_slice() else {
                return None;
            };
            answerer::known_answers(cx, "rewrite.model", rewriter.asks(table).ok()?)
        };
        answerer::estimate(
            cx,
            "rewrite.model",
            AskEstimate {
                known: known(),
                asks: rows,
                max_tokens: rewrite.max_tokens,
            },
        )
    }

    fn run(settings: &ReformatSettings, cx: &mut StageContext) -> Result<(), StageError> {
        let cx = &*cx;
        let table = cx.table("from")?;
        let form = Form::new(settings)?;
        let mut outputs = Outputs::open(cx, table.schema(), settings.system.as_deref())?;
        match &settings.rewrite {
            None => {
                cx.progress().set_total(table.rows());
                for batch in table.batches()? {
                    let batch = batch?;
                    if cx.cancel().draining() {
                        return Err(StageError::Interrupted);
                    }
                    outputs.write(&batch, &form.by_rule(&batch)?)?;
                    cx.progress().advance(batch.num_rows() as u64);
                }
            }
            Some(rewrite) => {
                // Once to ask, once to write.
                cx.progress().set_total(table.rows());
                let rewriter = Rewriter::new(rewrite, cx.seed())?;
                let answerer = Answerer::open(cx, "rewrite.model")?
                    .tolerating(crate::sample::share(rewrite.max_failed, table.rows()));
                let asked = answerer.ask_all(rewriter.asks(&table)?)?;
                cx.count("asked", asked.answered + asked.failed);
                cx.count("reused", asked.reused);
                cx.unfinished(asked.failed);
                let mut first = 0;
                for batch in table.batches()? {
                    let batch = batch?;
                    let answers = rewriter.recall(&answerer, &batch, first)?;
                    outputs.write(&batch, &form.rewritten(&batch, &answers)?)?;
                    first += batch.num_rows() as u64;
                }
            }
        }
        outputs.finish(cx, table.rows())
    }
}

/// A row in its new form, or why it has none.
type Formed = Result<Row, String>;

/// What a kept row is made of.
struct Row {
    user: String,
    assistant: String,
}

/// The form that rows are brought into.
struct Form<'a> {
    settings: &'a ReformatSettings,
    user: Template,
}

impl<'a> Form<'a> {
    fn new(settings: &'a ReformatSettings) -> Result<Self, StageError> {
        Ok(Self {
            settings,
            user: Template::parse(&settings.template).map_err(StageError::failed)?,
        })
    }

    fn by_rule(&self, batch: &RecordBatch) -> Result<Vec<Formed>, StageError> {
        let mark = self.settings.solution_starts.as_deref();
        self.each(batch, |_, reasoning, response| {
            match split::split(reasoning, response, mark) {
                // Without tags there is nothing to tell apart.
                Err(_) if self.settings.style == TagStyle::None && !response.trim().is_empty() => {
                    Ok(Sections::of("", response))
                }
                other => other,
            }
        })
    }

    fn rewritten(
        &self,
        batch: &RecordBatch,
        answers: &[Result<String, String>],
    ) -> Result<Vec<Formed>, StageError> {
        self.each(batch, |row, _, _| match answers.get(row) {
            Some(Ok(answer)) => TagStyle::BeginOfThought.unwrap(answer),
            Some(Err(reason)) => Err(reason.clone()),
            None => Err("the row was not rewritten".to_owned()),
        })
    }

    /// Forms every row of a batch from the sections that `sections(row, reasoning, response)` finds.
    fn each(
        &self,
        batch: &RecordBatch,
        sections: impl Fn(usize, Option<&str>, &str) -> Result<Sections, String> + Sync,
    ) -> Result<Vec<Formed>, StageError> {
        let responses = text(batch, &self.settings.response)?;
        let reasoning = optional_text(batch, "reasoning")?;
        let domains = optional_text(batch, "domain")?;
        let ends = optional_text(batch, "finish_reason")?;
        let users = self.user.render(batch)?;
        let form = |(row, user): (usize, String)| -> Formed {
            if filled(ends.as_ref(), row) == Some("length") {
                return Err("the response was cut by the token limit".to_owned());
            }
            let response = filled(Some(&responses), row).unwrap_or_default();
            let reasoning = filled(reasoning.as_ref(), row);
            let sections = sections(row, reasoning, response)?;
            if self.settings.same_answer {
                let domain = filled(domains.as_ref(), row).unwrap_or("text");
                answer::unchanged(domain, response, &sections.solution)?;
            }
            let style = self.settings.style;
            let assistant = style.wrap(&sections);
            if style != TagStyle::None && style.unwrap(&assistant)? != sections {
                return Err("the tags cannot be told from the text".to_owned());
            }
            Ok(Row { user, assistant })
        };
        Ok(users.into_par_iter().enumerate().map(form).collect())
    }
}

/// The questions to a model that rewrites.
struct Rewriter<'a> {
    settings: &'a RewriteSettings,
    template: Template,
    seed: u64,
}

impl<'a> Rewriter<'a> {
    fn new(settings: &'a RewriteSettings, seed: u64) -> Result<Self, StageError> {
        Ok(Self {
            settings,
            seed,
            template: Template::parse(&settings.template).map_err(StageError::failed)?,
        })
    }

    fn asks(
        &self,
        table: &Table,
    ) -> Result<impl Iterator<Item = Result<Ask, StageError>>, StageError> {
        let mut first = 0;
        Ok(table.batches()?.flat_map(move |batch| {
            let asks = batch.and_then(|batch| self.of(&batch, first));
            match asks {
                Ok(asks) => {
                    first += asks.len() as u64;
                    asks.into_iter().map(Ok).collect::<Vec<_>>()
                }
                Err(error) => vec![Err(error)],
            }
        }))
    }

    fn of(&self, batch: &RecordBatch, first: u64) -> Result<Vec<Ask>, StageError> {
        let ask = |(index, prompt): (u64, String)| Ask {
            index,
            messages: vec![
                Message::system(self.settings.system.as_str()),
                Message::user(prompt),
            ],
            sampling: Sampling {
                temperature: self.settings.temperature,
                top_p: 1.0,
                top_k: None,
                max_tokens: self.settings.max_tokens,
                seed: self.seed,
                stop: Vec::new(),
                replicate: 0,
            },
        };
        Ok((first..)
            .zip(self.template.render(batch)?)
            .map(ask)
            .collect())
    }

    fn recall(
        &self,
        answerer: &Answerer<'_>,
        batch: &RecordBatch,
        first: u64,
    ) -> Result<Vec<Result<String, String>>, StageError> {
        self.of(batch, first)?
            .iter()
            .map(|ask| {
                Ok(match answerer.recall(ask)? {
                    Ok(answer) if answer.finish_reason.as_deref() == Some("length") => {
                        Err("the rewriting was cut by the token limit".to_owned())
                    }
                    Ok(answer) => Ok(answer.text),
                    Err(unanswered) => Err(format!("not rewritten: {}", unanswered.reason)),
                })
            })
            .collect()
    }
}

/// Role and content of one message.
fn message_fields() -> Fields {
    Fields::from(vec![
        Field::new("role", DataType::Utf8, false),
        Field::new("content", DataType::Utf8, false),
    ])
}

fn messages_field() -> Field {
    let item = Field::new("item", DataType::Struct(message_fields()), false);
    Field::new("messages", DataType::List(Arc::new(item)), false)
}

fn formatted_schema(traces: &Schema) -> SchemaRef {
    let response = Field::new("response", DataType::Utf8, false);
    let reasoning = traces
        .column_with_name("reasoning")
        .map(|_| Field::new("reasoning", DataType::Utf8, true));
    extend_schema(
        traces,
        [response]
            .into_iter()
            .chain(reasoning)
            .chain([messages_field()]),
    )
}

fn rejected_schema(traces: &Schema) -> SchemaRef {
    extend_schema(traces, [Field::new("reason", DataType::Utf8, false)])
}

/// The two tables that come out.
struct Outputs {
    system: Option<String>,
    formatted: TableWriter,
    rejected: TableWriter,
}

impl Outputs {
    fn open(cx: &StageContext, traces: &Schema, system: Option<&str>) -> Result<Self, StageError> {
        Ok(Self {
            system: system.map(str::to_owned),
            formatted: cx.table_writer("main", formatted_schema(traces))?,
            rejected: cx.table_writer(REJECTED, rejected_schema(traces))?,
        })
    }

    fn write(&mut self, batch: &RecordBatch, formed: &[Formed]) -> Result<(), StageError> {
        let (mut kept, mut kept_rows) = (Vec::new(), Vec::new());
        let (mut reasons, mut rejected_rows) = (Vec::new(), Vec::new());
        for (place, formed) in (0_u32..).zip(formed) {
            match formed {
                Ok(row) => {
                    kept_rows.push(place);
                    kept.push(row);
                }
                Err(reason) => {
                    rejected_rows.push(place);
                    reasons.push(reason.as_str());
                }
            }
        }
        if !kept.is_empty() {
            let responses: StringArray = kept
                .iter()
                .map(|row| Some(row.assistant.as_str()))
                .collect();
            let new = [
                ("response", Arc::new(responses) as ArrayRef),
                ("reasoning", new_null_array(&DataType::Utf8, kept.len())),
                (
                    "messages",
                    Arc::new(messages(self.system.as_deref(), &kept)?) as ArrayRef,
                ),
            ];
            let schema = Arc::clone(self.formatted.schema());
            self.formatted
                .write(&assemble(batch, &kept_rows, &schema, &new)?)?;
        }
        if !reasons.is_empty() {
            let new = [("reason", Arc::new(StringArray::from(reasons)) as ArrayRef)];
            let schema = Arc::clone(self.rejected.schema());
            self.rejected
                .write(&assemble(batch, &rejected_rows, &schema, &new)?)?;
        }
        Ok(())
    }

    fn finish(self, cx: &StageContext, rows: u64) -> Result<(), StageError> {
        cx.count("in", rows);
        cx.count("kept", self.formatted.rows());
        cx.count(REJECTED, self.rejected.rows());
        self.formatted.finish()?;
        self.rejected.finish()?;
        Ok(())
    }
}

/// The conversations of the kept rows: system (if set), user, assistant.
fn messages(system: Option<&str>, rows: &[&Row]) -> Result<ListArray, StageError> {
    let (mut roles, mut contents) = (Vec::new(), Vec::new());
    for row in rows {
        if let Some(system) = system {
            roles.push(Role::System.as_str());
            contents.push(system);
        }
        roles.extend([Role::User.as_str(), Role::Assistant.as_str()]);
        contents.extend([row.user.as_str(), row.assistant.as_str()]);
    }
    let turns = if system.is_some() { 3 } else { 2 };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(roles)),
        Arc::new(StringArray::from(contents)),
    ];
    let items = StructArray::try_new(message_fields(), columns, None)?;
    let item = Field::new("item", DataType::Struct(message_fields()), false);
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(turns, rows.len()));
    Ok(ListArray::try_new(
        Arc::new(item),
        offsets,
        Arc::new(items),
        None,
    )?)
}
