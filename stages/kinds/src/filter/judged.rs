//! A judged row, on its way from the table that is read to the two that are written.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::record_batch::RecordBatch;
use dag_engine::{StageError, TableWriter};
use dag_grade::Verdict;
use fs_err::File;
use serde::{Deserialize, Serialize};

use super::{FilterSettings, Keep, Strategy, Truncated};
use crate::columns::{assemble, filled, optional_text, text};
use crate::grading::{Gold, Graded};

/// The columns that judging reads.
pub(super) struct Columns {
    id: StringArray,
    domain: StringArray,
    response: StringArray,
    answer: Option<StringArray>,
    tests: Option<StringArray>,
    family: Option<StringArray>,
    reasoning: Option<StringArray>,
    finish_reason: Option<StringArray>,
}

impl Columns {
    pub(super) fn of(batch: &RecordBatch) -> Result<Self, StageError> {
        Ok(Self {
            id: text(batch, "id")?,
            domain: text(batch, "domain")?,
            response: text(batch, "response")?,
            answer: optional_text(batch, "answer")?,
            tests: optional_text(batch, "tests")?,
            family: optional_text(batch, "family")?,
            reasoning: optional_text(batch, "reasoning")?,
            finish_reason: optional_text(batch, "finish_reason")?,
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.id.len()
    }

    pub(super) fn id(&self, row: usize) -> &str {
        filled(Some(&self.id), row).unwrap_or_default()
    }

    pub(super) fn response(&self, row: usize) -> &str {
        filled(Some(&self.response), row).unwrap_or_default()
    }

    pub(super) fn family(&self, row: usize) -> Option<&str> {
        filled(self.family.as_ref(), row)
    }

    pub(super) fn gold(&self, row: usize) -> Gold<'_> {
        Gold {
            domain: filled(Some(&self.domain), row).unwrap_or_default(),
            answer: filled(self.answer.as_ref(), row),
            tests: filled(self.tests.as_ref(), row),
        }
    }

    /// Whether the response ended by its token limit.
    pub(super) fn is_cut(&self, row: usize) -> bool {
        filled(self.finish_reason.as_ref(), row) == Some("length")
    }

    /// Characters of reasoning and response.
    pub(super) fn characters(&self, row: usize) -> u64 {
        let reasoning = filled(self.reasoning.as_ref(), row).unwrap_or_default();
        (reasoning.chars().count() + self.response(row).chars().count()) as u64
    }
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Judged {
    verdict: Verdict,
    rule: String,
    reason: String,
    extracted: Option<String>,
    /// What the strategy says.
    accepted: bool,
    /// What is said of a row that is accepted and yet not kept.
    otherwise: Otherwise,
    /// Decided last, by [`Judged::settle`].
    #[serde(skip)]
    kept: bool,
}

/// Why an accepted row may go without being kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Otherwise {
    Nothing,
    AnEarlierOne,
    AShorterOne,
}

impl Judged {
    /// Applies the strategy. A response that was cut does not pass unless the settings say so: it may have come to the
    /// right answer before it was done.
    pub(super) fn new(graded: Graded, is_cut: bool, settings: &FilterSettings) -> Self {
        let Graded {
            mut verdict,
            mut rule,
            mut reason,
            extracted,
        } = graded;
        let readable = extracted.is_some() || verdict.is_pass();
        if is_cut && verdict.is_pass() && settings.truncated == Truncated::Reject {
            verdict = Verdict::Fail;
            rule = format!("{rule}+truncated");
            "the answer is right, but the response was cut by its token limit"
                .clone_into(&mut reason);
        }
        let accepted = match settings.strategy {
            Strategy::None => true,
            Strategy::Parsable => readable,
            Strategy::Rejection => verdict.is_pass(),
        };
        let otherwise = match settings.keep {
            Keep::All => Otherwise::Nothing,
            Keep::First => Otherwise::AnEarlierOne,
            Keep::Shortest => Otherwise::AShorterOne,
        };
        Self {
            verdict,
            rule,
            reason,
            extracted,
            accepted,
            otherwise,
            kept: false,
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether the strategy accepts the row.
    pub(super) fn accepted(&self) -> bool {
        self.accepted
    }

    /// Decides whether the row is kept. A row that is accepted and not kept gets that as its reason.
    pub(super) fn settle(&mut self, keep: impl FnOnce(&Self) -> bool) {
        self.kept = keep(self);
        if self.accepted && !self.kept {
            let why = match self.otherwise {
                Otherwise::Nothing => return,
                Otherwise::AnEarlierOne => "an earlier response of the problem was kept",
                Otherwise::AShorterOne => {
                    "a shorter response of the problem was kept, or an earlier one as short"
                }
            };
            if !self.reason.is_empty() {
                self.reason.push_str("; ");
            }
            self.reason.push_str(why);
        }
    }
}

/// The two tables that are written.
pub(super) struct Outputs {
    pub(super) kept: TableWriter,
    pub(super) rejected: TableWriter,
}

impl Outputs {
    pub(super) fn write(
        &mut self,
        batch: &RecordBatch,
        judged: &[Judged],
    ) -> Result<(), StageError> {
        for (kept, writer) in [(true, &mut self.kept), (false, &mut self.rejected)] {
            let of_it = || {
                (0_u32..)
                    .zip(judged)
                    .filter(|(_, judged)| judged.kept == kept)
            };
            let rows: Vec<u32> = of_it().map(|(row, _)| row).collect();
            if rows.is_empty() {
                continue;
            }
            let words = |word: fn(&Judged) -> Option<&str>| -> ArrayRef {
                Arc::new(
                    of_it()
                        .map(|(_, judged)| word(judged))
                        .collect::<StringArray>(),
                )
            };
            let new = [
                ("verdict", words(|judged| Some(judged.verdict.as_str()))),
                ("rule", words(|judged| Some(&judged.rule))),
                ("reason", words(|judged| Some(&judged.reason))),
                ("extracted", words(|judged| judged.extracted.as_deref())),
            ];
            let schema = Arc::clone(writer.schema());
            writer.write(&assemble(batch, &rows, &schema, &new)?)?;
        }
        Ok(())
    }

    /// The number of rows kept.
    pub(super) fn finish(self) -> Result<u64, StageError> {
        let kept = self.kept.rows();
        self.kept.finish()?;
        self.rejected.finish()?;
        Ok(kept)
    }
}

/// Judged rows that wait in a temporary file, a line of JSON each.
pub(super) struct Spill {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Spill {
    pub(super) fn new(folder: &Path) -> Result<Self, StageError> {
        let path = folder.join("judged.jsonl");
        let file = BufWriter::new(File::create(&path)?);
        Ok(Self { path, file })
    }

    pub(super) fn write(&mut self, judged: &Judged) -> Result<(), StageError> {
        serde_json::to_writer(&mut self.file, judged).map_err(std::io::Error::from)?;
        self.file.write_all(b"\n")?;
        Ok(())
    }

    /// The same rows again, from the first.
    pub(super) fn read(mut self) -> Result<Waiting, StageError> {
        self.file.flush()?;
        Ok(Waiting(BufReader::new(File::open(&self.path)?)))
    }
}

/// Judged rows that come back.
pub(super) struct Waiting(BufReader<File>);

impl Waiting {
    /// The next rows.
    pub(super) fn next(&mut self, rows: usize) -> Result<Vec<Judged>, StageError> {
        let mut line = String::new();
        (0..rows)
            .map(|_| {
                line.clear();
                self.0.read_line(&mut line)?;
                Ok(serde_json::from_str(&line).map_err(std::io::Error::from)?)
            })
            .collect()
    }
}
