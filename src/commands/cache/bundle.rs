//! `dag cache export` and `import`: results in one file, for machines without a network.

use std::collections::BTreeSet;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use dag_cache::bundle::{BundleError, ExportOptions, ImportOptions};
use dag_cache::trust::{Keyring, Trust};
use dag_cache::{Cache, StageKey};
use serde_json::json;

use super::environment;
use super::names::{NameArgs, resolve, whole_pipeline};
use crate::commands::{CommandResult, Failure, chain};
use crate::exit_codes;
use crate::render::{Output, Tone, bytes, plural, short_key};

/// What goes into a bundle.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The bundle to write; `-` is standard output
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    #[command(flatten)]
    names: NameArgs,
    /// Everything in the cache, not only the pipeline's results
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Leave out the finished rows that stages can be taken up from
    #[arg(long)]
    no_rows: bool,
}

/// What is taken from a bundle.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The bundle to read; `-` is standard input
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Whose results are believed: `signed` by a writer you trust, `any`, or writers' names with commas
    #[arg(long, default_value_t = Trust::Signed, value_name = "WHOM")]
    trust: Trust,
}

fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn failed(error: &BundleError) -> Failure {
    let failure = Failure::new(exit_codes::ENVIRONMENT, chain(error));
    match error {
        BundleError::CutOff(_) => {
            failure.hint("copy it again; results that came whole are kept")
        }
        BundleError::Malformed { .. } => failure.hint("`dag cache export` writes bundles"),
        BundleError::Entry { .. } => failure.hint(
            "it is damaged, made by a newer version, or made to do harm; ask for a new one from whom you trust",
        ),
        _ => failure,
    }
}

pub(super) fn export(cache: &Cache, args: &ExportArgs, output: &Output) -> CommandResult {
    let keys: BTreeSet<StageKey> = if args.all {
        cache
            .keys()
            .map_err(|error| environment(&error))?
            .into_iter()
            .collect()
    } else {
        let named = if args.names.names.is_empty() {
            whole_pipeline(&args.names.of, cache, output)?
        } else {
            resolve(&args.names.names, &args.names.of, cache, output)?
        };
        named.into_iter().map(|named| named.key).collect()
    };
    let (private, keys): (BTreeSet<StageKey>, BTreeSet<StageKey>) = keys
        .into_iter()
        .partition(|key| cache.is_private(key).unwrap_or(true));
    if !private.is_empty() {
        output.say(
            Tone::Warn,
            "Kept",
            &format!(
                "{} of stages that are not shared: they stay on this machine",
                plural(private.len() as u64, "result")
            ),
        );
    }
    if keys.is_empty() {
        return Err(
            Failure::new(exit_codes::STAGE_FAILED, "there is no result to export")
                .hint("`dag run` makes results; `dag cache ls` lists them"),
        );
    }
    let options = ExportOptions {
        writer: cache.remotes().and_then(|remotes| remotes.key()),
        rows: !args.no_rows,
    };
    let written = if is_stream(&args.bundle) {
        let to = BufWriter::new(io::stdout().lock());
        dag_cache::bundle::export(cache, &keys, to, &options, |_| {})
    } else {
        to_file(&args.bundle, |to| {
            dag_cache::bundle::export(cache, &keys, to, &options, |_| {})
        })
    };
    let report = written.map_err(|error| failed(&error))?;
    if is_stream(&args.bundle) {
        // The stream is the result; what is said goes beside it.
    } else if output.is_json() {
        output.document(&serde_json::to_value(&report).unwrap_or_default());
        return Ok(exit_codes::OK);
    }
    for (key, reason) in &report.left_out {
        output.say(
            Tone::Bad,
            "Left out",
            &format!("{}: {reason}", short_key(key)),
        );
    }
    output.say(
        Tone::Good,
        "Exported",
        &format!(
            "{}, {}: {}{}",
            plural(report.records.len() as u64, "result"),
            plural(report.blobs, "blob"),
            bytes(report.bytes),
            if options.writer.is_some() {
                ""
            } else {
                "; not signed: who imports it must say `--trust any`"
            }
        ),
    );
    Ok(if report.left_out.is_empty() {
        exit_codes::OK
    } else {
        exit_codes::STAGE_FAILED
    })
}

/// Writes a file beside and moves it into place, so that a bundle is whole or absent.
fn to_file<T>(
    path: &Path,
    write: impl FnOnce(&mut dyn io::Write) -> Result<T, BundleError>,
) -> Result<T, BundleError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let beside = folder.join(name);
    let written = fs_err::File::create(&beside)
        .map_err(BundleError::Io)
        .and_then(|file| {
            let mut to = BufWriter::with_capacity(1 << 20, file);
            let report = write(&mut to)?;
            to.flush()
                .and_then(|()| to.get_ref().sync_all())
                .and_then(|()| fs_err::rename(&beside, path))
                .map_err(BundleError::Io)?;
            Ok(report)
        });
    if written.is_err() {
        drop(fs_err::remove_file(&beside));
    }
    written
}

pub(super) fn import(cache: &Cache, args: &ImportArgs, output: &Output) -> CommandResult {
    let nobody = Keyring::default();
    let options = ImportOptions {
        trust: &args.trust,
        keyring: cache.remotes().map_or(&nobody, |remotes| remotes.keyring()),
    };
    let read = if is_stream(&args.bundle) {
        dag_cache::bundle::import(cache, io::stdin().lock(), &options, |_| {})
    } else {
        let file = fs_err::File::open(&args.bundle)
            .map_err(|error| Failure::new(exit_codes::USAGE, error.to_string()))?;
        let file = BufReader::with_capacity(1 << 20, file);
        dag_cache::bundle::import(cache, file, &options, |_| {})
    };
    let report = read.map_err(|error| failed(&error))?;
    let code = if report.refused.is_empty() {
        exit_codes::OK
    } else {
        exit_codes::STAGE_FAILED
    };
    if output.is_json() {
        output.document(&json!(report));
        return Ok(code);
    }
    for (name, reason) in &report.refused {
        output.say(Tone::Bad, "Refused", &format!("{name}: {reason}"));
    }
    for key in &report.kept {
        let text = format!(
            "{}: the cache has another result, which stays",
            short_key(key)
        );
        output.say(Tone::Warn, "Kept", &text);
    }
    output.say(
        Tone::Good,
        "Imported",
        &format!(
            "{}, {} ({}), {}; {} here already",
            plural(report.new.len() as u64, "result"),
            plural(report.blobs, "blob"),
            bytes(report.bytes),
            plural(report.rows, "finished row"),
            plural(report.same.len() as u64, "result"),
        ),
    );
    if !report.refused.is_empty() && args.trust != Trust::Any {
        output.say(
            Tone::Warn,
            "Hint",
            "`--trust any` believes whoever made the bundle; every result in it is then yours",
        );
    }
    Ok(code)
}
