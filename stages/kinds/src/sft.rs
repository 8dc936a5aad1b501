//! `sft`: fine-tunes a model on conversations, or trains one from nothing. The assistant's turns are learnt.
//!
//! Three rows before, as `reformat` gives them:
//!
//! | messages |
//! |---|
//! | `[user: "2+2", assistant: "2+2=4\n#### 4"]` |
//! | `[user: "3*3", assistant: "3*3=9\n#### 9"]` |
//! | `[user: "9-1", assistant: "9-1=8\n#### 8"]` |
//!
//! and after: a model, and the output `metrics` with a row a step:
//!
//! | step | epoch | loss | lr | grad_norm | tokens |
//! |---|---|---|---|---|---|
//! | 1 | 0.33 | 4.61 | 0.001 | 2.1 | 17 |
//! | 2 | 0.66 | 4.52 | 0.002 | 2.0 | 17 |
//! | 3 | 1.00 | 4.40 | 0.002 | 2.0 | 17 |
//!
//! Where `prompt` and `response` name columns, each row is a conversation of two turns made of them.

mod settings;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use dag_cache::canon;
use dag_engine::{
    Declaration, Fault, Inputs, ModelPlace, OutputDecl, StageContext, StageError, StageKind,
};
use dag_model::{Message, Model, ModelError, Weights, init};
use dag_train::{StepMetrics, TrainError, Watch};

use crate::columns;
pub use settings::{Init, SftSettings};

/// The kind `sft`.
pub struct Sft;

impl StageKind for Sft {
    type Settings = SftSettings;

    const NAME: &'static str = "sft";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "fine-tune a model on conversations, or train one from nothing";
    const VERB: &'static str = "Trained";

    fn declare(settings: &SftSettings) -> Declaration {
        let SftSettings {
            from,
            model,
            init,
            prompt,
            response,
            epochs,
            steps,
            learning_rate,
            warmup,
            schedule,
            batch,
            micro_batch: _, // below, with its default in
            world,
            weight_decay,
            betas,
            clip,
            cutoff,
            overlong,
            validation,
            seed,
            keep_epochs,
            gpus,                  // operational
            checkpoint_seconds: _, // operational
        } = settings;
        let number = |value: usize| canon::Value::from(value as i64);
        let text = |value: &Option<String>| {
            value
                .as_deref()
                .map_or(canon::Value::Null, canon::Value::from)
        };
        let json = |value: serde_json::Result<serde_json::Value>| {
            value.map_or(canon::Value::Null, |value| canon::Value::from(&value))
        };
        let declaration = Declaration::new()
            .input("from", from)
            .optional_model("model", model.as_ref())
            .key(canon::Value::map([
                ("init", json(serde_json::to_value(init))),
                ("prompt", text(prompt)),
                ("response", text(response)),
                ("epochs", number(if steps.is_some() { 0 } else { *epochs })),
                ("steps", steps.map_or(canon::Value::Null, number)),
                ("learning_rate", (*learning_rate).into()),
                ("warmup", number(*warmup)),
                ("schedule", json(serde_json::to_value(schedule))),
                ("batch", number(*batch)),
                ("micro_batch", number(settings.options(0).micro_batch)),
                ("world", number(*world)),
                ("weight_decay", (*weight_decay).into()),
                (
                    "betas",
                    canon::Value::List(vec![betas.0.into(), betas.1.into()]),
                ),
                ("clip", (*clip).into()),
                ("cutoff", number(*cutoff)),
                ("overlong", json(serde_json::to_value(overlong))),
                ("validation", (*validation).into()),
                (
                    "seed",
                    seed.map_or(canon::Value::Null, |seed| seed.to_string().as_str().into()),
                ),
                ("keep_epochs", (*keep_epochs).into()),
            ]));
        let declaration = match gpus {
            0 => declaration.cpus(u32::try_from(*world).unwrap_or(u32::MAX)),
            gpus => declaration.gpus(*gpus),
        };
        if seed.is_some() {
            declaration.unseeded()
        } else {
            declaration
        }
    }

    fn outputs(settings: &SftSettings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        let needed = match (&settings.prompt, &settings.response) {
            (Some(prompt), Some(response)) => vec![prompt.as_str(), response.as_str()],
            _ => vec!["messages"],
        };
        inputs
            .one("from")
            .and_then(|_| inputs.need("from", &needed))
            .map_err(|fault| vec![fault])?;
        let mut outputs = vec![
            OutputDecl::model("main"),
            OutputDecl::table("metrics", metrics_schema()),
        ];
        outputs.extend(
            settings
                .kept()
                .map(|epoch| OutputDecl::model(&format!("epoch{epoch}"))),
        );
        Ok(outputs)
    }

    fn check(settings: &SftSettings) -> Vec<Fault> {
        let mut faults = Vec::new();
        let outputs = settings.kept().count() + 2;
        if outputs > dag_cache::MOST_OUTPUTS {
            faults.push(
                Fault::field(
                    "keep_epochs",
                    format!(
                        "a model for each epoch would be {outputs} outputs, and a result has at most {}",
                        dag_cache::MOST_OUTPUTS
                    ),
                )
                .hint("keep the last model alone, or train in several stages"),
            );
        }
        match (&settings.model, &settings.init) {
            (Some(_), Some(_)) => faults.push(
                Fault::field("init", "both `model` and `init` are given")
                    .hint("keep the one to start from"),
            ),
            (None, None) => faults.push(
                Fault::field("model", "there is nothing to start from")
                    .hint("give `model`, or `init` for a new one"),
            ),
            _ => {}
        }
        if settings.prompt.is_some() != settings.response.is_some() {
            faults.push(Fault::field(
                "prompt",
                "`prompt` and `response` go together",
            ));
        }
        if settings.keep_epochs && settings.steps.is_some() {
            faults.push(
                Fault::field(
                    "keep_epochs",
                    "`keep_epochs` counts epochs, and `steps` is given",
                )
                .hint("give `epochs` in place of `steps`"),
            );
        }
        if settings.gpus > 0 && settings.gpus as usize != settings.world {
            faults.push(
                Fault::field(
                    "gpus",
                    format!(
                        "`gpus` is {} and `world` is {}: each rank has a device of its own",
                        settings.gpus, settings.world
                    ),
                )
                .hint(format!("set `world = {}`", settings.gpus)),
            );
        }
        if let Some(init) = &settings.init {
            let kv_heads = init.kv_heads.unwrap_or(init.heads);
            let divides = init.heads > 0
                && kv_heads > 0
                && init.hidden % (2 * init.heads) == 0
                && init.heads % kv_heads == 0;
            if !divides || init.layers == 0 || init.hidden == 0 || init.positions < 2 {
                faults.push(Fault::field("init", "`hidden` is to be an even multiple of `heads`, `heads` a multiple of `kv_heads`, and nothing 0"));
            }
        }
        faults.extend(
            settings
                .options(0)
                .faults()
                .into_iter()
                .map(|(field, message)| Fault::field(field, message)),
        );
        faults
    }

    fn run(settings: &SftSettings, cx: &mut StageContext) -> Result<(), StageError> {
        let cx = &*cx;
        if settings.gpus > 0 {
            return Err(StageError::failed(format!(
                "`gpus = {}` is asked for, and this version of dag trains on the CPU only",
                settings.gpus
            ))
            .with_hint("set `gpus = 0`; or train with a `command` stage"));
        }
        let seed = settings.seed.unwrap_or_else(|| cx.seed());
        let options = settings.options(seed);
        let model = start(settings, seed, cx)?;
        let conversations = conversations(settings, cx)?;
        let rows = dag_train::prepare(&model, conversations.iter().map(Vec::as_slice), &options)
            .map_err(stage_error)?;
        cx.count("rows", conversations.len() as u64);
        cx.count("dropped", rows.dropped as u64);
        cx.count("truncated", rows.truncated as u64);
        if rows.dropped + rows.truncated > 0 {
            cx.note(&format!(
                "{} rows over the cutoff of {} tokens were left out, {} cut",
                rows.dropped, options.cutoff, rows.truncated
            ));
        }
        let mut watch = Watcher {
            cx,
            model: &model,
            kept: settings.kept(),
            begun: false,
        };
        let trained =
            dag_train::train(&model, &rows, &options, Some(cx.checkpoints()?), &mut watch)
                .map_err(stage_error)?;
        for epoch in settings.kept() {
            cx.put_model(
                &format!("epoch{epoch}"),
                &cx.checkpoints()?.join(format!("epoch{epoch}")),
            )?;
        }
        write_metrics(cx, &trained.metrics)?;
        if let Some(last) = trained.metrics.last() {
            cx.metric("loss", last.loss);
        }
        if let Some(loss) = trained.validation_loss {
            cx.metric("validation_loss", loss);
        }
        put(cx, "main", &model.with_weights(trained.weights))
    }
}

/// The model to start from.
fn start(settings: &SftSettings, seed: u64, cx: &StageContext) -> Result<Model, StageError> {
    if let Some(shape) = &settings.init {
        let spec = init::Spec {
            layers: shape.layers,
            hidden: shape.hidden,
            heads: shape.heads,
            kv_heads: shape.kv_heads.unwrap_or(shape.heads),
            intermediate: shape.intermediate.unwrap_or(3 * shape.hidden),
            positions: shape.positions,
            tied: shape.tied,
        };
        return init::from_scratch(&spec, seed).map_err(model_error);
    }
    let folder = match &cx.model("model")?.place {
        ModelPlace::Folder(folder) => folder.clone(),
        ModelPlace::Artifact(artifact) => cx.folder(artifact)?,
        ModelPlace::Hub { id, revision } => {
            let message = format!("`{id}` at {revision} is not on this machine");
            return Err(StageError::environment(message)
                .with_hint("download it, and give its folder as `path`"));
        }
        ModelPlace::Served { name } => {
            return Err(StageError::failed(format!(
                "`{name}` is served elsewhere; its weights are needed to train it"
            )));
        }
    };
    dag_model::load(&folder).map_err(model_error)
}

fn conversations(
    settings: &SftSettings,
    cx: &StageContext,
) -> Result<Vec<Vec<Message>>, StageError> {
    let mut conversations = Vec::new();
    for batch in cx.table("from")?.batches()? {
        let batch = batch?;
        match (&settings.prompt, &settings.response) {
            (Some(prompt), Some(response)) => {
                let (asked, answered) = (
                    columns::text(&batch, prompt)?,
                    columns::text(&batch, response)?,
                );
                for (asked, answered) in asked.iter().zip(answered.iter()) {
                    let turns = [("user", asked), ("assistant", answered)];
                    conversations.push(
                        turns
                            .map(|(role, text)| Message::new(role, text.unwrap_or_default()))
                            .to_vec(),
                    );
                }
            }
            _ => read_messages(&batch, &mut conversations)?,
        }
    }
    Ok(conversations)
}

fn read_messages(batch: &RecordBatch, into: &mut Vec<Vec<Message>>) -> Result<(), StageError> {
    let wrong = || StageError::failed("column `messages` should be a list of { role, content }");
    let column = batch
        .column_by_name("messages")
        .and_then(|column| column.as_list_opt::<i32>())
        .ok_or_else(wrong)?;
    for row in 0..column.len() {
        let turns = column.value(row);
        let turns = turns.as_struct_opt().ok_or_else(wrong)?;
        let part = |name: &str| {
            turns
                .column_by_name(name)
                .and_then(|part| part.as_string_opt::<i32>())
                .ok_or_else(wrong)
        };
        let (roles, contents) = (part("role")?, part("content")?);
        into.push(
            (0..turns.len())
                .map(|turn| Message::new(roles.value(turn), contents.value(turn)))
                .collect(),
        );
    }
    Ok(())
}

struct Watcher<'a> {
    cx: &'a StageContext,
    model: &'a Model,
    kept: std::ops::RangeInclusive<usize>,
    begun: bool,
}

impl Watch for Watcher<'_> {
    fn step(&mut self, metrics: &StepMetrics, total: usize, seconds: f64) {
        let progress = self.cx.progress();
        if !std::mem::replace(&mut self.begun, true) {
            progress.set_total(total as u64);
            progress.advance(metrics.step as u64 - 1);
        }
        progress.advance(1);
        let speed = metrics.tokens as f64 / seconds.max(1e-9);
        progress.set_message(format!("loss {:.4}, {speed:.0} tokens/s", metrics.loss));
    }

    fn epoch(&mut self, epoch: usize, weights: &[f32]) -> Result<(), TrainError> {
        if self.kept.contains(&epoch) {
            let plain = &self.model.weights;
            let weights = Weights::new(Arc::clone(plain.layout()), weights.to_vec(), plain.stored);
            // kept beside the checkpoints, so that a resumed run has the earlier epochs too
            let folder = self
                .cx
                .checkpoints()
                .map_err(std::io::Error::other)?
                .join(format!("epoch{epoch}"));
            self.model.with_weights(weights).save(&folder)?;
        }
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.cx.cancel().draining()
    }
}

fn metrics_schema() -> SchemaRef {
    let float = |name: &str| Field::new(name, DataType::Float64, false);
    let whole = |name: &str| Field::new(name, DataType::Int64, false);
    Arc::new(Schema::new(vec![
        whole("step"),
        float("epoch"),
        float("loss"),
        float("lr"),
        float("grad_norm"),
        whole("tokens"),
    ]))
}

fn write_metrics(cx: &StageContext, metrics: &[StepMetrics]) -> Result<(), StageError> {
    let floats = |get: fn(&StepMetrics) -> f64| {
        Arc::new(metrics.iter().map(get).collect::<Float64Array>()) as Arc<dyn Array>
    };
    let counts = |get: fn(&StepMetrics) -> usize| {
        Arc::new(
            metrics
                .iter()
                .map(|step| get(step) as i64)
                .collect::<Int64Array>(),
        ) as Arc<dyn Array>
    };
    let columns = vec![
        counts(|step| step.step),
        floats(|step| step.epoch),
        floats(|step| step.loss),
        floats(|step| step.rate),
        floats(|step| step.gradient_norm),
        counts(|step| step.tokens),
    ];
    let mut writer = cx.table_writer("metrics", metrics_schema())?;
    writer.write(&RecordBatch::try_new(metrics_schema(), columns)?)?;
    writer.finish()?;
    Ok(())
}

fn put(cx: &StageContext, output: &str, model: &Model) -> Result<(), StageError> {
    let folder: &Path = &cx.scratch()?.join(output);
    model.save(folder).map_err(model_error)?;
    cx.put_model(output, folder)
}

fn model_error(error: ModelError) -> StageError {
    StageError::failed(chain(&error))
}

fn stage_error(error: TrainError) -> StageError {
    match error {
        TrainError::Stopped { .. } => StageError::Interrupted,
        TrainError::NotFinite { .. } => StageError::failed(error.to_string())
            .with_hint("try a lower `learning_rate` or a longer `warmup`"),
        other => StageError::failed(chain(&other)),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
