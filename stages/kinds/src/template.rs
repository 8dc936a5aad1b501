//! Prompts from rows: a minijinja template in which every column of the table has its name.
//!
//! A name that is no column is an error before anything runs, and what is rendered is exactly what
//! stands in the template: nothing is escaped, no line break is dropped.

use arrow::array::Array;
use arrow::json::writer::{LineDelimited, WriterBuilder};
use arrow::record_batch::RecordBatch;
use dag_engine::{Fault, StageError};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde_json::Map;

use crate::columns;

/// The only template in its environment.
const NAME: &str = "prompt";

/// A checked template.
pub(crate) struct Template {
    environment: Environment<'static>,
    /// The columns it names, sorted.
    columns: Vec<String>,
    /// It is nothing but this one column.
    bare: Option<String>,
}

impl Template {
    /// Parses a template; the error is a sentence with its line.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.map_err(|error| sentence(&error))?);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| sentence(&error))?;
        let mut columns: Vec<String> = environment
            .get_template(NAME)
            .map_err(|error| sentence(&error))?
            .undeclared_variables(false)
            .into_iter()
            // What is no column but a function of the language (`range`, `dict`).
            .filter(|name| !environment.globals().any(|(global, _)| global == name))
            .collect();
        columns.sort_unstable();
        let bare = match columns.as_slice() {
            [column] => (source.trim() == source)
                .then(|| source.strip_prefix("{{")?.strip_suffix("}}"))
                .flatten()
                .filter(|inside| inside.trim() == column)
                .map(|_| column.clone()),
            _ => None,
        };
        Ok(Self {
            environment,
            columns,
            bare,
        })
    }

    /// Parses the template of a setting.
    pub(crate) fn of_setting(field: &str, source: &str) -> Result<Self, Fault> {
        Self::parse(source)
            .map_err(|message| Fault::field(field, format!("`{field}` is no template: {message}")))
    }

    /// The columns it names, sorted.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The text for each row.
    pub(crate) fn render(&self, batch: &RecordBatch) -> Result<Vec<String>, StageError> {
        if let Some(name) = &self.bare {
            let column = columns::text(batch, name)?;
            // A null prints as the template language prints nothing.
            let value = |row| {
                if column.is_null(row) {
                    "none".to_owned()
                } else {
                    column.value(row).to_owned()
                }
            };
            return Ok((0..batch.num_rows()).map(value).collect());
        }
        let template = self
            .environment
            .get_template(NAME)
            .map_err(|error| StageError::bug(sentence(&error)))?;
        self.rows(batch)?
            .into_iter()
            .map(|row| {
                template
                    .render(Value::from(Serde(&row)))
                    .map_err(|error| StageError::failed(sentence(&error)))
            })
            .collect()
    }

    /// The named columns, row by row.
    fn rows(&self, batch: &RecordBatch) -> Result<Vec<Map<String, serde_json::Value>>, StageError> {
        let named: Vec<usize> = self
            .columns
            .iter()
            .filter_map(|name| batch.schema().index_of(name).ok())
            .collect();
        if named.is_empty() {
            return Ok(vec![Map::new(); batch.num_rows()]);
        }
        let mut json = Vec::new();
        let mut writer = WriterBuilder::new()
            .with_explicit_nulls(true)
            .build::<_, LineDelimited>(&mut json);
        writer.write(&batch.project(&named)?)?;
        writer.finish()?;
        drop(writer);
        serde_json::Deserializer::from_slice(&json)
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|error| StageError::bug(format!("a row is no JSON: {error}")))
    }
}

fn sentence(error: &minijinja::Error) -> String {
    let what = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => format!("line {line}: {what}"),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, StringArray};

    use super::*;

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter([
            (
                "prompt",
                Arc::new(StringArray::from(vec!["<1 & 2>", "b"])) as _,
            ),
            (
                "difficulty",
                Arc::new(Int32Array::from(vec![Some(3), None])) as _,
            ),
        ])
        .unwrap()
    }

    fn check(source: &str, expect: [&str; 2]) {
        assert_eq!(
            Template::parse(source).unwrap().render(&batch()).unwrap(),
            expect,
            "{source}"
        );
    }

    #[test]
    fn columns_have_their_names_and_nothing_is_escaped() {
        check("{{ prompt }}", ["<1 & 2>", "b"]);
        check("Q: {{ prompt }}\n", ["Q: <1 & 2>\n", "Q: b\n"]);
        check("{{ prompt }} {{ difficulty }}", ["<1 & 2> 3", "b None"]);
        check(
            r"Put it within \boxed{}. {{ prompt }}",
            [
                r"Put it within \boxed{}. <1 & 2>",
                r"Put it within \boxed{}. b",
            ],
        );
        check(
            "{% if difficulty is none %}?{% else %}{{ difficulty }}{% endif %}",
            ["3", "?"],
        );
        check("the same for all", ["the same for all", "the same for all"]);
    }

    #[test]
    fn the_columns_are_known_before_a_row_is() {
        let template =
            Template::parse("{{ prompt }}{% for i in range(2) %}{{ hint }}{% endfor %}").unwrap();
        assert_eq!(template.columns(), ["hint", "prompt"]);
    }

    #[test]
    fn a_fault_has_its_line() {
        let error = Template::parse("one\n{{ prompt").err().unwrap();
        assert!(error.starts_with("line 2: "), "{error}");
    }
}
