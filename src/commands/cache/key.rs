//! `dag cache key`: whose results are believed, and the key that signs one's own.

use std::path::Path;

use clap::{Args, Subcommand};
use dag_cache::trust::{Writer, WriterKey};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use serde_json::json;

use super::settings::{self, Home};
use crate::commands::{CommandResult, Failure, workspace};
use crate::exit_codes;
use crate::places;
use crate::remotes::config;
use crate::render::{Output, Tone, table};

/// Writers: who signs results, and whose signature counts.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make this user's key, with which results are signed
    New(NewArgs),
    /// List the writers that are known
    List,
    /// Believe a writer from now on
    Trust(TrustArgs),
    /// Believe a writer no more, nor anything they ever signed
    Revoke(RevokeArgs),
}

/// Who it is.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The name that colleagues see; by default the user's
    #[arg(long)]
    name: Option<String>,
}

/// Who is believed.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// The name to know them by
    name: String,
    /// Their public key, as `dag cache key list` shows it to them
    #[arg(value_name = "ed25519:…")]
    key: String,
    /// Write it into the project's `dag-cache.toml`, for everybody who works there
    #[arg(long)]
    project: bool,
}

/// Who is believed no more.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// Their name, or their public key
    who: String,
    /// Write it into the project's `dag-cache.toml`, for everybody who works there
    #[arg(long)]
    project: bool,
}

pub(crate) fn run(command: &KeyCommand, output: &Output) -> CommandResult {
    match command {
        KeyCommand::New(args) => new(args, output),
        KeyCommand::List => list(output),
        KeyCommand::Trust(args) => trust(args, output),
        KeyCommand::Revoke(args) => revoke(args, output),
    }
}

fn new(args: &NewArgs, output: &Output) -> CommandResult {
    let file = config::key_file()?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => own_name(),
    };
    let environment =
        |error: std::io::Error| Failure::new(exit_codes::ENVIRONMENT, error.to_string());
    if file.exists() {
        return Err(there_already(&file));
    }
    let key = WriterKey::generate().map_err(environment)?;
    let mut keyring = config::read(Path::new("."))?.keyring;
    keyring
        .trust(&name, key.writer())
        .map_err(|error| Failure::new(exit_codes::USAGE, error.to_string()))?;
    if let Some(folder) = file.parent() {
        fs_err::create_dir_all(folder).map_err(environment)?;
    }
    let written = fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut file| {
            use std::io::Write as _;
            writeln!(file, "{}", *key.to_text())?;
            file.sync_all()
        });
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(there_already(&file));
        }
        written => written.map_err(environment)?,
    }
    settings::edit(&Home::User, |document| {
        settings::table(document, &["writers"])
            .insert(&name, toml_edit::value(key.writer().to_string()));
        Ok(())
    })?;
    if output.is_json() {
        output.document(&json!({ "name": name, "writer": key.writer(), "file": file }));
        return Ok(exit_codes::OK);
    }
    output.say(
        Tone::Good,
        "Made",
        &format!("{}, which only you can read", file.display()),
    );
    output.say(Tone::Good, "Tell", "colleagues who shall believe you run:");
    output.result(&format!("dag cache key trust {name} {}", key.writer()));
    Ok(exit_codes::OK)
}

fn there_already(file: &Path) -> Failure {
    Failure::new(
        exit_codes::USAGE,
        format!("there is a key already: {}", file.display()),
    )
    .hint("`dag cache key list` shows it; to make another, revoke it and move the file away")
}

/// The user's name, as far as it can be a writer's.
fn own_name() -> String {
    let user = workspace::who();
    let name: String = user
        .split('@')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        .collect();
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        name
    } else {
        "me".to_owned()
    }
}

fn list(output: &Output) -> CommandResult {
    let config = config::read(Path::new("."))?;
    for warning in &config.warnings {
        output.say(Tone::Warn, "Writers", warning);
    }
    let own = config.key.as_ref().map(WriterKey::writer);
    if output.is_json() {
        output.document(&json!({
            "own": own,
            "writers": config.keyring.writers().map(|(name, writer)| json!({
                "name": name, "writer": writer,
            })).collect::<Vec<_>>(),
            "revoked": config.keyring.revoked().map(|(writer, revocation)| json!({
                "writer": writer, "name": revocation.name, "at": revocation.at,
            })).collect::<Vec<_>>(),
        }));
        return Ok(exit_codes::OK);
    }
    let mut rows = Vec::new();
    for (name, writer) in config.keyring.writers() {
        let state = if own == Some(writer) { "yours" } else { "" };
        rows.push(vec![name.to_owned(), writer.to_string(), state.to_owned()]);
    }
    for (writer, revocation) in config.keyring.revoked() {
        rows.push(vec![
            revocation.name.clone().unwrap_or_default(),
            writer.to_string(),
            format!("revoked {}", revocation.at),
        ]);
    }
    if rows.is_empty() {
        output.say(
            Tone::Warn,
            "Writers",
            "none; `dag cache key new` makes your key, `dag cache key trust` believes a colleague's",
        );
        return Ok(exit_codes::OK);
    }
    output.result(&table(&["name", "writer", ""], rows));
    if own.is_none() {
        output.say(
            Tone::Warn,
            "Key",
            "this machine has none, so it only reads; `dag cache key new` makes one",
        );
    }
    Ok(exit_codes::OK)
}

fn writer(text: &str) -> Result<Writer, Failure> {
    text.parse().map_err(|error: dag_cache::trust::NotAWriter| {
        Failure::new(exit_codes::USAGE, error.to_string()).hint(
            "`dag cache key list` shows a public key to its owner; secrets stay where they are",
        )
    })
}

fn trust(args: &TrustArgs, output: &Output) -> CommandResult {
    let writer = writer(&args.key)?;
    let mut keyring = config::read(Path::new("."))?.keyring;
    keyring
        .trust(&args.name, writer)
        .map_err(|error| Failure::new(exit_codes::USAGE, error.to_string()))?;
    let file = settings::edit(&Home::of(args.project), |document| {
        settings::table(document, &["writers"])
            .insert(&args.name, toml_edit::value(writer.to_string()));
        Ok(())
    })?;
    output.say(
        Tone::Good,
        "Trusted",
        &format!("{} ({}) in {}", args.name, writer.short(), file.display()),
    );
    Ok(exit_codes::OK)
}

fn revoke(args: &RevokeArgs, output: &Output) -> CommandResult {
    let keyring = config::read(Path::new("."))?.keyring;
    let known = match keyring.writer(&args.who) {
        Some(writer) => writer,
        None if args.who.contains(':') => writer(&args.who)?,
        None => {
            let names: Vec<&str> = keyring.writers().map(|(name, _)| name).collect();
            return Err(Failure::new(
                exit_codes::USAGE,
                format!("no writer is known as `{}`", args.who),
            )
            .hint(if names.is_empty() {
                "nobody is known; a key can be revoked by itself: `dag cache key revoke ed25519:…`"
                    .to_owned()
            } else {
                format!("known are {}", names.join(", "))
            }));
        }
    };
    let at = places::now();
    let file = settings::edit(&Home::of(args.project), |document| {
        let writers = settings::table(document, &["writers"]);
        writers.retain(|_, item| item.as_str() != Some(&known.to_string()));
        let entry = settings::table(document, &["revoked", &known.to_string()]);
        entry.insert("at", toml_edit::value(&at));
        if let Some(name) = keyring.name_of(&known) {
            entry.insert("name", toml_edit::value(name));
        }
        Ok(())
    })?;
    output.say(
        Tone::Good,
        "Revoked",
        &format!(
            "{} in {}; nothing they signed is believed, what was fetched included",
            args.who,
            file.display()
        ),
    );
    Ok(exit_codes::OK)
}
