//! What a running stage sees of the world: its inputs, its outputs, and who listens.
//!
//! Everything takes `&self`, so that a stage's worker threads can share the context. Nothing a
//! stage writes is visible before the whole stage is done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arrow::datatypes::SchemaRef;
use dag_cache::{
    ArtifactType, Cache, Digest, Lookup, OutputRef, Record, RowMemo, StageKey, Usage, canon,
};
use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::error::StageError;
use crate::event::{Event, EventSink, Level};
use crate::model_ref::ModelSpec;
use crate::progress::Progress;
use crate::table::Table;
use crate::table_writer::TableWriter;
use crate::task::Task;

/// An input that is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputArtifact {
    /// The stage it comes from.
    pub stage: String,
    /// The output's name.
    pub output: String,
    /// The key of the stage it comes from, to look its record up.
    pub key: StageKey,
    /// The artifact.
    pub artifact: OutputRef,
}

/// A model that is there: what it is, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelBinding {
    /// What the model is, as it enters keys: of stages, and of rows.
    pub identity: canon::Value,
    /// Where its weights are, or who has them.
    pub place: ModelPlace,
    /// What the settings said, unless a stage made the model.
    pub spec: Option<ModelSpec>,
}

/// Where a model is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelPlace {
    /// A local folder, absolute.
    Folder(PathBuf),
    /// The output of a stage.
    Artifact(OutputRef),
    /// A hub repository at a commit.
    Hub {
        /// `owner/name`.
        id: String,
        /// The commit.
        revision: String,
    },
    /// A server has it; which one says `spec.server`.
    Served {
        /// The name the server knows it by.
        name: String,
    },
}

/// A hub repository at a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubBinding {
    /// `owner/name`.
    pub id: String,
    /// The commit.
    pub revision: String,
}

/// The context of one running stage.
pub struct StageContext {
    task: Arc<Task>,
    cache: Cache,
    sink: Arc<dyn EventSink>,
    cancel: Cancel,
    progress: Progress,
    collected: Arc<Collected>,
    memo: OnceLock<RowMemo>,
    checkpoints: OnceLock<PathBuf>,
    scratch: OnceLock<tempfile::TempDir>,
}

impl StageContext {
    pub(crate) fn new(
        task: Arc<Task>,
        cache: Cache,
        sink: Arc<dyn EventSink>,
        cancel: Cancel,
    ) -> Self {
        let progress = Progress::new(&task.stage, Arc::clone(&sink));
        Self {
            collected: Arc::default(),
            task,
            cache,
            sink,
            cancel,
            progress,
            memo: OnceLock::new(),
            checkpoints: OnceLock::new(),
            scratch: OnceLock::new(),
        }
    }

    /// The stage's name.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.task.stage
    }

    /// The stage's seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.task.seed
    }

    /// CPU cores this stage declared; what it may keep busy.
    #[must_use]
    pub fn cpus(&self) -> u32 {
        self.task.resources.cpus.max(1)
    }

    /// The inputs of a slot, in the author's order; empty if nothing fills it.
    #[must_use]
    pub fn inputs(&self, slot: &str) -> &[InputArtifact] {
        self.task
            .inputs
            .iter()
            .find(|(name, _)| name == slot)
            .map_or(&[], |(_, inputs)| inputs.as_slice())
    }

    /// The one table of a slot.
    ///
    /// # Errors
    /// The slot has not exactly one input, it is no table, or the cache cannot give it.
    pub fn table(&self, slot: &str) -> Result<Table, StageError> {
        match self.inputs(slot) {
            [one] => self.open_table(one),
            other => Err(StageError::bug(format!(
                "slot `{slot}` has {} inputs, not one",
                other.len()
            ))),
        }
    }

    /// Opens an input that is a table.
    ///
    /// # Errors
    /// It is no table, or the cache cannot give it.
    pub fn open_table(&self, input: &InputArtifact) -> Result<Table, StageError> {
        if input.artifact.artifact != ArtifactType::Table {
            return Err(StageError::failed(format!(
                "`{}` is not a table",
                input.stage
            )));
        }
        Table::open(&self.cache.blob_path(&input.artifact.bytes)?)
    }

    /// The folder of a model artifact: verified, read-only.
    ///
    /// # Errors
    /// The cache cannot give it.
    pub fn folder(&self, artifact: &OutputRef) -> Result<PathBuf, StageError> {
        Ok(self.cache.tree_path(&artifact.bytes)?)
    }

    /// The bytes of a document: verified.
    ///
    /// # Errors
    /// The cache cannot give it.
    pub fn document(&self, artifact: &OutputRef) -> Result<Vec<u8>, StageError> {
        Ok(self.cache.read_blob(&artifact.bytes)?)
    }

    /// The record of the stage that made an input: counts, metrics, cost and notes. It is no part
    /// of this stage's key, so only what may be out of date should be taken from it.
    #[must_use]
    pub fn record(&self, input: &InputArtifact) -> Option<Box<Record>> {
        match self.cache.lookup(&input.key) {
            Lookup::Hit(record)
            | Lookup::Shared { record, .. }
            | Lookup::Incomplete { record, .. } => Some(record),
            Lookup::Miss | Lookup::Refused { .. } | Lookup::Damaged { .. } => None,
        }
    }

    /// A model, by its slot (`model`, `models.base`).
    ///
    /// # Errors
    /// The kind did not declare such a slot.
    pub fn model(&self, slot: &str) -> Result<&ModelBinding, StageError> {
        self.task
            .models
            .iter()
            .find(|(name, _)| name == slot)
            .map(|(_, model)| model)
            .ok_or_else(|| StageError::bug(format!("no model `{slot}` was declared")))
    }

    /// All models, in the order of the declaration.
    pub fn models(&self) -> impl Iterator<Item = (&str, &ModelBinding)> {
        self.task
            .models
            .iter()
            .map(|(slot, model)| (slot.as_str(), model))
    }

    /// A declared file or folder, absolute, by its setting.
    ///
    /// # Errors
    /// The kind did not declare such a file.
    pub fn file(&self, field: &str) -> Result<&Path, StageError> {
        self.task
            .files
            .get(field)
            .map(PathBuf::as_path)
            .ok_or_else(|| StageError::bug(format!("no file `{field}` was declared")))
    }

    /// A declared hub repository with its commit, by its setting.
    ///
    /// # Errors
    /// The kind did not declare such a repository.
    pub fn hub(&self, field: &str) -> Result<&HubBinding, StageError> {
        self.task
            .hub
            .get(field)
            .ok_or_else(|| StageError::bug(format!("no hub repository `{field}` was declared")))
    }

    /// The row memo of the kind, shared by all its stages.
    ///
    /// # Errors
    /// The cache cannot give it.
    pub fn memo(&self) -> Result<&RowMemo, StageError> {
        if let Some(memo) = self.memo.get() {
            return Ok(memo);
        }
        let memo = if self.task.share {
            self.cache.memo(&self.task.kind)?
        } else {
            self.cache.private_memo(&self.task.kind)?
        };
        Ok(self.memo.get_or_init(|| memo))
    }

    /// A durable folder of this stage key: what is put there survives a kill, and is gone once the
    /// stage is published.
    ///
    /// # Errors
    /// The cache cannot make it.
    pub fn checkpoints(&self) -> Result<&Path, StageError> {
        if let Some(path) = self.checkpoints.get() {
            return Ok(path);
        }
        let path = self.cache.scratch(&self.task.key)?;
        Ok(self.checkpoints.get_or_init(|| path))
    }

    /// A temporary folder, gone when the stage ends.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn scratch(&self) -> Result<&Path, StageError> {
        if let Some(folder) = self.scratch.get() {
            return Ok(folder.path());
        }
        let folder = tempfile::Builder::new().prefix("dag-").tempdir()?;
        Ok(self.scratch.get_or_init(|| folder).path())
    }

    /// Begins an output table.
    ///
    /// # Errors
    /// The output was not announced as a table or lacks announced columns, a column has a type
    /// that tables do not hold, or the cache cannot be written.
    pub fn table_writer(&self, output: &str, schema: SchemaRef) -> Result<TableWriter, StageError> {
        self.announced(output, ArtifactType::Table)?;
        let promised = self.task.outputs.iter().find(|decl| decl.name == output);
        for column in promised
            .and_then(|decl| decl.columns.as_ref())
            .into_iter()
            .flatten()
        {
            if schema.column_with_name(column).is_none() {
                return Err(StageError::bug(format!(
                    "kind `{}` announced column `{column}` in `{output}` and does not write it",
                    self.task.kind
                )));
            }
        }
        TableWriter::new(&self.cache, Arc::clone(&self.collected), output, &schema)
    }

    /// Puts a folder into the cache as an output model.
    ///
    /// # Errors
    /// The output was not announced as a model, or the cache cannot be written.
    pub fn put_model(&self, output: &str, folder: &Path) -> Result<(), StageError> {
        self.announced(output, ArtifactType::Model)?;
        let tree = self.cache.put_tree(folder)?;
        self.collected.add_output(
            output,
            OutputRef {
                artifact: ArtifactType::Model,
                bytes: tree.bytes,
                content: tree.content,
                size: tree.size,
                rows: None,
                media: None,
                schema: None,
            },
        )
    }

    /// Puts bytes into the cache as an output document; `media` is its media type (`text/html`).
    ///
    /// # Errors
    /// The output was not announced as a document, or the cache cannot be written.
    pub fn put_document(&self, output: &str, media: &str, bytes: &[u8]) -> Result<(), StageError> {
        self.announced(output, ArtifactType::Document)?;
        let digest = self.cache.put_bytes(bytes)?;
        self.collected.add_output(
            output,
            OutputRef {
                artifact: ArtifactType::Document,
                bytes: digest,
                content: document_content(media, digest),
                size: bytes.len() as u64,
                rows: None,
                media: Some(media.to_owned()),
                schema: None,
            },
        )
    }

    fn announced(&self, output: &str, artifact: ArtifactType) -> Result<(), StageError> {
        match self.task.outputs.iter().find(|decl| decl.name == output) {
            Some(decl) if decl.artifact == artifact => Ok(()),
            _ => Err(StageError::bug(format!(
                "kind `{}` writes output `{output}` ({artifact:?}) that it did not announce",
                self.task.kind
            ))),
        }
    }

    /// Records a measurement of the result (a loss, a score). The last value of a name counts.
    /// One that is not finite cannot be stored as a number, and becomes a note.
    pub fn metric(&self, name: &str, value: f64) {
        if !value.is_finite() {
            self.note(&format!("metric `{name}` is {value}"));
            return;
        }
        self.collected.lock().metrics.insert(shown(name), value);
    }

    /// Adds rows to a count (`in`, `kept`, `fail`).
    pub fn count(&self, name: &str, rows: u64) {
        *self.collected.lock().counts.entry(shown(name)).or_insert(0) += rows;
    }

    /// Adds tokens, requests and money that were spent just now; a budget hears of it at once.
    pub fn usage(&self, spent: Usage) {
        self.collected.lock().usage += spent.clone();
        self.sink.event(&Event::StageUsage {
            stage: self.task.stage.clone(),
            spent,
        });
    }

    /// Says something that the reader of the result must know: an approximation, a skipped part.
    pub fn note(&self, text: &str) {
        let text = shown(text);
        let mut inner = self.collected.lock();
        if !inner.notes.contains(&text) {
            inner.notes.push(text);
        }
    }

    /// Rows that go without a result for a reason that may pass. The result stands, says so, and gives way to one that
    /// has them.
    pub fn unfinished(&self, rows: u64) {
        if rows == 0 {
            return;
        }
        self.collected.lock().unfinished += rows;
        self.note(&format!(
            "`dag run --force {}` asks again for what is missing, and for nothing else",
            self.task.stage
        ));
    }

    /// How far the stage is.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Writes a line to the stage's log.
    pub fn log(&self, level: Level, text: &str) {
        self.sink.event(&Event::StageLog {
            stage: self.task.stage.clone(),
            level,
            text: text.to_owned(),
        });
    }

    /// Whether to go on.
    #[must_use]
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Makes rows that were put into the memo durable, and writes down which ones were used.
    pub(crate) fn keep_rows(&self) -> Result<(), StageError> {
        if let Some(memo) = self.memo.get() {
            memo.flush()?;
            if self.task.share {
                self.cache
                    .note_rows(&self.task.key, &self.task.kind, &memo.used())?;
            }
        }
        Ok(())
    }

    pub(crate) fn collected(&self) -> &Collected {
        &self.collected
    }
}

/// A text that goes into a record, which is shown on terminals, also on those of colleagues.
fn shown(text: &str) -> String {
    text.replace(dag_cache::deceives, " ")
}

/// The content digest of a document: its media type and bytes.
fn document_content(media: &str, bytes: Digest) -> Digest {
    let value = canon::Value::List(vec![media.into(), canon::Value::Digest(bytes)]);
    canon::digest("dag document content v1", &value)
}

/// What a running stage has put out so far.
#[derive(Default)]
pub(crate) struct Collected(Mutex<CollectedInner>);

#[derive(Default)]
pub(crate) struct CollectedInner {
    pub(crate) outputs: BTreeMap<String, OutputRef>,
    pub(crate) metrics: BTreeMap<String, f64>,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) usage: Usage,
    pub(crate) notes: Vec<String>,
    pub(crate) unfinished: u64,
}

impl Collected {
    pub(crate) fn lock(&self) -> MutexGuard<'_, CollectedInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_output(&self, name: &str, output: OutputRef) -> Result<(), StageError> {
        match self.lock().outputs.insert(name.to_owned(), output) {
            None => Ok(()),
            Some(_) => Err(StageError::bug(format!(
                "output `{name}` was written twice"
            ))),
        }
    }
}
