//! SQL over Parquet tables, by polars. Only with the feature `polars`.
//!
//! The result is a Parquet file of polars' own making; whoever reads it takes the columns as they come.

use std::path::Path;

use polars::prelude::{LazyFrame, ParquetWriter, PlRefPath, PolarsError};
use polars::sql::SQLContext;

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The query is wrong, or a table cannot be read.
    #[error("the query failed: {0}")]
    Query(PolarsError),
    /// The result cannot be written.
    #[error("the result of the query cannot be written")]
    Io(#[from] std::io::Error),
}

impl From<PolarsError> for SqlError {
    fn from(error: PolarsError) -> Self {
        Self::Query(error)
    }
}

/// Runs `sql` over tables by name and writes the result to `out`; gives its number of rows.
///
/// # Errors
/// The query does not parse or run, or a file cannot be read or written.
pub fn query(sql: &str, tables: &[(String, &Path)], out: &Path) -> Result<usize, SqlError> {
    let mut context = SQLContext::new();
    for (name, path) in tables {
        let frame = LazyFrame::scan_parquet(PlRefPath::try_from_path(path)?, Default::default())?;
        context.register(name, frame);
    }
    let mut result = context.execute(sql)?.collect()?;
    let file = fs_err::File::create(out)?.into_parts().0;
    ParquetWriter::new(file).finish(&mut result)?;
    Ok(result.height())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_joins_counts_and_says_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.parquet");
        let mut rows = crate::ProblemRows::default();
        for (prompt, family) in [("a", "x"), ("b", "x"), ("c", "y")] {
            rows.push(&crate::Problem {
                prompt: prompt.into(),
                family: family.into(),
                ..Default::default()
            });
        }
        let batch = rows.take().unwrap();
        let file = fs_err::File::create(&path).unwrap().into_parts().0;
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let out = folder.path().join("out.parquet");
        let tables = [("mix".to_owned(), path.as_path())];
        let rows = query(
            "SELECT family, COUNT(*) AS n FROM mix GROUP BY family ORDER BY family",
            &tables,
            &out,
        )
        .unwrap();
        let found: Vec<_> = crate::rows::parquet(&out)
            .unwrap()
            .map(|row| row.unwrap().unwrap())
            .collect();
        assert_eq!(
            (rows, &found[0]["family"], &found[0]["n"]),
            (2, &"x".into(), &2.into())
        );
        assert!(query("SELECT nothing FROM mix", &tables, &out).is_err());
    }
}
