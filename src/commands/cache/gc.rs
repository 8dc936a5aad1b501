//! `dag cache gc` and `restore`: what nothing needs goes into the trash, and comes back from there.

use std::time::Duration;

use clap::Args;
use dag_cache::{Cache, CacheError, GcOptions, GcReport, Restore, TrashRun};
use serde_json::json;

use super::environment;
use super::names::{OfArgs, resolve};
use crate::commands::CommandResult;
use crate::exit_codes;
use crate::render::{Output, Tone, bytes, count, moment, plural, short_key, table};

const DAY: u64 = 86_400;

/// What may go.
#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Keep what the last N runs of each pipeline used
    #[arg(long, default_value_t = 5, value_name = "N")]
    keep_runs: usize,
    /// Take only what was unused for so many days
    #[arg(long, default_value_t = 7, value_name = "DAYS")]
    older_than: u64,
    /// Go on with what was unused for longest, until the blobs that stay take no more: `200GiB`, `1.5TB`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,
    /// Days for which what is taken can be brought back
    #[arg(long, default_value_t = 3, value_name = "DAYS")]
    trash: u64,
    /// Empty the trash now, with what is taken
    #[arg(long)]
    purge: bool,
    /// Say what would go, and take nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is brought back.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// A folder of the trash by the beginning or end of its id, a stage, or the first digits of a key; by
    /// default what the latest gc took
    #[arg(value_name = "ID|STAGE|KEY")]
    what: Option<String>,
    /// List what can be brought back
    #[arg(long, conflicts_with = "what")]
    list: bool,
    #[command(flatten)]
    of: OfArgs,
}

pub(super) fn gc(cache: &Cache, args: &GcArgs, output: &Output) -> CommandResult {
    let options = GcOptions {
        keep: dag_engine::History::of(cache).keys(args.keep_runs),
        older_than: Duration::from_secs(args.older_than.saturating_mul(DAY)),
        max_bytes: args.max_size,
        trash: Duration::from_secs(args.trash.saturating_mul(DAY)),
        purge: args.purge,
        dry_run: args.dry_run,
        ..GcOptions::default()
    };
    let report = dag_cache::gc(cache, &options).map_err(|error| environment(&error))?;
    if output.is_json() {
        output.document(&serde_json::to_value(&report).unwrap_or_default());
    } else {
        told(&report, args, output);
    }
    Ok(exit_codes::OK)
}

fn told(report: &GcReport, args: &GcArgs, output: &Output) {
    let things = listed(&[
        (report.records, "record"),
        (report.blobs, "blob"),
        (report.scratch, "work folder"),
    ]);
    let also = listed(&[
        (report.emptied, "trash folder"),
        (report.leftovers, "leftover"),
        (report.segments, "merged segment"),
        (report.trees, "laid-out folder"),
    ]);
    if report.freed_later > 0 || (!things.is_empty() && report.freed == 0) {
        let verb = if args.dry_run { "Would take" } else { "Took" };
        let goes = plural(args.trash, "day");
        output.say(
            Tone::Good,
            verb,
            &format!(
                "{things}: {}, freed when the trash goes, in {goes}",
                bytes(report.freed_later)
            ),
        );
        if let Some(id) = &report.trash {
            let hint = format!(
                "`dag cache restore {}` brings it back; `dag cache gc --purge` frees it now",
                short_id(id)
            );
            output.say(Tone::Warn, "Hint", &hint);
        }
    }
    if report.freed > 0 || report.freed_later == 0 {
        let verb = if args.dry_run { "Would free" } else { "Freed" };
        let purged = if report.freed_later == 0 {
            things
        } else {
            String::new()
        };
        let what = [purged, also].into_iter().filter(|part| !part.is_empty());
        let what: Vec<String> = what.collect();
        output.say(
            Tone::Good,
            verb,
            &if what.is_empty() {
                bytes(report.freed)
            } else {
                format!("{}: {}", bytes(report.freed), what.join(", "))
            },
        );
    }
    output.say(
        Tone::Good,
        "Stay",
        &format!(
            "{}, {} of blobs; {} in the trash",
            plural(report.kept_records, "record"),
            bytes(report.kept_bytes),
            bytes(report.trash_bytes)
        ),
    );
}

/// `3 records, 1 blob`, without what there is none of.
fn listed(counts: &[(u64, &str)]) -> String {
    let parts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, one)| plural(*count, one))
        .collect();
    parts.join(", ")
}

/// The end of an id: ids of one hour begin alike.
fn short_id(id: &str) -> &str {
    id.get(id.len().saturating_sub(8)..).unwrap_or(id)
}

pub(super) fn restore(cache: &Cache, args: &RestoreArgs, output: &Output) -> CommandResult {
    let trash = dag_cache::trash(cache).map_err(|error| environment(&error))?;
    if args.list {
        return list(&trash, output);
    }
    let what = match &args.what {
        None => Restore::Newest,
        Some(name) if is_id(name, &trash) => Restore::Run(name.clone()),
        Some(name) => {
            let named = resolve(std::slice::from_ref(name), &args.of, cache, output)?;
            named
                .first()
                .map_or(Restore::Newest, |named| Restore::Key(named.key))
        }
    };
    let report = dag_cache::restore(cache, &what).map_err(|error| {
        let failure = environment(&error);
        match error {
            CacheError::TrashEmpty => {
                failure.hint("`dag cache gc` fills it; it is emptied after some days")
            }
            CacheError::NotInTrash(_) => {
                failure.hint("`dag cache restore --list` says what can be brought back")
            }
            CacheError::Busy(_) => failure.hint("try again when that gc is done"),
            _ => failure,
        }
    })?;
    if output.is_json() {
        output.document(&serde_json::to_value(&report).unwrap_or_default());
        return Ok(exit_codes::OK);
    }
    let what = listed(&[
        (report.records.len() as u64, "record"),
        (report.blobs, "blob"),
        (report.scratch, "work folder"),
    ]);
    output.say(
        Tone::Good,
        "Restored",
        &format!(
            "{}: {}",
            if what.is_empty() { "nothing" } else { &what },
            bytes(report.bytes)
        ),
    );
    for key in &report.there {
        let text = format!(
            "{} stays in the trash: it was made again since",
            short_key(key)
        );
        output.say(Tone::Warn, "Left", &text);
    }
    for key in &report.incomplete {
        let text = format!(
            "{} stays in the trash: what it names is gone",
            short_key(key)
        );
        output.say(Tone::Bad, "Left", &text);
    }
    Ok(exit_codes::OK)
}

fn is_id(name: &str, trash: &[TrashRun]) -> bool {
    const SHORTEST: usize = 6;
    name.len() >= SHORTEST
        && trash
            .iter()
            .any(|run| run.id.starts_with(name) || run.id.ends_with(name))
}

fn list(trash: &[TrashRun], output: &Output) -> CommandResult {
    if output.is_json() {
        output.document(&json!(trash));
        return Ok(exit_codes::OK);
    }
    let rows = trash.iter().map(|run| {
        vec![
            short_id(&run.id).to_owned(),
            time(run.at),
            if run.open {
                "a gc is at work on it".to_owned()
            } else {
                time(run.until)
            },
            count(run.records.len() as u64),
            count(run.blobs),
            bytes(run.bytes),
        ]
    });
    output.result(&table(
        &[
            "trash",
            "taken",
            "kept until",
            ">records",
            ">blobs",
            ">size",
        ],
        rows,
    ));
    Ok(exit_codes::OK)
}

/// Seconds since 1970 as people read them.
fn time(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| seconds.to_string(), |at| moment(&at.to_string()))
}

/// `200GiB`, `1.5TB`, `1048576`: `KB` is a thousand bytes, `KiB` and `K` are 1,024.
fn size(text: &str) -> Result<u64, String> {
    let expected = || format!("`{text}` is no size; one looks like `200GiB`, `1.5TB` or `1048576`");
    let split = text
        .find(|letter: char| letter.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.trim().parse().map_err(|_| expected())?;
    let unit = unit.to_ascii_lowercase();
    let (letter, base) = match unit.as_str() {
        "" | "b" => ("", 1.0),
        unit => match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')) {
            Some(letter) if unit.ends_with("ib") => (letter, 1024.0),
            Some(letter) => (letter, 1000.0),
            None => (unit, 1024.0),
        },
    };
    let power = match letter {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(expected()),
    };
    let bytes = number * f64::powi(base, power);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a size below 2^63; whole bytes are meant"
    )]
    if bytes.is_finite() && (0.0..9.2e18).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err(expected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, expect) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("12B", 12),
            ("1.5KB", 1500),
            ("1.5 KiB", 1536),
            ("200GiB", 200 << 30),
            ("200gb", 200_000_000_000),
            ("2T", 2 << 40),
        ] {
            assert_eq!(size(text), Ok(expect), "{text}");
        }
        for text in ["", "GiB", "-1G", "1XB", "1e300TB", "nan", "1 2G", "ib"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
