//! `dag cache`: what is there, whether it is whole, and what can go.

mod bundle;
mod gc;
mod key;
pub(crate) mod names;
mod pins;
mod remote;
mod settings;
mod stats;
mod transfer;

use clap::{Args, Subcommand};
use dag_cache::remote::AuditOptions;
use dag_cache::{Cache, CacheError, VerifyReport};
use serde_json::json;

use super::workspace::open_cache_here;
use super::{CommandResult, Failure, chain};
use crate::exit_codes;
use crate::render::{Output, Tone, bytes, count, duration, moment, plural, short_key, table};

/// Look after the cache.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List the records
    Ls,
    /// Read everything and compare it with its digests
    Verify(VerifyArgs),
    /// Take what no recent run needs into the trash
    Gc(gc::GcArgs),
    /// Bring back what gc took
    Restore(gc::RestoreArgs),
    /// Keep results whatever gc is asked to take; without a name, list what is pinned
    Pin(pins::PinArgs),
    /// Let gc take results again
    Unpin(pins::UnpinArgs),
    /// How large it is, what for, and what it saved
    Stats,
    /// Write results into one file
    Export(bundle::ExportArgs),
    /// Take results from such a file
    Import(bundle::ImportArgs),
    /// Caches elsewhere, whose results are fetched instead of made again
    #[command(subcommand)]
    Remote(remote::RemoteCommand),
    /// Writers: who signs results, and whose signature counts
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Push results to a remote
    Push(transfer::TransferArgs),
    /// Fetch the files of results that are at a remote
    Pull(transfer::TransferArgs),
    /// Where it lies
    Path,
}

/// Whether something is done about damage.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Fetch again what remotes have, and write segments again without what cannot be read
    #[arg(long)]
    repair: bool,
    /// Read what this remote holds, instead of this cache; what was cut goes on where it was
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,
    /// Of the remote, read only so many of a hundred blobs, others each time
    #[arg(
        long,
        value_name = "PERCENT",
        requires = "remote",
        default_value_t = 100.0
    )]
    sample: f64,
}

pub(crate) fn run(command: &CacheCommand, output: &Output) -> CommandResult {
    let here = || open_cache_here(output);
    match command {
        // These connect the cache themselves, or need none.
        CacheCommand::Remote(command) => remote::run(command, output),
        CacheCommand::Key(command) => key::run(command, output),
        CacheCommand::Push(args) => transfer::push(args, output),
        CacheCommand::Pull(args) => transfer::pull(args, output),
        CacheCommand::Ls => list(&here()?, output),
        CacheCommand::Verify(VerifyArgs {
            remote: Some(remote),
            repair,
            sample,
        }) => audit(&here()?, remote, *repair, *sample, output),
        CacheCommand::Verify(args) if args.repair => repair(&here()?, output),
        CacheCommand::Verify(_) => verify(&here()?, output),
        CacheCommand::Gc(args) => gc::gc(&here()?, args, output),
        CacheCommand::Restore(args) => gc::restore(&here()?, args, output),
        CacheCommand::Pin(args) => pins::pin(&here()?, args, output),
        CacheCommand::Unpin(args) => pins::unpin(&here()?, args, output),
        CacheCommand::Stats => stats::stats(&here()?, output),
        CacheCommand::Export(args) => bundle::export(&here()?, args, output),
        CacheCommand::Import(args) => bundle::import(&here()?, args, output),
        CacheCommand::Path => {
            output.result(&here()?.root().display().to_string());
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
            dag_cache::Lookup::Hit(record) | dag_cache::Lookup::Shared { record, .. } => {
                records.push((key, *record, true));
            }
            dag_cache::Lookup::Incomplete { record, .. } => records.push((key, *record, false)),
            dag_cache::Lookup::Damaged { reason } => output.say(Tone::Bad, "Damaged", &reason),
            dag_cache::Lookup::Miss | dag_cache::Lookup::Refused { .. } => {}
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
        found(&report, output);
        if !report.is_clean() {
            output.say(Tone::Warn, "Hint", "the next run makes it again; `dag cache verify --repair` fetches what remotes have");
        }
    }
    Ok(if report.is_clean() {
        exit_codes::OK
    } else {
        exit_codes::CACHE_DAMAGED
    })
}

/// Says what a `verify` found.
fn found(report: &VerifyReport, output: &Output) {
    for line in &report.damaged {
        output.say(Tone::Bad, "Damaged", line);
    }
    for key in &report.incomplete {
        let text = format!("{}: a blob that it names is gone", short_key(key));
        output.say(Tone::Warn, "Incomplete", &text);
    }
    if report.orphans > 0 {
        let text = format!(
            "{} ({}) that no record names: gc takes them",
            plural(report.orphans, "blob"),
            bytes(report.orphan_bytes)
        );
        output.say(Tone::Warn, "Unused", &text);
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
        let damage = plural(report.damaged.len() as u64, "damage");
        output.say(Tone::Bad, "Found", &format!("{damage} in {told}"));
    }
}

fn repair(cache: &Cache, output: &Output) -> CommandResult {
    let fetch = |digest: &dag_cache::Digest| match cache.blob_path(digest) {
        Ok(_) => Ok(true),
        // Nobody has it, or nobody can be asked now.
        Err(CacheError::Missing(_) | CacheError::Unreachable { .. }) => Ok(false),
        Err(error) => Err(error),
    };
    let report = dag_cache::repair(cache, &fetch, |_| {}).map_err(|error| environment(&error))?;
    let code = if report.is_whole() {
        exit_codes::OK
    } else {
        exit_codes::CACHE_DAMAGED
    };
    if output.is_json() {
        output.document(&serde_json::to_value(&report).unwrap_or_default());
        return Ok(code);
    }
    found(&report.found, output);
    for name in &report.busy {
        let text = format!("{name}: it is being written; repair again when that run is done");
        output.say(Tone::Bad, "Left", &text);
    }
    if report.found.is_clean() && report.found.incomplete.is_empty() {
        return Ok(code);
    }
    output.say(
        Tone::Good,
        "Repaired",
        &format!(
            "{} fetched ({}), {} written again, {} set aside; {} for the next run to make again",
            plural(report.fetched, "blob"),
            bytes(report.fetched_bytes),
            plural(report.segments, "segment"),
            plural(report.set_aside, "stray file"),
            plural(report.incomplete.len() as u64, "result"),
        ),
    );
    Ok(code)
}

fn audit(cache: &Cache, remote: &str, repair: bool, sample: f64, output: &Output) -> CommandResult {
    let options = AuditOptions {
        sample: sample / 100.0,
        repair,
    };
    let report =
        dag_cache::remote::audit(cache, remote, &options, |_| {}).map_err(|error| match error {
            CacheError::UnknownRemote(_) => Failure::new(exit_codes::USAGE, error.to_string())
                .hint("`dag cache remote list` lists them"),
            error => environment(&error).hint("run it again: what was read is not read again"),
        })?;
    let code = if report.is_clean() {
        exit_codes::OK
    } else {
        exit_codes::CACHE_DAMAGED
    };
    if output.is_json() {
        output.document(&serde_json::to_value(&report).unwrap_or_default());
        return Ok(code);
    }
    for line in &report.refused {
        output.say(Tone::Warn, "Refused", line);
    }
    for (what, blobs) in [("Damaged", &report.damaged), ("Missing", &report.missing)] {
        for blob in blobs {
            output.say(Tone::Bad, what, &format!("blob {}", blob.short()));
        }
    }
    if report.repaired > 0 {
        let text = format!("{} stored again", plural(report.repaired, "blob"));
        output.say(Tone::Good, "Repaired", &text);
    }
    let told = format!(
        "{}, {} read ({}), {} left out",
        plural(report.records, "record"),
        plural(report.blobs, "blob"),
        bytes(report.bytes),
        count(report.left_out)
    );
    if report.is_clean() {
        output.say(Tone::Good, "Clean", &told);
    } else {
        output.say(
            Tone::Bad,
            "Found",
            &format!(
                "{told}; whoever needs what is damaged makes it again, and `--repair` stores what is whole here"
            ),
        );
    }
    Ok(code)
}
