//! Tables as stages read them: streamed in batches, never whole in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};

use crate::error::StageError;

/// Rows in a batch that is read.
const BATCH_ROWS: usize = 1024;

/// A table in the cache, open for reading. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Table {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    rows: u64,
}

impl Table {
    /// Opens a Parquet file; reads its footer only.
    ///
    /// # Errors
    /// The file cannot be read, or is not Parquet.
    pub fn open(path: &Path) -> Result<Self, StageError> {
        let file = fs_err::File::open(path)?.into_parts().0;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
        let rows = metadata.metadata().file_metadata().num_rows();
        Ok(Self {
            path: path.to_owned(),
            metadata,
            rows: u64::try_from(rows).unwrap_or(0),
        })
    }

    /// The columns.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The Parquet file, for programs that read it themselves.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The rows in order, up to 1024 a batch.
    ///
    /// # Errors
    /// The file cannot be opened; later batches report their own errors.
    pub fn batches(&self) -> Result<Batches, StageError> {
        self.read(None)
    }

    /// The rows in order with only these columns, in the order of the table.
    ///
    /// # Errors
    /// A column is missing, or the file cannot be opened.
    pub fn columns(&self, names: &[&str]) -> Result<Batches, StageError> {
        let mut indices = Vec::with_capacity(names.len());
        for name in names {
            indices.push(self.schema().index_of(name).map_err(|_| {
                let there: Vec<&str> = self
                    .schema()
                    .fields()
                    .iter()
                    .map(|field| field.name().as_str())
                    .collect();
                StageError::failed(format!(
                    "the table has no column `{name}`; it has {}",
                    there.join(", ")
                ))
            })?);
        }
        self.read(Some(indices))
    }

    fn read(&self, roots: Option<Vec<usize>>) -> Result<Batches, StageError> {
        let file = fs_err::File::open(&self.path)?.into_parts().0;
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_batch_size(BATCH_ROWS);
        if let Some(roots) = roots {
            let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots);
            builder = builder.with_projection(mask);
        }
        Ok(Batches {
            reader: builder.build()?,
            path: Arc::from(self.path.as_path()),
        })
    }
}

/// The batches of a table, in order.
pub struct Batches {
    reader: ParquetRecordBatchReader,
    path: Arc<Path>,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, StageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.map_err(|error| {
            StageError::failed(format!(
                "table {} cannot be read: {error}",
                self.path.display()
            ))
        }))
    }
}
