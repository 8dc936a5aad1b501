//! What a file says about the pipeline as a whole: `[pipeline]`, `[limits]`, `[models]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use toml::de::{DeInteger, DeTable, DeValue, ValueDeserializer};

use super::document::{Document, Entry, Place, described, is_name};
use super::schema::schema_of;
use super::settings::{self, Owner, place_of};
use crate::diagnostic::Finding;
use crate::model_ref::ModelSpec;

/// The pipeline as a whole.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Header {
    /// By this name earlier runs are found; by default the name of the file.
    pub(crate) name: Option<String>,
    /// The seed of every stage that has none of its own. Default 0. Semantic.
    pub(crate) seed: u64,
    /// What a run may spend.
    pub(crate) budget: Option<Budget>,
}

/// What a run may spend.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    /// A run stops before it spends more than this, in USD.
    pub(crate) usd: f64,
}

/// Reads `[pipeline]`; without it everything has its default.
pub(crate) fn header(document: &Document<'_>, path: &Path, findings: &mut Vec<Finding>) -> Header {
    let mut header = match &document.header {
        None => Header::default(),
        Some(entry) => read_header(entry, findings),
    };
    if header.name.is_none() {
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        header.name = Some(
            stem.filter(|stem| !stem.is_empty())
                .unwrap_or("pipeline".to_owned()),
        );
    }
    header
}

fn read_header(entry: &Entry<'_>, findings: &mut Vec<Finding>) -> Header {
    let Some(table) = entry.table() else {
        return Header::default();
    };
    let owner = Owner {
        what: "`[pipeline]`".to_owned(),
        at: entry.at.clone(),
        because: None,
        schema: None,
    };
    let header: Option<Header> =
        settings::read(table, &owner, findings, schema_of::<Header>, |value| {
            Header::deserialize(ValueDeserializer::from(value))
        });
    let Some(header) = header else {
        return Header::default();
    };
    let at = |field| place_of(table, field, None).unwrap_or_else(|| entry.at.clone());
    if let Some(name) = header.name.as_deref().filter(|name| !is_name(name)) {
        findings.push(
            Finding::error(
                "D0110",
                at("name"),
                format!("`{name}` cannot be the name of a pipeline"),
            )
            .help("a name begins with a letter and has letters, digits, `_` and `-`, at most 64"),
        );
    }
    if let Some(budget) = header.budget.as_ref()
        && !(budget.usd >= 0.0 && budget.usd.is_finite())
    {
        findings.push(Finding::error(
            "D0113",
            at("budget.usd"),
            "a budget cannot be negative or without end",
        ));
    }
    header
}

/// Reads `[limits]`: how much of each named limit there is.
pub(crate) fn limits(
    document: &Document<'_>,
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, u32> {
    let mut limits = BTreeMap::new();
    for entry in &document.limits.entries {
        match entry.value.get_ref() {
            DeValue::Integer(number) => match whole(number) {
                Some(limit) if limit > 0 => {
                    limits.insert(entry.name.clone(), limit);
                }
                _ => findings.push(
                    Finding::error(
                        "D0105",
                        entry.value.span(),
                        format!("the limit `{}` cannot be {number}", entry.name),
                    )
                    .here("expected a whole number, 1 or more"),
                ),
            },
            other => findings.push(
                Finding::error(
                    "D0103",
                    entry.value.span(),
                    format!(
                        "the limit `{}` must be a whole number, not {}",
                        entry.name,
                        described(other)
                    ),
                )
                .here("expected a whole number, 1 or more"),
            ),
        }
    }
    limits
}

fn whole(number: &DeInteger<'_>) -> Option<u32> {
    u32::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Reads one model from its table; `None` after a finding.
pub(crate) fn model(
    name: &str,
    at: &Place,
    table: &DeTable<'_>,
    files: &Files<'_>,
    findings: &mut Vec<Finding>,
) -> Option<ModelSpec> {
    let what = format!("model `{name}`");
    let owner = Owner {
        what: what.clone(),
        at: at.clone(),
        because: None,
        schema: None,
    };
    let spec: ModelSpec =
        settings::read(table, &owner, findings, schema_of::<ModelSpec>, |value| {
            ModelSpec::deserialize(ValueDeserializer::from(value))
        })?;
    let before = findings.len();
    check_model(
        &spec,
        &what,
        at,
        |field| place_of(table, field, None),
        files,
        findings,
    );
    (findings.len() == before).then_some(spec)
}

/// Whether a model says what it is, once.
pub(crate) fn check_model(
    spec: &ModelSpec,
    what: &str,
    at: &Place,
    place: impl Fn(&str) -> Option<Place>,
    files: &Files<'_>,
    findings: &mut Vec<Finding>,
) {
    let place = |field: &str| place(field).unwrap_or_else(|| at.clone());
    if let (Some(_), Some(_)) = (&spec.hf, &spec.path) {
        findings.push(
            Finding::error(
                "D0212",
                place("path"),
                format!("{what} is both a hub id and a folder"),
            )
            .here("this is one model")
            .also(place("hf"), "and this another"),
        );
    }
    if spec.hf.is_none() && spec.path.is_none() {
        match (&spec.name, &spec.server) {
            (Some(_), Some(_)) => {}
            (None, _) => findings.push(
                Finding::error("D0212", at.clone(), format!("{what} does not say what it is")).help(
                    "give it one of hf = \"owner/name\", path = \"folder\", or name = \"…\" with a server",
                ),
            ),
            (Some(name), None) => findings.push(
                Finding::error(
                    "D0212",
                    place("name"),
                    format!("nobody serves `{name}`: {what} has a name but no server"),
                )
                .help("add server = { url = \"http://…/v1\" }, or say hf = \"owner/name\""),
            ),
        }
    }
    if spec.revision.is_some() && spec.hf.is_none() {
        findings.push(
            Finding::error(
                "D0212",
                place("revision"),
                format!("{what} has a revision but no hub id"),
            )
            .help("a revision belongs to hf = \"owner/name\""),
        );
    }
    if let Some(hf) = spec.hf.as_deref().filter(|hf| !is_hub_id(hf)) {
        findings.push(
            Finding::error("D0212", place("hf"), format!("`{hf}` is not a hub id"))
                .help("a hub id reads owner/name; a folder is path = \"…\""),
        );
    }
    if let Some(server) = &spec.server {
        if !server.url.starts_with("http://") && !server.url.starts_with("https://") {
            findings.push(
                Finding::error(
                    "D0212",
                    place("server.url"),
                    format!("`{}` is not the address of a server", server.url),
                )
                .help("an address begins with http:// or https:// and usually ends with /v1"),
            );
        }
        if server.concurrency == 0 {
            findings.push(Finding::error(
                "D0113",
                place("server.concurrency"),
                format!("{what} could never be asked: concurrency is 0"),
            ));
        }
    }
    if let Some(path) = &spec.path {
        files.check(path, &place("path"), what, findings);
    }
}

fn is_hub_id(id: &str) -> bool {
    let mut parts = id.split('/');
    let good = |part: Option<&str>| {
        part.is_some_and(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        })
    };
    // old models, such as gpt2, have no owner
    good(parts.next()) && parts.next().is_none_or(|name| good(Some(name))) && parts.next().is_none()
}

/// Whether the files that a pipeline names are there.
pub(crate) struct Files<'a> {
    /// The folder of the pipeline file.
    pub(crate) folder: PathBuf,
    /// Asks the file system.
    pub(crate) exists: &'a dyn Fn(&Path) -> bool,
}

impl Files<'_> {
    pub(crate) fn check(&self, path: &Path, at: &Place, what: &str, findings: &mut Vec<Finding>) {
        let full = self.folder.join(path);
        if (self.exists)(&full) {
            return;
        }
        let finding = Finding::error(
            "D0209",
            at.clone(),
            format!("{what} reads `{}`, which is not there", path.display()),
        )
        .here("no such file or folder");
        findings.push(if path.is_relative() {
            finding.help(format!(
                "paths are relative to the pipeline file, so this is `{}`",
                full.display()
            ))
        } else {
            finding
        });
    }
}
