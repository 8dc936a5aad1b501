//! `[sweep]`: the settings that vary, and what they vary over.

use toml::de::DeValue;

use super::document::{Document, Entry, Place, Value, described};
use super::nearest::{did_you_mean, listed};
use crate::diagnostic::Finding;

/// More variants than this are a slip of the pen.
const VARIANTS: usize = 10_000;

/// What an axis varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A setting of the stage at this position.
    Stage(usize),
    /// A setting of the model at this position.
    Model(usize),
    /// `pipeline.seed`.
    Seed,
}

/// One key of `[sweep]`.
#[derive(Debug, Clone)]
pub(crate) struct Axis<'s> {
    /// As written: `student.epochs`.
    pub(crate) key: String,
    pub(crate) at: Place,
    pub(crate) target: Target,
    /// The setting inside the target: `epochs`, or `source`, `split`.
    pub(crate) path: Vec<String>,
    pub(crate) values: Vec<Value<'s>>,
    /// The values as short text, all different.
    pub(crate) labels: Vec<String>,
}

/// Reads `[sweep]`, without the keys that a `--set` has fixed.
pub(crate) fn axes<'s>(document: &Document<'s>, findings: &mut Vec<Finding>) -> Vec<Axis<'s>> {
    let mut axes = Vec::new();
    for entry in &document.sweep {
        if document.set.contains(&entry.name) {
            continue;
        }
        let target = target(entry, document, findings);
        let values = values(entry, findings);
        if let (Some((target, path)), Some((values, labels))) = (target, values) {
            axes.push(Axis {
                key: entry.name.clone(),
                at: entry.at.clone(),
                target,
                path,
                values,
                labels,
            });
        }
    }
    let variants = axes
        .iter()
        .try_fold(1usize, |product, axis| {
            product.checked_mul(axis.values.len())
        })
        .filter(|variants| *variants <= VARIANTS);
    if variants.is_none()
        && let Some(first) = axes.first()
    {
        let sizes: Vec<String> = axes
            .iter()
            .map(|axis| axis.values.len().to_string())
            .collect();
        findings.push(
            Finding::error(
                "D0306",
                first.at.clone(),
                format!(
                    "the sweep has {} variants, more than {VARIANTS}",
                    sizes.join(" × ")
                ),
            )
            .help("every combination is a variant: shorten the lists or split the sweep"),
        );
        axes.clear();
    }
    axes
}

fn target(
    entry: &Entry<'_>,
    document: &Document<'_>,
    findings: &mut Vec<Finding>,
) -> Option<(Target, Vec<String>)> {
    let mut steps = entry.name.split('.');
    let first = steps.next().unwrap_or_default();
    let path: Vec<String> = steps.map(str::to_owned).collect();
    if path.is_empty() || path.iter().any(String::is_empty) {
        findings.push(
            Finding::error(
                "D0301",
                entry.at.clone(),
                format!(
                    "`{}` does not say which setting of which stage is swept",
                    entry.name
                ),
            )
            .help("write \"STAGE.FIELD\" = [values], for example \"student.epochs\" = [1, 2]"),
        );
        return None;
    }
    if path.first().is_some_and(|field| field == "kind") && document.stages.get(first).is_some() {
        findings.push(
            Finding::error(
                "D0305",
                entry.at.clone(),
                "the kind of a stage cannot be swept",
            )
            .help("write a stage for each kind, and sweep the input that names them"),
        );
        return None;
    }
    if let Some(position) = document.stages.position(first) {
        return Some((Target::Stage(position), path));
    }
    if let Some(position) = document.models.position(first) {
        return Some((Target::Model(position), path));
    }
    if first == "pipeline" && path == ["seed"] {
        return Some((Target::Seed, path));
    }
    let known: Vec<&str> = document
        .stages
        .names()
        .chain(document.models.names())
        .collect();
    let finding = Finding::error(
        "D0302",
        entry.at.clone(),
        format!("the sweep names `{first}`, and there is no such stage"),
    )
    .maybe_help(did_you_mean(first, known.iter().copied()));
    findings.push(match first {
        "pipeline" => finding.help("of `[pipeline]`, only `pipeline.seed` can be swept"),
        "defaults" | "limits" | "models" | "stage" => {
            finding.help("a key of the sweep begins with the name of a stage or a model")
        }
        _ => finding.help(format!("the names are {}", listed(known))),
    });
    None
}

fn values<'s>(
    entry: &Entry<'s>,
    findings: &mut Vec<Finding>,
) -> Option<(Vec<Value<'s>>, Vec<String>)> {
    let DeValue::Array(items) = entry.value.get_ref() else {
        findings.push(
            Finding::error(
                "D0303",
                entry.value.span(),
                format!(
                    "`{}` is swept over a list of values, not {}",
                    entry.name,
                    described(entry.value.get_ref())
                ),
            )
            .here("expected a list")
            .help("a single value belongs into the stage itself"),
        );
        return None;
    };
    if items.is_empty() {
        findings.push(
            Finding::error(
                "D0304",
                entry.value.span(),
                format!("`{}` is swept over nothing", entry.name),
            )
            .here("this list is empty")
            .help("a sweep over an empty list has no variants: give it values or take the key out"),
        );
        return None;
    }
    let mut labels: Vec<String> = Vec::new();
    let mut seen: std::collections::HashMap<String, Place> = std::collections::HashMap::new();
    let mut good = true;
    for item in items {
        let whole = compact(item.get_ref());
        if let Some(first) = seen.get(&whole) {
            findings.push(
                Finding::error(
                    "D0307",
                    item.span(),
                    format!("`{}` has the value {whole} twice", entry.name),
                )
                .here("the second time")
                .also(first.clone(), "the first time"),
            );
            good = false;
            continue;
        }
        seen.insert(whole, item.span());
        let mut label = match item.get_ref() {
            DeValue::String(text) => text.to_string(),
            other => compact(other),
        };
        if label.chars().count() > 40
            || label.contains(['[', ']', ',', '=', '\n'])
            || labels.contains(&label)
        {
            label = format!("#{}", labels.len() + 1);
        }
        labels.push(label);
    }
    good.then(|| (items.iter().cloned().collect(), labels))
}

/// A value as TOML on one line, keys sorted: equal for equal values.
pub(crate) fn compact(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", text.escape_default()),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| compact(item.get_ref())).collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Table(table) => {
            let mut items: Vec<String> = table
                .iter()
                .map(|(key, value)| format!("{} = {}", key.get_ref(), compact(value.get_ref())))
                .collect();
            items.sort();
            format!("{{ {} }}", items.join(", "))
        }
    }
}

/// Every combination of values: for each variant the index of the value on each axis, the last
/// axis running fastest. One empty variant when there is no sweep.
pub(crate) fn variants(axes: &[Axis<'_>]) -> Vec<Vec<usize>> {
    let count: usize = axes.iter().map(|axis| axis.values.len()).product();
    (0..count)
        .map(|variant| {
            let mut rest = variant;
            let mut indices: Vec<usize> = axes
                .iter()
                .rev()
                .map(|axis| {
                    let index = rest % axis.values.len();
                    rest /= axis.values.len();
                    index
                })
                .collect();
            indices.reverse();
            indices
        })
        .collect()
}
