//! A problem: one row of a `problems` table, its columns, and the id that its content gives it.
//!
//! The id is made of what is asked and what counts as right, so the same problem from two sources has one id.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// One problem.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// 16 hex characters, see [`content_id`].
    pub id: String,
    /// How an answer is judged: `math`, `code`, `choice` or `text`.
    pub domain: String,
    /// The family of the generator, or the subject of the source.
    pub family: String,
    /// Where the problem comes from.
    pub source: String,
    /// How hard: steps for a generated problem, the source's own scale otherwise.
    pub difficulty: Option<i32>,
    /// What is asked.
    pub prompt: String,
    /// The gold answer.
    pub answer: Option<String>,
    /// Unit tests as JSON text (`stdio`, `call` or `assert`), for code.
    pub tests: Option<String>,
    /// A worked solution that ends in the answer.
    pub solution: Option<String>,
}

impl Problem {
    /// The same problem with its id filled in from its content.
    #[must_use]
    pub fn identified(mut self) -> Self {
        self.id = content_id(
            &self.domain,
            &self.prompt,
            self.answer.as_deref(),
            self.tests.as_deref(),
        );
        self
    }
}

/// The id of a problem: the first 16 hex characters of the BLAKE3 digest over domain, prompt, answer and tests.
///
/// ```
/// let id = dag_data::content_id("math", "1+1", Some("2"), None);
/// assert_eq!(id.len(), 16);
/// assert_ne!(id, dag_data::content_id("math", "1+1", None, Some("2")));
/// ```
#[must_use]
pub fn content_id(domain: &str, prompt: &str, answer: Option<&str>, tests: Option<&str>) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("dag-data 2026 problem id v1");
    for part in [Some(domain), Some(prompt), answer, tests] {
        // absent and empty differ
        hasher.update(&[u8::from(part.is_some())]);
        let text = part.unwrap_or_default();
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    let mut hex = hasher.finalize().to_hex().to_string();
    hex.truncate(16);
    hex
}

/// The columns of a `problems` table, in order.
#[must_use]
pub fn schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("id", false),
        text("domain", false),
        text("family", false),
        text("source", false),
        Field::new("difficulty", DataType::Int32, true),
        text("prompt", false),
        text("answer", true),
        text("tests", true),
        text("solution", true),
    ]))
}

/// Builds record batches of [`schema`] row by row.
#[derive(Default)]
pub struct ProblemRows {
    id: StringBuilder,
    domain: StringBuilder,
    family: StringBuilder,
    source: StringBuilder,
    difficulty: Int32Builder,
    prompt: StringBuilder,
    answer: StringBuilder,
    tests: StringBuilder,
    solution: StringBuilder,
    rows: usize,
    bytes: usize,
}

impl ProblemRows {
    /// Adds a row.
    pub fn push(&mut self, problem: &Problem) {
        let Problem {
            id,
            domain,
            family,
            source,
            difficulty,
            prompt,
            answer,
            tests,
            solution,
        } = problem;
        self.id.append_value(id);
        self.domain.append_value(domain);
        self.family.append_value(family);
        self.source.append_value(source);
        self.difficulty.append_option(*difficulty);
        self.prompt.append_value(prompt);
        self.answer.append_option(answer.as_deref());
        self.tests.append_option(tests.as_deref());
        self.solution.append_option(solution.as_deref());
        self.rows += 1;
        self.bytes += prompt.len()
            + [answer, tests, solution]
                .into_iter()
                .flatten()
                .map(String::len)
                .sum::<usize>();
    }

    /// Rows waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// No row waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether it is time to write: 1,024 rows, or 16 MiB of text (problems with tests can be megabytes each).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.rows >= 1024 || self.bytes >= 16 << 20
    }

    /// The waiting rows as a batch; the builder is empty afterwards.
    ///
    /// # Errors
    /// When arrow refuses the columns, which would be a fault of this builder.
    pub fn take(&mut self) -> Result<RecordBatch, arrow::error::ArrowError> {
        self.rows = 0;
        self.bytes = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.id.finish()),
            Arc::new(self.domain.finish()),
            Arc::new(self.family.finish()),
            Arc::new(self.source.finish()),
            Arc::new(self.difficulty.finish()),
            Arc::new(self.prompt.finish()),
            Arc::new(self.answer.finish()),
            Arc::new(self.tests.finish()),
            Arc::new(self.solution.finish()),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_sees_every_part_that_decides_right_and_wrong() {
        let id = |domain, prompt, answer, tests| content_id(domain, prompt, answer, tests);
        let ids = [
            id("math", "p", Some("a"), None),
            id("code", "p", Some("a"), None),
            id("math", "pa", Some(""), None),
            id("math", "p", None, Some("a")),
            id("math", "p", None, None),
            id("math", "p", Some(""), None),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert_eq!(id("math", "p", Some("a"), None), "2f31c5081981825b");
    }

    #[test]
    fn rows_come_back_as_they_went_in() {
        let mut rows = ProblemRows::default();
        rows.push(
            &Problem {
                prompt: "1+1".into(),
                domain: "math".into(),
                ..Problem::default()
            }
            .identified(),
        );
        let batch = rows.take().unwrap();
        assert_eq!((batch.num_rows(), batch.schema()), (1, schema()));
        assert!(rows.is_empty());
    }
}
