//! Columns by name: reading text out of a batch, and putting rows and new columns together again.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use dag_engine::StageError;

/// A column of text, whichever way Arrow holds it.
pub(crate) fn text(batch: &RecordBatch, name: &str) -> Result<StringArray, StageError> {
    optional_text(batch, name)?
        .ok_or_else(|| StageError::bug(format!("column `{name}` was checked, and is not there")))
}

/// A column of text, if it is there.
pub(crate) fn optional_text(
    batch: &RecordBatch,
    name: &str,
) -> Result<Option<StringArray>, StageError> {
    let Some(column) = batch.column_by_name(name) else {
        return Ok(None);
    };
    let column = match column.data_type() {
        DataType::Utf8 => Arc::clone(column),
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => cast(column, &DataType::Utf8)?,
        other => {
            let message = format!("column `{name}` should hold text, and holds {other}");
            return Err(StageError::failed(message));
        }
    };
    Ok(Some(column.as_string::<i32>().clone()))
}

/// The value in a row; null and empty are both nothing.
pub(crate) fn filled(column: Option<&StringArray>, row: usize) -> Option<&str> {
    let column = column?;
    (column.is_valid(row) && !column.value(row).is_empty()).then(|| column.value(row))
}

/// The rows of `batch` at `rows`, with `new` columns over or beside the old ones, in the order of
/// `schema`. Every column of `schema` is new or in `batch`.
pub(crate) fn assemble(
    batch: &RecordBatch,
    rows: &[u32],
    schema: &SchemaRef,
    new: &[(&str, ArrayRef)],
) -> Result<RecordBatch, StageError> {
    let rows = UInt32Array::from(rows.to_vec());
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            if let Some((_, column)) = new.iter().find(|(name, _)| name == field.name()) {
                return Ok(Arc::clone(column));
            }
            let column = batch.column_by_name(field.name()).ok_or_else(|| {
                StageError::bug(format!(
                    "column `{}` was announced, and is not there",
                    field.name()
                ))
            })?;
            Ok(take(column, &rows, None)?)
        })
        .collect::<Result<Vec<_>, StageError>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
