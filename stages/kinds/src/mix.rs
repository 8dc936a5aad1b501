//! `mix`: joins tables of problems: quotas and weights, duplicates, decontamination, shuffling. What does not go into
//! the mix is kept aside with the reason.
//!
//! Three rows before, with `decontaminate = ["bench"]` where `bench` asks the second one:
//!
//! | id | prompt | answer |
//! |---|---|---|
//! | 0a | What is 2+2? | 4 |
//! | 1b | What is 3*3? | 9 |
//! | 2c | what is  2+2? | 4 |
//!
//! and after:
//!
//! | id | prompt | answer |
//! |---|---|---|
//! | 0a | What is 2+2? | 4 |
//!
//! and in the output `rejected`:
//!
//! | id | prompt | answer | reason |
//! |---|---|---|---|
//! | 1b | What is 3*3? | 9 | in bench |
//! | 2c | what is  2+2? | 4 | duplicate |

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use dag_data::mix::{MixOptions, MixOutputs, MixSource, joined_schema, mix, rejected_schema};
use dag_engine::{
    Declaration, Estimate, EstimateContext, Fault, Inputs, OneOrMany, OutputDecl, StageContext,
    StageError, StageKind, StageRef, Table, canon, open_schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stop;

/// The output with the rows that are not in the mix.
const REJECTED: &str = "rejected";

/// Settings of `mix`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MixSettings {
    /// The tables to join. Semantic.
    pub from: OneOrMany<StageRef>,
    /// How many rows of which table, chosen by chance; a table that is not named gives all it has. Semantic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub take: BTreeMap<String, u64>,
    /// Shares of the tables, such as `{ math = 2, code = 1 }`: the largest mix that keeps them. Semantic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, f64>,
    /// Keep aside rows whose prompt came before; letters' case, white space and Unicode forms do not count. Default
    /// true. Semantic.
    #[serde(default = "yes")]
    pub dedup: bool,
    /// Tables whose problems must not be in the mix, such as the benchmarks of an evaluation. Semantic.
    #[serde(default)]
    pub decontaminate: OneOrMany<StageRef>,
    /// A prompt is known from one of those tables if it shares so many words in a row with one of theirs; shorter ones
    /// must be equal. Default 13. Semantic.
    #[serde(default = "default_ngram")]
    pub ngram: u32,
    /// Shuffle the rows; else table after table, as they stand. Default true. Semantic.
    #[serde(default = "yes")]
    pub shuffle: bool,
    /// Where chance starts. Default: made from the pipeline's seed. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

fn yes() -> bool {
    true
}
fn default_ngram() -> u32 {
    13
}

/// The kind `mix`.
pub struct Mix;

impl StageKind for Mix {
    type Settings = MixSettings;
    const NAME: &'static str = "mix";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "joins tables: quotas, duplicates, decontamination, shuffling";
    const VERB: &'static str = "Mixed";

    fn declare(settings: &MixSettings) -> Declaration {
        let MixSettings {
            from,
            take,
            weights,
            dedup,
            decontaminate,
            ngram,
            shuffle,
            seed,
        } = settings;
        // names stand in counts and reasons, so they are in the key; which rows are mixed does not depend on them,
        // so what follows is spared when a stage is renamed
        let places = |name: &StageRef| {
            canon::Value::from(vec![
                canon::Value::from(&name.0),
                canon::Value::from(take.get(&name.0).copied()),
                canon::Value::from(weights.get(&name.0).copied()),
            ])
        };
        let avoided = decontaminate
            .iter()
            .map(|name| canon::Value::from(&name.0))
            .collect::<Vec<_>>();
        let declaration = Declaration::new()
            .input("from", from)
            .input("decontaminate", decontaminate)
            .key(canon::Value::map([
                (
                    "quotas",
                    canon::Value::from(from.iter().map(places).collect::<Vec<_>>()),
                ),
                ("decontaminate", canon::Value::from(avoided)),
                ("dedup", (*dedup).into()),
                ("ngram", (*ngram).into()),
                ("shuffle", (*shuffle).into()),
                ("seed", (*seed).into()),
            ]));
        let chance = *shuffle || !take.is_empty() || !weights.is_empty();
        if chance && seed.is_none() {
            declaration
        } else {
            declaration.unseeded()
        }
    }

    fn outputs(_: &MixSettings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        let mut faults = Vec::new();
        for (slot, _) in inputs.slots() {
            if let Err(fault) = inputs.need(slot, &["prompt"]) {
                faults.push(fault);
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let shapes = inputs.all("from");
        let known: Option<Vec<SchemaRef>> =
            shapes.iter().map(|shape| shape.schema.clone()).collect();
        let Some(schemas) = known else {
            return Ok(vec![
                OutputDecl::open_table("main"),
                OutputDecl::open_table(REJECTED),
            ]);
        };
        if schemas
            .iter()
            .any(|schema| dag_engine::shape::is_open(schema))
        {
            let schema = open_schema(&["prompt"]);
            return Ok(vec![
                OutputDecl::table("main", schema.clone()),
                OutputDecl::table(REJECTED, schema),
            ]);
        }
        match joined_schema(&schemas) {
            Ok(schema) => {
                let aside = rejected_schema(&schema);
                Ok(vec![
                    OutputDecl::table("main", schema),
                    OutputDecl::table(REJECTED, aside),
                ])
            }
            Err((name, one, other)) => Err(vec![Fault::field(
                "from",
                format!("column `{name}` is {one} in one table and {other} in another"),
            )]),
        }
    }

    fn check(settings: &MixSettings) -> Vec<Fault> {
        let mut faults = Vec::new();
        if settings.from.is_empty() {
            faults.push(Fault::field("from", "no table is named"));
        }
        let named = |name: &str| settings.from.iter().any(|from| from.0 == name);
        let quotas = settings.take.keys().map(|name| ("take", name));
        for (field, name) in quotas.chain(settings.weights.keys().map(|name| ("weights", name))) {
            if !named(name) {
                let known: Vec<&str> = settings.from.iter().map(|from| from.0.as_str()).collect();
                faults.push(
                    Fault::field(
                        &format!("{field}.{name}"),
                        format!("`{name}` is not in `from`"),
                    )
                    .hint(format!("`from` has {}", known.join(", "))),
                );
            }
        }
        for (name, weight) in &settings.weights {
            if !(weight.is_finite() && *weight >= 0.0) {
                faults.push(Fault::field(
                    &format!("weights.{name}"),
                    format!("{weight} is no weight"),
                ));
            }
        }
        if !settings.weights.is_empty() && settings.weights.values().all(|weight| *weight <= 0.0) {
            faults.push(Fault::field("weights", "no weight is above 0"));
        }
        if settings.ngram == 0 {
            faults.push(Fault::field("ngram", "ngram = 0 would match everything"));
        }
        if settings.decontaminate.len() > 255 {
            faults.push(Fault::field(
                "decontaminate",
                "more than 255 tables are named",
            ));
        }
        faults
    }

    fn estimate(settings: &MixSettings, cx: &EstimateContext<'_>) -> Estimate {
        // duplicates are not known before they are found, and weights cut at the table that runs out first
        let quotas = settings
            .from
            .iter()
            .map(|from| settings.take.get(&from.0).copied())
            .sum::<Option<u64>>();
        let there = cx.rows_in("from").filter(|_| settings.weights.is_empty());
        Estimate {
            rows: match (quotas, there) {
                (Some(quotas), Some(there)) => Some(quotas.min(there)),
                (quotas, there) => quotas.or(there),
            },
            ..Estimate::default()
        }
    }

    fn run(settings: &MixSettings, cx: &mut StageContext) -> Result<(), StageError> {
        let cx = &*cx;
        let sources = open(settings.from.iter().map(|from| from.0.clone()), "from", cx)?;
        let avoid = open(
            settings.decontaminate.iter().map(|from| from.0.clone()),
            "decontaminate",
            cx,
        )?;
        let schemas: Vec<SchemaRef> = sources.iter().map(MixSource::schema).collect();
        let joined = joined_schema(&schemas).map_err(|(name, one, other)| {
            StageError::failed(format!(
                "column `{name}` is {one} in one table and {other} in another"
            ))
        })?;
        cx.progress().set_total(
            2 * sources
                .iter()
                .map(|source| source.table.rows())
                .sum::<u64>(),
        );
        let mut main = cx.table_writer("main", joined.clone())?;
        let mut aside = cx.table_writer(REJECTED, rejected_schema(&joined))?;
        let MixSettings {
            from: _,
            take,
            weights,
            dedup,
            decontaminate: _,
            ngram,
            shuffle,
            seed,
        } = settings;
        let options = MixOptions {
            take: take.clone(),
            weights: weights.clone(),
            dedup: *dedup,
            ngram: *ngram as usize,
            shuffle: *shuffle,
            seed: seed.unwrap_or(cx.seed()),
        };
        let outputs = MixOutputs {
            mixed: &mut |batch| main.write(&batch),
            rejected: &mut |batch| aside.write(&batch),
            scratch: cx.scratch()?,
        };
        let counts = mix(&dynamic(&sources), &dynamic(&avoid), &options, outputs)?;
        main.finish()?;
        aside.finish()?;
        for (name, rows) in &counts.taken {
            cx.count(&format!("from {name}"), *rows);
            if let Some(wanted) = take.get(name).filter(|wanted| *wanted > rows) {
                cx.note(&format!(
                    "{name}: {rows} rows were left of the {wanted} asked for"
                ));
            }
        }
        for (reason, rows) in &counts.rejected {
            cx.count(reason, *rows);
        }
        Ok(())
    }
}

/// An input as the library reads it.
struct Input<'a> {
    name: String,
    table: Table,
    cx: &'a StageContext,
}

fn open<'a>(
    names: impl Iterator<Item = String>,
    slot: &str,
    cx: &'a StageContext,
) -> Result<Vec<Input<'a>>, StageError> {
    names
        .zip(cx.inputs(slot))
        .map(|(name, input)| {
            Ok(Input {
                name,
                table: cx.open_table(input)?,
                cx,
            })
        })
        .collect()
}

fn dynamic<'a>(inputs: &'a [Input<'a>]) -> Vec<&'a dyn MixSource<StageError>> {
    inputs
        .iter()
        .map(|input| input as &dyn MixSource<StageError>)
        .collect()
}

impl MixSource<StageError> for Input<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn schema(&self) -> SchemaRef {
        self.table.schema().clone()
    }

    fn open(
        &self,
        only_prompts: bool,
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, StageError>> + '_>, StageError> {
        let batches = if only_prompts {
            self.table.columns(&["prompt"])?
        } else {
            self.table.batches()?
        };
        Ok(Box::new(batches.map(|batch| {
            stop::if_draining(self.cx)?;
            let batch = batch?;
            self.cx.progress().advance(batch.num_rows() as u64);
            Ok(batch)
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(settings: serde_json::Value) -> Vec<String> {
        let settings: MixSettings = serde_json::from_value(settings).unwrap();
        Mix::check(&settings)
            .into_iter()
            .map(|fault| fault.field.unwrap_or_default())
            .collect()
    }

    #[test]
    fn quotas_must_name_an_input() {
        use serde_json::json;
        assert_eq!(
            faults(json!({ "from": ["a"], "take": { "b": 1 }, "ngram": 0 })),
            ["take.b", "ngram"]
        );
        assert_eq!(
            faults(json!({ "from": [], "weights": { "a": 0.0 } })),
            ["from", "weights.a", "weights"]
        );
        assert!(faults(json!({ "from": "a", "take": { "a": 1 } })).is_empty());
    }

    #[test]
    fn every_setting_that_moves_a_row_is_in_the_key() {
        let key = |more: serde_json::Value| {
            let mut settings = serde_json::json!({ "from": ["a", "b"] });
            for (name, value) in more.as_object().into_iter().flatten() {
                settings[name] = value.clone();
            }
            let declaration = Mix::declare(&serde_json::from_value(settings).unwrap());
            (declaration.key, declaration.seeded)
        };
        let plain = key(serde_json::json!({}));
        for more in [
            serde_json::json!({ "take": { "a": 3 } }),
            serde_json::json!({ "weights": { "a": 1.0 } }),
            serde_json::json!({ "dedup": false }),
            serde_json::json!({ "decontaminate": "c" }),
            serde_json::json!({ "ngram": 8 }),
            serde_json::json!({ "shuffle": false }),
            serde_json::json!({ "seed": 1 }),
        ] {
            assert_ne!(key(more.clone()), plain, "{more}");
        }
        assert!(plain.1 && !key(serde_json::json!({ "shuffle": false })).1);
    }
}
