//! Stage kinds in the likeness of the real ones: the same settings and columns as far as a
//! pipeline file is concerned, and nothing to run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use dag_engine::context::StageContext;
use dag_engine::declaration::{Declaration, HubRepo};
use dag_engine::error::StageError;
use dag_engine::kind::{Fault, Inputs, OutputDecl, StageKind, extend_schema};
use dag_engine::model_ref::{ModelRef, OneOrMany, StageRef};
use dag_engine::registry::Registry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) fn registry() -> Registry {
    Registry::new()
        .with::<Problems>()
        .with::<Mix>()
        .with::<Sample>()
        .with::<Filter>()
        .with::<Reformat>()
        .with::<Sft>()
        .with::<Eval>()
        .with::<Report>()
}

fn columns(names: &[&str]) -> Vec<Field> {
    names
        .iter()
        .map(|name| Field::new(*name, DataType::Utf8, true))
        .collect()
}

fn table(names: &[&str]) -> SchemaRef {
    Arc::new(Schema::new(columns(names)))
}

/// Everything but settings and columns is the same for all of them.
macro_rules! nothing_to_run {
    () => {
        fn run(_: &Self::Settings, _: &mut StageContext) -> Result<(), StageError> {
            Ok(())
        }
    };
}

/// Where problems come from.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// Hugging Face data set.
    hf: Option<String>,
    /// Its revision.
    revision: Option<String>,
    /// Its split.
    split: Option<String>,
    /// A file with one JSON object a line, relative to the pipeline file.
    jsonl: Option<PathBuf>,
    /// How many problems to generate.
    generate: Option<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProblemsSettings {
    /// Where problems come from.
    source: Source,
    /// Keeps the rows for which this holds.
    r#where: Option<String>,
    /// The stage's own seed.
    seed: Option<u64>,
}

pub(crate) struct Problems;

impl StageKind for Problems {
    type Settings = ProblemsSettings;
    const NAME: &'static str = "problems";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Problems from a data set, a file or a generator.";
    const VERB: &'static str = "Read";

    fn declare(settings: &Self::Settings) -> Declaration {
        let source = &settings.source;
        let mut declaration = Declaration::new();
        if let Some(path) = &source.jsonl {
            declaration = declaration.file("source.jsonl", path);
        }
        if let Some(hf) = &source.hf {
            declaration = declaration.hub(
                "source.hf",
                HubRepo::Dataset,
                hf,
                source.revision.as_deref(),
            );
        }
        declaration
    }

    fn check(settings: &Self::Settings) -> Vec<Fault> {
        let source = &settings.source;
        let given = [
            source.hf.is_some(),
            source.jsonl.is_some(),
            source.generate.is_some(),
        ];
        match given.iter().filter(|given| **given).count() {
            1 => vec![],
            _ => vec![
                Fault::field("source", "problems come from exactly one place")
                    .hint("give one of hf, jsonl and generate"),
            ],
        }
    }

    fn outputs(_: &Self::Settings, _: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        let names = ["id", "domain", "source", "prompt", "answer", "tests"];
        Ok(vec![OutputDecl::table("main", table(&names))])
    }

    nothing_to_run!();
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MixSettings {
    /// Stages whose tables are joined.
    from: OneOrMany<StageRef>,
    /// Rows to take, by stage.
    #[serde(default)]
    take: BTreeMap<String, u64>,
    /// Sampling weights, first and second table.
    weights: Option<(f64, f64)>,
}

pub(crate) struct Mix;

impl StageKind for Mix {
    type Settings = MixSettings;
    const NAME: &'static str = "mix";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Several tables as one.";
    const VERB: &'static str = "Mixed";

    fn declare(settings: &Self::Settings) -> Declaration {
        Declaration::new().input("from", &settings.from).unseeded()
    }

    fn outputs(_: &Self::Settings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        let schema = inputs
            .need("from", &["id", "prompt"])
            .map_err(|fault| vec![fault])?;
        Ok(vec![OutputDecl::table("main", schema)])
    }

    nothing_to_run!();
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleSettings {
    /// The stage whose problems are asked.
    from: StageRef,
    /// The model that answers.
    model: ModelRef,
    /// Answers for each problem. Default 1.
    #[serde(default = "one")]
    n: u32,
    /// Randomness of the answer, 0 or more. Default 1.
    #[serde(default = "warm")]
    temperature: f64,
    /// Longest answer, in tokens.
    #[serde(default = "long")]
    max_tokens: u32,
    /// Texts that end an answer.
    #[serde(default)]
    stop: Vec<String>,
}

fn one() -> u32 {
    1
}

fn warm() -> f64 {
    1.0
}

fn long() -> u32 {
    1024
}

pub(crate) struct Sample;

impl StageKind for Sample {
    type Settings = SampleSettings;
    const NAME: &'static str = "sample";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Answers from a model.";
    const VERB: &'static str = "Sampled";

    fn declare(settings: &Self::Settings) -> Declaration {
        Declaration::new()
            .input("from", &settings.from)
            .model("model", &settings.model)
    }

    fn check(settings: &Self::Settings) -> Vec<Fault> {
        let mut faults = vec![];
        if settings.n == 0 {
            faults.push(Fault::field("n", "no answer would be sampled").hint("let n be 1 or more"));
        }
        if settings.temperature < 0.0 {
            faults.push(Fault::field("temperature", "a temperature is 0 or more"));
        }
        faults
    }

    fn outputs(_: &Self::Settings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        inputs.one("from").map_err(|fault| vec![fault])?;
        let schema = inputs
            .need("from", &["id", "prompt"])
            .map_err(|fault| vec![fault])?;
        let schema = extend_schema(&schema, columns(&["response", "finish_reason"]));
        Ok(vec![OutputDecl::table("main", schema)])
    }

    nothing_to_run!();
}

/// Which answers are kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Strategy {
    /// All.
    None,
    /// Those from which an answer can be read.
    Parsable,
    /// Those that are right.
    Rejection,
}

/// A setting that reads its own text.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub(crate) struct Keep(String);

impl TryFrom<String> for Keep {
    type Error = String;

    fn try_from(text: String) -> Result<Keep, String> {
        match text.as_str() {
            "first" | "shortest" | "all" => Ok(Keep(text)),
            other => Err(format!("`{other}` is no rule for choosing an answer")),
        }
    }
}

impl From<Keep> for String {
    fn from(keep: Keep) -> String {
        keep.0
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilterSettings {
    /// The stage whose answers are judged.
    from: StageRef,
    /// Which answers are kept.
    strategy: Strategy,
    /// Which of several good answers is kept: `first`, `shortest` or `all`.
    keep: Option<Keep>,
}

pub(crate) struct Filter;

impl StageKind for Filter {
    type Settings = FilterSettings;
    const NAME: &'static str = "filter";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "A verdict for every answer; the good ones stay.";
    const VERB: &'static str = "Judged";

    fn declare(settings: &Self::Settings) -> Declaration {
        Declaration::new().input("from", &settings.from).unseeded()
    }

    fn outputs(_: &Self::Settings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        let schema = inputs
            .need("from", &["id", "response", "answer"])
            .map_err(|fault| vec![fault])?;
        let schema = extend_schema(&schema, columns(&["verdict", "reason"]));
        Ok(vec![
            OutputDecl::table("main", schema.clone()),
            OutputDecl::table("rejected", schema),
        ])
    }

    nothing_to_run!();
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReformatSettings {
    /// The stage whose answers are rewritten.
    from: StageRef,
    /// Rewrites by this model; without one, by rules.
    model: Option<ModelRef>,
}

pub(crate) struct Reformat;

impl StageKind for Reformat {
    type Settings = ReformatSettings;
    const NAME: &'static str = "reformat";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Answers in the form to train on.";
    const VERB: &'static str = "Reformatted";

    fn declare(settings: &Self::Settings) -> Declaration {
        Declaration::new()
            .input("from", &settings.from)
            .optional_model("model", settings.model.as_ref())
    }

    fn outputs(_: &Self::Settings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        let schema = inputs
            .need("from", &["id", "response"])
            .map_err(|fault| vec![fault])?;
        let schema = extend_schema(&schema, columns(&["messages"]));
        Ok(vec![OutputDecl::table("main", schema)])
    }

    nothing_to_run!();
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SftSettings {
    /// The stage whose messages are trained on.
    from: StageRef,
    /// The model that is trained.
    model: ModelRef,
    /// Times through the data.
    epochs: u32,
    /// Highest learning rate.
    learning_rate: f64,
    /// Rows a step. Default 8.
    #[serde(default = "eight")]
    batch: u32,
    /// Rows at once; must divide `batch`. Default 8.
    #[serde(default = "eight")]
    micro_batch: u32,
}

fn eight() -> u32 {
    8
}

pub(crate) struct Sft;

impl StageKind for Sft {
    type Settings = SftSettings;
    const NAME: &'static str = "sft";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "A model trained on messages.";
    const VERB: &'static str = "Trained";

    fn declare(settings: &Self::Settings) -> Declaration {
        Declaration::new()
            .input("from", &settings.from)
            .model("model", &settings.model)
    }

    fn check(settings: &Self::Settings) -> Vec<Fault> {
        match settings.batch.checked_rem(settings.micro_batch) {
            Some(0) => vec![],
            _ => vec![Fault::field(
                "micro_batch",
                format!(
                    "{} does not divide batch = {}",
                    settings.micro_batch, settings.batch
                ),
            )],
        }
    }

    fn outputs(_: &Self::Settings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        inputs
            .need("from", &["messages"])
            .map_err(|fault| vec![fault])?;
        Ok(vec![
            OutputDecl::model("main"),
            OutputDecl::table("metrics", table(&["step", "loss"])),
        ])
    }

    nothing_to_run!();
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvalSettings {
    /// The stage whose problems are asked.
    from: StageRef,
    /// The models that are compared, by the name they have in the table.
    models: BTreeMap<String, ModelRef>,
    /// How many answers a problem.
    #[serde(default = "one")]
    n: u32,
}

pub(crate) struct Eval;

impl StageKind for Eval {
    type Settings = EvalSettings;
    const NAME: &'static str = "eval";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Scores of models on problems.";
    const VERB: &'static str = "Evaluated";

    fn declare(settings: &Self::Settings) -> Declaration {
        Declaration::new()
            .input("from", &settings.from)
            .models("models", &settings.models)
    }

    fn outputs(_: &Self::Settings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        inputs
            .need("from", &["prompt", "answer"])
            .map_err(|fault| vec![fault])?;
        let scores = table(&["model", "score"]);
        Ok(vec![
            OutputDecl::table("main", scores),
            OutputDecl::table("samples", table(&["id"])),
        ])
    }

    nothing_to_run!();
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportSettings {
    /// What is reported on.
    from: OneOrMany<StageRef>,
}

pub(crate) struct Report;

impl StageKind for Report {
    type Settings = ReportSettings;
    const NAME: &'static str = "report";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "One page about everything.";
    const VERB: &'static str = "Reported";

    fn declare(settings: &Self::Settings) -> Declaration {
        Declaration::new().input("from", &settings.from).unseeded()
    }

    fn outputs(_: &Self::Settings, _: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        Ok(vec![OutputDecl::document("main")])
    }

    nothing_to_run!();
}
