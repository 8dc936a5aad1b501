//! A table of settings becomes a typed value, or every mistake in it is found: what is wrong is
//! taken out and the rest is read again, until nothing more is wrong.

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{Place, Value, described};
use super::nearest::{did_you_mean, listed};
use super::wording::{Complaint, complaint};
use crate::diagnostic::Finding;

/// Whose settings are read, for messages and labels.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    /// "stage `traces`", "model `teacher`", "`[pipeline]`".
    pub(crate) what: String,
    /// Where its name stands.
    pub(crate) at: Place,
    /// A second place worth showing: "stage `traces` is a `sample` stage".
    pub(crate) because: Option<(Place, String)>,
    /// JSON Schema of the settings, for what is required and for help; [`read`] fills it in
    /// when there is a mistake to explain.
    pub(crate) schema: Option<Json>,
}

/// At most so many mistakes are looked for in one table: each costs one more reading.
const MISTAKES: usize = 50;

/// Reads typed settings out of a table; on `None` at least one error was added to `findings`.
pub(crate) fn read<'s, T>(
    table: &DeTable<'s>,
    owner: &Owner,
    findings: &mut Vec<Finding>,
    schema: impl FnOnce() -> Json,
    deserialize: impl Fn(Value<'s>) -> Result<T, toml::de::Error>,
) -> Option<T> {
    let whole = |table: &DeTable<'s>| Spanned::new(owner.at.clone(), DeValue::Table(table.clone()));
    let error = match deserialize(whole(table)) {
        Ok(settings) => return Some(settings),
        Err(error) => error,
    };
    let owner = &Owner {
        schema: Some(schema()),
        ..owner.clone()
    };
    let mut left = table.clone();
    let mut taken: Vec<Vec<String>> = Vec::new();
    let mut error = error;
    for _ in 0..MISTAKES {
        let span = error.span().unwrap_or_else(|| owner.at.clone());
        match complaint(error.message()) {
            Complaint::MissingField { name } => {
                missing(&left, &taken, &name, &span, owner, findings);
                return None;
            }
            mut complaint => {
                let Some(found) = entry_at(&left, &span) else {
                    findings.push(phrase(&complaint, None, span, owner));
                    return None;
                };
                if let (
                    Complaint::WrongType { found: thing, .. }
                    | Complaint::NotAllowed { found: thing, .. },
                    Some(value),
                ) = (&mut complaint, &found.value)
                    && thing == "this"
                {
                    thing.clone_from(value);
                }
                findings.push(phrase(&complaint, Some(&found.path), span, owner));
                take_out(&mut left, &found.path);
                taken.push(found.path);
            }
        }
        match deserialize(whole(&left)) {
            Ok(_) => return None,
            Err(next) => error = next,
        }
    }
    None
}

/// Everything required that is not there, as far as the schema tells; else the one serde named.
fn missing(
    left: &DeTable<'_>,
    taken: &[Vec<String>],
    name: &str,
    span: &Place,
    owner: &Owner,
    findings: &mut Vec<Finding>,
) {
    let inside = if *span == owner.at {
        None
    } else {
        entry_at(left, span)
    };
    let mut names: Vec<String> = Vec::new();
    if inside.is_none()
        && let Some(required) = owner
            .schema
            .as_ref()
            .and_then(|schema| schema.get("required"))
            .and_then(Json::as_array)
    {
        names = required
            .iter()
            .filter_map(Json::as_str)
            .filter(|required| !left.contains_key(*required))
            .map(str::to_owned)
            .collect();
    }
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
    for name in names {
        let mut path = inside
            .as_ref()
            .map(|found| found.path.clone())
            .unwrap_or_default();
        path.push(name.clone());
        if taken.contains(&path) {
            continue;
        }
        let place = path_in_words(path.get(..path.len() - 1).unwrap_or_default());
        let mut finding = Finding::error(
            "D0104",
            span.clone(),
            match place {
                Some(place) => format!("{}: {place} needs `{name}`", owner.what),
                None => format!("{} needs `{name}`", owner.what),
            },
        )
        .here(format!("`{name}` is missing"));
        if let Some(about) = about(owner.schema.as_ref(), &path) {
            finding = finding.help(format!("`{name}`: {about}"));
        }
        findings.push(because(finding, owner, span));
    }
}

/// Says a complaint about a setting.
fn phrase(complaint: &Complaint, path: Option<&[String]>, span: Place, owner: &Owner) -> Finding {
    let setting = path.and_then(path_in_words);
    let subject = match &setting {
        Some(setting) => format!("{setting} of {}", owner.what),
        None => owner.what.clone(),
    };
    let about = path.and_then(|path| about(owner.schema.as_ref(), path));
    let at = span.clone();
    let finding = match complaint {
        Complaint::UnknownField { name, known } => {
            let parent =
                path.and_then(|path| path_in_words(path.get(..path.len().saturating_sub(1))?));
            let holder = match parent {
                Some(parent) => format!("{parent} of {}", owner.what),
                None => owner.what.clone(),
            };
            let finding =
                Finding::error("D0102", span, format!("{holder} has no setting `{name}`"))
                    .here("nobody reads this");
            let known = known.iter().map(String::as_str);
            match name.as_str() {
                "api_key" | "key" | "token" => finding.help(
                    "name the environment variable that holds the key: api_key_env = \"OPENAI_API_KEY\"",
                ),
                name => finding
                    .maybe_help(did_you_mean(name, known.clone()))
                    .help(match known.clone().count() {
                        0 => "it takes no settings".to_owned(),
                        _ => format!("the settings are {}", listed(known)),
                    }),
            }
        }
        Complaint::WrongType { found, expected } => Finding::error(
            "D0103",
            span,
            format!("{subject} must be {expected}, not {found}"),
        )
        .here(format!("expected {expected}"))
        .maybe_help(about),
        Complaint::NotAllowed {
            found,
            expected,
            known,
        } => {
            let wrong = found.trim_matches('"').to_owned();
            Finding::error(
                "D0105",
                span,
                format!("{subject} cannot be {found}: it must be {expected}"),
            )
            .here(format!("expected {expected}"))
            .maybe_help(did_you_mean(&wrong, known.iter().map(String::as_str)))
            .maybe_help(about)
        }
        Complaint::MissingField { name } => {
            Finding::error("D0104", span, format!("{subject} needs `{name}`"))
        }
        Complaint::Other(message) => {
            Finding::error("D0112", span, format!("{subject}: {message}")).maybe_help(about)
        }
    };
    because(finding, owner, &at)
}

/// Shows what the owner is, unless the mistake stands elsewhere (`[defaults]`, `--set`, the sweep).
fn because(finding: Finding, owner: &Owner, at: &Place) -> Finding {
    match &owner.because {
        Some((place, text)) if place != at => finding.also(place.clone(), text.clone()),
        _ => finding,
    }
}

fn path_in_words(path: &[String]) -> Option<String> {
    (!path.is_empty()).then(|| format!("`{}`", path.join(".")))
}

/// The first paragraph of the documentation of a setting.
fn about(schema: Option<&Json>, path: &[String]) -> Option<String> {
    let root = schema?;
    let mut here = root;
    for step in path {
        here = resolve(root, here).get("properties")?.get(step)?;
    }
    let text = here
        .get("description")
        .or_else(|| resolve(root, here).get("description"))?
        .as_str()?;
    let first = text.split("\n\n").next()?.replace('\n', " ");
    (!first.is_empty()).then_some(first)
}

/// Follows `$ref`, and the one alternative of an optional value that is not null.
fn resolve<'a>(root: &'a Json, mut here: &'a Json) -> &'a Json {
    for _ in 0..8 {
        if let Some(reference) = here.get("$ref").and_then(Json::as_str) {
            match root.pointer(reference.trim_start_matches('#')) {
                Some(next) => here = next,
                None => return here,
            }
        } else if let Some(one) = ["anyOf", "oneOf", "allOf"]
            .iter()
            .filter_map(|key| here.get(key)?.as_array())
            .find_map(|all| all.iter().find(|one| one.get("$ref").is_some()))
        {
            here = one;
        } else {
            return here;
        }
    }
    here
}

/// A setting found by its place.
#[derive(Debug)]
struct Found {
    path: Vec<String>,
    /// The value in the user's words.
    value: Option<String>,
}

/// The innermost setting whose key or value stands exactly at, or else around, a place.
fn entry_at(table: &DeTable<'_>, place: &Place) -> Option<Found> {
    let mut best: Option<(usize, usize, Vec<String>)> = None;
    let mut open: Vec<(Vec<String>, &DeTable<'_>)> = vec![(Vec::new(), table)];
    while let Some((prefix, table)) = open.pop() {
        for (key, value) in table {
            let mut path = prefix.clone();
            path.push(key.get_ref().to_string());
            let depth = path.len();
            for span in [key.span(), value.span()] {
                if span.start <= place.start && place.end <= span.end {
                    let size = span.end - span.start;
                    // the smallest wins; of equals the innermost
                    if best.as_ref().is_none_or(|(least, deep, _)| {
                        (size, std::cmp::Reverse(depth)) < (*least, std::cmp::Reverse(*deep))
                    }) {
                        best = Some((size, depth, path.clone()));
                    }
                }
            }
            match value.get_ref() {
                DeValue::Table(inner) => open.push((path, inner)),
                DeValue::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        if let DeValue::Table(inner) = item.get_ref() {
                            let mut path = path.clone();
                            path.push(index.to_string());
                            open.push((path, inner));
                        }
                    }
                }
                _ => {}
            }
        }
    }
    let (_, _, path) = best?;
    let mut value = None;
    let mut here = Some(table);
    for step in &path {
        let inner = here.and_then(|table| table.get(step.as_str()));
        value = inner.map(|inner| described(inner.get_ref()));
        here = inner.and_then(|inner| inner.get_ref().as_table());
    }
    Some(Found { path, value })
}

/// Takes the setting at a path out; steps through lists are their indices.
fn take_out(table: &mut DeTable<'_>, path: &[String]) {
    let Some((last, way)) = path.split_last() else {
        return;
    };
    let mut table = table;
    let mut way = way.iter();
    while let Some(step) = way.next() {
        let Some(next) = table.get_mut(step.as_str()) else {
            return;
        };
        match next.get_mut() {
            DeValue::Table(inner) => table = inner,
            DeValue::Array(items) => {
                let item = way
                    .next()
                    .and_then(|index| index.parse::<usize>().ok())
                    .and_then(|index| items.get_mut(index));
                match item.map(Spanned::get_mut) {
                    Some(DeValue::Table(inner)) => table = inner,
                    _ => return,
                }
            }
            _ => return,
        }
    }
    table.remove(last.as_str());
}

/// The place of a setting by its dotted path; the nearest setting around it if it is not there.
///
/// For a list, `index` chooses one of its items.
pub(crate) fn place_of(table: &DeTable<'_>, path: &str, index: Option<usize>) -> Option<Place> {
    let mut table = table;
    let mut place = None;
    for step in path.split('.') {
        let Some(value) = table.get(step) else {
            return place;
        };
        place = Some(value.span());
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            DeValue::Array(items) => {
                if let Some(item) = index.and_then(|index| items.get(index)) {
                    place = Some(item.span());
                }
                return place;
            }
            _ => return place,
        }
    }
    place
}
