//! `dag cache remote`: which remotes there are, and whether they do what they should.

use std::path::Path;
use std::time::Instant;

use clap::{Args, Subcommand};
use dag_cache::remote::Push;
use dag_cache::store::{Created, Store};
use dag_cache::trust::Trust;
use serde_json::json;

use super::settings::{self, Home};
use crate::commands::{CommandResult, Failure, chain, workspace};
use crate::exit_codes;
use crate::remotes::{self, config};
use crate::render::{Output, Tone, duration, table};

/// Caches elsewhere, whose results are fetched instead of made again.
#[derive(Debug, Subcommand)]
pub(crate) enum RemoteCommand {
    /// Write down a remote
    Add(AddArgs),
    /// List the remotes in the order they are asked
    List,
    /// Forget a remote; what it holds stays there
    Remove(RemoveArgs),
    /// Read, write and remove a few bytes there, and say what works
    Test(TestArgs),
}

/// What is written down.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Its name
    name: String,
    /// Where it lies: `file:///folder`, `s3://bucket/prefix`, `gs://…`, `az://…`, `https://…`
    url: String,
    /// Whose results are believed: `signed` (by any known writer), `any`, or names with commas
    #[arg(long, default_value = "signed", value_name = "WHOM")]
    trust: String,
    /// When results go there: `never` (only by `dag cache push`) or `on-success`
    #[arg(long, default_value = "never", value_name = "WHEN")]
    push: String,
    /// Write it into the project's `dag-cache.toml`, for everybody who works there
    #[arg(long)]
    project: bool,
}

/// What is forgotten.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Its name
    name: String,
}

/// What is tested.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Its name; all of them if none is given
    name: Option<String>,
}

pub(crate) fn run(command: &RemoteCommand, output: &Output) -> CommandResult {
    match command {
        RemoteCommand::Add(args) => add(args, output),
        RemoteCommand::List => list(output),
        RemoteCommand::Remove(args) => remove(args, output),
        RemoteCommand::Test(args) => test(args, output),
    }
}

fn add(args: &AddArgs, output: &Output) -> CommandResult {
    if !config::is_name(&args.name) {
        return Err(Failure::new(
            exit_codes::USAGE,
            format!("`{}` cannot be the name of a remote", args.name),
        )
        .hint("letters, digits, `-`, `_` and `.`, beginning with a letter or digit"));
    }
    let url = absolute(&args.url);
    if args.project && has_password(&url) {
        return Err(Failure::new(
            exit_codes::USAGE,
            "the URL holds a password, and the project's file is for everybody",
        )
        .hint("leave out --project, or give each machine the URL in DAG_CACHE_REMOTES"));
    }
    let remote = config::Remote {
        name: args.name.clone(),
        url: url.clone(),
        trust: config::trust(&args.trust)?,
        push: config::push(&args.push)?,
        source: config::Source::Environment,
    };
    let cache = workspace::open_cache()?;
    // A URL that names no store is told now, and not by the next run.
    remotes::store(&remote, &cache)
        .map_err(|error| Failure::new(exit_codes::USAGE, chain(&error)))?;
    let home = Home::of(args.project);
    let file = settings::edit(&home, |document| {
        let table = settings::table(document, &["remotes", &args.name]);
        table.insert("url", toml_edit::value(&url));
        match &remote.trust {
            Trust::Signed => {
                table.remove("trust");
            }
            Trust::Any => {
                table.insert("trust", toml_edit::value("any"));
            }
            Trust::Writers(names) => {
                let names: toml_edit::Array = names.iter().map(String::as_str).collect();
                table.insert("trust", toml_edit::value(names));
            }
        }
        match remote.push {
            Push::Never => {
                table.remove("push");
            }
            Push::OnSuccess => {
                table.insert("push", toml_edit::value("on-success"));
            }
        }
        Ok(())
    })?;
    output.say(
        Tone::Good,
        "Added",
        &format!("remote `{}` in {}", args.name, file.display()),
    );
    if remote.push == Push::OnSuccess && config::read(Path::new("."))?.key.is_none() {
        output.say(
            Tone::Warn,
            "Key",
            "nothing is pushed without a writer key: `dag cache key new` makes one",
        );
    }
    Ok(exit_codes::OK)
}

/// A folder that is named by its path alone becomes the URL it is.
fn absolute(url: &str) -> String {
    if url.contains("://") {
        return url.to_owned();
    }
    match std::path::absolute(url) {
        Ok(path) => format!("file://{}", path.display()),
        Err(_) => url.to_owned(),
    }
}

/// Whether there is something before an `@` in the part of the URL that names the host.
fn has_password(url: &str) -> bool {
    url.split_once("://")
        .and_then(|(_, rest)| rest.split(['/', '?', '#']).next())
        .is_some_and(|host| host.contains('@'))
}

fn trust_in_words(trust: &Trust) -> String {
    match trust {
        Trust::Any => "any".to_owned(),
        Trust::Signed => "signed".to_owned(),
        Trust::Writers(names) => names.join(", "),
    }
}

fn push_in_words(push: Push, has_key: bool) -> &'static str {
    match (push, has_key) {
        (Push::Never, _) => "never",
        (Push::OnSuccess, true) => "on success",
        (Push::OnSuccess, false) => "never: no key",
    }
}

fn list(output: &Output) -> CommandResult {
    let config = config::read(Path::new("."))?;
    for warning in &config.warnings {
        output.say(Tone::Warn, "Writers", warning);
    }
    if output.is_json() {
        let list: Vec<_> = config
            .remotes
            .iter()
            .map(|remote| {
                json!({
                    "name": remote.name,
                    "url": settings::shown(&remote.url),
                    "trust": trust_in_words(&remote.trust),
                    "push": push_in_words(remote.push, config.key.is_some()),
                    "from": remote.source.to_string(),
                })
            })
            .collect();
        output.document(&json!(list));
        return Ok(exit_codes::OK);
    }
    if config.remotes.is_empty() {
        output.say(
            Tone::Warn,
            "Remotes",
            "none; `dag cache remote add NAME URL` writes one down",
        );
        return Ok(exit_codes::OK);
    }
    let rows = config.remotes.iter().map(|remote| {
        vec![
            remote.name.clone(),
            settings::shown(&remote.url),
            trust_in_words(&remote.trust),
            push_in_words(remote.push, config.key.is_some()).to_owned(),
            remote.source.to_string(),
        ]
    });
    output.result(&table(&["name", "url", "trusts", "pushes", "from"], rows));
    Ok(exit_codes::OK)
}

fn remove(args: &RemoveArgs, output: &Output) -> CommandResult {
    let config = config::read(Path::new("."))?;
    let Some(remote) = config
        .remotes
        .iter()
        .find(|remote| remote.name == args.name)
    else {
        return Err(no_such(&args.name, &config));
    };
    let file = match &remote.source {
        config::Source::File(path) => path.clone(),
        config::Source::Environment => {
            return Err(Failure::new(
                exit_codes::USAGE,
                format!("`{}` stands in DAG_CACHE_REMOTES", args.name),
            )
            .hint("take it out there"));
        }
    };
    settings::edit(&Home::At(file.clone()), |document| {
        if let Some(remotes) = document
            .get_mut("remotes")
            .and_then(toml_edit::Item::as_table_like_mut)
        {
            remotes.remove(&args.name);
        }
        Ok(())
    })?;
    output.say(
        Tone::Good,
        "Removed",
        &format!("remote `{}` from {}", args.name, file.display()),
    );
    Ok(exit_codes::OK)
}

pub(super) fn no_such(name: &str, config: &config::Config) -> Failure {
    let names: Vec<&str> = config
        .remotes
        .iter()
        .map(|remote| remote.name.as_str())
        .collect();
    let failure = Failure::new(exit_codes::USAGE, format!("there is no remote `{name}`"));
    if names.is_empty() {
        failure.hint("`dag cache remote add NAME URL` writes one down")
    } else {
        failure.hint(format!("there is {}", names.join(", ")))
    }
}

/// What a remote can do, a line each.
struct Findings(Vec<(Tone, &'static str, String)>);

fn test(args: &TestArgs, output: &Output) -> CommandResult {
    let config = config::read(Path::new("."))?;
    let chosen: Vec<_> = config
        .remotes
        .iter()
        .filter(|remote| args.name.as_ref().is_none_or(|name| *name == remote.name))
        .collect();
    if chosen.is_empty() {
        return Err(no_such(args.name.as_deref().unwrap_or("any"), &config));
    }
    let cache = workspace::open_cache()?;
    let mut good = true;
    let mut all = Vec::new();
    for remote in chosen {
        let findings = match remotes::store(remote, &cache) {
            Ok(store) => examine(&*store, remote, &config),
            Err(error) => Findings(vec![(Tone::Bad, "opens", chain(&error))]),
        };
        good &= findings.0.iter().all(|(tone, ..)| *tone != Tone::Bad);
        if output.is_json() {
            all.push(json!({
                "name": remote.name,
                "findings": findings.0.iter().map(|(tone, what, text)| json!({
                    "what": what, "ok": *tone != Tone::Bad, "text": text,
                })).collect::<Vec<_>>(),
            }));
            continue;
        }
        output.result(&format!(
            "{}  {}",
            remote.name,
            settings::shown(&remote.url)
        ));
        for (tone, what, text) in findings.0 {
            output.say(tone, what, &text);
        }
    }
    if output.is_json() {
        output.document(&json!(all));
    }
    Ok(if good {
        exit_codes::OK
    } else {
        exit_codes::ENVIRONMENT
    })
}

fn examine(store: &dyn Store, remote: &config::Remote, config: &config::Config) -> Findings {
    let mut found = Vec::new();
    let began = Instant::now();
    match store.size("records-v1/00/test") {
        Ok(_) => found.push((
            Tone::Good,
            "reads",
            format!("answers in {}", duration(began.elapsed().as_secs_f64())),
        )),
        Err(error) => {
            found.push((Tone::Bad, "reads", error.to_string()));
            return Findings(found);
        }
    }
    match store.list("rows-v1/test", &mut |_, _| Ok(())) {
        Ok(()) => found.push((
            Tone::Good,
            "lists",
            "rows of colleagues can be found".to_owned(),
        )),
        Err(error) => found.push((
            Tone::Warn,
            "lists",
            format!("no; finished stages are shared, single rows are not: {error}"),
        )),
    }
    let Some(key) = &config.key else {
        found.push((
            Tone::Warn,
            "writes",
            "not tried: this machine has no writer key, so it only reads".to_owned(),
        ));
        return Findings(found);
    };
    let name = format!("test-v1/{}", key.writer().short());
    drop(store.remove(&name));
    match (store.create(&name, b"one"), store.create(&name, b"two")) {
        (Ok(Created::New), Ok(Created::Exists)) => found.push((
            Tone::Good,
            "writes",
            "and of two who write one name, the first is kept".to_owned(),
        )),
        (Ok(_), Ok(_)) => found.push((
            Tone::Bad,
            "writes",
            "of two who write one name, the second takes the first one's place: two results for \
             a key would not be noticed"
                .to_owned(),
        )),
        (Err(error), _) | (_, Err(error)) => {
            let tone = if remote.push == Push::OnSuccess {
                Tone::Bad
            } else {
                Tone::Warn
            };
            found.push((tone, "writes", format!("no: {error}")));
        }
    }
    drop(store.remove(&name));
    let who = config
        .keyring
        .name_of(&key.writer())
        .map_or_else(|| format!("writer {}", key.writer().short()), str::to_owned);
    found.push((Tone::Good, "signs", format!("as {who}")));
    Findings(found)
}
