//! Shuffling a table that does not fit into memory: rows are dealt into boxes on disk by their key, then each box is
//! sorted by itself. The order is that of the keys, so it does not depend on the number of boxes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

/// Rows in a box, about: at some kilobytes a row, tens of megabytes.
const ROWS_PER_BOX: u64 = 16_384;
/// Boxes open at once.
const MOST_BOXES: u64 = 64;
/// Rows handed on at once.
const BATCH: usize = 1024;

/// The boxes of one shuffle.
pub(super) struct Boxes {
    schema: SchemaRef,
    writers: Vec<(PathBuf, ArrowWriter<std::fs::File>)>,
}

impl Boxes {
    /// Boxes for so many rows, as files of this folder.
    pub(super) fn new<E>(folder: &Path, schema: &SchemaRef, rows: u64) -> Result<Self, E>
    where
        E: From<ParquetError> + From<std::io::Error>,
    {
        let mut fields: Vec<Field> = schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        fields.push(Field::new("dag.key", DataType::UInt64, false));
        fields.push(Field::new("dag.number", DataType::UInt64, false));
        let boxed = Arc::new(Schema::new(fields));
        let count = rows.div_ceil(ROWS_PER_BOX).clamp(1, MOST_BOXES);
        let mut writers = Vec::new();
        for number in 0..count {
            let path = folder.join(format!("box-{number:02}.parquet"));
            let file = fs_err::File::create(&path)?.into_parts().0;
            let properties = WriterProperties::builder()
                .set_dictionary_enabled(false)
                .set_statistics_enabled(EnabledStatistics::None)
                .set_write_batch_size(256)
                .set_max_row_group_row_count(Some(1024))
                .build();
            writers.push((
                path,
                ArrowWriter::try_new(file, Arc::clone(&boxed), Some(properties))?,
            ));
        }
        Ok(Self {
            schema: boxed,
            writers,
        })
    }

    /// Puts each row into the box of its key.
    pub(super) fn deal<E>(&mut self, batch: &RecordBatch, keys: &[(u64, u64)]) -> Result<(), E>
    where
        E: From<ParquetError> + From<ArrowError>,
    {
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        columns.push(Arc::new(UInt64Array::from_iter_values(
            keys.iter().map(|(key, _)| *key),
        )));
        columns.push(Arc::new(UInt64Array::from_iter_values(
            keys.iter().map(|(_, number)| *number),
        )));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        let count = self.writers.len() as u128;
        for (number, (_, writer)) in (0u128..).zip(&mut self.writers) {
            // the box is the key's high part, so boxes follow each other as keys do
            let mine = keys
                .iter()
                .zip(0u32..)
                .filter(|((key, _), _)| (u128::from(*key) * count) >> 64 == number);
            let rows = UInt32Array::from_iter_values(mine.map(|(_, at)| at));
            if !rows.is_empty() {
                writer.write(&take_record_batch(&batch, &rows)?)?;
            }
        }
        Ok(())
    }

    /// Hands the rows on in the order of their keys.
    pub(super) fn empty<E>(self, out: &mut dyn FnMut(RecordBatch) -> Result<(), E>) -> Result<(), E>
    where
        E: From<ParquetError> + From<ArrowError> + From<std::io::Error>,
    {
        let Self { schema, writers } = self;
        let mut paths = Vec::with_capacity(writers.len());
        for (path, writer) in writers {
            writer.close()?;
            paths.push(path);
        }
        let columns: Vec<usize> = (0..schema.fields().len() - 2).collect();
        for path in paths {
            let file = fs_err::File::open(&path)?.into_parts().0;
            let batches: Vec<RecordBatch> = ParquetRecordBatchReaderBuilder::try_new(file)?
                .build()?
                .collect::<Result<_, _>>()?;
            fs_err::remove_file(&path)?;
            let rows = concat_batches(&schema, &batches)?;
            drop(batches);
            let keys = |at: usize| {
                rows.column(at)
                    .as_primitive::<UInt64Type>()
                    .values()
                    .to_vec()
            };
            let (keys, numbers) = (keys(columns.len()), keys(columns.len() + 1));
            let mut order: Vec<u32> = (0u32..).take(rows.num_rows()).collect();
            order.sort_unstable_by_key(|at| (keys[*at as usize], numbers[*at as usize]));
            let rows = rows.project(&columns)?;
            for part in order.chunks(BATCH) {
                out(take_record_batch(
                    &rows,
                    &UInt32Array::from_iter_values(part.iter().copied()),
                )?)?;
            }
        }
        Ok(())
    }
}
