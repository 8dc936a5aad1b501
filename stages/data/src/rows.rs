//! Rows of any layout, as JSON objects: read from JSON Lines and Parquet, one at a time.
//!
//! A line or cell that cannot be read is a [`RowFault`] with its place, never the end of the file; only a file that
//! cannot be read at all is an error.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};

/// One row as it stands in its source.
pub type SourceRow = Map<String, Value>;

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// The text of the row, as far as there is one.
    pub text: String,
    /// Place and reason: `line 7: expected value at line 1 column 1`.
    pub reason: String,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file system refused.
    #[error("{path} cannot be read")]
    Io {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no Parquet, or broken.
    #[error("{path} is no readable parquet file")]
    Parquet {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// Rows of the file cannot be turned into JSON.
    #[error("{path} has a column that cannot be read")]
    Arrow {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: arrow::error::ArrowError,
    },
}

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The format that a file's name says it has.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// The rows of these files, one file after the other.
pub fn read_files(
    files: Vec<(PathBuf, Format)>,
) -> impl Iterator<Item = Result<Result<SourceRow, RowFault>, SourceError>> {
    files
        .into_iter()
        .flat_map(|(path, format)| -> Box<dyn Iterator<Item = _>> {
            match format {
                Format::Jsonl => boxed(jsonl(&path)),
                Format::Parquet => boxed(parquet(&path)),
            }
        })
}

type Rows = Box<dyn Iterator<Item = Result<Result<SourceRow, RowFault>, SourceError>>>;

fn boxed(
    rows: Result<
        impl Iterator<Item = Result<Result<SourceRow, RowFault>, SourceError>> + 'static,
        SourceError,
    >,
) -> Rows {
    match rows {
        Ok(rows) => Box::new(rows),
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}

/// The rows of a JSON Lines file. Empty lines are no rows; a byte order mark is no part of the first.
///
/// # Errors
/// The file cannot be opened; later, when it cannot be read on.
pub fn jsonl(
    path: &Path,
) -> Result<
    impl Iterator<Item = Result<Result<SourceRow, RowFault>, SourceError>> + use<>,
    SourceError,
> {
    let shown = path.display().to_string();
    let file = fs_err::File::open(path).map_err(|source| SourceError::Io {
        path: shown.clone(),
        source,
    })?;
    let mut lines = BufReader::new(file);
    let mut number = 0usize;
    Ok(std::iter::from_fn(move || {
        loop {
            let mut line = Vec::new();
            match lines.read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) => number += 1,
                Err(source) => {
                    return Some(Err(SourceError::Io {
                        path: shown.clone(),
                        source,
                    }));
                }
            }
            let bytes = line
                .strip_prefix(b"\xef\xbb\xbf".as_slice())
                .filter(|_| number == 1)
                .unwrap_or(&line);
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let fault = |why: &str| RowFault {
                text: String::from_utf8_lossy(bytes).trim_end().to_owned(),
                // without the file's name: what is written down must not change with it
                reason: format!("line {number}: {why}"),
            };
            return Some(Ok(match serde_json::from_slice(bytes) {
                Ok(Value::Object(row)) => Ok(row),
                Ok(_) => Err(fault("the line is no JSON object")),
                Err(error) => Err(fault(&error.to_string())),
            }));
        }
    }))
}

/// The rows of a Parquet file, read in batches of 256.
///
/// # Errors
/// The file is no Parquet; later, when a batch is broken.
pub fn parquet(
    path: &Path,
) -> Result<
    impl Iterator<Item = Result<Result<SourceRow, RowFault>, SourceError>> + use<>,
    SourceError,
> {
    let shown = path.display().to_string();
    let file = fs_err::File::open(path)
        .map_err(|source| SourceError::Io {
            path: shown.clone(),
            source,
        })?
        .into_parts()
        .0;
    let broken = |source| SourceError::Parquet {
        path: shown.clone(),
        source,
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(broken)?
        .with_batch_size(256)
        .build()
        .map_err(broken)?;
    let arrow_error = move |source| SourceError::Arrow {
        path: shown.clone(),
        source,
    };
    Ok(reader.flat_map(move |batch| {
        let rows = batch
            .and_then(|batch| json_rows(&batch))
            .map_err(&arrow_error);
        match rows {
            Ok(rows) => rows.into_iter().map(|row| Ok(Ok(row))).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        }
    }))
}

/// The rows of a batch as JSON objects; nulls are left out.
fn json_rows(batch: &RecordBatch) -> Result<Vec<SourceRow>, arrow::error::ArrowError> {
    let mut text = Vec::new();
    let mut writer = arrow::json::LineDelimitedWriter::new(&mut text);
    writer.write(batch)?;
    writer.finish()?;
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            serde_json::from_slice(line)
                .map_err(|error| arrow::error::ArrowError::JsonError(error.to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_line_is_kept_aside_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        fs_err::write(&path, "\u{feff}{\"a\":1}\n\n[1]\n{\"a\":\n{\"a\":2}").unwrap();
        let rows: Vec<_> = jsonl(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[0].as_ref().unwrap()["a"], 1);
        assert_eq!(
            rows[1].as_ref().unwrap_err().reason,
            "line 3: the line is no JSON object"
        );
        let cut = rows[2].as_ref().unwrap_err();
        assert!(
            cut.reason.starts_with("line 4: EOF") && cut.text == "{\"a\":",
            "{cut:?}"
        );
        assert_eq!(rows[3].as_ref().unwrap()["a"], 2);
    }

    #[test]
    fn a_parquet_file_gives_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        let mut rows = crate::ProblemRows::default();
        rows.push(
            &crate::Problem {
                prompt: "1+1".into(),
                difficulty: Some(3),
                ..Default::default()
            }
            .identified(),
        );
        let batch = rows.take().unwrap();
        let file = fs_err::File::create(&path).unwrap().into_parts().0;
        let mut writer =
            ::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let rows: Vec<_> = read_files(vec![(path, Format::Parquet)])
            .map(|row| row.unwrap().unwrap())
            .collect();
        assert_eq!(
            (&rows[0]["prompt"], &rows[0]["difficulty"]),
            (&Value::from("1+1"), &Value::from(3))
        );
        assert!(!rows[0].contains_key("answer"));
        let text = folder.path().join("text.parquet");
        fs_err::write(&text, "no parquet").unwrap();
        assert!(
            read_files(vec![(text, Format::Parquet)])
                .next()
                .unwrap()
                .is_err()
        );
    }
}
