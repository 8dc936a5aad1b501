//! Rows of a file, graded on all cores, told in their order. Memory holds a few hundred rows.

use std::io::{BufRead, BufReader};
use std::path::Path;

use fs_err::File;
use rayon::prelude::*;
use serde_json::Value;

use super::super::Failure;
use crate::exit_codes;

/// So many rows are graded between two reads.
const CHUNK: usize = 512;

/// A row, or what is wrong with its line.
pub(super) type Row = Result<Value, String>;

/// The rows of a file of JSON lines, or of one JSON list.
pub(super) struct Rows {
    source: Box<dyn BufRead>,
    name: String,
}

impl Rows {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let source: Box<dyn BufRead> = if path.as_os_str() == "-" {
            Box::new(BufReader::new(std::io::stdin()))
        } else {
            let file = File::open(path)
                .map_err(|error| Failure::new(exit_codes::USAGE, error.to_string()))?;
            Box::new(BufReader::new(file))
        };
        Ok(Self {
            source,
            name: path.display().to_string(),
        })
    }

    /// Applies `grade` to every row on all cores and gives the results to `tell`, in the rows' order.
    ///
    /// The first failure ends it, after the rows before it were told.
    pub(super) fn map<T: Send>(
        mut self,
        grade: impl Fn(Row) -> Result<T, Failure> + Sync,
        mut tell: impl FnMut(T),
    ) -> Result<(), Failure> {
        let mut number = 0;
        loop {
            let mut rows: Vec<Row> = Vec::new();
            let mut ended = false;
            while rows.len() < CHUNK && !ended {
                let mut line = Vec::new();
                let read = self
                    .source
                    .read_until(b'\n', &mut line)
                    .map_err(|error| self.unreadable(&error))?;
                ended = read == 0;
                number += usize::from(!ended);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                match serde_json::from_slice(&line) {
                    Ok(Value::Array(list)) if number == 1 => rows.extend(list.into_iter().map(Ok)),
                    Ok(row) => rows.push(Ok(row)),
                    // one document over many lines
                    Err(_) if number == 1 && line.starts_with(b"[") => {
                        self.source
                            .read_to_end(&mut line)
                            .map_err(|error| self.unreadable(&error))?;
                        rows.extend(list(&line)?);
                    }
                    Err(error) => rows.push(Err(format!("line {number} is no JSON: {error}"))),
                }
            }
            let graded: Vec<Result<T, Failure>> = rows.into_par_iter().map(&grade).collect();
            for result in graded {
                tell(result?);
            }
            if ended {
                return Ok(());
            }
        }
    }

    fn unreadable(&self, error: &std::io::Error) -> Failure {
        Failure::new(
            exit_codes::USAGE,
            format!("cannot read `{}`: {error}", self.name),
        )
    }
}

fn list(text: &[u8]) -> Result<Vec<Row>, Failure> {
    match serde_json::from_slice::<Vec<Value>>(text) {
        Ok(rows) => Ok(rows.into_iter().map(Ok).collect()),
        Err(error) => Err(Failure::new(
            exit_codes::USAGE,
            format!("the file begins a JSON list that does not read: {error}"),
        )),
    }
}
