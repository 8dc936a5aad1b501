//! What `eval` is told.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use dag_engine::{ModelRef, OneOrMany, StageRef};
use dag_grade::answer::Policy;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::benchmark;

/// Settings of `eval`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvalSettings {
    /// Tables of problems; the benchmark has the stage's name. Semantic.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub from: OneOrMany<StageRef>,
    /// More benchmarks: names of known ones (`["math500", "aime24"]`), or tables by name (`{ test = "stage" }`).
    /// Semantic.
    #[serde(default, skip_serializing_if = "Benchmarks::is_empty")]
    pub benchmarks: Benchmarks,
    /// The models by name. What they are is semantic, their servers are operational.
    pub models: BTreeMap<String, ModelRef>,
    /// The model that the others are compared with. Default: the one named `base`, if there is one. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Answers to each problem. Default 1. Semantic.
    #[serde(default = "one")]
    pub n: u32,
    /// The k of pass@k, each at most `n`. Default `[1]`. Semantic.
    #[serde(default = "only_one")]
    pub k: Vec<u32>,
    /// 0 is greedy. Default 0. Semantic.
    #[serde(default)]
    pub temperature: f64,
    /// The mass of the most likely tokens to draw from. Default 1. Semantic.
    #[serde(default = "whole")]
    pub top_p: f64,
    /// The longest answer, in tokens. Default 4096. Semantic.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: u32,
    /// An answer ends before the first of these. Default none. Semantic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// The system message of every model. Default none. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The user message of every model, with the columns of the problem. Default `"{{ prompt }}"`. Semantic.
    #[serde(default = "default_template")]
    pub template: String,
    /// What a model is asked differently, by its name: `{ student = { system = "Think first." } }`. Semantic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prompts: BTreeMap<String, PromptSettings>,
    /// How answers are compared. Semantic.
    #[serde(default)]
    pub grading: Policy,
    /// The share of answers, 0 to 1, that may never come before the stage fails. Default 0.1. Operational.
    #[serde(default = "default_max_failed")]
    pub max_failed: f64,
}

/// What one model is asked differently. All of it is semantic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PromptSettings {
    /// Its system message; an empty one means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Its user message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Its longest answer, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

/// Benchmarks: names of known ones, or tables by name.
#[derive(Clone, Debug, PartialEq)]
pub enum Benchmarks {
    /// Data sets known by name.
    Known(Vec<String>),
    /// Tables of the pipeline.
    Tables(BTreeMap<String, StageRef>),
}

impl Default for Benchmarks {
    fn default() -> Self {
        Self::Known(Vec::new())
    }
}

impl Benchmarks {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Known(names) => names.is_empty(),
            Self::Tables(tables) => tables.is_empty(),
        }
    }

    pub(super) fn known(&self) -> impl Iterator<Item = &String> {
        match self {
            Self::Known(names) => names.as_slice(),
            Self::Tables(_) => &[],
        }
        .iter()
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = (&String, &StageRef)> {
        match self {
            Self::Known(_) => None,
            Self::Tables(tables) => Some(tables),
        }
        .into_iter()
        .flatten()
    }
}

impl Serialize for Benchmarks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(names) => names.serialize(serializer),
            Self::Tables(tables) => tables.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Benchmarks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BenchmarksVisitor;
        impl<'de> Visitor<'de> for BenchmarksVisitor {
            type Value = Benchmarks;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of benchmark names, or a table such as { test = \"stage\" }")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Benchmarks, E> {
                Ok(Benchmarks::Known(vec![name.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Benchmarks, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(Benchmarks::Known(names))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Benchmarks, A::Error> {
                BTreeMap::deserialize(MapAccessDeserializer::new(map)).map(Benchmarks::Tables)
            }
        }
        deserializer.deserialize_any(BenchmarksVisitor)
    }
}

impl JsonSchema for Benchmarks {
    fn schema_name() -> Cow<'static, str> {
        "Benchmarks".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<benchmark::Name>();
        let stage = generator.subschema_for::<StageRef>();
        json_schema!({
            "anyOf": [
                name,
                { "type": "array", "items": name },
                { "type": "object", "additionalProperties": stage },
            ]
        })
    }
}

fn one() -> u32 {
    1
}

fn only_one() -> Vec<u32> {
    vec![1]
}

fn whole() -> f64 {
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

impl EvalSettings {
    pub(super) fn base(&self) -> Option<&str> {
        self.base
            .as_deref()
            .or_else(|| self.models.contains_key("base").then_some("base"))
    }

    /// The base first, the others by name.
    pub(super) fn model_names(&self) -> Vec<&str> {
        let base = self.base();
        let others = self
            .models
            .keys()
            .map(String::as_str)
            .filter(|name| Some(*name) != base);
        base.into_iter().chain(others).collect()
    }

    pub(super) fn template(&self, model: &str) -> &str {
        self.prompts
            .get(model)
            .and_then(|prompt| prompt.template.as_deref())
            .unwrap_or(&self.template)
    }

    pub(super) fn system(&self, model: &str) -> Option<&str> {
        let own = self
            .prompts
            .get(model)
            .and_then(|prompt| prompt.system.as_deref());
        own.or(self.system.as_deref())
            .filter(|system| !system.is_empty())
    }

    pub(super) fn max_tokens(&self, model: &str) -> u32 {
        self.prompts
            .get(model)
            .and_then(|prompt| prompt.max_tokens)
            .unwrap_or(self.max_tokens)
    }
}
