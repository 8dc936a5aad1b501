//! `query`: polars SQL over tables, each under the name that `from` gives it. Needs a build with the feature `polars`.
//!
//! Three rows before, as `accepted`:
//!
//! | id | family |
//! |---|---|
//! | 0a | chain |
//! | 1b | chain |
//! | 2c | walk |
//!
//! and after `SELECT family, COUNT(*) AS rows FROM accepted GROUP BY family ORDER BY family`:
//!
//! | family | rows |
//! |---|---|
//! | chain | 2 |
//! | walk | 1 |
//!
//! Without `ORDER BY` the order of the rows is not promised by SQL, and a query whose order changes makes what follows
//! run again.

use dag_engine::{
    Declaration, Fault, Inputs, OneOrMany, OutputDecl, StageContext, StageError, StageKind,
    StageRef, canon,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `query`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuerySettings {
    /// The tables, each named in the query as here; the dot of `stage.output` becomes `_`. Semantic.
    pub from: OneOrMany<StageRef>,
    /// The query. Semantic.
    pub sql: String,
}

/// The kind `query`.
pub struct Query;

impl StageKind for Query {
    type Settings = QuerySettings;
    const NAME: &'static str = "query";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "polars SQL over tables";
    const VERB: &'static str = "Queried";

    fn declare(settings: &QuerySettings) -> Declaration {
        let QuerySettings { from, sql } = settings;
        // the names are what the query calls its tables
        let names: Vec<canon::Value> = from
            .iter()
            .map(|from| canon::Value::from(&from.0))
            .collect();
        Declaration::new()
            .input("from", from)
            .key(canon::Value::map([
                ("sql", canon::Value::from(sql)),
                ("names", names.into()),
            ]))
            .unseeded()
    }

    fn outputs(_: &QuerySettings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        inputs.need("from", &[]).map_err(|fault| vec![fault])?;
        Ok(vec![OutputDecl::open_table("main")])
    }

    fn check(settings: &QuerySettings) -> Vec<Fault> {
        let mut faults = Vec::new();
        if settings.sql.trim().is_empty() {
            faults.push(Fault::field("sql", "the query is empty"));
        }
        if !cfg!(feature = "polars") {
            faults.push(
                Fault::stage("this build of dag has no SQL")
                    .hint("build it with `cargo build --release --features polars`"),
            );
        }
        faults
    }

    #[cfg(feature = "polars")]
    fn run(settings: &QuerySettings, cx: &mut StageContext) -> Result<(), StageError> {
        use std::path::Path;
        use std::sync::Arc;

        use arrow::array::{ArrayRef, RecordBatch};
        use arrow::compute::cast;
        use arrow::datatypes::{DataType, Field, Schema};
        use dag_engine::Table;

        let tables = cx
            .inputs("from")
            .iter()
            .map(|input| cx.open_table(input))
            .collect::<Result<Vec<_>, _>>()?;
        let names = settings.from.iter().map(|from| from.0.replace('.', "_"));
        let named: Vec<(String, &Path)> = names
            .zip(&tables)
            .map(|(name, table)| (name, table.path()))
            .collect();
        let out = cx.scratch()?.join("result.parquet");
        dag_data::sql::query(&settings.sql, &named, &out).map_err(|error| match error {
            dag_data::sql::SqlError::Query(_) => StageError::failed(error.to_string()),
            dag_data::sql::SqlError::Io(error) => StageError::Io(error),
        })?;
        let result = Table::open(&out)?;
        // polars keeps texts in another form than every other stage
        let fields: Vec<Field> = result
            .schema()
            .fields()
            .iter()
            .map(|field| match field.data_type() {
                DataType::LargeUtf8 | DataType::Utf8View => {
                    Field::new(field.name(), DataType::Utf8, field.is_nullable())
                }
                _ => field.as_ref().clone(),
            })
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let mut writer = cx.table_writer("main", schema.clone())?;
        for batch in result.batches()? {
            let batch = batch?;
            let columns = batch
                .columns()
                .iter()
                .zip(schema.fields())
                .map(|(column, field)| cast(column, field.data_type()))
                .collect::<Result<Vec<ArrayRef>, _>>()?;
            writer.write(&RecordBatch::try_new(schema.clone(), columns)?)?;
        }
        writer.finish()?;
        Ok(())
    }

    #[cfg(not(feature = "polars"))]
    fn run(_: &QuerySettings, _: &mut StageContext) -> Result<(), StageError> {
        // `check` refuses such a pipeline; a task from elsewhere may still come
        Err(StageError::environment("this build of dag has no SQL")
            .with_hint("build it with `cargo build --release --features polars`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_the_fault_names_the_build_flag() {
        let settings = QuerySettings {
            from: vec![StageRef::from("mix")].into(),
            sql: "SELECT 1".to_owned(),
        };
        let faults = Query::check(&settings);
        assert_eq!(faults.is_empty(), cfg!(feature = "polars"));
        assert!(
            faults
                .iter()
                .all(|fault| fault.hint.as_deref().unwrap().contains("--features polars"))
        );
    }
}
