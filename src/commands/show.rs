//! `dag show`: what a stage put out.

use clap::Args;
use dag_cache::{ArtifactType, OutputRef, Record};
use dag_engine::table::Table;
use dag_engine::{Cache, CacheLookups, Scope};
use serde_json::{Value, json};

use super::workspace::{open_cache_for, with_pipeline};
use super::{CommandResult, Failure, PipelineArgs, chain};
use crate::exit_codes;
use crate::render::{Output, bytes, count, duration, moment, table, tokens, usd};

/// Show what a stage put out: schema, rows, counts, where it lies.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The stage, or `stage.output`
    stage: String,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// How many rows to show
    #[arg(short = 'n', long, default_value_t = 3, value_name = "N")]
    rows: usize,
    /// Only the place of the file or folder
    #[arg(long)]
    path: bool,
}

pub(crate) fn run(args: &ShowArgs, output: &Output) -> CommandResult {
    with_pipeline(&args.pipeline, output, |pipeline| {
        let cache = open_cache_for(&pipeline, output)?;
        // A swept stage has dots in its name: the whole name is tried first.
        let (name, which) = match pipeline.stage(&args.stage) {
            Some(stage) => (stage.name.clone(), None),
            None => match args.stage.rsplit_once('.') {
                Some((stage, which)) => (stage.to_owned(), Some(which.to_owned())),
                None => (args.stage.clone(), None),
            },
        };
        let scope = Scope {
            targets: vec![name.clone()],
            ..Scope::all()
        };
        let plan = super::plan::make(&pipeline, &scope, &CacheLookups::new(&cache))?;
        let Some(record) = plan.stage(&name).and_then(|stage| stage.record()) else {
            return Err(Failure::new(
                exit_codes::STAGE_FAILED,
                format!("`{name}` has no result for the pipeline as it is now"),
            )
            .hint("`dag plan` says why; `dag run` makes it"));
        };
        let which = which.unwrap_or_else(|| record.main.clone());
        let Some(artifact) = record.outputs.get(&which) else {
            let names: Vec<_> = record.outputs.keys().map(String::as_str).collect();
            return Err(Failure::new(
                exit_codes::USAGE,
                format!("`{name}` has no output `{which}`"),
            )
            .hint(format!("it has {}", names.join(", "))));
        };
        let environment =
            |error: &dyn std::error::Error| Failure::new(exit_codes::ENVIRONMENT, chain(error));
        let path = match artifact.artifact {
            ArtifactType::Model => cache.tree_path(&artifact.bytes),
            ArtifactType::Table | ArtifactType::Document => cache.blob_path(&artifact.bytes),
        }
        .map_err(|error| environment(&error))?;
        if args.path {
            output.result(&path.display().to_string());
            return Ok(exit_codes::OK);
        }
        let rows = if artifact.artifact == ArtifactType::Table {
            let table = Table::open(&path).map_err(|error| environment(&error))?;
            first_rows(&table, args.rows)?
        } else {
            Vec::new()
        };
        if output.is_json() {
            output.document(&json!({
                "stage": name, "output": which, "path": path, "artifact": artifact,
                "record": record, "rows": rows,
            }));
        } else {
            output.result(&text(
                &name,
                &which,
                artifact,
                record,
                &path.display().to_string(),
                &rows,
            ));
        }
        Ok(exit_codes::OK)
    })
}

fn text(
    stage: &str,
    which: &str,
    artifact: &OutputRef,
    record: &Record,
    path: &str,
    rows: &[Value],
) -> String {
    let mut facts = vec![
        ("output".to_owned(), format!("{stage}.{which}")),
        ("content".to_owned(), artifact.content.to_string()),
        ("size".to_owned(), bytes(artifact.size)),
        ("place".to_owned(), path.to_owned()),
        (
            "made".to_owned(),
            format!(
                "{} by {} in {}",
                moment(&record.finished_at),
                record.by,
                duration(record.seconds)
            ),
        ),
    ];
    facts.extend(artifact.rows.map(|rows| ("rows".to_owned(), count(rows))));
    let spent = record.usage.prompt_tokens + record.usage.completion_tokens;
    if spent > 0 {
        facts.push(("tokens".to_owned(), tokens(spent)));
    }
    if record.usage.usd > 0.0 {
        facts.push(("cost".to_owned(), usd(record.usage.usd)));
    }
    facts.extend(
        record
            .counts
            .iter()
            .map(|(name, rows)| (format!("count {name}"), count(*rows))),
    );
    facts.extend(
        record
            .metrics
            .iter()
            .map(|(name, value)| (name.clone(), format!("{value:.4}"))),
    );
    facts.extend(
        record
            .notes
            .iter()
            .map(|note| ("note".to_owned(), note.clone())),
    );
    let others: Vec<_> = record
        .outputs
        .keys()
        .filter(|name| *name != which)
        .map(String::as_str)
        .collect();
    if !others.is_empty() {
        facts.push(("also".to_owned(), others.join(", ")));
    }
    let mut text = table(
        &["", ""],
        facts.into_iter().map(|(name, value)| vec![name, value]),
    );
    text = text.trim_start_matches('\n').to_owned();
    for row in rows {
        text.push_str("\n\n");
        if let Value::Object(fields) = row {
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                let value = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                text.push_str(&format!("  {name}: {}\n", value.replace('\n', "\n    ")));
            }
        }
    }
    text
}

/// The first rows of a table, as JSON objects.
pub(crate) fn first_rows(table: &Table, limit: usize) -> Result<Vec<Value>, Failure> {
    let environment =
        |error: &dyn std::error::Error| Failure::new(exit_codes::ENVIRONMENT, chain(error));
    let mut rows = Vec::new();
    if limit == 0 {
        return Ok(rows);
    }
    for batch in table.batches().map_err(|error| environment(&error))? {
        let batch = batch.map_err(|error| environment(&error))?;
        let batch = batch.slice(0, batch.num_rows().min(limit - rows.len()));
        let mut writer = arrow::json::ArrayWriter::new(Vec::new());
        writer
            .write(&batch)
            .and_then(|()| writer.finish())
            .map_err(|error| environment(&error))?;
        if let Ok(Value::Array(values)) = serde_json::from_slice(&writer.into_inner()) {
            rows.extend(values);
        }
        if rows.len() >= limit {
            break;
        }
    }
    Ok(rows)
}

/// The scores of an `eval` stage as a table; `None` for any other stage.
pub(crate) fn scores(cache: &Cache, record: &Record) -> Option<String> {
    let artifact = record.outputs.get(&record.main)?;
    let columns = artifact.schema.as_ref()?.to_string();
    if artifact.artifact != ArtifactType::Table || !columns.contains("mean_tokens") {
        return None;
    }
    let opened = Table::open(&cache.blob_path(&artifact.bytes).ok()?).ok()?;
    let rows = first_rows(&opened, 10_000).ok()?;
    let percent = |row: &Value, name: &str| {
        row.get(name)
            .and_then(Value::as_f64)
            .map(|value| format!("{:.1}", 100.0 * value))
    };
    let mut lines = Vec::new();
    for row in rows.iter().filter(|row| {
        row.get("family").and_then(Value::as_str) == Some("all")
            && row.get("k").and_then(Value::as_u64).unwrap_or(1) == 1
    }) {
        let text = |name: &str| {
            row.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let between = |low: &str, high: &str| match (percent(row, low), percent(row, high)) {
            (Some(low), Some(high)) => format!("[{low}, {high}]"),
            _ => String::new(),
        };
        let difference =
            row.get("difference")
                .and_then(Value::as_f64)
                .map_or_else(String::new, |value| {
                    format!(
                        "{:+.1} {}",
                        100.0 * value,
                        between("difference_low", "difference_high")
                    )
                });
        lines.push(vec![
            text("benchmark"),
            text("model"),
            format!("{} %", percent(row, "rate")?),
            between("low", "high"),
            difference,
            row.get("problems")
                .and_then(Value::as_u64)
                .map_or_else(String::new, count),
        ]);
    }
    if lines.is_empty() {
        return None;
    }
    let header = [
        "benchmark",
        "model",
        ">score",
        "95 %",
        "against base",
        ">problems",
    ];
    Some(table(&header, lines))
}
