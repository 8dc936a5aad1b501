//! `dag cache pin` and `unpin`: results that gc leaves alone.

use clap::Args;
use dag_cache::{Cache, Lookup, PinNote};
use serde_json::json;

use super::environment;
use super::names::{NameArgs, resolve};
use crate::commands::workspace::who;
use crate::commands::{CommandResult, Failure};
use crate::exit_codes;
use crate::render::{Output, Tone, moment, short_key, table};

/// What is pinned.
#[derive(Debug, Args)]
pub(crate) struct PinArgs {
    #[command(flatten)]
    names: NameArgs,
    /// Why, for who looks at the pins later
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
}

/// What is pinned no more.
#[derive(Debug, Args)]
pub(crate) struct UnpinArgs {
    #[command(flatten)]
    names: NameArgs,
}

pub(super) fn pin(cache: &Cache, args: &PinArgs, output: &Output) -> CommandResult {
    if args.names.names.is_empty() {
        return list(cache, output);
    }
    let note = PinNote {
        by: who(),
        why: args.why.clone(),
        at: jiff::Timestamp::now().to_string(),
    };
    let mut pinned = Vec::new();
    for named in resolve(&args.names.names, &args.names.of, cache, output)? {
        let found = cache
            .pin(&named.key, &note)
            .map_err(|error| environment(&error))?;
        let there = matches!(found, Lookup::Hit(_) | Lookup::Shared { .. });
        let (tone, rest) = if there {
            (Tone::Good, "")
        } else {
            (
                Tone::Warn,
                "; it has no result yet, and keeps the one it gets",
            )
        };
        if !output.is_json() {
            let text = format!("{} ({}){rest}", named.name, short_key(&named.key));
            output.say(tone, "Pinned", &text);
        }
        pinned.push(json!({ "name": named.name, "key": named.key, "result": there }));
    }
    if output.is_json() {
        output.document(&json!(pinned));
    }
    Ok(exit_codes::OK)
}

pub(super) fn unpin(cache: &Cache, args: &UnpinArgs, output: &Output) -> CommandResult {
    if args.names.names.is_empty() {
        return Err(
            Failure::new(exit_codes::USAGE, "nothing was named to be unpinned")
                .hint("`dag cache pin` lists what is pinned"),
        );
    }
    let mut code = exit_codes::OK;
    let mut unpinned = Vec::new();
    for named in resolve(&args.names.names, &args.names.of, cache, output)? {
        let was = cache
            .unpin(&named.key)
            .map_err(|error| environment(&error))?;
        let text = format!("{} ({})", named.name, short_key(&named.key));
        if output.is_json() {
        } else if was {
            output.say(Tone::Good, "Unpinned", &text);
        } else {
            output.say(Tone::Bad, "Not pinned", &text);
        }
        if !was {
            code = exit_codes::USAGE;
        }
        unpinned.push(json!({ "name": named.name, "key": named.key, "was_pinned": was }));
    }
    if output.is_json() {
        output.document(&json!(unpinned));
    }
    Ok(code)
}

fn list(cache: &Cache, output: &Output) -> CommandResult {
    let pins = cache.pins().map_err(|error| environment(&error))?;
    if output.is_json() {
        output.document(&json!(pins));
        return Ok(exit_codes::OK);
    }
    let rows = pins.iter().map(|pin| {
        let note = pin.note.clone().unwrap_or_default();
        vec![
            short_key(&pin.key),
            moment(&note.at),
            note.by,
            note.why,
            match cache.peek(&pin.key) {
                Lookup::Hit(_) | Lookup::Shared { .. } => String::new(),
                _ => "no result".to_owned(),
            },
        ]
    });
    output.result(&table(&["key", "pinned", "by", "why", ""], rows));
    Ok(exit_codes::OK)
}
