//! `dag cache`: what is there, whether it is whole, and what can go.

use clap::{Args, Subcommand};
use dag_cache::{Cache, GcOptions};
use serde_json::json;

use super::workspace::open_cache;
use super::{CommandResult, Failure, chain};
use crate::exit_codes;
use crate::render::{Output, Tone, bytes, count, duration, moment, plural, short_key, table};

/// Look after the cache.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List the records
    Ls,
    /// Read everything and compare it with its digests
    Verify,
    /// Remove what no recent run needs
    Gc(GcArgs),
    /// How large it is, and what it holds
    Stats,
    /// Where it lies
    Path,
}

/// What may go.
#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Keep what the last N runs of each pipeline used
    #[arg(long, default_value_t = 5, value_name = "N")]
    keep_runs: usize,
    /// Remove only what is older than so many days
    #[arg(long, default_value_t = 7, value_name = "DAYS")]
    older_than: u64,
    /// Say what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(command: &CacheCommand, output: &Output) -> CommandResult {
    let cache = open_cache()?;
    match command {
        CacheCommand::Ls => list(&cache, output),
        CacheCommand::Verify => verify(&cache, output),
        CacheCommand::Gc(args) => gc(&cache, args, output),
        CacheCommand::Stats => stats(&cache, output),
        CacheCommand::Path => {
            output.result(&cache.root().display().to_string());
            Ok(exit_codes::OK)
        }
    }
}

fn environment(error: &dyn std::error::Error) -> Failure {
    Failure::new(exit_codes::ENVIRONMENT, chain(error))
}

fn list(cache: &Cache, output: &Output) -> CommandResult {
    let mut records = Vec::new();
    for key in cache.keys().map_err(|error| environment(&error))? {
        match cache.peek(&key) {
            dag_cache::Lookup::Hit(record) => records.push((key, *record, true)),
            dag_cache::Lookup::Incomplete { record, .. } => records.push((key, *record, false)),
            dag_cache::Lookup::Damaged { reason } => output.say(Tone::Bad, "Damaged", &reason),
            dag_cache::Lookup::Miss => {}
        }
    }
    records.sort_by(|a, b| b.1.finished_at.cmp(&a.1.finished_at));
    if output.is_json() {
        let list: Vec<_> = records
            .iter()
            .map(|(key, record, whole)| json!({ "key": key, "whole": whole, "record": record }))
            .collect();
        output.document(&json!(list));
        return Ok(exit_codes::OK);
    }
    let rows = records.iter().map(|(key, record, whole)| {
        let size = record.outputs.values().map(|output| output.size).sum();
        let rows = record
            .outputs
            .get(&record.main)
            .and_then(|output| output.rows);
        vec![
            short_key(key),
            moment(&record.finished_at),
            record
                .outputs
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", "),
            rows.map_or_else(String::new, count),
            bytes(size),
            duration(record.seconds),
            if *whole {
                String::new()
            } else {
                "incomplete".to_owned()
            },
        ]
    });
    output.result(&table(
        &["key", "made", "outputs", ">rows", ">size", ">took", ""],
        rows,
    ));
    Ok(exit_codes::OK)
}

fn verify(cache: &Cache, output: &Output) -> CommandResult {
    let report = dag_cache::verify(cache, |_| {}).map_err(|error| environment(&error))?;
    if output.is_json() {
        output.document(&serde_json::to_value(&report).unwrap_or_default());
    } else {
        for line in &report.damaged {
            output.say(Tone::Bad, "Damaged", line);
        }
        let told = format!(
            "{}, {}, {} ({})",
            plural(report.blobs, "blob"),
            plural(report.records, "record"),
            plural(report.rows, "memo row"),
            bytes(report.bytes)
        );
        if report.is_clean() {
            output.say(Tone::Good, "Clean", &told);
        } else {
            output.say(
                Tone::Bad,
                "Found",
                &format!(
                    "{} in {told}; the next run makes it again",
                    plural(report.damaged.len() as u64, "damage")
                ),
            );
        }
    }
    Ok(if report.is_clean() {
        exit_codes::OK
    } else {
        exit_codes::CACHE_DAMAGED
    })
}

fn gc(cache: &Cache, args: &GcArgs, output: &Output) -> CommandResult {
    let history = dag_engine::History::of(cache);
    let mut seen: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    let mut keep = std::collections::BTreeSet::new();
    for run in history.runs(None) {
        let runs = seen.entry(run.pipeline.clone()).or_insert(0);
        *runs += 1;
        if *runs <= args.keep_runs {
            keep.extend(run.stages.iter().filter_map(|stage| stage.key));
        }
    }
    let options = GcOptions {
        keep,
        older_than: std::time::Duration::from_secs(args.older_than.saturating_mul(86_400)),
        dry_run: args.dry_run,
        ..GcOptions::default()
    };
    let report = dag_cache::gc(cache, &options).map_err(|error| environment(&error))?;
    if output.is_json() {
        output.document(&serde_json::to_value(&report).unwrap_or_default());
    } else {
        let verb = if args.dry_run { "Would free" } else { "Freed" };
        output.say(
            Tone::Good,
            verb,
            &format!(
                "{}: {}, {}; {} and {} stay",
                bytes(report.freed + report.freed_later),
                plural(report.records, "record"),
                plural(report.blobs, "blob"),
                plural(report.kept_records, "record"),
                bytes(report.kept_bytes)
            ),
        );
    }
    Ok(exit_codes::OK)
}

fn stats(cache: &Cache, output: &Output) -> CommandResult {
    let stats = dag_cache::stats(cache, &std::collections::BTreeMap::new())
        .map_err(|error| environment(&error))?;
    if output.is_json() {
        output.document(&serde_json::to_value(&stats).unwrap_or_default());
    } else {
        output.result(&format!(
            "{}\n{} · {} in {} · {} of finished rows in {}",
            cache.root().display(),
            plural(stats.records, "record"),
            bytes(stats.blob_bytes),
            plural(stats.blobs, "blob"),
            bytes(stats.memo.values().map(|space| space.bytes).sum()),
            plural(
                stats.memo.values().map(|space| space.count).sum(),
                "segment"
            ),
        ));
    }
    Ok(exit_codes::OK)
}
