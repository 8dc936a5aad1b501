//! Stages as they run: each exists once for every way in which its settings or anything above it
//! differ, and only once where several variants of the sweep share it.

use std::collections::{BTreeMap, HashMap};

use toml::de::{DeTable, DeValue};

use super::document::Place;
use super::flow::outputs;
use super::references::{WiredSource, Wiring};
use super::stages::{Config, Node, StageNode};
use super::sweep::{Axis, Target};
use crate::checked::{CheckedInput, CheckedModel, CheckedStage, ModelSource, SourceLine};
use crate::declaration::Declaration;
use crate::diagnostic::{Finding, Sources};
use crate::kind::OutputDecl;
use crate::model_ref::ModelSpec;

/// A stage as it runs in one or more variants.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) stage: usize,
    pub(super) config: usize,
    /// Which value of `pipeline.seed`, if that is swept and the stage has no seed of its own.
    seed: Option<usize>,
    /// For every input of the wiring, then every model of it: the instance above.
    pub(super) inputs: Vec<usize>,
    pub(super) models: Vec<Above>,
    /// The values that make it differ: axis → value.
    pub(super) labels: BTreeMap<usize, usize>,
    /// `None` when something is wrong here or above.
    pub(super) outputs: Option<Vec<OutputDecl>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Above {
    Spec,
    Model(usize, usize),
    Stage(usize),
}

/// Which instance a stage is, in each variant.
#[derive(Debug, Clone)]
enum Placed {
    Shared(usize),
    ByVariant(Vec<usize>),
}

impl Placed {
    fn get(&self, variant: usize) -> Option<usize> {
        match self {
            Placed::Shared(instance) => Some(*instance),
            Placed::ByVariant(instances) => instances.get(variant).copied(),
        }
    }
}

/// Everything that stages are made from.
pub(crate) struct Parts<'a, 's> {
    pub(crate) stages: &'a [StageNode<'s>],
    pub(crate) models: &'a [Node<ModelSpec>],
    pub(crate) wirings: &'a [Vec<Option<Wiring>>],
    /// Positions of stages, each after what it needs.
    pub(crate) order: &'a [usize],
    pub(crate) axes: &'a [Axis<'s>],
    pub(crate) variants: &'a [Vec<usize>],
    pub(crate) sources: &'a Sources,
    /// Value of `[pipeline] seed`.
    pub(crate) seed: u64,
}

type Key = (usize, Option<usize>, Vec<usize>, Vec<Above>);

/// Makes the stages, in the order of the file and of the sweep; checks what flows between them.
pub(crate) fn expand(parts: &Parts<'_, '_>, findings: &mut Vec<Finding>) -> Vec<CheckedStage> {
    let mut instances: Vec<Instance> = Vec::with_capacity(parts.order.len());
    let mut placed: Vec<Option<Placed>> = vec![None; parts.stages.len()];
    for stage in parts.order {
        let here = place_stage(*stage, parts, &placed, &mut instances, findings);
        if let Some(slot) = placed.get_mut(*stage) {
            *slot = here;
        }
    }
    if findings.iter().any(Finding::is_error) {
        return Vec::new();
    }
    let names = names(parts, &instances, &placed);
    let mut by_stage: Vec<Vec<usize>> = vec![Vec::new(); parts.stages.len()];
    for (index, instance) in instances.iter().enumerate() {
        if let Some(list) = by_stage.get_mut(instance.stage) {
            list.push(index);
        }
    }
    by_stage
        .iter()
        .flatten()
        .filter_map(|index| checked(*index, parts, &instances, &names))
        .collect()
}

fn place_stage(
    stage: usize,
    parts: &Parts<'_, '_>,
    placed: &[Option<Placed>],
    instances: &mut Vec<Instance>,
    findings: &mut Vec<Finding>,
) -> Option<Placed> {
    let node = &parts.stages.get(stage)?.node;
    let wirings = parts.wirings.get(stage)?;
    let is_shared = |above: usize| matches!(placed.get(above), Some(Some(Placed::Shared(_))));
    let shared = node.axes.is_empty()
        && !swept_seed(parts)
        && wirings.iter().flatten().all(|wiring| {
            wiring.needs().all(|(above, _)| is_shared(above))
                && wiring.models.iter().all(|model| match model.source {
                    WiredSource::Model(model) => parts
                        .models
                        .get(model)
                        .is_some_and(|model| model.axes.is_empty()),
                    WiredSource::Spec(_) | WiredSource::Stage { .. } => true,
                })
        });
    if shared {
        let variant = parts.variants.first()?;
        let (key, labels) = key_of(stage, 0, variant, parts, placed, instances)?;
        instances.push(instance(stage, key, labels, parts, instances, findings));
        return Some(Placed::Shared(instances.len() - 1));
    }
    let mut known: HashMap<Key, usize> = HashMap::new();
    let mut by_variant = Vec::with_capacity(parts.variants.len());
    for (index, variant) in parts.variants.iter().enumerate() {
        let (key, labels) = key_of(stage, index, variant, parts, placed, instances)?;
        let found = match known.get(&key) {
            Some(found) => *found,
            None => {
                instances.push(instance(
                    stage,
                    key.clone(),
                    labels,
                    parts,
                    instances,
                    findings,
                ));
                known.insert(key, instances.len() - 1);
                instances.len() - 1
            }
        };
        by_variant.push(found);
    }
    Some(Placed::ByVariant(by_variant))
}

fn swept_seed(parts: &Parts<'_, '_>) -> bool {
    parts.axes.iter().any(|axis| axis.target == Target::Seed)
}

/// What a stage is in one variant, and the values that make it so.
fn key_of(
    stage: usize,
    index: usize,
    variant: &[usize],
    parts: &Parts<'_, '_>,
    placed: &[Option<Placed>],
    instances: &[Instance],
) -> Option<(Key, BTreeMap<usize, usize>)> {
    let node = &parts.stages.get(stage)?.node;
    let choice = node.choice(variant, parts.axes);
    let config = node.configs.get(choice)?.as_ref()?;
    let wiring = parts.wirings.get(stage)?.get(choice)?.as_ref()?;
    if !wiring.whole {
        return None;
    }
    let mut labels: BTreeMap<usize, usize> = BTreeMap::new();
    let mut label = |axis: usize| {
        if parts
            .axes
            .get(axis)
            .is_some_and(|axis| axis.values.len() > 1)
        {
            labels.insert(axis, variant.get(axis).copied().unwrap_or(0));
        }
    };
    node.axes.iter().for_each(|axis| label(*axis));
    let mut seed = None;
    if let Some(axis) = parts
        .axes
        .iter()
        .position(|axis| axis.target == Target::Seed)
        && config.declaration.seeded
        && config.seed.is_none()
    {
        seed = variant.get(axis).copied();
        label(axis);
    }
    let above = |stage: usize| placed.get(stage)?.as_ref()?.get(index);
    let inputs: Vec<usize> = wiring
        .inputs
        .iter()
        .map(|input| above(input.stage))
        .collect::<Option<_>>()?;
    let mut models = Vec::with_capacity(wiring.models.len());
    for model in &wiring.models {
        models.push(match &model.source {
            WiredSource::Spec(_) => Above::Spec,
            WiredSource::Model(position) => {
                let node = parts.models.get(*position)?;
                node.axes.iter().for_each(|axis| label(*axis));
                Above::Model(*position, node.choice(variant, parts.axes))
            }
            WiredSource::Stage { stage, .. } => Above::Stage(above(*stage)?),
        });
    }
    let stages_above =
        inputs
            .iter()
            .copied()
            .chain(models.iter().filter_map(|model| match model {
                Above::Stage(instance) => Some(*instance),
                Above::Spec | Above::Model(..) => None,
            }));
    for instance in stages_above {
        labels.extend(
            instances
                .get(instance)?
                .labels
                .iter()
                .map(|(axis, value)| (*axis, *value)),
        );
    }
    Some(((choice, seed, inputs, models), labels))
}

/// Makes an instance and checks what flows into it.
fn instance(
    stage: usize,
    (config, seed, inputs, models): Key,
    labels: BTreeMap<usize, usize>,
    parts: &Parts<'_, '_>,
    instances: &[Instance],
    findings: &mut Vec<Finding>,
) -> Instance {
    let mut instance = Instance {
        stage,
        config,
        seed,
        inputs,
        models,
        labels,
        outputs: None,
    };
    instance.outputs = outputs(&instance, parts, instances, findings);
    instance
}

pub(super) fn labels_in_words(labels: &BTreeMap<usize, usize>, axes: &[Axis<'_>]) -> String {
    let parts: Vec<String> = labels
        .iter()
        .filter_map(|(axis, value)| {
            let axis = axes.get(*axis)?;
            Some(format!("{}={}", axis.key, axis.labels.get(*value)?))
        })
        .collect();
    parts.join(",")
}

/// `student`, or `student[student.epochs=2]` where there are several.
fn names(parts: &Parts<'_, '_>, instances: &[Instance], placed: &[Option<Placed>]) -> Vec<String> {
    instances
        .iter()
        .map(|instance| {
            let name = parts
                .stages
                .get(instance.stage)
                .map_or("", |stage| &stage.node.name);
            match placed.get(instance.stage) {
                Some(Some(Placed::ByVariant(_))) if !instance.labels.is_empty() => {
                    format!("{name}[{}]", labels_in_words(&instance.labels, parts.axes))
                }
                _ => name.to_owned(),
            }
        })
        .collect()
}

fn checked(
    index: usize,
    parts: &Parts<'_, '_>,
    instances: &[Instance],
    names: &[String],
) -> Option<CheckedStage> {
    let instance = instances.get(index)?;
    let stage = parts.stages.get(instance.stage)?;
    let config = stage.node.configs.get(instance.config)?.as_ref()?;
    let wiring = parts
        .wirings
        .get(instance.stage)?
        .get(instance.config)?
        .as_ref()?;
    let name = |instance: usize| names.get(instance).cloned().unwrap_or_default();
    let inputs = wiring
        .inputs
        .iter()
        .zip(&instance.inputs)
        .flat_map(|(input, above)| {
            let every = config
                .declaration
                .inputs
                .iter()
                .any(|decl| decl.slot == input.slot && decl.every);
            let all = instances
                .get(*above)
                .and_then(|above| above.outputs.as_deref());
            let outputs = match (&input.output, all) {
                (None, Some(all)) if every => {
                    all.iter().map(|output| Some(output.name.clone())).collect()
                }
                (named, _) => vec![named.clone()],
            };
            outputs
                .into_iter()
                .map(|output| CheckedInput {
                    slot: input.slot.clone(),
                    stage: name(*above),
                    output,
                })
                .collect::<Vec<_>>()
        })
        .collect();
    let models = wiring
        .models
        .iter()
        .zip(&instance.models)
        .map(|(model, above)| {
            let source = match (&model.source, above) {
                (WiredSource::Spec(spec), _) => ModelSource::Spec(spec.clone()),
                (WiredSource::Model(_), Above::Model(position, choice)) => {
                    let spec = parts
                        .models
                        .get(*position)?
                        .configs
                        .get(*choice)?
                        .as_ref()?;
                    ModelSource::Spec(spec.clone())
                }
                (WiredSource::Stage { output, .. }, Above::Stage(above)) => ModelSource::Stage {
                    stage: name(*above),
                    output: output.clone(),
                },
                (WiredSource::Model(_) | WiredSource::Stage { .. }, _) => return None,
            };
            Some(CheckedModel {
                slot: model.slot.clone(),
                source,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    let variant = instance
        .labels
        .iter()
        .filter_map(|(axis, value)| {
            let axis = parts.axes.get(*axis)?;
            Some((axis.key.clone(), axis.labels.get(*value)?.clone()))
        })
        .collect();
    Some(CheckedStage {
        name: name(index),
        kind: stage.kind.clone()?,
        settings: config.settings.clone(),
        settings_json: config.json.clone(),
        declaration: taking_turns(config.declaration.clone(), &models),
        inputs,
        models,
        outputs: instance.outputs.clone()?,
        seed: config.seed.unwrap_or_else(|| seed_of(instance, parts)),
        // What it takes from others is looked at once all stages are there.
        share: config.share.as_ref().is_none_or(|(share, _)| *share),
        lines: lines(config, &stage.node.at, &stage.kind_at, parts.sources),
        variant,
    })
}

/// Stages that ask one server share what it takes at once. So no server gets more than its
/// `concurrency`, and of two variants that have rows in common the second finds them answered.
fn taking_turns(mut declaration: Declaration, models: &[CheckedModel]) -> Declaration {
    for model in models {
        let ModelSource::Spec(spec) = &model.source else {
            continue;
        };
        if let Some(server) = &spec.server {
            let limits = &mut declaration.resources.limits;
            let share = limits.entry(format!("server {}", server.url)).or_insert(1);
            *share = (*share).max(server.concurrency);
        }
    }
    declaration
}

fn seed_of(instance: &Instance, parts: &Parts<'_, '_>) -> u64 {
    let swept = instance.seed.and_then(|value| {
        let axis = parts.axes.iter().find(|axis| axis.target == Target::Seed)?;
        match axis.values.get(value)?.get_ref() {
            DeValue::Integer(seed) => u64::from_str_radix(seed.as_str(), seed.radix()).ok(),
            _ => None,
        }
    });
    swept.unwrap_or(parts.seed)
}

/// The line of every setting.
fn lines(
    config: &Config<'_>,
    header: &Place,
    kind: &Place,
    sources: &Sources,
) -> BTreeMap<String, SourceLine> {
    let mut lines = BTreeMap::new();
    let mut put = |path: String, place: &Place| {
        if let Some((file, line, text)) = sources.line(place) {
            lines.insert(
                path,
                SourceLine {
                    file: file.to_owned(),
                    line,
                    text: text.to_owned(),
                },
            );
        }
    };
    put(String::new(), header);
    put("kind".to_owned(), kind);
    if let Some((_, share)) = &config.share {
        put("share".to_owned(), share);
    }
    let mut open: Vec<(String, &DeTable<'_>)> = vec![(String::new(), &config.table)];
    while let Some((prefix, table)) = open.pop() {
        for (key, value) in table {
            let path = match prefix.as_str() {
                "" => key.get_ref().to_string(),
                prefix => format!("{prefix}.{}", key.get_ref()),
            };
            match value.get_ref() {
                DeValue::Table(inner) => {
                    put(path.clone(), &key.span());
                    open.push((path, inner));
                }
                _ => put(path, &value.span()),
            }
        }
    }
    lines
}
