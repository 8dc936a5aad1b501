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
mod settings;
mod split;
mod style;
mod tables;

use arrow::record_batch::RecordBatch;
use dag_cache::canon;
use dag_engine::{
    Declaration, Estimate, EstimateContext, Fault, Inputs, OutputDecl, StageContext, StageError,
    StageKind, Table,
};
use rayon::prelude::*;

use crate::answerer::{self, Answerer, Ask, AskEstimate, Message, Sampling};
use crate::columns::{filled, optional_text, text};
use crate::template::Template;
use settings::is_default_response;
pub use settings::{ReformatSettings, RewriteSettings};
use style::Sections;
pub use style::TagStyle;
use tables::{Outputs, formatted_schema, rejected_schema};

/// The output with the rows that could not be brought into form.
const REJECTED: &str = "rejected";

/// The kind `reformat`.
pub struct Reformat;

impl StageKind for Reformat {
    type Settings = ReformatSettings;

    const NAME: &'static str = "reformat";
    const VERSION: u32 = 2;
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
