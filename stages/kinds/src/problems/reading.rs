//! Making and reading problems: the rows that the settings choose, mapped and written; those that do not fit, kept
//! aside with their reason.

use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use dag_data::generate::{self, GenerateSettings};
use dag_data::hub::DataFiles;
use dag_data::layout::{LayoutSettings, Mapped, problem_of};
use dag_data::rows::{Format, RowFault, SourceError, SourceRow, read_files};
use dag_data::{Condition, ProblemRows};
use dag_engine::{StageContext, StageError, TableWriter};

use super::{ProblemsSettings, Source};
use crate::benchmark::Known;
use crate::code_tests::CODE_TESTS;
use crate::{hub, stop};

/// Problems made here.
pub(super) fn make(
    settings: &GenerateSettings,
    main: &mut Gathered,
    cx: &StageContext,
) -> Result<(), StageError> {
    cx.progress()
        .set_total(u64::from(settings.count) * settings.families.len() as u64);
    for problem in generate::problems(settings, cx.seed()) {
        let problem = problem.map_err(|error| {
            StageError::failed(error.to_string())
                .with_hint("allow more steps, ask for fewer, or set unique = false")
        })?;
        stop::if_draining(cx)?;
        main.push(&problem)?;
        cx.progress().advance(1);
    }
    Ok(())
}

/// Problems read from files.
pub(super) fn read(
    settings: &ProblemsSettings,
    main: &mut Gathered,
    rejected: &mut Rejected,
    cx: &StageContext,
) -> Result<(), StageError> {
    let files = source_files(&settings.source, cx)?;
    let mapping = Mapping::of(settings);
    let parsed = |condition: &str| {
        Condition::parse(condition).map_err(|fault| StageError::failed(format!("where: {fault}")))
    };
    let known = settings.source.known().and_then(|known| known.condition);
    let conditions = known
        .into_iter()
        .chain(settings.condition.as_deref())
        .map(parsed)
        .collect::<Result<_, _>>()?;
    let selection = Selection {
        conditions,
        offset: settings.offset,
        limit: settings.limit,
    };
    let chosen = match settings.sample {
        Some(sample) => Some(draw(selection.rows(&files), sample, cx)?),
        None => None,
    };
    let mut notes: BTreeMap<&'static str, u64> = BTreeMap::new();
    for row in selection.rows(&files) {
        stop::if_draining(cx)?;
        let (number, row) = row?;
        if chosen
            .as_ref()
            .is_some_and(|chosen| !chosen.contains(&number))
        {
            continue;
        }
        cx.progress().advance(1);
        match row {
            Err(RowFault { text, reason }) => rejected.push(number, reason, text)?,
            Ok(row) => match mapping.problem(&row) {
                Ok(mapped) => {
                    if let Some(note) = mapped.note {
                        *notes.entry(note).or_default() += 1;
                    }
                    main.push(&mapped.problem)?;
                }
                Err(reason) => {
                    rejected.push(number, reason, serde_json::Value::Object(row).to_string())?
                }
            },
        }
    }
    for (note, rows) in notes {
        cx.note(&format!("{rows} rows: {note}"));
    }
    if main.is_empty() {
        let hint = match rejected.first_reason() {
            Some(reason) => format!("the first row kept aside says: {reason}"),
            None => "the source is empty, or `where` and `offset` leave nothing".to_owned(),
        };
        return Err(StageError::failed("no row of the source became a problem").with_hint(hint));
    }
    Ok(())
}

/// The files to read, in the order of their setting; those of the hub are brought here first.
fn source_files(source: &Source, cx: &StageContext) -> Result<Vec<(PathBuf, Format)>, StageError> {
    if let Some(known) = source.known() {
        return hub::data_files(cx, "source.benchmark", &known.files());
    }
    if source.hf.is_some() {
        let wanted = DataFiles {
            config: source.config.clone(),
            split: source.split.clone(),
            file: source.file.clone(),
        };
        return hub::data_files(cx, "source.hf", &[wanted]);
    }
    let files = source.files();
    files
        .into_iter()
        .map(|(field, _, format)| Ok((cx.file(&field)?.to_owned(), format)))
        .collect()
}

fn source_failure(error: SourceError) -> StageError {
    let cause = std::error::Error::source(&error)
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    match &error {
        SourceError::Io { .. } => StageError::environment(format!("{error}{cause}")),
        SourceError::Parquet { .. } | SourceError::Arrow { .. } => {
            StageError::failed(format!("{error}{cause}"))
        }
    }
}

/// How a row becomes a problem.
enum Mapping<'a> {
    Layout(LayoutSettings, &'a str),
    Benchmark(&'static Known),
}

impl<'a> Mapping<'a> {
    fn of(settings: &'a ProblemsSettings) -> Self {
        let source = &settings.source;
        if let Some(known) = source.known() {
            return Self::Benchmark(known);
        }
        let name = match &source.hf {
            Some(id) => id.as_str(),
            None if source.jsonl.is_some() => "jsonl",
            None => "parquet",
        };
        Self::Layout(settings.layout(), name)
    }

    fn problem(&self, row: &SourceRow) -> Result<Mapped, String> {
        match self {
            Self::Layout(layout, name) => problem_of(row, layout, name, &CODE_TESTS),
            Self::Benchmark(known) => known.problem(row),
        }
    }
}

/// `where`, `offset` and `limit`.
struct Selection {
    /// All of them must hold.
    conditions: Vec<Condition>,
    offset: u64,
    limit: Option<u64>,
}

type NumberedRow = Result<(u64, Result<SourceRow, RowFault>), StageError>;

impl Selection {
    /// The rows that are left, with their number in the source. A row that cannot be read is never filtered away.
    fn rows(&self, files: &[(PathBuf, Format)]) -> impl Iterator<Item = NumberedRow> {
        let wanted = |row: &NumberedRow| match row {
            Ok((_, Ok(row))) => self.conditions.iter().all(|condition| condition.holds(row)),
            Ok((_, Err(_))) | Err(_) => true,
        };
        (0..)
            .zip(read_files(files.to_vec()))
            .map(|(number, row)| row.map(|row| (number, row)).map_err(source_failure))
            .filter(wanted)
            .skip(usize::try_from(self.offset).unwrap_or(usize::MAX))
            .take(self.limit.map_or(usize::MAX, |limit| {
                usize::try_from(limit).unwrap_or(usize::MAX)
            }))
    }
}

/// The numbers of so many rows by chance: those with the smallest hashes of seed and content.
fn draw(
    rows: impl Iterator<Item = NumberedRow>,
    sample: u64,
    cx: &StageContext,
) -> Result<HashSet<u64>, StageError> {
    let size = usize::try_from(sample).unwrap_or(usize::MAX);
    let mut heap: BinaryHeap<([u8; 32], u64)> = BinaryHeap::new();
    for row in rows {
        stop::if_draining(cx)?;
        let (number, row) = row?;
        let text = match row {
            Ok(row) => serde_json::Value::Object(row).to_string(),
            Err(fault) => fault.text,
        };
        let mut hasher = blake3::Hasher::new_derive_key("dag-kinds 2026 problems sample v1");
        hasher
            .update(&cx.seed().to_le_bytes())
            .update(text.as_bytes());
        heap.push((*hasher.finalize().as_bytes(), number));
        if heap.len() > size {
            heap.pop();
        }
    }
    Ok(heap.into_iter().map(|(_, number)| number).collect())
}

/// The problems on their way out.
pub(super) struct Gathered {
    pub(super) rows: ProblemRows,
    pub(super) writer: TableWriter,
}

impl Gathered {
    fn push(&mut self, problem: &dag_data::Problem) -> Result<(), StageError> {
        self.rows.push(problem);
        if self.rows.is_full() {
            self.writer.write(&self.rows.take()?)
        } else {
            Ok(())
        }
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.writer.rows() == 0
    }

    pub(super) fn finish(mut self) -> Result<(), StageError> {
        if !self.rows.is_empty() {
            self.writer.write(&self.rows.take()?)?;
        }
        self.writer.finish()?;
        Ok(())
    }
}

pub(super) fn rejected_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("row", DataType::Int64, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("text", DataType::Utf8, false),
    ]))
}

/// The rows kept aside on their way out.
pub(super) struct Rejected {
    waiting: Vec<(i64, String, String)>,
    bytes: usize,
    first: Option<String>,
    writer: TableWriter,
}

impl Rejected {
    pub(super) fn new(writer: TableWriter) -> Self {
        Self {
            waiting: Vec::new(),
            bytes: 0,
            first: None,
            writer,
        }
    }

    fn first_reason(&self) -> Option<&str> {
        self.first.as_deref()
    }

    fn push(&mut self, row: u64, reason: String, text: String) -> Result<(), StageError> {
        self.first.get_or_insert_with(|| reason.clone());
        self.bytes += text.len();
        self.waiting
            .push((i64::try_from(row).unwrap_or(i64::MAX), reason, text));
        if self.waiting.len() >= 1024 || self.bytes >= 16 << 20 {
            self.write()
        } else {
            Ok(())
        }
    }

    fn write(&mut self) -> Result<(), StageError> {
        let rows = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(
                rows.iter().map(|(row, _, _)| *row),
            )),
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|(_, reason, _)| reason),
            )),
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|(_, _, text)| text),
            )),
        ];
        self.writer
            .write(&RecordBatch::try_new(rejected_schema(), columns)?)
    }

    /// How many rows there are.
    pub(super) fn finish(mut self) -> Result<u64, StageError> {
        if !self.waiting.is_empty() {
            self.write()?;
        }
        let rows = self.writer.rows();
        self.writer.finish()?;
        Ok(rows)
    }
}
