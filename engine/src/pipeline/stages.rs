//! Stages one by one: kind, defaults, swept values, settings; nothing yet of how they hang
//! together. A stage has a [`Config`] for each combination of the values swept in it.

use toml::de::{DeTable, DeValue};

use super::document::{Document, Entry, Place, described, insert_at, not_a_table};
use super::header::{Files, check_model, model};
use super::nearest::{did_you_mean, listed};
use super::schema::settings_schema;
use super::settings::{self, Owner, place_of};
use super::sweep::{Axis, Target};
use crate::declaration::Declaration;
use crate::diagnostic::Finding;
use crate::kind::{AnySettings, Kind};
use crate::model_ref::{ModelRef, ModelSpec};
use crate::registry::Registry;

/// A stage with one choice of the values swept in it.
#[derive(Debug)]
pub(crate) struct Config<'s> {
    pub(crate) settings: AnySettings,
    pub(crate) json: serde_json::Value,
    pub(crate) declaration: Declaration,
    /// The settings with their places, defaults and swept values merged in.
    pub(crate) table: DeTable<'s>,
    /// The stage's own seed, if it has one.
    pub(crate) seed: Option<u64>,
    /// Whether its result may leave this machine, if it says so.
    pub(crate) share: Option<(bool, Place)>,
}

/// A named thing with a configuration for each choice on its own axes.
#[derive(Debug)]
pub(crate) struct Node<C> {
    pub(crate) name: String,
    pub(crate) at: Place,
    /// Which axes of the sweep vary it directly.
    pub(crate) axes: Vec<usize>,
    /// By choice, the last axis running fastest; `None` where there was a mistake.
    pub(crate) configs: Vec<Option<C>>,
}

impl<C> Node<C> {
    /// The position in `configs` that a variant chooses.
    pub(crate) fn choice(&self, variant: &[usize], axes: &[Axis<'_>]) -> usize {
        self.axes.iter().fold(0, |choice, axis| {
            let size = axes.get(*axis).map_or(1, |axis| axis.values.len());
            choice * size + variant.get(*axis).copied().unwrap_or(0)
        })
    }
}

/// A stage; `kind` is `None` where the file names none that is known.
#[derive(Debug)]
pub(crate) struct StageNode<'s> {
    pub(crate) node: Node<Config<'s>>,
    pub(crate) kind: Option<Kind>,
    /// Where `kind = "…"` stands.
    pub(crate) kind_at: Place,
}

/// Reads every stage of the file.
pub(crate) fn stages<'s>(
    document: &Document<'s>,
    axes: &[Axis<'s>],
    registry: &Registry,
    files: &Files<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<StageNode<'s>> {
    let mut own: Vec<Vec<usize>> = vec![Vec::new(); document.stages.entries.len()];
    for (index, axis) in axes.iter().enumerate() {
        if let Target::Stage(position) = axis.target
            && let Some(own) = own.get_mut(position)
        {
            own.push(index);
        }
    }
    document
        .stages
        .entries
        .iter()
        .zip(own)
        .map(|(entry, own)| stage(entry, own, document, axes, registry, files, findings))
        .collect()
}

fn stage<'s>(
    entry: &Entry<'s>,
    own: Vec<usize>,
    document: &Document<'s>,
    axes: &[Axis<'s>],
    registry: &Registry,
    files: &Files<'_>,
    findings: &mut Vec<Finding>,
) -> StageNode<'s> {
    let empty = DeTable::new();
    let written = entry.table().unwrap_or(&empty);
    let kind = kind_of(entry, written, registry, findings);
    let kind_at = written
        .get("kind")
        .map_or(entry.at.clone(), |kind| kind.span());
    let mut configs = Vec::new();
    if let Some(kind) = &kind {
        let mut table = written.clone();
        table.remove("kind");
        if let Some(defaults) = document.defaults.get(kind.name()).and_then(Entry::table) {
            for (key, value) in defaults {
                if key.get_ref() != "kind" && !table.contains_key(key.get_ref().as_ref()) {
                    table.insert(key.clone(), value.clone());
                }
            }
        }
        let share = share_of(entry, &mut table, findings);
        let reader = Reader {
            share,
            entry,
            kind,
            kind_at: &kind_at,
            files,
        };
        configs = choices(table, &own, axes, findings)
            .into_iter()
            .map(|table| {
                let before = findings.len();
                let config = reader.read(table?, findings);
                if let Some(defaults) = document.defaults.get(kind.name()) {
                    of_defaults(
                        defaults,
                        &entry.name,
                        findings.get_mut(before..).unwrap_or_default(),
                    );
                }
                config
            })
            .collect();
    }
    StageNode {
        node: Node {
            name: entry.name.clone(),
            at: entry.at.clone(),
            axes: own,
            configs,
        },
        kind,
        kind_at,
    }
}

/// A mistake in `[defaults.KIND]` is told of the defaults, not of each stage that takes them.
fn of_defaults(defaults: &Entry<'_>, stage: &str, findings: &mut [Finding]) {
    let written = |place: &Place| {
        defaults.table().is_some_and(|table| {
            table.iter().any(|(key, value)| {
                [key.span(), value.span()]
                    .iter()
                    .any(|span| span.start <= place.start && place.end <= span.end)
            })
        })
    };
    for finding in findings {
        if written(finding.place()) {
            let section = format!("`[defaults.{}]`", defaults.name);
            finding.tell_of(&format!("stage `{stage}`"), &section);
        }
    }
}

fn kind_of(
    entry: &Entry<'_>,
    table: &DeTable<'_>,
    registry: &Registry,
    findings: &mut Vec<Finding>,
) -> Option<Kind> {
    let names = || registry.kinds().map(Kind::name);
    let Some(value) = table.get("kind") else {
        findings.push(
            Finding::error(
                "D0108",
                entry.at.clone(),
                format!("stage `{}` has no kind", entry.name),
            )
            .here("what does this stage do?")
            .help(format!(
                "write kind = \"…\"; the kinds are {}",
                listed(names())
            )),
        );
        return None;
    };
    let DeValue::String(name) = value.get_ref() else {
        findings.push(
            Finding::error(
                "D0103",
                value.span(),
                format!(
                    "`kind` of stage `{}` must be a text, not {}",
                    entry.name,
                    described(value.get_ref())
                ),
            )
            .here("expected the name of a kind"),
        );
        return None;
    };
    let kind = registry.get(name);
    if kind.is_none() {
        findings.push(
            Finding::error("D0109", value.span(), format!("there is no kind `{name}`"))
                .here(format!("the kind of stage `{}`", entry.name))
                .maybe_help(did_you_mean(name, names()))
                .help(format!("the kinds are {}", listed(names()))),
        );
    }
    kind.cloned()
}

/// Takes `share` out of a stage's table: every kind has it, and none knows of it.
fn share_of(
    entry: &Entry<'_>,
    table: &mut DeTable<'_>,
    findings: &mut Vec<Finding>,
) -> Option<(bool, Place)> {
    let value = table.remove("share")?;
    if let DeValue::Boolean(share) = value.get_ref() {
        return Some((*share, value.span()));
    }
    findings.push(
        Finding::error(
            "D0103",
            value.span(),
            format!(
                "`share` of stage `{}` must be true or false, not {}",
                entry.name,
                described(value.get_ref())
            ),
        )
        .here("whether its result may leave this machine"),
    );
    None
}

/// The table for every choice of the values on these axes; `None` where a value has no place.
fn choices<'s>(
    table: DeTable<'s>,
    own: &[usize],
    axes: &[Axis<'s>],
    findings: &mut Vec<Finding>,
) -> Vec<Option<DeTable<'s>>> {
    let mut tables = vec![Some(table)];
    for axis in own.iter().filter_map(|axis| axes.get(*axis)) {
        let path: Vec<&str> = axis.path.iter().map(String::as_str).collect();
        tables = tables
            .into_iter()
            .flat_map(|table| axis.values.iter().map(move |value| (table.clone(), value)))
            .map(|(table, value)| {
                let mut table = table?;
                match insert_at(&mut table, &path, &axis.at, value.clone()) {
                    Ok(()) => Some(table),
                    Err(stopped) => {
                        findings.push(not_a_table(&axis.key, &axis.at, stopped));
                        None
                    }
                }
            })
            .collect();
    }
    tables
}

/// Reads the settings of one stage. A stage whose settings make no sense is still there for those
/// who refer to it: one mistake should not hide another.
struct Reader<'a, 's> {
    share: Option<(bool, Place)>,
    entry: &'a Entry<'s>,
    kind: &'a Kind,
    kind_at: &'a Place,
    files: &'a Files<'a>,
}

impl<'s> Reader<'_, 's> {
    fn read(&self, table: DeTable<'s>, findings: &mut Vec<Finding>) -> Option<Config<'s>> {
        let (name, kind) = (&self.entry.name, self.kind);
        let owner = Owner {
            what: format!("stage `{name}`"),
            at: self.entry.at.clone(),
            because: Some((
                self.kind_at.clone(),
                format!("stage `{name}` is a `{}` stage", kind.name()),
            )),
            schema: None,
        };
        let settings = settings::read(
            &table,
            &owner,
            findings,
            || settings_schema(kind),
            |value| kind.settings_from_toml(value),
        )?;
        let place = |field: &str| place_of(&table, field, None);
        for fault in kind.check(&settings) {
            let at = fault
                .field
                .as_deref()
                .and_then(place)
                .unwrap_or(owner.at.clone());
            let mut finding = Finding::error(
                "D0113",
                at.clone(),
                format!("stage `{name}`: {}", fault.message),
            )
            .maybe_help(fault.hint);
            if at != owner.at && at.start >= self.entry.at.start {
                finding = finding.also(self.kind_at.clone(), format!("a `{}` stage", kind.name()));
            }
            findings.push(finding);
        }
        let declaration = kind.declare(&settings);
        for file in &declaration.files {
            let at = place(&file.field).unwrap_or(owner.at.clone());
            self.files.check(&file.path, &at, &owner.what, findings);
        }
        for decl in &declaration.models {
            if let ModelRef::Spec(spec) = &decl.model {
                let at = place(&decl.slot).unwrap_or(owner.at.clone());
                let what = format!("`{}` of {}", decl.slot, owner.what);
                let inner = |field: &str| place(&format!("{}.{field}", decl.slot));
                check_model(spec, &what, &at, inner, self.files, findings);
            }
        }
        let json = kind.settings_to_json(&settings);
        let seed = json.get("seed").and_then(serde_json::Value::as_u64);
        Some(Config {
            settings,
            json,
            declaration,
            table,
            seed,
            share: self.share.clone(),
        })
    }
}

/// Reads `[models]`.
pub(crate) fn models<'s>(
    document: &Document<'s>,
    axes: &[Axis<'s>],
    files: &Files<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<Node<ModelSpec>> {
    document
        .models
        .entries
        .iter()
        .enumerate()
        .map(|(position, entry)| {
            let own: Vec<usize> = axes
                .iter()
                .enumerate()
                .filter(|(_, axis)| axis.target == Target::Model(position))
                .map(|(index, _)| index)
                .collect();
            let empty = DeTable::new();
            let table = entry.table().unwrap_or(&empty).clone();
            let configs = choices(table, &own, axes, findings)
                .into_iter()
                .map(|table| model(&entry.name, &entry.at, &table?, files, findings))
                .collect();
            Node {
                name: entry.name.clone(),
                at: entry.at.clone(),
                axes: own,
                configs,
            }
        })
        .collect()
}

/// Names that are both a stage and a model, defaults for kinds that are not there.
pub(crate) fn check_sections(
    document: &Document<'_>,
    registry: &Registry,
    findings: &mut Vec<Finding>,
) {
    for model in &document.models.entries {
        if let Some(stage) = document.stages.get(&model.name) {
            let (first, second) = if model.at.start < stage.at.start {
                (&model.at, &stage.at)
            } else {
                (&stage.at, &model.at)
            };
            findings.push(
                Finding::error(
                    "D0111",
                    second.clone(),
                    format!("`{}` is the name of a stage and of a model", model.name),
                )
                .here("the second time")
                .also(first.clone(), "the first time")
                .help("stages and models are named in the same places: rename one of them"),
            );
        }
    }
    for defaults in &document.defaults.entries {
        let names: Vec<&str> = registry.kinds().map(Kind::name).collect();
        if registry.get(&defaults.name).is_none() {
            findings.push(
                Finding::error(
                    "D0109",
                    defaults.at.clone(),
                    format!("there is no kind `{}` to have defaults", defaults.name),
                )
                .maybe_help(did_you_mean(&defaults.name, names.iter().copied()))
                .help(format!("the kinds are {}", listed(names))),
            );
            continue;
        }
        let used = document.stages.entries.iter().any(|stage| {
            stage
                .table()
                .and_then(|table| table.get("kind"))
                .and_then(|kind| kind.get_ref().as_str())
                == Some(defaults.name.as_str())
        });
        if !used {
            findings.push(Finding::warning(
                "D0308",
                defaults.at.clone(),
                format!(
                    "no stage is of kind `{}`: these defaults are not used",
                    defaults.name
                ),
            ));
        }
        if let Some((key, _)) = defaults
            .table()
            .and_then(|table| table.get_key_value("kind"))
        {
            findings.push(
                Finding::error(
                    "D0102",
                    key.span(),
                    "defaults cannot set the kind of a stage",
                )
                .help("defaults belong to a kind already: `[defaults.KIND]`"),
            );
        }
    }
    if document.stages.entries.is_empty() && !findings.iter().any(Finding::is_error) {
        let at = document
            .header
            .as_ref()
            .map_or(0..0, |header| header.at.clone());
        findings.push(
            Finding::error("D0114", at, "this pipeline has no stages")
                .help("begin one with `[stage.NAME]` and kind = \"…\""),
        );
    }
}
