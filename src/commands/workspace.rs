//! What most commands begin with: the kinds, the cache, the pipeline file.

use std::path::{Path, PathBuf};

use dag_engine::diagnostic::{Colour, json, render};
use dag_engine::pipeline::{Loaded, load_file};
use dag_engine::{Cache, Capacity, Pipeline, Registry};
use serde_json::json;

use super::{CommandResult, Failure, PipelineArgs, chain};
use crate::render::{Output, plural};
use crate::{exit_codes, places, remotes};

/// Every kind this program has.
pub(crate) fn registry() -> Registry {
    dag_kinds::registry()
}

/// The user's cache, connected with the remotes that count for a pipeline.
pub(crate) fn open_cache_for(pipeline: &Pipeline, output: &Output) -> Result<Cache, Failure> {
    let cache = open_cache()?;
    remotes::connect(&cache, &pipeline.folder(), output)?;
    Ok(cache)
}

/// The user's cache, connected with the remotes that count in the folder where the program was started.
pub(crate) fn open_cache_here(output: &Output) -> Result<Cache, Failure> {
    let cache = open_cache()?;
    remotes::connect(&cache, Path::new("."), output)?;
    Ok(cache)
}

/// The user's cache alone.
pub(crate) fn open_cache() -> Result<Cache, Failure> {
    let root =
        places::cache_root().map_err(|error| Failure::new(exit_codes::ENVIRONMENT, error))?;
    Cache::open(&root).map_err(|error| {
        Failure::new(
            exit_codes::ENVIRONMENT,
            format!(
                "the cache at `{}` cannot be opened: {}",
                root.display(),
                chain(&error)
            ),
        )
        .hint("set DAG_CACHE_DIR to a folder that can be written")
    })
}

/// The pipeline file that is meant.
pub(crate) fn pipeline_file(named: Option<&Path>) -> Result<PathBuf, Failure> {
    match named {
        Some(file) => Ok(file.to_owned()),
        None => places::default_pipeline().ok_or_else(|| {
            Failure::new(
                exit_codes::USAGE,
                "no pipeline file was named, and there is no `dag.toml` here",
            )
            .hint("name one, or write one with `dag init`")
        }),
    }
}

/// Reads a pipeline file; what the checks found is shown. With an error in it, the result is the exit
/// code to end with.
pub(crate) fn load(args: &PipelineArgs, output: &Output) -> Result<Result<Pipeline, u8>, Failure> {
    let file = pipeline_file(args.file.as_deref())?;
    let loaded = read(&file, args, &registry())?;
    let errors = loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.is_error())
        .count();
    if output.is_json() && errors > 0 {
        output.document(&json!({ "diagnostics": json(&loaded.diagnostics) }));
    } else if !loaded.diagnostics.is_empty() {
        output.text(drawn(&loaded, output).trim_end());
    }
    match loaded.pipeline {
        Some(pipeline) if errors == 0 => Ok(Ok(pipeline)),
        _ => {
            if !output.is_json() {
                output.fail(
                    &format!(
                        "`{}` has {}; nothing ran",
                        file.display(),
                        plural(errors as u64, "error")
                    ),
                    loaded
                        .diagnostics
                        .iter()
                        .find(|diagnostic| diagnostic.is_error())
                        .map(|first| format!("`dag explain {}` says more", first.code))
                        .as_deref(),
                );
            }
            Ok(Err(exit_codes::PIPELINE))
        }
    }
}

/// Reads a pipeline file without showing anything.
pub(crate) fn read(
    file: &Path,
    args: &PipelineArgs,
    registry: &Registry,
) -> Result<Loaded, Failure> {
    load_file(file, registry, &args.sets).map_err(|error| {
        Failure::new(
            exit_codes::USAGE,
            format!("`{}` cannot be read: {error}", file.display()),
        )
        .hint("`dag init` writes a pipeline to start from")
    })
}

/// The diagnostics as people see them.
pub(crate) fn drawn(loaded: &Loaded, output: &Output) -> String {
    let colour = if output.colour() {
        Colour::Ansi
    } else {
        Colour::Plain
    };
    render(&loaded.diagnostics, &loaded.sources, colour)
}

/// What this machine offers to stages.
pub(crate) fn capacity(jobs: Option<u32>) -> Capacity {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut capacity = Capacity::cpus(jobs.unwrap_or(u32::try_from(cores).unwrap_or(u32::MAX)));
    capacity.gpus = super::doctor::gpus();
    capacity
}

/// `user@host`, for records.
pub(crate) fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let host = fs_err::read_to_string("/etc/hostname").or_else(|_| std::env::var("HOSTNAME"));
    // The file may hold comments; control characters are nobody's name.
    let host: String = host
        .iter()
        .flat_map(|text| text.lines())
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    match (user, host.is_empty()) {
        (Ok(user), false) => format!("{user}@{host}"),
        (Ok(user), true) => user,
        (Err(_), _) => host,
    }
}

/// Shorthand: go on with the pipeline, or end with its exit code.
pub(crate) fn with_pipeline(
    args: &PipelineArgs,
    output: &Output,
    then: impl FnOnce(Pipeline) -> CommandResult,
) -> CommandResult {
    match load(args, output)? {
        Ok(pipeline) => then(pipeline),
        Err(code) => Ok(code),
    }
}
