//! What is known of inputs and outputs before anything runs: artifacts and columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use dag_cache::ArtifactType;

/// The metadata entry that marks a schema as known only in part.
const OPEN: &str = "dag.open";

/// A fault in settings, or between settings and inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting it is about, dotted (`source.jsonl`); `None` is the stage as a whole.
    pub field: Option<String>,
    /// What is wrong: lower-case, place and thing first, no full stop.
    pub message: String,
    /// What would help.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault of one setting.
    #[must_use]
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self {
            field: Some(field.to_owned()),
            message: message.into(),
            hint: None,
        }
    }

    /// A fault of the stage as a whole.
    #[must_use]
    pub fn stage(message: impl Into<String>) -> Self {
        Self {
            field: None,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The inputs of a stage as far as they are known before a run.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    stage: String,
    slots: Vec<(String, Vec<InputShape>)>,
}

/// One input: which artifact fills a slot and what columns it has.
#[derive(Clone, Debug)]
pub struct InputShape {
    /// The stage it comes from.
    pub stage: String,
    /// The output's name.
    pub output: String,
    /// Table, model or document.
    pub artifact: ArtifactType,
    /// The columns of a table; `None` if only running the stage tells.
    pub schema: Option<SchemaRef>,
}

impl Inputs {
    /// No inputs yet, for the stage of that name.
    #[must_use]
    pub fn new(stage: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            slots: Vec::new(),
        }
    }

    /// Adds one input to a slot; the order of calls is the order of inputs.
    pub fn push(&mut self, slot: &str, shape: InputShape) {
        match self.slots.iter_mut().find(|(name, _)| name == slot) {
            Some((_, shapes)) => shapes.push(shape),
            None => self.slots.push((slot.to_owned(), vec![shape])),
        }
    }

    /// The stage whose inputs these are.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// All inputs of a slot, in order; empty if the slot is not filled.
    #[must_use]
    pub fn all(&self, slot: &str) -> &[InputShape] {
        self.slots
            .iter()
            .find(|(name, _)| name == slot)
            .map_or(&[], |(_, shapes)| shapes.as_slice())
    }

    /// Slot names and their inputs, in the order of the declaration.
    pub fn slots(&self) -> impl Iterator<Item = (&str, &[InputShape])> {
        self.slots
            .iter()
            .map(|(name, shapes)| (name.as_str(), shapes.as_slice()))
    }

    /// The only input of a slot.
    ///
    /// # Errors
    /// The slot has none, or more than one.
    pub fn one(&self, slot: &str) -> Result<&InputShape, Fault> {
        match self.all(slot) {
            [one] => Ok(one),
            [] => Err(Fault::field(
                slot,
                format!("stage `{}` needs an input `{slot}`", self.stage),
            )),
            many => Err(Fault::field(
                slot,
                format!(
                    "stage `{}` takes one input as `{slot}`, not {}",
                    self.stage,
                    many.len()
                ),
            )
            .hint("put a `mix` stage in between to join tables")),
        }
    }

    /// The columns of the slot's first input, after checking that every input of the slot is a
    /// table with the columns named. An input whose columns are not known passes, and counts as
    /// an [open schema](open_schema) that has them.
    ///
    /// # Errors
    /// The slot is empty, an input is no table, or a column is missing.
    pub fn need(&self, slot: &str, columns: &[&str]) -> Result<SchemaRef, Fault> {
        let shapes = self.all(slot);
        let Some(first) = shapes.first() else {
            return Err(Fault::field(
                slot,
                format!("stage `{}` needs an input `{slot}`", self.stage),
            ));
        };
        for shape in shapes {
            self.check_shape(slot, shape, columns)?;
        }
        Ok(first.schema.clone().unwrap_or_else(|| open_schema(columns)))
    }

    fn check_shape(&self, slot: &str, shape: &InputShape, columns: &[&str]) -> Result<(), Fault> {
        let stage = &self.stage;
        match shape.artifact {
            ArtifactType::Table => {}
            ArtifactType::Model | ArtifactType::Document => {
                let is = match shape.artifact {
                    ArtifactType::Model => "model",
                    ArtifactType::Document | ArtifactType::Table => "document",
                };
                return Err(Fault::field(
                    slot,
                    format!(
                        "stage `{stage}` needs a table as `{slot}`; `{}` gives a {is}",
                        shape.stage
                    ),
                ));
            }
        }
        let Some(schema) = shape.schema.as_ref().filter(|schema| !is_open(schema)) else {
            return Ok(());
        };
        for column in columns {
            if schema.column_with_name(column).is_none() {
                let names: Vec<&str> = schema
                    .fields()
                    .iter()
                    .map(|field| field.name().as_str())
                    .collect();
                let mut fault = Fault::field(
                    slot,
                    format!(
                        "stage `{stage}` needs column `{column}`; `{}` gives {}",
                        shape.stage,
                        names.join(", ")
                    ),
                );
                if let Some(near) = nearest(column, &names) {
                    fault = fault.hint(format!("did you mean `{near}`?"));
                }
                return Err(fault);
            }
        }
        Ok(())
    }
}

/// A schema that is known to have these columns (text, as far as is known) and perhaps others.
#[must_use]
pub fn open_schema(columns: &[&str]) -> SchemaRef {
    let fields: Vec<Field> = columns
        .iter()
        .map(|name| Field::new(*name, DataType::Utf8, true))
        .collect();
    Arc::new(Schema::new_with_metadata(
        fields,
        HashMap::from([(OPEN.to_owned(), "true".to_owned())]),
    ))
}

/// Whether a schema is known only in part.
#[must_use]
pub fn is_open(schema: &Schema) -> bool {
    schema.metadata().contains_key(OPEN)
}

/// A schema with more columns at its end; one that is there already is replaced in place. An open
/// schema stays open.
#[must_use]
pub fn extend_schema(schema: &Schema, more: impl IntoIterator<Item = Field>) -> SchemaRef {
    let mut fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
    for field in more {
        match fields.iter_mut().find(|there| there.name() == field.name()) {
            Some(there) => *there = Arc::new(field),
            None => fields.push(Arc::new(field)),
        }
    }
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// An output a kind announces.
#[derive(Clone, Debug)]
pub struct OutputDecl {
    /// Name within the stage: `main`, `rejected`.
    pub name: String,
    /// Table, model or document.
    pub artifact: ArtifactType,
    /// The columns of a table; `None` if only running the stage tells.
    pub schema: Option<SchemaRef>,
}

impl OutputDecl {
    /// A table with these columns.
    #[must_use]
    pub fn table(name: &str, schema: SchemaRef) -> Self {
        Self {
            name: name.to_owned(),
            artifact: ArtifactType::Table,
            schema: Some(schema),
        }
    }

    /// A table whose columns only a run tells.
    #[must_use]
    pub fn open_table(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            artifact: ArtifactType::Table,
            schema: None,
        }
    }

    /// A model folder.
    #[must_use]
    pub fn model(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            artifact: ArtifactType::Model,
            schema: None,
        }
    }

    /// A document.
    #[must_use]
    pub fn document(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            artifact: ArtifactType::Document,
            schema: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(columns: &[&str]) -> Inputs {
        let fields: Vec<Field> = columns
            .iter()
            .map(|name| Field::new(*name, DataType::Utf8, true))
            .collect();
        let mut inputs = Inputs::new("kept");
        inputs.push(
            "from",
            InputShape {
                stage: "mix".into(),
                output: "main".into(),
                artifact: ArtifactType::Table,
                schema: Some(Arc::new(Schema::new(fields))),
            },
        );
        inputs
    }

    #[test]
    fn a_missing_column_names_what_is_there_and_the_nearest() {
        let fault = inputs(&["id", "prompt", "answer"])
            .need("from", &["id", "answers"])
            .unwrap_err();
        assert_eq!(
            fault.message,
            "stage `kept` needs column `answers`; `mix` gives id, prompt, answer"
        );
        assert_eq!(fault.hint.as_deref(), Some("did you mean `answer`?"));
        assert_eq!(fault.field.as_deref(), Some("from"));
    }

    #[test]
    fn an_open_schema_stays_open_and_passes_every_need() {
        let mut shapes = Inputs::new("kept");
        let schema = extend_schema(
            &open_schema(&["id"]),
            [Field::new("verdict", DataType::Utf8, false)],
        );
        shapes.push(
            "from",
            InputShape {
                stage: "own".into(),
                output: "main".into(),
                artifact: ArtifactType::Table,
                schema: Some(schema),
            },
        );
        assert!(shapes.need("from", &["anything"]).is_ok());
    }

    #[test]
    fn an_empty_slot_is_a_fault() {
        assert!(inputs(&["id"]).need("other", &[]).is_err());
        assert!(inputs(&["id"]).one("other").is_err());
        assert_eq!(inputs(&["id"]).one("from").unwrap().stage, "mix");
    }
}
