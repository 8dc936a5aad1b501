//! The two tables that `reformat` writes: what came into form, and what did not with its reason.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StringArray, StructArray, new_null_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use dag_engine::{StageContext, StageError, TableWriter, extend_schema};

use super::{Formed, REJECTED, Row};
use crate::answerer::Role;
use crate::columns::assemble;

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

pub(super) fn formatted_schema(traces: &Schema) -> SchemaRef {
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

pub(super) fn rejected_schema(traces: &Schema) -> SchemaRef {
    extend_schema(traces, [Field::new("reason", DataType::Utf8, false)])
}

/// The two tables that come out.
pub(super) struct Outputs {
    system: Option<String>,
    formatted: TableWriter,
    rejected: TableWriter,
}

impl Outputs {
    pub(super) fn open(
        cx: &StageContext,
        traces: &Schema,
        system: Option<&str>,
    ) -> Result<Self, StageError> {
        Ok(Self {
            system: system.map(str::to_owned),
            formatted: cx.table_writer("main", formatted_schema(traces))?,
            rejected: cx.table_writer(REJECTED, rejected_schema(traces))?,
        })
    }

    pub(super) fn write(
        &mut self,
        batch: &RecordBatch,
        formed: &[Formed],
    ) -> Result<(), StageError> {
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

    pub(super) fn finish(self, cx: &StageContext, rows: u64) -> Result<(), StageError> {
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
