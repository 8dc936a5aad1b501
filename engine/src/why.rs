//! Why a stage runs again: its key's preimage beside that of an earlier result, entry by entry.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use dag_cache::{Lookup, StageKey, canon};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::checked::{CheckedStage, SourceLine};
use crate::history::PastStage;
use crate::key::entry;
use crate::lookups::Lookups;

/// Why a stage has the key it has, compared with the result before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// The stage.
    pub stage: String,
    /// Its key now, if known.
    pub key: Option<StageKey>,
    /// The result it is compared with.
    pub before: Option<Before>,
    /// What differs. Empty only if the key is known and nothing differs.
    pub changes: Vec<Change>,
}

/// The earlier result a stage is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Before {
    /// The run that had it.
    pub run: String,
    /// When that run began.
    pub at: Timestamp,
    /// Its key.
    pub key: StageKey,
}

/// One reason why a stage runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// No earlier result of a stage of this name.
    New,
    /// There was one, but the cache no longer knows what decided it.
    Forgotten,
    /// The same key had a result, which is gone from the cache or damaged.
    Lost {
        /// What is missing or damaged.
        what: String,
    },
    /// Only remotes have a record, and none that is believed.
    Refused {
        /// A sentence for each.
        reasons: Vec<String>,
    },
    /// The user asked for it.
    Forced,
    /// A stage before it runs first; only its result will tell.
    Upstream {
        /// The stage before.
        stage: String,
    },
    /// The stage is of another kind now.
    Kind {
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// The kind behaves differently since.
    Version {
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// Keys are made differently since.
    Format {
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// The seed.
    Seed {
        /// Before.
        from: String,
        /// Now.
        to: String,
        /// Where it stands.
        line: Option<SourceLine>,
    },
    /// A setting.
    Setting {
        /// The setting, dotted.
        setting: String,
        /// Before; none if it was not there.
        from: Option<String>,
        /// Now; none if it is gone.
        to: Option<String>,
        /// Where it stands.
        line: Option<SourceLine>,
    },
    /// The content of an input, or which inputs there are.
    Input {
        /// The slot.
        slot: String,
        /// The stage that fills it now, where one does.
        stage: Option<String>,
        /// Content before, short.
        from: Option<String>,
        /// Content now, short.
        to: Option<String>,
        /// Where the slot stands.
        line: Option<SourceLine>,
    },
    /// A model.
    Model {
        /// The slot.
        slot: String,
        /// Before.
        from: Option<String>,
        /// Now.
        to: Option<String>,
        /// Where it stands.
        line: Option<SourceLine>,
    },
    /// The content of a file or folder.
    File {
        /// The setting that names it.
        field: String,
        /// The file, as the pipeline names it.
        path: Option<PathBuf>,
        /// Where it stands.
        line: Option<SourceLine>,
    },
    /// The commit of a hub repository.
    Hub {
        /// The setting that names it.
        field: String,
        /// Before.
        from: Option<String>,
        /// Now.
        to: Option<String>,
        /// Where it stands.
        line: Option<SourceLine>,
    },
}

impl Change {
    /// Where in the pipeline file the reason stands, if it stands there.
    #[must_use]
    pub fn line(&self) -> Option<&SourceLine> {
        match self {
            Self::Seed { line, .. }
            | Self::Setting { line, .. }
            | Self::Input { line, .. }
            | Self::Model { line, .. }
            | Self::File { line, .. }
            | Self::Hub { line, .. } => line.as_ref(),
            Self::New
            | Self::Forgotten
            | Self::Lost { .. }
            | Self::Refused { .. }
            | Self::Forced
            | Self::Upstream { .. }
            | Self::Kind { .. }
            | Self::Version { .. }
            | Self::Format { .. } => None,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from_to =
            |f: &mut fmt::Formatter<'_>, what: &str, from: &Option<String>, to: &Option<String>| {
                match (from, to) {
                    (Some(from), Some(to)) => write!(f, "{what} changed from {from} to {to}"),
                    (None, Some(to)) => write!(f, "{what} is new: {to}"),
                    (Some(from), None) => write!(f, "{what} is gone; it was {from}"),
                    (None, None) => write!(f, "{what} changed"),
                }
            };
        match self {
            Self::New => f.write_str("never ran before"),
            Self::Forgotten => f.write_str("ran before, but the cache no longer knows with what"),
            Self::Lost { what } => write!(f, "its result is gone: {what}"),
            Self::Refused { reasons } => f.write_str(&reasons.join("; ")),
            Self::Forced => f.write_str("asked for"),
            Self::Upstream { stage } => write!(f, "`{stage}` runs first"),
            Self::Kind { from, to } => write!(f, "the kind changed from `{from}` to `{to}`"),
            Self::Version { from, to } => write!(f, "the kind's version went from {from} to {to}"),
            Self::Format { from, to } => write!(f, "keys of format {from} became format {to}"),
            Self::Seed { from, to, .. } => write!(f, "seed changed from {from} to {to}"),
            Self::Setting {
                setting, from, to, ..
            } => from_to(f, setting, from, to),
            Self::Input {
                slot,
                stage: Some(stage),
                from: Some(_),
                to: Some(_),
                ..
            } => {
                write!(f, "`{stage}` (input `{slot}`) gave another result")
            }
            Self::Input {
                slot,
                stage,
                from,
                to,
                ..
            } => {
                let stage = stage
                    .as_ref()
                    .map(|stage| format!(" `{stage}`"))
                    .unwrap_or_default();
                from_to(f, &format!("input `{slot}`{stage}"), from, to)
            }
            Self::Model { slot, from, to, .. } => from_to(f, &format!("model `{slot}`"), from, to),
            Self::File { field, path, .. } => match path {
                Some(path) => write!(f, "{} (`{field}`) changed", path.display()),
                None => write!(f, "file `{field}` changed"),
            },
            Self::Hub {
                field, from, to, ..
            } => from_to(f, &format!("hub revision of `{field}`"), from, to),
        }
    }
}

/// Compares a stage with its latest earlier result of another key. `preimage` is that of its key
/// now.
pub(crate) fn compare(
    stage: &CheckedStage,
    pipeline: &str,
    key: StageKey,
    preimage: &canon::Value,
    lookups: &dyn Lookups,
) -> (Option<Before>, Vec<Change>) {
    let past = lookups.past(pipeline, &stage.name);
    let Some(before) = past.iter().find(|past| past.key != key) else {
        return (None, vec![Change::New]);
    };
    let changes = match lookups.record(&before.key) {
        Lookup::Hit(record) | Lookup::Shared { record, .. } | Lookup::Incomplete { record, .. } => {
            diff(stage, &record.preimage, preimage)
        }
        Lookup::Miss | Lookup::Refused { .. } | Lookup::Damaged { .. } => vec![Change::Forgotten],
    };
    (Some(describe(before)), changes)
}

fn describe(past: &PastStage) -> Before {
    Before {
        run: past.run.clone(),
        at: past.at,
        key: past.key,
    }
}

/// What differs between two preimages of a stage.
pub(crate) fn diff(stage: &CheckedStage, from: &canon::Value, to: &canon::Value) -> Vec<Change> {
    let line = |path: &str| stage.line_of(path).cloned();
    let at = |value: &canon::Value, name: &str| part(value, name).cloned();
    let text = |value: &Option<canon::Value>| value.as_ref().map(show).unwrap_or_default();
    let mut changes = Vec::new();
    let pair = |name: &str| {
        let (from, to) = (at(from, name), at(to, name));
        (from != to).then(|| (text(&from), text(&to)))
    };
    if let Some((from, to)) = pair(entry::KIND) {
        let unquote = |text: String| text.trim_matches('"').to_owned();
        changes.push(Change::Kind {
            from: unquote(from),
            to: unquote(to),
        });
    }
    if let Some((from, to)) = pair(entry::VERSION) {
        changes.push(Change::Version { from, to });
    }
    if let Some((from, to)) = pair(entry::FORMAT) {
        changes.push(Change::Format { from, to });
    }
    if let Some((from, to)) = pair(entry::SEED) {
        let unquote = |text: String| text.trim_matches('"').to_owned();
        changes.push(Change::Seed {
            from: unquote(from),
            to: unquote(to),
            line: line("seed"),
        });
    }
    let mut settings = Vec::new();
    leaves(
        "",
        at(from, entry::SETTINGS).as_ref(),
        at(to, entry::SETTINGS).as_ref(),
        &mut settings,
    );
    for (setting, from, to) in settings {
        changes.push(Change::Setting {
            line: line(&setting),
            setting,
            from,
            to,
        });
    }
    for (slot, before, now) in entries(part(from, entry::INPUTS), part(to, entry::INPUTS)) {
        changes.extend(diff_inputs(stage, &slot, before, now));
    }
    for (slot, from, to) in entries(part(from, entry::MODELS), part(to, entry::MODELS)) {
        let line = line(&slot);
        changes.push(Change::Model {
            slot,
            from: from.map(show),
            to: to.map(show),
            line,
        });
    }
    for (field, _, _) in entries(part(from, entry::FILES), part(to, entry::FILES)) {
        let path = stage
            .declaration
            .files
            .iter()
            .find(|file| file.field == field);
        changes.push(Change::File {
            path: path.map(|file| file.path.clone()),
            line: line(&field),
            field,
        });
    }
    for (field, from, to) in entries(part(from, entry::HUB), part(to, entry::HUB)) {
        changes.push(Change::Hub {
            line: line(&field),
            field,
            from: from.map(show),
            to: to.map(show),
        });
    }
    changes
}

/// Inputs of one slot, position by position: the order of inputs is part of the key.
fn diff_inputs(
    stage: &CheckedStage,
    slot: &str,
    from: Option<&canon::Value>,
    to: Option<&canon::Value>,
) -> Vec<Change> {
    let list = |value: Option<&canon::Value>| match value {
        Some(canon::Value::List(values)) => values.iter().map(show).collect(),
        _ => Vec::<String>::new(),
    };
    let (from, to) = (list(from), list(to));
    let names: Vec<&str> = stage
        .inputs
        .iter()
        .filter(|input| input.slot == slot)
        .map(|input| input.stage.as_str())
        .collect();
    (0..from.len().max(to.len()))
        .filter(|position| from.get(*position) != to.get(*position))
        .map(|position| Change::Input {
            slot: slot.to_owned(),
            stage: names.get(position).map(|name| (*name).to_owned()),
            from: from.get(position).cloned(),
            to: to.get(position).cloned(),
            line: stage.line_of(slot).cloned(),
        })
        .collect()
}

fn part<'a>(value: &'a canon::Value, name: &str) -> Option<&'a canon::Value> {
    match value {
        canon::Value::Map(map) => map.get(name),
        _ => None,
    }
}

/// A named entry before and now.
type Entry<'a> = (String, Option<&'a canon::Value>, Option<&'a canon::Value>);

/// Entries of two maps that differ.
fn entries<'a>(from: Option<&'a canon::Value>, to: Option<&'a canon::Value>) -> Vec<Entry<'a>> {
    let empty = BTreeMap::new();
    let map = |value: Option<&'a canon::Value>| match value {
        Some(canon::Value::Map(map)) => Some(map),
        _ => None,
    };
    let (from, to) = (map(from), map(to));
    let names: BTreeSet<&String> = from
        .unwrap_or(&empty)
        .keys()
        .chain(to.unwrap_or(&empty).keys())
        .collect();
    names
        .into_iter()
        .map(|name| {
            (
                name.clone(),
                from.and_then(|map| map.get(name)),
                to.and_then(|map| map.get(name)),
            )
        })
        .filter(|(_, from, to)| from != to)
        .collect()
}

/// A settings leaf before and now, with its dotted path.
type Leaf = (String, Option<String>, Option<String>);

/// Collects the leaves that differ. Settings nest a few levels; the walk is a loop all the same.
fn leaves(
    path: &str,
    from: Option<&canon::Value>,
    to: Option<&canon::Value>,
    found: &mut Vec<Leaf>,
) {
    let mut open = vec![(path.to_owned(), from, to)];
    while let Some((path, from, to)) = open.pop() {
        if from == to {
            continue;
        }
        match (from, to) {
            (Some(canon::Value::Map(_)), Some(canon::Value::Map(_))) => {
                let inner = entries(from, to);
                open.extend(inner.into_iter().rev().map(|(name, from, to)| {
                    let path = if path.is_empty() {
                        name
                    } else {
                        format!("{path}.{name}")
                    };
                    (path, from, to)
                }));
            }
            _ => found.push((path, from.map(show), to.map(show))),
        }
    }
}

/// A value as a person reads it: digests short, text quoted, long text cut.
fn show(value: &canon::Value) -> String {
    const LONGEST: usize = 80;
    match value {
        canon::Value::Digest(digest) => digest.short().to_string(),
        canon::Value::Map(map) => {
            let inner: Vec<String> = map
                .iter()
                .map(|(name, value)| format!("{name} = {}", show(value)))
                .collect();
            format!("{{ {} }}", inner.join(", "))
        }
        canon::Value::List(list) => {
            let inner: Vec<String> = list.iter().map(show).collect();
            format!("[{}]", inner.join(", "))
        }
        canon::Value::Str(text) if text.chars().count() > LONGEST => {
            let cut: String = text.chars().take(LONGEST).collect();
            format!("{cut:?}…")
        }
        canon::Value::Str(text) => format!("{text:?}"),
        canon::Value::Null => "nothing".to_owned(),
        canon::Value::Bool(value) => value.to_string(),
        canon::Value::Int(value) => value.to_string(),
        canon::Value::Float(value) => value.to_string(),
    }
}
