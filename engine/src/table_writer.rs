//! Tables as stages write them.
//!
//! The bytes depend on schema and rows alone: rows are regrouped into chunks of a fixed size
//! before they are encoded, the Parquet settings are fixed, and neither the writing library's
//! version nor Arrow metadata is written. Memory is bounded by a row group, whatever the table.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use dag_cache::{ArtifactType, BlobWriter, Cache, OutputRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

use crate::content::{ContentHasher, schema_json};
use crate::context::Collected;
use crate::error::StageError;

/// Rows that are encoded at once.
const CHUNK_ROWS: usize = 1024;
/// A chunk is cut earlier when its rows hold so many bytes.
const CHUNK_BYTES: usize = 16 << 20;
/// Rows in a row group.
const GROUP_ROWS: usize = 64 * CHUNK_ROWS;
/// A row group ends earlier when it holds so many encoded bytes.
const GROUP_BYTES: usize = 64 << 20;

/// Writes one output table of a stage. Dropped without [`finish`](Self::finish), it leaves nothing.
pub struct TableWriter {
    output: String,
    schema: SchemaRef,
    parquet: ArrowWriter<BlobWriter>,
    content: ContentHasher,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    collected: Arc<Collected>,
}

impl TableWriter {
    pub(crate) fn new(
        cache: &Cache,
        collected: Arc<Collected>,
        output: &str,
        schema: &SchemaRef,
    ) -> Result<Self, StageError> {
        // Metadata is no content: two tables that differ in it alone are the same table.
        let schema = Arc::new(Schema::new(schema.fields().clone()));
        Ok(Self {
            output: output.to_owned(),
            content: ContentHasher::new(&schema)?,
            parquet: ArrowWriter::try_new(
                cache.blob_writer()?,
                Arc::clone(&schema),
                Some(properties()?),
            )?,
            schema,
            waiting: Vec::new(),
            waiting_rows: 0,
            collected,
        })
    }

    /// The columns that are written.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows taken so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.content.rows() + self.waiting_rows as u64
    }

    /// Takes the next rows; batches may be of any size. Types and order of columns are those of
    /// the schema, whatever metadata the batch's own schema carries.
    ///
    /// # Errors
    /// The columns are not those of the schema, or the cache cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), StageError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec())
            .map_err(|error| {
                StageError::bug(format!("rows do not fit table `{}`: {error}", self.output))
            })?;
        let mut from = 0;
        while from < batch.num_rows() {
            let take = (CHUNK_ROWS - self.waiting_rows).min(batch.num_rows() - from);
            self.waiting.push(batch.slice(from, take));
            self.waiting_rows += take;
            from += take;
            if self.waiting_rows == CHUNK_ROWS {
                self.encode_waiting()?;
            }
        }
        Ok(())
    }

    /// Encodes what waits, and ends the row group if it is full. Both decisions depend on rows and
    /// encoded bytes only, never on how the rows came.
    fn encode_waiting(&mut self) -> Result<(), StageError> {
        if self.waiting_rows == 0 {
            return Ok(());
        }
        let chunk = concat_batches(&self.schema, &self.waiting)?;
        self.waiting.clear();
        self.waiting_rows = 0;
        self.content.update(&chunk)?;
        // Long rows: encode in pieces, so that a group ends near its limit. The size of a chunk
        // counts whole buffers, but a chunk that was just put together owns exactly its rows.
        let pieces = chunk
            .get_array_memory_size()
            .div_ceil(CHUNK_BYTES)
            .clamp(1, chunk.num_rows());
        let piece_rows = chunk.num_rows().div_ceil(pieces);
        let mut from = 0;
        while from < chunk.num_rows() {
            let take = piece_rows.min(chunk.num_rows() - from);
            self.parquet.write(&chunk.slice(from, take))?;
            from += take;
            if self.parquet.in_progress_rows() >= GROUP_ROWS
                || self.parquet.in_progress_size() >= GROUP_BYTES
            {
                self.parquet.flush()?;
            }
        }
        Ok(())
    }

    /// Ends the table; it becomes an output of the stage.
    ///
    /// # Errors
    /// The cache cannot be written, or the stage has written this output before.
    pub fn finish(mut self) -> Result<OutputRef, StageError> {
        self.encode_waiting()?;
        let rows = self.content.rows();
        let (bytes, size) = self.parquet.into_inner()?.finish()?;
        let output = OutputRef {
            artifact: ArtifactType::Table,
            bytes,
            content: self.content.finish(),
            size,
            rows: Some(rows),
            media: None,
            schema: Some(schema_json(&self.schema)),
        };
        self.collected.add_output(&self.output, output.clone())?;
        Ok(output)
    }
}

fn properties() -> Result<WriterProperties, StageError> {
    Ok(WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by("dag table v1".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build())
}
