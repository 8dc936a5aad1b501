//! What is meant by a name on the command line: a stage of a pipeline, or the beginning of a key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use dag_cache::{Cache, StageKey};
use dag_engine::{CacheLookups, Pipeline, Scope};

use super::environment;
use crate::commands::workspace::{load, pipeline_file};
use crate::commands::{Failure, PipelineArgs};
use crate::exit_codes;
use crate::render::Output;

/// Fewer digits of a key are taken for a stage's name.
const SHORTEST: usize = 6;
/// Digits of a whole key.
const WHOLE: usize = 64;

/// Stages and keys.
#[derive(Clone, Debug, Args)]
pub(crate) struct NameArgs {
    /// Stages of the pipeline, or the first digits of keys
    #[arg(value_name = "STAGE|KEY")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) of: OfArgs,
}

/// The pipeline that stages are of.
#[derive(Clone, Debug, Args)]
pub(crate) struct OfArgs {
    /// The pipeline file; by default `dag.toml` here or in a folder above
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Change a setting: `--set sample.n=8`, `--set stage.field=value` in TOML's notation
    #[arg(long = "set", value_name = "STAGE.FIELD=VALUE")]
    sets: Vec<String>,
}

/// A key, and what it was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) key: StageKey,
}

/// The keys that are meant. The pipeline is read only if a name is no beginning of a known key.
pub(crate) fn resolve(
    names: &[String],
    of: &OfArgs,
    cache: &Cache,
    output: &Output,
) -> Result<Vec<Named>, Failure> {
    let known = known(cache)?;
    let mut found = BTreeMap::new();
    let mut stages = Vec::new();
    for name in names {
        match by_digits(name, &known)? {
            Some(key) => drop(found.insert(name.as_str(), key)),
            None => stages.push(name.as_str()),
        }
    }
    if !stages.is_empty() {
        if of.file.is_none()
            && let Err(failure) = pipeline_file(None)
        {
            return Err(failure.hint(format!(
                "`{}` is no beginning of a key in the cache, so it would be a stage: name the pipeline with --file",
                stages.join("`, `")
            )));
        }
        found.extend(of_stages(&stages, of, cache, output)?);
    }
    Ok(names
        .iter()
        .filter_map(|name| {
            found.get(name.as_str()).map(|key| Named {
                name: name.clone(),
                key: *key,
            })
        })
        .collect())
}

/// The keys of all stages of a pipeline that have a result.
pub(crate) fn whole_pipeline(
    of: &OfArgs,
    cache: &Cache,
    output: &Output,
) -> Result<Vec<Named>, Failure> {
    let pipeline = pipeline(of, output)?;
    let plan = crate::commands::plan::make(&pipeline, &Scope::all(), &CacheLookups::new(cache))?;
    Ok(plan
        .stages
        .iter()
        .filter(|stage| stage.record().is_some())
        .filter_map(|stage| {
            Some(Named {
                name: stage.stage.clone(),
                key: stage.key?,
            })
        })
        .collect())
}

fn pipeline(of: &OfArgs, output: &Output) -> Result<Pipeline, Failure> {
    let args = PipelineArgs {
        file: of.file.clone(),
        sets: of.sets.clone(),
    };
    load(&args, output)?
        .map_err(|code| Failure::new(code, "the pipeline has errors, so its stages have no keys"))
}

fn of_stages<'a>(
    stages: &[&'a str],
    of: &OfArgs,
    cache: &Cache,
    output: &Output,
) -> Result<Vec<(&'a str, StageKey)>, Failure> {
    let pipeline = pipeline(of, output)?;
    let scope = Scope {
        targets: stages.iter().map(|stage| (*stage).to_owned()).collect(),
        ..Scope::all()
    };
    let plan = crate::commands::plan::make(&pipeline, &scope, &CacheLookups::new(cache))?;
    stages
        .iter()
        .map(|stage| {
            let planned = plan.stage(stage);
            match planned.and_then(|planned| planned.key) {
                Some(key) => Ok((*stage, key)),
                None => Err(Failure::new(
                    exit_codes::STAGE_FAILED,
                    format!("`{stage}` has no key yet: a stage before it has no result"),
                )
                .hint("`dag plan` says which; `dag run` makes it")),
            }
        })
        .collect()
}

/// Keys that a few digits may mean: of records, pins, work folders' owners and the trash.
fn known(cache: &Cache) -> Result<BTreeSet<StageKey>, Failure> {
    let failed = |error: dag_cache::CacheError| environment(&error);
    let mut known: BTreeSet<StageKey> = cache.keys().map_err(failed)?.into_iter().collect();
    known.extend(cache.pins().map_err(failed)?.into_iter().map(|pin| pin.key));
    for run in dag_cache::trash(cache).map_err(failed)? {
        known.extend(run.records);
    }
    Ok(known)
}

/// The key whose first digits these are; `None` if they are no digits, too few, or no known key's.
fn by_digits(name: &str, known: &BTreeSet<StageKey>) -> Result<Option<StageKey>, Failure> {
    let digits = name
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !digits || !(SHORTEST..=WHOLE).contains(&name.len()) {
        return Ok(None);
    }
    if let Ok(key) = name.parse() {
        return Ok(Some(StageKey(key)));
    }
    let mut fitting = known.iter().filter(|key| key.to_string().starts_with(name));
    match (fitting.next(), fitting.next()) {
        (Some(_), Some(_)) => Err(Failure::new(
            exit_codes::USAGE,
            format!("more than one key begins with `{name}`"),
        )
        .hint("give more digits; `dag cache ls` lists the keys")),
        (found, _) => Ok(found.copied()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_mean_a_key_if_only_one_begins_so() {
        let key = |text: &str| StageKey(format!("{text:0<64}").parse().unwrap());
        let known = BTreeSet::from([key("abcdef1"), key("abcdef2"), key("123456")]);
        assert_eq!(by_digits("123456", &known).unwrap(), Some(key("123456")));
        assert_eq!(by_digits("abcdef2", &known).unwrap(), Some(key("abcdef2")));
        assert!(by_digits("abcdef", &known).is_err());
        for stage in ["12345", "ABCDEF1", "traces", "fade", "bbbbbb"] {
            assert_eq!(by_digits(stage, &known).unwrap(), None, "{stage}");
        }
        let whole = "f".repeat(64);
        assert_eq!(by_digits(&whole, &known).unwrap(), Some(key(&whole)));
    }
}
