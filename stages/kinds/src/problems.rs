//! `problems`: makes or reads problems. Whatever the layout of the source, the columns out are the same; a row that
//! does not fit is kept aside with the reason.
//!
//! Three rows before, of a JSON Lines file with `layout = "gsm8k"`:
//!
//! | question | answer |
//! |---|---|
//! | What is 2+2? | 2+2=4 #### 4 |
//! | What is 3*3? | 3*3=9 #### 9 |
//! | What is 1+1? | two |
//!
//! and after:
//!
//! | id | domain | family | source | difficulty | prompt | answer | tests | solution |
//! |---|---|---|---|---|---|---|---|---|
//! | 0a… | math | gsm8k | jsonl | *null* | What is 2+2? | 4 | *null* | 2+2=4 #### 4 |
//! | 1b… | math | gsm8k | jsonl | *null* | What is 3*3? | 9 | *null* | 3*3=9 #### 9 |
//!
//! and in the output `rejected`:
//!
//! | row | reason | text |
//! |---|---|---|
//! | 2 | the answer has no `####` | {"question":"What is 1+1?","answer":"two"} |

mod reading;

use std::collections::BTreeMap;
use std::path::PathBuf;

use dag_data::generate::GenerateSettings;
use dag_data::layout::{Layout, LayoutSettings};
use dag_data::rows::Format;
use dag_data::{Condition, ProblemRows};
use dag_engine::{
    Declaration, Estimate, EstimateContext, Fault, HubRepo, Inputs, OneOrMany, OutputDecl,
    StageContext, StageError, StageKind, canon,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::benchmark::{self, Known};
use reading::{Gathered, Rejected, make, read, rejected_schema};

/// The output with the rows that are no problems.
const REJECTED: &str = "rejected";

/// Settings of `problems`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProblemsSettings {
    /// Where the problems come from. Semantic.
    pub source: Source,
    /// The layout of a published data set. Without one, columns have our names. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Our column = their column, such as `{ prompt = "question" }`; goes before the layout. Semantic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
    /// The domain of every row: `math`, `code`, `choice` or `text`. Default: the layout's or the column's. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The family of every row. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The answer is what follows the last of these marks, as `####` in GSM8K. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_after: Option<String>,
    /// Which rows of the source: `source IN ('math', 'olympiads') AND level >= 4`, on the source's own columns. A small
    /// part of SQL. Semantic.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Rows to skip, of those that `where` leaves. Semantic.
    #[serde(default)]
    pub offset: u64,
    /// The most rows to read after `offset`. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Of those, so many by chance; which ones depends on their content and the seed, not on their order. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<u64>,
}

/// Where problems come from: exactly one of `generate`, `benchmark`, `jsonl`, `parquet` and `hf`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// Made here: small reasoning problems with exact answers. Semantic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate: Option<GenerateSettings>,
    /// A benchmark known by name, as `eval` knows them: `math500`, `aime24`, `amc23`, `livecodebench`, `gpqa-diamond`
    /// or `gsm8k`. Its data set, split and layout are known with it. Semantic.
    #[schemars(with = "Option<benchmark::Name>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub benchmark: Option<String>,
    /// JSON Lines files, relative to the pipeline file. Their content is semantic, their place is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsonl: Option<OneOrMany<PathBuf>>,
    /// Parquet files, relative to the pipeline file. Their content is semantic, their place is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parquet: Option<OneOrMany<PathBuf>>,
    /// A data set of the Hugging Face hub, `owner/name`. Semantic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hf: Option<String>,
    /// The commit, tag or branch of the data set; without one the lock file decides. Semantic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Its configuration (subset). Semantic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Its split, such as `train`. Semantic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// One file of it by name, instead of a split. Semantic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl Source {
    /// The benchmark, if one is named.
    fn known(&self) -> Option<&'static Known> {
        self.benchmark.as_deref().and_then(benchmark::known)
    }

    /// The local files by the setting that names them.
    fn files(&self) -> Vec<(String, &PathBuf, Format)> {
        let lists = [
            ("source.jsonl", &self.jsonl, Format::Jsonl),
            ("source.parquet", &self.parquet, Format::Parquet),
        ];
        let mut files = Vec::new();
        for (field, list, format) in lists {
            for (at, path) in list.iter().flatten().enumerate() {
                let field = if at == 0 {
                    field.to_owned()
                } else {
                    format!("{field}.{at}")
                };
                files.push((field, path, format));
            }
        }
        files
    }

    fn key(&self) -> canon::Value {
        // files enter by content, the hub's revision by its own list
        let Self {
            generate,
            benchmark,
            jsonl,
            parquet: _,
            hf,
            revision: _,
            config,
            split,
            file,
        } = self;
        let generate = generate
            .as_ref()
            .map(|settings| canon::Value::from(json(settings)));
        let format = if hf.is_some() || benchmark.is_some() {
            None
        } else {
            Some(jsonl.is_some())
        };
        let mut key = vec![
            ("generate", generate.unwrap_or(canon::Value::Null)),
            ("jsonl", format.into()),
            ("config", config.clone().into()),
            ("split", split.clone().into()),
            ("file", file.clone().into()),
        ];
        // a newer setting: the keys of older files stay what they were
        key.extend(
            benchmark
                .as_ref()
                .map(|name| ("benchmark", name.clone().into())),
        );
        canon::Value::map(key)
    }
}

/// Settings are plain data with string keys, which JSON always holds.
fn json(settings: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(settings).unwrap_or(serde_json::Value::Null)
}

impl ProblemsSettings {
    fn layout(&self) -> LayoutSettings {
        LayoutSettings {
            layout: self.layout,
            columns: self.columns.clone(),
            domain: self.domain.clone(),
            family: self.family.clone(),
            answer_after: self.answer_after.clone(),
        }
    }
}

/// The kind `problems`.
pub struct Problems;

impl StageKind for Problems {
    type Settings = ProblemsSettings;
    const NAME: &'static str = "problems";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str =
        "problems from a generator, JSON Lines, Parquet or the Hugging Face hub";
    const VERB: &'static str = "Gathered";

    fn declare(settings: &ProblemsSettings) -> Declaration {
        let ProblemsSettings {
            source,
            layout,
            columns,
            domain,
            family,
            answer_after,
            condition,
            offset,
            limit,
            sample,
        } = settings;
        let columns = canon::Value::map(
            columns
                .iter()
                .map(|(ours, theirs)| (ours.clone(), theirs.into())),
        );
        let mut declaration = Declaration::new().key(canon::Value::map([
            ("source", source.key()),
            ("layout", canon::Value::from(json(layout))),
            ("columns", columns),
            ("domain", domain.clone().into()),
            ("family", family.clone().into()),
            ("answer_after", answer_after.clone().into()),
            ("where", condition.clone().into()),
            ("offset", (*offset).into()),
            ("limit", (*limit).into()),
            ("sample", (*sample).into()),
        ]));
        for (field, path, _) in source.files() {
            declaration = declaration.file(&field, path);
        }
        if let Some(id) = &source.hf {
            declaration = declaration.hub(
                "source.hf",
                HubRepo::Dataset,
                id,
                source.revision.as_deref(),
            );
        }
        if let Some(known) = source.known() {
            declaration = declaration.hub(
                "source.benchmark",
                HubRepo::Dataset,
                known.id,
                source.revision.as_deref(),
            );
        }
        let generated = source
            .generate
            .as_ref()
            .is_some_and(|settings| settings.seed.is_none());
        if generated || sample.is_some() {
            declaration
        } else {
            declaration.unseeded()
        }
    }

    fn outputs(_: &ProblemsSettings, _: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        Ok(vec![
            OutputDecl::table("main", dag_data::schema()),
            OutputDecl::table(REJECTED, rejected_schema()),
        ])
    }

    fn check(settings: &ProblemsSettings) -> Vec<Fault> {
        let Source {
            generate,
            benchmark,
            jsonl,
            parquet,
            hf,
            revision,
            config,
            split,
            file,
        } = &settings.source;
        let mut faults = Vec::new();
        let named = [
            generate.is_some(),
            benchmark.is_some(),
            jsonl.is_some(),
            parquet.is_some(),
            hf.is_some(),
        ];
        if named.iter().filter(|there| **there).count() != 1 {
            faults.push(
                Fault::field(
                    "source",
                    "a source is exactly one of `generate`, `benchmark`, `jsonl`, `parquet` and `hf`",
                )
                .hint("source = { hf = \"owner/name\", split = \"train\" }"),
            );
        }
        if revision.is_some() && hf.is_none() && benchmark.is_none() {
            faults.push(Fault::field(
                "source.revision",
                "`revision` goes with `hf` and `benchmark` only",
            ));
        }
        if let Some(name) = benchmark {
            faults.extend(benchmark::fault("source.benchmark", name));
            faults.extend(refused(
                settings,
                "a benchmark takes",
                &["layout", "columns", "answer_after", "domain", "family"],
            ));
        }
        let of_the_hub = [("config", config), ("split", split), ("file", file)];
        for (name, _) in of_the_hub
            .iter()
            .filter(|(_, value)| hf.is_none() && value.is_some())
        {
            faults.push(Fault::field(
                &format!("source.{name}"),
                format!("`{name}` goes with `hf` only"),
            ));
        }
        if let Some(name) = file
            .as_deref()
            .filter(|name| Format::of(name.as_ref()).is_none())
        {
            faults.push(Fault::field(
                "source.file",
                format!("`{name}` is neither .jsonl nor .parquet"),
            ));
        }
        for (field, list) in [("source.jsonl", jsonl), ("source.parquet", parquet)] {
            if list.as_ref().is_some_and(OneOrMany::is_empty) {
                faults.push(Fault::field(field, "no file is named"));
            }
        }
        if let Some(generate) = generate {
            let told = generate.faults().into_iter();
            faults.extend(told.map(|(field, message)| {
                Fault::field(&format!("source.generate.{field}"), message)
            }));
            faults.extend(refused(
                settings,
                "generated problems take",
                &[
                    "layout",
                    "columns",
                    "answer_after",
                    "where",
                    "domain",
                    "family",
                    "offset",
                    "limit",
                    "sample",
                ],
            ));
        }
        faults.extend(
            settings
                .layout()
                .faults()
                .into_iter()
                .map(|(field, message)| Fault::field(&field, message)),
        );
        if let Some(Err(fault)) = settings.condition.as_deref().map(Condition::parse) {
            faults.push(Fault::field("where", fault.to_string()));
        }
        for (name, value) in [("limit", settings.limit), ("sample", settings.sample)] {
            if value == Some(0) {
                faults.push(Fault::field(name, format!("{name} = 0 leaves no rows")));
            }
        }
        faults
    }

    fn estimate(settings: &ProblemsSettings, _: &EstimateContext<'_>) -> Estimate {
        let made = settings
            .source
            .generate
            .as_ref()
            .map(|made| u64::from(made.count) * made.families.len() as u64);
        Estimate {
            rows: made.or(settings.sample),
            ..Estimate::default()
        }
    }

    fn run(settings: &ProblemsSettings, cx: &mut StageContext) -> Result<(), StageError> {
        let mut main = Gathered {
            rows: ProblemRows::default(),
            writer: cx.table_writer("main", dag_data::schema())?,
        };
        let mut rejected = Rejected::new(cx.table_writer(REJECTED, rejected_schema())?);
        match &settings.source.generate {
            Some(generate) => make(generate, &mut main, cx)?,
            None => read(settings, &mut main, &mut rejected, cx)?,
        }
        main.finish()?;
        let aside = rejected.finish()?;
        if aside > 0 {
            cx.count(REJECTED, aside);
        }
        Ok(())
    }
}

/// Faults for those of the named settings that are given.
fn refused(settings: &ProblemsSettings, who: &str, names: &[&str]) -> Vec<Fault> {
    let ProblemsSettings {
        source: _,
        layout,
        columns,
        domain,
        family,
        answer_after,
        condition,
        offset,
        limit,
        sample,
    } = settings;
    [
        ("layout", layout.is_some()),
        ("columns", !columns.is_empty()),
        ("answer_after", answer_after.is_some()),
        ("where", condition.is_some()),
        ("domain", domain.is_some()),
        ("family", family.is_some()),
        ("offset", *offset > 0),
        ("limit", limit.is_some()),
        ("sample", sample.is_some()),
    ]
    .iter()
    .filter(|(name, given)| *given && names.contains(name))
    .map(|(name, _)| Fault::field(name, format!("{who} no `{name}`")))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(settings: serde_json::Value) -> Vec<String> {
        let settings: ProblemsSettings = serde_json::from_value(settings).unwrap();
        Problems::check(&settings)
            .into_iter()
            .map(|fault| fault.field.unwrap_or_default())
            .collect()
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        use serde_json::json;
        assert_eq!(faults(json!({ "source": {} })), ["source"]);
        assert_eq!(
            faults(json!({ "source": { "jsonl": "a.jsonl", "split": "train" } })),
            ["source.split"]
        );
        assert_eq!(
            faults(json!({ "source": { "jsonl": [] }, "where": "a = ", "limit": 0 })),
            ["source.jsonl", "where", "limit"]
        );
        assert_eq!(
            faults(json!({ "source": { "generate": { "count": 0 } }, "sample": 3 })),
            ["source.generate.count", "sample"]
        );
        assert_eq!(
            faults(
                json!({ "source": { "benchmark": "math50", "split": "test" }, "layout": "gsm8k" })
            ),
            ["source.benchmark", "layout", "source.split"]
        );
        assert!(
            faults(json!({ "source": { "benchmark": "aime24", "revision": "main" }, "limit": 3 }))
                .is_empty()
        );
        assert!(faults(json!({ "source": { "hf": "a/b", "split": "train" }, "layout": "numina", "where": "source IN ('math')" })).is_empty());
    }

    #[test]
    fn the_place_of_a_file_is_not_in_the_key() {
        let key = |path: &str| {
            let settings = serde_json::json!({ "source": { "jsonl": path } });
            Problems::declare(&serde_json::from_value(settings).unwrap()).key
        };
        assert_eq!(key("a.jsonl"), key("elsewhere/b.jsonl"));
    }
}
