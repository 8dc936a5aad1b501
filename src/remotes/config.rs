//! Where remotes and writers are written down: the user's `cache.toml`, the project's `dag-cache.toml`,
//! and the environment. All three say the same things in the same words.
//!
//! ```toml
//! [remotes.team]
//! url   = "s3://bucket/dag"
//! trust = "signed"          # or "any", or ["alice", "bob"]
//! push  = "on-success"      # or "never"
//!
//! [writers]
//! alice = "ed25519:…"
//! ```

use std::path::{Path, PathBuf};

use dag_cache::remote::Push;
use dag_cache::trust::{Keyring, Revocation, Trust, Writer, WriterKey};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::commands::Failure;
use crate::{exit_codes, places};

/// Where a remote is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `DAG_CACHE_REMOTES`.
    Environment,
    /// A file.
    File(PathBuf),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Environment => f.write_str("DAG_CACHE_REMOTES"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// A remote as it is written down.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) trust: Trust,
    pub(crate) push: Push,
    pub(crate) source: Source,
}

/// Everything that is written down about remotes and writers.
pub(crate) struct Config {
    /// In the order they are asked: environment, project, user.
    pub(crate) remotes: Vec<Remote>,
    pub(crate) keyring: Keyring,
    pub(crate) key: Option<WriterKey>,
    /// What contradicts itself, a sentence each.
    pub(crate) warnings: Vec<String>,
}

/// One file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    remotes: toml::Table,
    writers: std::collections::BTreeMap<String, Writer>,
    revoked: std::collections::BTreeMap<Writer, Revocation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    url: String,
    #[serde(default)]
    trust: Trust,
    #[serde(default)]
    push: Push,
}

/// The user's own file.
pub(crate) fn user_file() -> Result<PathBuf, Failure> {
    let root =
        places::config_root().map_err(|error| Failure::new(exit_codes::ENVIRONMENT, error))?;
    Ok(root.join("cache.toml"))
}

/// The file of the writer's key.
pub(crate) fn key_file() -> Result<PathBuf, Failure> {
    Ok(user_file()?.with_file_name("writer.key"))
}

/// Reads everything that counts for a pipeline in this folder.
pub(crate) fn read(folder: &Path) -> Result<Config, Failure> {
    let mut config = Config {
        remotes: environment()?,
        keyring: Keyring::default(),
        key: key()?,
        warnings: Vec::new(),
    };
    let user = user_file()?;
    // The user's word stands over the project's: of two remotes or writers with one name, theirs counts.
    let mut files = vec![(user.clone(), file(&user)?)];
    if let Some(project) = places::project_cache_file(folder) {
        files.push((project.clone(), file(&project)?));
    }
    for (path, file) in &files {
        for (name, writer) in &file.writers {
            if let Err(error) = config.keyring.trust(name, *writer) {
                config.warnings.push(format!(
                    "{}: writer `{name}` is left out: {error}",
                    path.display()
                ));
            }
        }
        for (writer, revocation) in &file.revoked {
            config.keyring.revoke(*writer, &revocation.at);
        }
    }
    let mut of_user = Vec::new();
    for (position, (path, file)) in files.into_iter().enumerate() {
        for (name, value) in file.remotes {
            let settings: Settings = value.try_into().map_err(|error: toml::de::Error| {
                wrong(&path, &format!("[remotes.{name}]: {}", error.message()))
            })?;
            let remote = checked(Remote {
                name,
                url: settings.url,
                trust: settings.trust,
                push: settings.push,
                source: Source::File(path.clone()),
            })?;
            if position == 0 {
                of_user.push(remote);
            } else if !of_user.iter().any(|other| other.name == remote.name) {
                config.remotes.push(remote);
            }
        }
    }
    config.remotes.append(&mut of_user);
    let mut seen = std::collections::BTreeSet::new();
    config
        .remotes
        .retain(|remote| seen.insert(remote.name.clone()));
    for remote in &mut config.remotes {
        overridden(remote)?;
    }
    if let Some(key) = &config.key {
        let writer = key.writer();
        if config.keyring.name_of(&writer).is_none() && !config.keyring.is_revoked(&writer) {
            // One's own results are believed; `me` may be a colleague's name already.
            drop(config.keyring.trust("me", writer));
        }
    }
    Ok(config)
}

fn wrong(path: &Path, reason: &str) -> Failure {
    Failure::new(
        exit_codes::ENVIRONMENT,
        format!("`{}` is not as it should be: {reason}", path.display()),
    )
    .hint("docs/sharing.md says what stands there; `dag cache remote add` and `dag cache key trust` write it")
}

fn file(path: &Path) -> Result<File, Failure> {
    match fs_err::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map_err(|error| wrong(path, &error.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(File::default()),
        Err(error) => Err(wrong(path, &error.to_string())),
    }
}

/// Names of remotes are words: they stand in file names, options and messages.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn checked(remote: Remote) -> Result<Remote, Failure> {
    if is_name(&remote.name) {
        return Ok(remote);
    }
    Err(Failure::new(
        exit_codes::ENVIRONMENT,
        format!(
            "{}: `{}` cannot be the name of a remote",
            remote.source, remote.name
        ),
    )
    .hint("letters, digits, `-`, `_` and `.`, beginning with a letter or digit"))
}

/// `DAG_CACHE_REMOTES="team=s3://bucket/dag lab=file:///mnt/lab"`.
fn environment() -> Result<Vec<Remote>, Failure> {
    let Some(text) = places::variable("DAG_CACHE_REMOTES") else {
        return Ok(Vec::new());
    };
    text.split_whitespace()
        .map(|part| {
            let (name, url) = part.split_once('=').ok_or_else(|| {
                Failure::new(
                    exit_codes::ENVIRONMENT,
                    format!("DAG_CACHE_REMOTES holds `{part}`, which is no NAME=URL"),
                )
                .hint("for example DAG_CACHE_REMOTES=\"team=s3://bucket/dag\"")
            })?;
            checked(Remote {
                name: name.to_owned(),
                url: url.to_owned(),
                trust: Trust::default(),
                push: Push::default(),
                source: Source::Environment,
            })
        })
        .collect()
}

/// `DAG_CACHE_PUSH` and `DAG_CACHE_TRUST` stand over what is written in files.
fn overridden(remote: &mut Remote) -> Result<(), Failure> {
    if let Some(text) = places::variable("DAG_CACHE_PUSH") {
        remote.push = push(&text)?;
    }
    if let Some(text) = places::variable("DAG_CACHE_TRUST") {
        remote.trust = trust(&text)?;
    }
    Ok(())
}

/// `never` or `on-success`.
pub(crate) fn push(text: &str) -> Result<Push, Failure> {
    match text {
        "never" => Ok(Push::Never),
        "on-success" => Ok(Push::OnSuccess),
        _ => Err(Failure::new(
            exit_codes::USAGE,
            format!("results are pushed `never` or `on-success`, not `{text}`"),
        )),
    }
}

/// `any`, `signed`, or names with commas.
pub(crate) fn trust(text: &str) -> Result<Trust, Failure> {
    match text {
        "any" => Ok(Trust::Any),
        "signed" => Ok(Trust::Signed),
        names => Trust::writers(
            names
                .split(',')
                .map(|name| name.trim().to_owned())
                .collect(),
        )
        .map_err(|error| Failure::new(exit_codes::USAGE, error.to_string())),
    }
}

/// The writer's key: `DAG_WRITER_KEY`, or the file.
fn key() -> Result<Option<WriterKey>, Failure> {
    let (text, place) = match places::variable("DAG_WRITER_KEY") {
        Some(text) => (Zeroizing::new(text), "DAG_WRITER_KEY".to_owned()),
        None => {
            let path = key_file()?;
            match fs_err::read_to_string(&path) {
                Ok(text) => (Zeroizing::new(text), path.display().to_string()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => {
                    return Err(Failure::new(exit_codes::ENVIRONMENT, error.to_string()));
                }
            }
        }
    };
    WriterKey::from_text(text.trim())
        .map(Some)
        .map_err(|error| {
            Failure::new(
                exit_codes::ENVIRONMENT,
                format!("{place} holds no writer key: {error}"),
            )
            .hint("`dag cache key new` makes one")
        })
}
