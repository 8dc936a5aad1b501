//! `problems`: makes or reads problems. Whatever the layout of the source, the columns out are the same; a row that
//! does not fit is kept aside with the reason.
//!
//! Three rows before, of a JSON Lines file with `layout = "gsm8k"`:
//!
//! | question | answer |
//! |---|---|
//! | What is 2+2? | 2+2=4 #### 4 |
//! | What is 3*3? | 3*3=9 #### 9 |
//! | What is 1+1? | two |
//!
//! and after:
//!
//! | id | domain | family | source | difficulty | prompt | answer | tests | solution |
//! |---|---|---|---|---|---|---|---|---|
//! | 0a… | math | gsm8k | jsonl | *null* | What is 2+2? | 4 | *null* | 2+2=4 #### 4 |
//! | 1b… | math | gsm8k | jsonl | *null* | What is 3*3? | 9 | *null* | 3*3=9 #### 9 |
//!
//! and in the output `rejected`:
//!
//! | row | reason | text |
//! |---|---|---|
//! | 2 | the answer has no `####` | {"question":"What is 1+1?","answer":"two"} |

use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use dag_data::generate::{self, GenerateSettings};
use dag_data::hub::{DataFiles, Hub, HubConfig, HubError};
use dag_data::layout::{Layout, LayoutSettings, problem_of};
use dag_data::rows::{Format, RowFault, SourceError, SourceRow, read_files};
use dag_data::{Condition, ProblemRows};
use dag_engine::{
    Declaration, Estimate, EstimateContext, Fault, HubRepo, Inputs, OneOrMany, OutputDecl,
    StageContext, StageError, StageKind, TableWriter, canon,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The output with the rows that are no problems.
const REJECTED: &str = "rejected";

/// Settings of `problems`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProblemsSettings {
    /// Where the problems come from. Semantic.
    pub source: Source,
    /// The layout of a published data set. Without one, columns have our names. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Our column = their column, such as `{ prompt = "question" }`; goes before the layout. Semantic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
    /// The domain of every row: `math`, `code`, `choice` or `text`. Default: the layout's or the column's. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The family of every row. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The answer is what follows the last of these marks, as `####` in GSM8K. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_after: Option<String>,
    /// Which rows of the source: `source IN ('math', 'olympiads') AND level >= 4`, on the source's own columns. A small
    /// part of SQL. Semantic.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Rows to skip, of those that `where` leaves. Semantic.
    #[serde(default)]
    pub offset: u64,
    /// The most rows to read after `offset`. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Of those, so many by chance; which ones depends on their content and the seed, not on their order. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<u64>,
}

/// Where problems come from: exactly one of `generate`, `jsonl`, `parquet` and `hf`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// Made here: small reasoning problems with exact answers. Semantic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate: Option<GenerateSettings>,
    /// JSON Lines files, relative to the pipeline file. Their content is semantic, their place is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsonl: Option<OneOrMany<PathBuf>>,
    /// Parquet files, relative to the pipeline file. Their content is semantic, their place is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parquet: Option<OneOrMany<PathBuf>>,
    /// A data set of the Hugging Face hub, `owner/name`. Semantic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hf: Option<String>,
    /// Its commit, tag or branch; without one the lock file decides. Semantic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Its configuration (subset). Semantic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Its split, such as `train`. Semantic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// One file of it by name, instead of a split. Semantic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl Source {
    /// The local files by the setting that names them.
    fn files(&self) -> Vec<(String, &PathBuf, Format)> {
        let lists = [
            ("source.jsonl", &self.jsonl, Format::Jsonl),
            ("source.parquet", &self.parquet, Format::Parquet),
        ];
        let mut files = Vec::new();
        for (field, list, format) in lists {
            for (at, path) in list.iter().flatten().enumerate() {
                let field = if at == 0 {
                    field.to_owned()
                } else {
                    format!("{field}.{at}")
                };
                files.push((field, path, format));
            }
        }
        files
    }

    fn key(&self) -> canon::Value {
        // files enter by content, the hub's revision by its own list
        let Self {
            generate,
            jsonl,
            parquet: _,
            hf,
            revision: _,
            config,
            split,
            file,
        } = self;
        let generate = generate
            .as_ref()
            .map(|settings| canon::Value::from(json(settings)));
        let format = if hf.is_some() {
            None
        } else {
            Some(jsonl.is_some())
        };
        canon::Value::map([
            ("generate", generate.unwrap_or(canon::Value::Null)),
            ("jsonl", format.into()),
            ("config", config.clone().into()),
            ("split", split.clone().into()),
            ("file", file.clone().into()),
        ])
    }
}

/// Settings are plain data with string keys, which JSON always holds.
fn json(settings: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(settings).unwrap_or(serde_json::Value::Null)
}

impl ProblemsSettings {
    fn layout(&self) -> LayoutSettings {
        LayoutSettings {
            layout: self.layout,
            columns: self.columns.clone(),
            domain: self.domain.clone(),
            family: self.family.clone(),
            answer_after: self.answer_after.clone(),
        }
    }
}

/// The kind `problems`.
pub struct Problems;

impl StageKind for Problems {
    type Settings = ProblemsSettings;
    const NAME: &'static str = "problems";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str =
        "problems from a generator, JSON Lines, Parquet or the Hugging Face hub";
    const VERB: &'static str = "Gathered";

    fn declare(settings: &ProblemsSettings) -> Declaration {
        let ProblemsSettings {
            source,
            layout,
            columns,
            domain,
            family,
            answer_after,
            condition,
            offset,
            limit,
            sample,
        } = settings;
        let columns = canon::Value::map(
            columns
                .iter()
                .map(|(ours, theirs)| (ours.clone(), theirs.into())),
        );
        let mut declaration = Declaration::new().key(canon::Value::map([
            ("source", source.key()),
            ("layout", canon::Value::from(json(layout))),
            ("columns", columns),
            ("domain", domain.clone().into()),
            ("family", family.clone().into()),
            ("answer_after", answer_after.clone().into()),
            ("where", condition.clone().into()),
            ("offset", (*offset).into()),
            ("limit", (*limit).into()),
            ("sample", (*sample).into()),
        ]));
        for (field, path, _) in source.files() {
            declaration = declaration.file(&field, path);
        }
        if let Some(id) = &source.hf {
            declaration = declaration.hub(
                "source.hf",
                HubRepo::Dataset,
                id,
                source.revision.as_deref(),
            );
        }
        let generated = source
            .generate
            .as_ref()
            .is_some_and(|settings| settings.seed.is_none());
        if generated || sample.is_some() {
            declaration
        } else {
            declaration.unseeded()
        }
    }

    fn outputs(_: &ProblemsSettings, _: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        Ok(vec![
            OutputDecl::table("main", dag_data::schema()),
            OutputDecl::table(REJECTED, rejected_schema()),
        ])
    }

    fn check(settings: &ProblemsSettings) -> Vec<Fault> {
        let Source {
            generate,
            jsonl,
            parquet,
            hf,
            revision,
            config,
            split,
            file,
        } = &settings.source;
        let mut faults = Vec::new();
        let named = [
            generate.is_some(),
            jsonl.is_some(),
            parquet.is_some(),
            hf.is_some(),
        ];
        if named.iter().filter(|there| **there).count() != 1 {
            faults.push(
                Fault::field(
                    "source",
                    "a source is exactly one of `generate`, `jsonl`, `parquet` and `hf`",
                )
                .hint("source = { hf = \"owner/name\", split = \"train\" }"),
            );
        }
        let of_the_hub = [
            ("revision", revision),
            ("config", config),
            ("split", split),
            ("file", file),
        ];
        for (name, _) in of_the_hub
            .iter()
            .filter(|(_, value)| hf.is_none() && value.is_some())
        {
            faults.push(Fault::field(
                &format!("source.{name}"),
                format!("`{name}` goes with `hf` only"),
            ));
        }
        if let Some(name) = file
            .as_deref()
            .filter(|name| Format::of(name.as_ref()).is_none())
        {
            faults.push(Fault::field(
                "source.file",
                format!("`{name}` is neither .jsonl nor .parquet"),
            ));
        }
        for (field, list) in [("source.jsonl", jsonl), ("source.parquet", parquet)] {
            if list.as_ref().is_some_and(OneOrMany::is_empty) {
                faults.push(Fault::field(field, "no file is named"));
            }
        }
        if let Some(generate) = generate {
            let told = generate.faults().into_iter();
            faults.extend(told.map(|(field, message)| {
                Fault::field(&format!("source.generate.{field}"), message)
            }));
            for (name, there) in [
                ("layout", settings.layout.is_some()),
                ("columns", !settings.columns.is_empty()),
                ("answer_after", settings.answer_after.is_some()),
                ("where", settings.condition.is_some()),
                ("domain", settings.domain.is_some()),
                ("family", settings.family.is_some()),
                ("offset", settings.offset > 0),
                ("limit", settings.limit.is_some()),
                ("sample", settings.sample.is_some()),
            ] {
                if there {
                    faults.push(Fault::field(
                        name,
                        format!("generated problems take no `{name}`"),
                    ));
                }
            }
        }
        faults.extend(
            settings
                .layout()
                .faults()
                .into_iter()
                .map(|(field, message)| Fault::field(&field, message)),
        );
        if let Some(Err(fault)) = settings.condition.as_deref().map(Condition::parse) {
            faults.push(Fault::field("where", fault.to_string()));
        }
        for (name, value) in [("limit", settings.limit), ("sample", settings.sample)] {
            if value == Some(0) {
                faults.push(Fault::field(name, format!("{name} = 0 leaves no rows")));
            }
        }
        faults
    }

    fn estimate(settings: &ProblemsSettings, _: &EstimateContext<'_>) -> Estimate {
        let made = settings
            .source
            .generate
            .as_ref()
            .map(|made| u64::from(made.count) * made.families.len() as u64);
        Estimate {
            rows: made,
            ..Estimate::default()
        }
    }

    fn run(settings: &ProblemsSettings, cx: &mut StageContext) -> Result<(), StageError> {
        let mut main = Gathered {
            rows: ProblemRows::default(),
            writer: cx.table_writer("main", dag_data::schema())?,
        };
        let mut rejected = Rejected::new(cx.table_writer(REJECTED, rejected_schema())?);
        match &settings.source.generate {
            Some(generate) => make(generate, &mut main, cx)?,
            None => read(settings, &mut main, &mut rejected, cx)?,
        }
        main.finish()?;
        let aside = rejected.finish()?;
        if aside > 0 {
            cx.count(REJECTED, aside);
        }
        Ok(())
    }
}

fn make(
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
        go_on(cx)?;
        main.push(&problem)?;
        cx.progress().advance(1);
    }
    Ok(())
}

fn read(
    settings: &ProblemsSettings,
    main: &mut Gathered,
    rejected: &mut Rejected,
    cx: &StageContext,
) -> Result<(), StageError> {
    let files = source_files(&settings.source, cx)?;
    let layout = settings.layout();
    let name = match &settings.source.hf {
        Some(id) => id.as_str(),
        None if settings.source.jsonl.is_some() => "jsonl",
        None => "parquet",
    };
    let condition = match settings
        .condition
        .as_deref()
        .map(Condition::parse)
        .transpose()
    {
        Ok(condition) => condition,
        Err(fault) => return Err(StageError::failed(format!("where: {fault}"))),
    };
    let selection = Selection {
        condition,
        offset: settings.offset,
        limit: settings.limit,
    };
    let chosen = match settings.sample {
        Some(sample) => Some(draw(selection.rows(&files), sample, cx)?),
        None => None,
    };
    let mut notes: BTreeMap<&'static str, u64> = BTreeMap::new();
    for row in selection.rows(&files) {
        go_on(cx)?;
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
            Ok(row) => match problem_of(&row, &layout, name) {
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
    if source.hf.is_none() {
        let files = source.files();
        return files
            .into_iter()
            .map(|(field, _, format)| Ok((cx.file(&field)?.to_owned(), format)))
            .collect();
    }
    let place = cx.hub("source.hf")?;
    cx.progress().set_message(format!("fetching {}", place.id));
    let wanted = DataFiles {
        config: source.config.clone(),
        split: source.split.clone(),
        file: source.file.clone(),
    };
    let hub = Hub::from_env_values(HubConfig::from_env(|name| std::env::var(name).ok()));
    let paths = hub
        .fetch_dataset_files(&place.id, &place.revision, &wanted)
        .map_err(hub_failure)?;
    paths
        .into_iter()
        .map(|path| match Format::of(&path) {
            Some(format) => Ok((path, format)),
            None => Err(StageError::failed(format!(
                "{} is neither .jsonl nor .parquet",
                path.display()
            ))),
        })
        .collect()
}

/// A failure of the hub, with its causes in the message: who must act depends on what is wrong.
fn hub_failure(error: HubError) -> StageError {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        message.push_str(&format!(": {source}"));
        cause = source.source();
    }
    let failure = match &error {
        HubError::Missing { .. } | HubError::Denied { .. } | HubError::Name { .. } => {
            StageError::failed(message)
        }
        HubError::Offline { .. }
        | HubError::Status { .. }
        | HubError::Answer { .. }
        | HubError::Network { .. }
        | HubError::Io(_) => StageError::environment(message),
    };
    match error.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
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

/// `where`, `offset` and `limit`.
struct Selection {
    condition: Option<Condition>,
    offset: u64,
    limit: Option<u64>,
}

type NumberedRow = Result<(u64, Result<SourceRow, RowFault>), StageError>;

impl Selection {
    /// The rows that are left, with their number in the source. A row that cannot be read is never filtered away.
    fn rows(&self, files: &[(PathBuf, Format)]) -> impl Iterator<Item = NumberedRow> {
        let wanted = |row: &NumberedRow| match (row, &self.condition) {
            (Ok((_, Ok(row))), Some(condition)) => condition.holds(row),
            (Ok((_, Ok(_) | Err(_))) | Err(_), _) => true,
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
        go_on(cx)?;
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

/// Reading is quick to repeat: either sign of the user ends it.
pub(crate) fn go_on(cx: &StageContext) -> Result<(), StageError> {
    if cx.cancel().stopping() {
        Err(StageError::Interrupted)
    } else {
        Ok(())
    }
}

/// The problems on their way out.
struct Gathered {
    rows: ProblemRows,
    writer: TableWriter,
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

    fn finish(mut self) -> Result<(), StageError> {
        if !self.rows.is_empty() {
            self.writer.write(&self.rows.take()?)?;
        }
        self.writer.finish()?;
        Ok(())
    }
}

fn rejected_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("row", DataType::Int64, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("text", DataType::Utf8, false),
    ]))
}

/// The rows kept aside on their way out.
struct Rejected {
    waiting: Vec<(i64, String, String)>,
    bytes: usize,
    first: Option<String>,
    writer: TableWriter,
}

impl Rejected {
    fn new(writer: TableWriter) -> Self {
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
    fn finish(mut self) -> Result<u64, StageError> {
        if !self.waiting.is_empty() {
            self.write()?;
        }
        let rows = self.writer.rows();
        self.writer.finish()?;
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(settings: serde_json::Value) -> Vec<String> {
        let settings: ProblemsSettings = serde_json::from_value(settings).unwrap();
        Problems::check(&settings)
            .into_iter()
            .map(|fault| fault.field.unwrap_or_default())
            .collect()
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        use serde_json::json;
        assert_eq!(faults(json!({ "source": {} })), ["source"]);
        assert_eq!(
            faults(json!({ "source": { "jsonl": "a.jsonl", "split": "train" } })),
            ["source.split"]
        );
        assert_eq!(
            faults(json!({ "source": { "jsonl": [] }, "where": "a = ", "limit": 0 })),
            ["source.jsonl", "where", "limit"]
        );
        assert_eq!(
            faults(json!({ "source": { "generate": { "count": 0 } }, "sample": 3 })),
            ["source.generate.count", "sample"]
        );
        assert!(faults(json!({ "source": { "hf": "a/b", "split": "train" }, "layout": "numina", "where": "source IN ('math')" })).is_empty());
    }

    #[test]
    fn the_place_of_a_file_is_not_in_the_key() {
        let key = |path: &str| {
            let settings = serde_json::json!({ "source": { "jsonl": path } });
            Problems::declare(&serde_json::from_value(settings).unwrap()).key
        };
        assert_eq!(key("a.jsonl"), key("elsewhere/b.jsonl"));
    }
}
