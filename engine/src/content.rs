//! The content digest of a table: decided by column names, types and values in row order, and by
//! nothing else. How the rows were batched, grouped, encoded or compressed does not reach it.
//!
//! Each column has its own hasher, fed value by value: `0` for null, else `1` and the value;
//! integers and floats in little-endian, text and bytes with their length first, lists with their
//! length and then their elements, structs field by field. The table's digest is that of the row
//! count and the columns' names, types, nullability and digests.

use arrow::array::{Array, AsArray, OffsetSizeTrait};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Field, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::record_batch::RecordBatch;
use dag_cache::{Digest, canon};

use crate::error::StageError;

/// Buffered bytes go to the hasher in pieces of about this size.
const PIECE: usize = 64 * 1024;

/// Hashes the rows of a table as they pass.
pub(crate) struct ContentHasher {
    columns: Vec<ColumnHasher>,
    rows: u64,
}

struct ColumnHasher {
    name: String,
    type_name: String,
    nullable: bool,
    values: Feed,
}

/// A hasher with a buffer in front, since most values are a few bytes.
struct Feed {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
}

impl Feed {
    fn put(&mut self, bytes: &[u8]) {
        if bytes.len() >= PIECE {
            self.flush();
            self.hasher.update(bytes);
            return;
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.flush();
        }
    }

    fn put_sized(&mut self, bytes: &[u8]) {
        self.put(&(bytes.len() as u64).to_le_bytes());
        self.put(bytes);
    }

    fn flush(&mut self) {
        self.hasher.update(&self.buffer);
        self.buffer.clear();
    }
}

impl ContentHasher {
    /// A hasher for tables of this schema.
    ///
    /// # Errors
    /// A column has a type that tables do not hold.
    pub(crate) fn new(schema: &Schema) -> Result<Self, StageError> {
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                Ok(ColumnHasher {
                    name: field.name().clone(),
                    type_name: type_name(field.data_type()).ok_or_else(|| {
                        StageError::bug(format!(
                            "column `{}` has type {}, which tables do not hold",
                            field.name(),
                            field.data_type()
                        ))
                    })?,
                    nullable: field.is_nullable(),
                    values: Feed {
                        hasher: blake3::Hasher::new_derive_key("dag table column v1"),
                        buffer: Vec::with_capacity(PIECE),
                    },
                })
            })
            .collect::<Result<_, StageError>>()?;
        Ok(Self { columns, rows: 0 })
    }

    /// Takes the next rows; the batch has the schema the hasher was made for.
    ///
    /// # Errors
    /// A nested column has a type that tables do not hold.
    pub(crate) fn update(&mut self, batch: &RecordBatch) -> Result<(), StageError> {
        self.rows += batch.num_rows() as u64;
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            encode(array.as_ref(), 0, array.len(), &mut column.values)?;
        }
        Ok(())
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The content digest.
    pub(crate) fn finish(self) -> Digest {
        let rows = self.rows;
        let columns = self
            .columns
            .into_iter()
            .map(|mut column| {
                column.values.flush();
                let digest = Digest::from_bytes(*column.values.hasher.finalize().as_bytes());
                canon::Value::List(vec![
                    column.name.into(),
                    column.type_name.into(),
                    canon::Value::Bool(column.nullable),
                    canon::Value::Digest(digest),
                ])
            })
            .collect();
        let rows = canon::Value::Int(i64::try_from(rows).unwrap_or(i64::MAX));
        canon::digest(
            "dag table content v1",
            &canon::Value::List(vec![rows, canon::Value::List(columns)]),
        )
    }
}

/// The columns as they are stored with an output: a list of `{name, type, nullable}`.
pub(crate) fn schema_json(schema: &Schema) -> serde_json::Value {
    schema
        .fields()
        .iter()
        .map(|field| {
            serde_json::json!({
                "name": field.name(),
                "type": type_name(field.data_type()).unwrap_or_else(|| field.data_type().to_string()),
                "nullable": field.is_nullable(),
            })
        })
        .collect()
}

/// Our own names of types, so that a new version of arrow cannot change a digest.
fn type_name(data_type: &DataType) -> Option<String> {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    let nested = |field: &Field| {
        let null = if field.is_nullable() { "?" } else { "" };
        type_name(field.data_type()).map(|name| format!("{name}{null}"))
    };
    Some(match data_type {
        DataType::Null => "null".into(),
        DataType::Boolean => "bool".into(),
        DataType::Int8 => "i8".into(),
        DataType::Int16 => "i16".into(),
        DataType::Int32 => "i32".into(),
        DataType::Int64 => "i64".into(),
        DataType::UInt8 => "u8".into(),
        DataType::UInt16 => "u16".into(),
        DataType::UInt32 => "u32".into(),
        DataType::UInt64 => "u64".into(),
        DataType::Float16 => "f16".into(),
        DataType::Float32 => "f32".into(),
        DataType::Float64 => "f64".into(),
        DataType::Utf8 => "text".into(),
        DataType::LargeUtf8 => "large_text".into(),
        DataType::Utf8View => "text_view".into(),
        DataType::Binary => "bytes".into(),
        DataType::LargeBinary => "large_bytes".into(),
        DataType::BinaryView => "bytes_view".into(),
        DataType::FixedSizeBinary(size) => format!("bytes[{size}]"),
        DataType::Date32 => "date32".into(),
        DataType::Date64 => "date64".into(),
        DataType::Time32(of) => format!("time32({})", unit(of)),
        DataType::Time64(of) => format!("time64({})", unit(of)),
        DataType::Timestamp(of, zone) => {
            format!("timestamp({},{})", unit(of), zone.as_deref().unwrap_or(""))
        }
        DataType::Duration(of) => format!("duration({})", unit(of)),
        DataType::Decimal128(precision, scale) => format!("decimal128({precision},{scale})"),
        DataType::List(field) => format!("list<{}>", nested(field)?),
        DataType::LargeList(field) => format!("large_list<{}>", nested(field)?),
        DataType::FixedSizeList(field, size) => format!("list[{size}]<{}>", nested(field)?),
        DataType::Struct(fields) => {
            let mut names = Vec::with_capacity(fields.len());
            for field in fields {
                // Length first: a name may hold any character.
                names.push(format!(
                    "{}:{}:{}",
                    field.name().len(),
                    field.name(),
                    nested(field)?
                ));
            }
            format!("struct<{}>", names.join(","))
        }
        DataType::Interval(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Union(..)
        | DataType::Dictionary(..)
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal256(..)
        | DataType::Map(..)
        | DataType::RunEndEncoded(..) => return None,
    })
}

macro_rules! primitive {
    ($array:expr, $type:ty, $start:expr, $end:expr, $out:expr) => {{
        let array = $array.as_primitive::<$type>();
        for row in $start..$end {
            if array.is_null(row) {
                $out.put(&[0]);
            } else {
                $out.put(&[1]);
                $out.put(&array.value(row).to_le_bytes());
            }
        }
    }};
}

macro_rules! sized {
    ($array:expr, $start:expr, $end:expr, $out:expr) => {{
        let array = $array;
        for row in $start..$end {
            if array.is_null(row) {
                $out.put(&[0]);
            } else {
                $out.put(&[1]);
                $out.put_sized(AsRef::<[u8]>::as_ref(array.value(row)));
            }
        }
    }};
}

fn encode(array: &dyn Array, start: usize, end: usize, out: &mut Feed) -> Result<(), StageError> {
    match array.data_type() {
        DataType::Null => {
            for _ in start..end {
                out.put(&[0]);
            }
        }
        DataType::Boolean => {
            let array = array.as_boolean();
            for row in start..end {
                if array.is_null(row) {
                    out.put(&[0]);
                } else {
                    out.put(&[1, u8::from(array.value(row))]);
                }
            }
        }
        DataType::Int8 => primitive!(array, Int8Type, start, end, out),
        DataType::Int16 => primitive!(array, Int16Type, start, end, out),
        DataType::Int32 => primitive!(array, Int32Type, start, end, out),
        DataType::Int64 => primitive!(array, Int64Type, start, end, out),
        DataType::UInt8 => primitive!(array, UInt8Type, start, end, out),
        DataType::UInt16 => primitive!(array, UInt16Type, start, end, out),
        DataType::UInt32 => primitive!(array, UInt32Type, start, end, out),
        DataType::UInt64 => primitive!(array, UInt64Type, start, end, out),
        DataType::Float16 => primitive!(array, Float16Type, start, end, out),
        DataType::Float32 => primitive!(array, Float32Type, start, end, out),
        DataType::Float64 => primitive!(array, Float64Type, start, end, out),
        DataType::Date32 => primitive!(array, Date32Type, start, end, out),
        DataType::Date64 => primitive!(array, Date64Type, start, end, out),
        DataType::Decimal128(..) => primitive!(array, Decimal128Type, start, end, out),
        DataType::Time32(TimeUnit::Second) => primitive!(array, Time32SecondType, start, end, out),
        DataType::Time32(_) => primitive!(array, Time32MillisecondType, start, end, out),
        DataType::Time64(TimeUnit::Microsecond) => {
            primitive!(array, Time64MicrosecondType, start, end, out);
        }
        DataType::Time64(_) => primitive!(array, Time64NanosecondType, start, end, out),
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => primitive!(array, TimestampSecondType, start, end, out),
            TimeUnit::Millisecond => primitive!(array, TimestampMillisecondType, start, end, out),
            TimeUnit::Microsecond => primitive!(array, TimestampMicrosecondType, start, end, out),
            TimeUnit::Nanosecond => primitive!(array, TimestampNanosecondType, start, end, out),
        },
        DataType::Duration(unit) => match unit {
            TimeUnit::Second => primitive!(array, DurationSecondType, start, end, out),
            TimeUnit::Millisecond => primitive!(array, DurationMillisecondType, start, end, out),
            TimeUnit::Microsecond => primitive!(array, DurationMicrosecondType, start, end, out),
            TimeUnit::Nanosecond => primitive!(array, DurationNanosecondType, start, end, out),
        },
        DataType::Utf8 => sized!(array.as_string::<i32>(), start, end, out),
        DataType::LargeUtf8 => sized!(array.as_string::<i64>(), start, end, out),
        DataType::Utf8View => sized!(array.as_string_view(), start, end, out),
        DataType::Binary => sized!(array.as_binary::<i32>(), start, end, out),
        DataType::LargeBinary => sized!(array.as_binary::<i64>(), start, end, out),
        DataType::BinaryView => sized!(array.as_binary_view(), start, end, out),
        DataType::FixedSizeBinary(_) => sized!(array.as_fixed_size_binary(), start, end, out),
        DataType::List(_) => encode_list::<i32>(array, start, end, out)?,
        DataType::LargeList(_) => encode_list::<i64>(array, start, end, out)?,
        DataType::FixedSizeList(..) => {
            let list = array.as_fixed_size_list();
            for row in start..end {
                if list.is_null(row) {
                    out.put(&[0]);
                } else {
                    let values = list.value(row);
                    out.put(&[1]);
                    encode(values.as_ref(), 0, values.len(), out)?;
                }
            }
        }
        DataType::Struct(_) => {
            let array = array.as_struct();
            for row in start..end {
                if array.is_null(row) {
                    out.put(&[0]);
                } else {
                    out.put(&[1]);
                    for column in array.columns() {
                        encode(column.as_ref(), row, row + 1, out)?;
                    }
                }
            }
        }
        other => {
            return Err(StageError::bug(format!(
                "tables do not hold columns of type {other}"
            )));
        }
    }
    Ok(())
}

fn encode_list<O: OffsetSizeTrait>(
    array: &dyn Array,
    start: usize,
    end: usize,
    out: &mut Feed,
) -> Result<(), StageError> {
    let list = array.as_list::<O>();
    let offsets = list.value_offsets();
    for row in start..end {
        if list.is_null(row) {
            out.put(&[0]);
        } else {
            let (from, to) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
            out.put(&[1]);
            out.put(&((to - from) as u64).to_le_bytes());
            encode(list.values().as_ref(), from, to, out)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, ListArray, StringArray, StructArray};
    use arrow::datatypes::Fields;
    use proptest::prelude::*;

    use super::*;

    fn digest(batches: &[RecordBatch]) -> Digest {
        let mut hasher = ContentHasher::new(&batches[0].schema()).unwrap();
        for batch in batches {
            hasher.update(batch).unwrap();
        }
        hasher.finish()
    }

    fn batch(rows: &[(Option<i32>, Option<String>)]) -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("n", DataType::Int32, true),
            Field::new("text", DataType::Utf8, true),
        ]);
        RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(rows.iter().map(|row| row.0).collect::<Int32Array>()),
                Arc::new(
                    rows.iter()
                        .map(|row| row.1.as_deref())
                        .collect::<StringArray>(),
                ),
            ],
        )
        .unwrap()
    }

    proptest! {
        #[test]
        fn batch_boundaries_do_not_matter_and_values_do(
            rows in prop::collection::vec((any::<Option<i32>>(), any::<Option<String>>()), 1..30),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = batch(&rows);
            let at = cut.index(rows.len());
            let parts = [whole.slice(0, at), whole.slice(at, rows.len() - at)];
            prop_assert_eq!(digest(&parts), digest(std::slice::from_ref(&whole)));

            let mut changed = rows.clone();
            changed[at].1 = Some(format!("{}!", changed[at].1.clone().unwrap_or_default()));
            prop_assert_ne!(digest(&[batch(&changed)]), digest(&[whole]));
        }
    }

    #[test]
    fn null_and_empty_text_differ() {
        assert_ne!(
            digest(&[batch(&[(None, None)])]),
            digest(&[batch(&[(None, Some(String::new()))])])
        );
    }

    #[test]
    fn messages_hash_the_same_whole_and_sliced() {
        let fields = Fields::from(vec![
            Field::new("role", DataType::Utf8, false),
            Field::new("content", DataType::Utf8, false),
        ]);
        let structs = StructArray::new(
            fields.clone(),
            vec![
                Arc::new(StringArray::from(vec!["user", "assistant", "user"])),
                Arc::new(StringArray::from(vec!["1 + 1?", "2", "2 + 2?"])),
            ],
            None,
        );
        let lists = ListArray::new(
            Arc::new(Field::new("item", DataType::Struct(fields), false)),
            arrow::buffer::OffsetBuffer::from_lengths([2, 0, 1]),
            Arc::new(structs),
            None,
        );
        let schema = Schema::new(vec![Field::new(
            "messages",
            lists.data_type().clone(),
            false,
        )]);
        let whole = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(lists)]).unwrap();
        assert_eq!(
            digest(&[whole.slice(0, 1), whole.slice(1, 2)]),
            digest(std::slice::from_ref(&whole))
        );
        assert_ne!(digest(&[whole.slice(0, 2)]), digest(&[whole]));
    }

    #[test]
    fn the_digest_of_a_small_table_is_pinned() {
        let table = batch(&[(Some(1), Some("one".into())), (None, Some("two".into()))]);
        insta::assert_snapshot!(digest(&[table]));
    }
}
