//! The text as tables with places: sections taken apart, command-line values put in, nothing yet
//! understood. What is merged in keeps the span of where it was written.

use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::nearest::{did_you_mean, listed};
use crate::diagnostic::{Finding, Sources};

/// A stretch of the sources.
pub(crate) type Place = Range<usize>;
/// A TOML value with its place.
pub(crate) type Value<'s> = Spanned<DeValue<'s>>;

/// A named entry of a section: `[stage.NAME]`, `[models.NAME]`, …
#[derive(Debug, Clone)]
pub(crate) struct Entry<'s> {
    pub(crate) name: String,
    /// Where the name stands.
    pub(crate) at: Place,
    pub(crate) value: Value<'s>,
}

impl<'s> Entry<'s> {
    pub(crate) fn table(&self) -> Option<&DeTable<'s>> {
        self.value.get_ref().as_table()
    }
}

/// A section of named entries that can be looked up by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Section<'s> {
    pub(crate) entries: Vec<Entry<'s>>,
    index: HashMap<String, usize>,
}

impl<'s> Section<'s> {
    pub(crate) fn get(&self, name: &str) -> Option<&Entry<'s>> {
        self.index.get(name).and_then(|at| self.entries.get(*at))
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    fn push(&mut self, entry: Entry<'s>) {
        self.index.insert(entry.name.clone(), self.entries.len());
        self.entries.push(entry);
    }
}

/// A pipeline file, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Document<'s> {
    pub(crate) header: Option<Entry<'s>>,
    pub(crate) models: Section<'s>,
    pub(crate) stages: Section<'s>,
    pub(crate) defaults: Section<'s>,
    pub(crate) limits: Section<'s>,
    /// `[sweep]`, nested tables already written as one dotted key.
    pub(crate) sweep: Vec<Entry<'s>>,
    /// `stage.field` paths to which a `--set` gave a value: these are swept no longer.
    pub(crate) set: Vec<String>,
}

const SECTIONS: [&str; 6] = ["pipeline", "models", "stage", "defaults", "sweep", "limits"];

/// Parses the file (the first source) and puts the `--set` values in.
///
/// `None` when the text is not TOML.
pub(crate) fn read<'s>(
    text: &'s str,
    sets: &[(usize, &'s str)],
    findings: &mut Vec<Finding>,
) -> Option<Document<'s>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut broken = false;
    let mut last_line = usize::MAX;
    let mut repeated_until = 0;
    for error in errors {
        let at = error.span().unwrap_or(0..0);
        if error.message().starts_with("duplicate key") {
            // a table written twice repeats its keys, too: that is one mistake
            if at.start < repeated_until {
                continue;
            }
            if header_line(text, &at).is_some() {
                let rest = text.get(at.end..).unwrap_or_default();
                repeated_until = rest.find("\n[").map_or(text.len(), |next| at.end + next);
            }
            findings.push(duplicate(text, at, root.get_ref()));
        } else {
            // what follows on the same line follows from the first
            broken = true;
            let line = line_start(text, at.start);
            if line == last_line {
                continue;
            }
            last_line = line;
            let (message, expected) = match error.message().split_once(", expected ") {
                Some((message, expected)) => (message, format!("expected {expected} here")),
                None => (error.message(), String::new()),
            };
            findings.push(
                Finding::error("D0101", at, format!("this is not TOML: {message}")).here(expected),
            );
        }
    }
    if broken {
        return None;
    }
    let mut root = root.into_inner();
    let mut document = Document::default();
    for (base, set) in sets {
        if let Some(path) = apply_set(&mut root, *base, set, findings) {
            document.set.push(path);
        }
    }
    take_apart(root, &mut document, findings);
    Some(document)
}

fn duplicate(text: &str, at: Place, root: &DeTable<'_>) -> Finding {
    let name = text.get(at.clone()).unwrap_or_default().trim();
    let finding = Finding::error("D0107", at.clone(), format!("`{name}` is written twice"))
        .here("the second time");
    let first = match header_line(text, &at) {
        Some(line) => {
            let start = text.find(line).filter(|start| *start < at.start);
            start.map(|start| start..start + line.len())
        }
        None => first_of(root, name, &at),
    };
    match first {
        Some(first) => finding.also(first, "the first time"),
        None => finding,
    }
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |end| end + 1)
}

/// The line around a place, if it is the header of a table.
fn header_line<'s>(text: &'s str, at: &Place) -> Option<&'s str> {
    let line = text
        .get(line_start(text, at.start)..)?
        .lines()
        .next()?
        .trim_end();
    line.starts_with('[').then_some(line)
}

/// The last key of this name before `at`: TOML reports the second, the table keeps the first.
fn first_of(root: &DeTable<'_>, name: &str, at: &Place) -> Option<Place> {
    let mut best: Option<Place> = None;
    let mut open = vec![root];
    while let Some(table) = open.pop() {
        for (key, value) in table.iter() {
            let span = key.span();
            if key.get_ref() == name
                && span.end <= at.start
                && best.as_ref().is_none_or(|best| best.start < span.start)
            {
                best = Some(span);
            }
            if let DeValue::Table(inner) = value.get_ref() {
                open.push(inner);
            }
        }
    }
    best
}

fn take_apart<'s>(root: DeTable<'s>, document: &mut Document<'s>, findings: &mut Vec<Finding>) {
    for (key, value) in root {
        let (at, name) = (key.span(), key.into_inner().into_owned());
        let entry = Entry { name, at, value };
        if !SECTIONS.contains(&entry.name.as_str()) {
            findings.push(unknown_section(&entry));
            continue;
        }
        if entry.table().is_none() {
            findings.push(
                Finding::error(
                    "D0103",
                    entry.value.span(),
                    format!(
                        "`{}` must be a table, not {}",
                        entry.name,
                        described(entry.value.get_ref())
                    ),
                )
                .help(format!("begin a table with `[{}]`", entry.name)),
            );
            continue;
        }
        match entry.name.as_str() {
            "pipeline" => document.header = Some(entry),
            "models" => document.models = section(entry, "model", findings),
            "stage" => document.stages = section(entry, "stage", findings),
            "defaults" => document.defaults = section(entry, "kind", findings),
            "limits" => document.limits = section(entry, "limit", findings),
            _ => document.sweep = sweep_entries(entry),
        }
    }
}

fn unknown_section(entry: &Entry<'_>) -> Finding {
    let finding = Finding::error(
        "D0106",
        entry.at.clone(),
        format!("there is no section `{}` in a pipeline file", entry.name),
    );
    match entry.name.as_str() {
        "stages" => finding.help("stages are written `[stage.NAME]`"),
        "name" | "seed" | "budget" => finding.help(format!(
            "`{}` belongs into the table `[pipeline]`",
            entry.name
        )),
        name => finding
            .maybe_help(did_you_mean(name, SECTIONS))
            .help(format!("the sections are {}", listed(SECTIONS))),
    }
}

/// Takes the entries of a section; checks that names are names and that entries are tables.
fn section<'s>(entry: Entry<'s>, what: &str, findings: &mut Vec<Finding>) -> Section<'s> {
    let mut section = Section::default();
    let DeValue::Table(table) = entry.value.into_inner() else {
        return section;
    };
    for (key, value) in table {
        let (at, name) = (key.span(), key.into_inner().into_owned());
        if what != "limit" && !value.get_ref().is_table() {
            findings.push(
                Finding::error(
                    "D0103",
                    value.span(),
                    format!(
                        "`{name}` must be a table, not {}",
                        described(value.get_ref())
                    ),
                )
                .help(format!(
                    "write `[{}.{name}]` and its settings below",
                    entry.name
                )),
            );
            continue;
        }
        if matches!(what, "stage" | "model") && !is_name(&name) {
            findings.push(
                Finding::error(
                    "D0110",
                    at.clone(),
                    format!("`{name}` cannot be the name of a {what}"),
                )
                .help(
                    "a name begins with a letter and has letters, digits, `_` and `-`, at most 64",
                ),
            );
        }
        section.push(Entry { name, at, value });
    }
    section
}

/// A name: a letter, then letters, digits, `_`, `-`; at most 64 characters, ASCII.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// `"a.b" = […]` and `a.b = […]` mean the same.
fn sweep_entries<'s>(entry: Entry<'s>) -> Vec<Entry<'s>> {
    let mut entries = Vec::new();
    let DeValue::Table(table) = entry.value.into_inner() else {
        return entries;
    };
    // a stack with the entries in reverse, so that they come out in the order of the file
    let mut open: Vec<Entry<'s>> = Vec::new();
    let push_all = |prefix: &str, table: DeTable<'s>, open: &mut Vec<Entry<'s>>| {
        let mut inner: Vec<Entry<'s>> = table
            .into_iter()
            .map(|(key, value)| Entry {
                at: key.span(),
                name: match prefix {
                    "" => key.into_inner().into_owned(),
                    prefix => format!("{prefix}.{}", key.get_ref()),
                },
                value,
            })
            .collect();
        inner.reverse();
        open.extend(inner);
    };
    push_all("", table, &mut open);
    while let Some(entry) = open.pop() {
        let span = entry.value.span();
        match entry.value.into_inner() {
            DeValue::Table(table) if !table.is_empty() => push_all(&entry.name, table, &mut open),
            value => entries.push(Entry {
                value: Spanned::new(span, value),
                ..entry
            }),
        }
    }
    entries
}

/// Puts one `--set stage.field=value` in; returns the path as a key of `[sweep]` would say it.
fn apply_set<'s>(
    root: &mut DeTable<'s>,
    base: usize,
    set: &'s str,
    findings: &mut Vec<Finding>,
) -> Option<String> {
    let whole = base..base + set.len();
    let Some((path, value)) = set.split_once('=') else {
        findings.push(
            Finding::error("D0309", whole, format!("`{set}` sets nothing"))
                .help("write --set STAGE.FIELD=VALUE, for example --set traces.n=8"),
        );
        return None;
    };
    let value_base = base + path.len() + 1;
    let value_place = value_base..base + set.len();
    let path_place = base..base + path.len();
    let value = match DeValue::parse(value.trim()) {
        Ok(parsed) => {
            let trimmed = value.len() - value.trim_start().len();
            shifted(parsed, value_base + trimmed)
        }
        Err(_) => Spanned::new(value_place, DeValue::String(value.trim().into())),
    };
    let steps: Vec<&str> = path.split('.').map(str::trim).collect();
    if steps.len() < 2 || steps.iter().any(|step| step.is_empty()) {
        findings.push(
            Finding::error(
                "D0309",
                path_place,
                format!("`{}` is not the path of a setting", path.trim()),
            )
            .help("write --set STAGE.FIELD=VALUE, for example --set traces.n=8"),
        );
        return None;
    }
    let has = |section: &str, name: &str| {
        root.get(section)
            .and_then(|section| section.get_ref().as_table())
            .is_some_and(|section| section.contains_key(name))
    };
    let first = steps[0];
    let full: Vec<&str> = if has("stage", first) {
        std::iter::once("stage")
            .chain(steps.iter().copied())
            .collect()
    } else if has("models", first) {
        std::iter::once("models")
            .chain(steps.iter().copied())
            .collect()
    } else if SECTIONS.contains(&first) {
        steps.clone()
    } else {
        let names = |section: &str| -> Vec<String> {
            root.get(section)
                .and_then(|section| section.get_ref().as_table())
                .map(|section| {
                    section
                        .keys()
                        .map(|key| key.get_ref().to_string())
                        .collect()
                })
                .unwrap_or_default()
        };
        let known: Vec<String> = names("stage").into_iter().chain(names("models")).collect();
        findings.push(
            Finding::error(
                "D0310",
                path_place,
                format!("there is no stage `{first}` to set"),
            )
            .maybe_help(did_you_mean(first, known.iter().map(String::as_str)))
            .help(format!(
                "the names are {}",
                listed(known.iter().map(String::as_str))
            )),
        );
        return None;
    };
    if let Err(at) = insert_at(root, &full, &path_place, value) {
        findings.push(not_a_table(path.trim(), &path_place, at));
        return None;
    }
    let named = matches!(full.first(), Some(&("stage" | "models")));
    Some(full.get(usize::from(named)..).unwrap_or_default().join("."))
}

/// The finding for a path that goes on below something that is not a table.
pub(crate) fn not_a_table(path: &str, path_place: &Place, stopped: Place) -> Finding {
    Finding::error(
        "D0311",
        path_place.clone(),
        format!("`{path}` goes on below a value that is not a table"),
    )
    .also(stopped, "this has no settings of its own")
}

/// Puts a value at a path, making tables on the way.
///
/// # Errors
/// The place of the value on the way that is no table.
pub(crate) fn insert_at<'s>(
    table: &mut DeTable<'s>,
    path: &[&str],
    path_place: &Place,
    value: Value<'s>,
) -> Result<(), Place> {
    let Some((last, way)) = path.split_last() else {
        return Ok(());
    };
    let mut table = table;
    for step in way {
        if !table.contains_key(*step) {
            let empty = Spanned::new(path_place.clone(), DeValue::Table(DeTable::new()));
            table.insert(key(step, path_place), empty);
        }
        let Some(next) = table.get_mut(*step) else {
            return Ok(());
        };
        let at = next.span();
        match next.get_mut() {
            DeValue::Table(inner) => table = inner,
            _ => return Err(at),
        }
    }
    table.insert(key(last, path_place), value);
    Ok(())
}

fn key<'s>(name: &str, place: &Place) -> Spanned<DeString<'s>> {
    Spanned::new(place.clone(), DeString::Owned(name.to_owned()))
}

/// Moves every span in a value by `base`.
fn shifted(value: Value<'_>, base: usize) -> Value<'_> {
    let span = value.span();
    let moved = match value.into_inner() {
        DeValue::Array(items) => {
            DeValue::Array(items.into_iter().map(|item| shifted(item, base)).collect())
        }
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(key, value)| {
                    let at = key.span();
                    let key = Spanned::new(at.start + base..at.end + base, key.into_inner());
                    (key, shifted(value, base))
                })
                .collect(),
        ),
        plain => plain,
    };
    Spanned::new(span.start + base..span.end + base, moved)
}

/// What a value is, in the user's words: "the text `lots`".
pub(crate) fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => {
            let short: String = text.chars().take(40).collect();
            let more = if short.len() < text.len() { "…" } else { "" };
            format!("the text \"{}{more}\"", short.escape_debug())
        }
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(truth) => format!("`{truth}`"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The texts of a load, in the order in which offsets are given out.
pub(crate) fn sources(
    file: &crate::diagnostic::SourceFile,
    sets: &[String],
) -> (Sources, Vec<usize>) {
    let mut sources = Sources::default();
    sources.add(file.path.display().to_string(), file.text.clone());
    // all in one text, a line each: the line number says which `--set` it was
    let base = sources.add("--set", sets.join("\n"));
    let mut at = base;
    let bases = sets
        .iter()
        .map(|set| {
            let here = at;
            at += set.len() + 1;
            here
        })
        .collect();
    (sources, bases)
}
