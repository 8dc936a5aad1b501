//! How stages hang together: every name in a slot becomes the stage or model it means.

use std::collections::HashMap;

use super::document::Place;
use super::nearest::{did_you_mean, listed};
use super::settings::place_of;
use super::stages::{Config, Node, StageNode};
use crate::diagnostic::Finding;
use crate::model_ref::{ModelRef, ModelSpec};

/// What the slots of one configuration mean.
#[derive(Debug, Default)]
pub(crate) struct Wiring {
    pub(crate) inputs: Vec<WiredInput>,
    pub(crate) models: Vec<WiredModel>,
    /// Every name meant something.
    pub(crate) whole: bool,
}

impl Wiring {
    /// The stages it needs, with the place that names each.
    pub(crate) fn needs(&self) -> impl Iterator<Item = (usize, &Place)> {
        let inputs = self.inputs.iter().map(|input| (input.stage, &input.at));
        let models = self.models.iter().filter_map(|model| match &model.source {
            WiredSource::Stage { stage, .. } => Some((*stage, &model.at)),
            WiredSource::Spec(_) | WiredSource::Model(_) => None,
        });
        inputs.chain(models)
    }
}

/// An input: which output of the stage at this position fills a slot.
#[derive(Debug)]
pub(crate) struct WiredInput {
    pub(crate) slot: String,
    pub(crate) stage: usize,
    pub(crate) output: Option<String>,
    pub(crate) at: Place,
}

/// A model and where it comes from.
#[derive(Debug)]
pub(crate) struct WiredModel {
    pub(crate) slot: String,
    pub(crate) source: WiredSource,
    pub(crate) at: Place,
}

#[derive(Debug)]
pub(crate) enum WiredSource {
    /// Written in place.
    Spec(ModelSpec),
    /// The entry of `[models]` at this position.
    Model(usize),
    /// The output of the stage at this position.
    Stage {
        stage: usize,
        output: Option<String>,
    },
}

/// All names of a file.
struct Names<'a> {
    stages: HashMap<&'a str, usize>,
    models: HashMap<&'a str, usize>,
    stage_names: Vec<&'a str>,
    model_names: Vec<&'a str>,
    model_places: Vec<&'a Place>,
}

/// Resolves every reference; a wiring for each configuration of each stage.
pub(crate) fn wire(
    stages: &[StageNode<'_>],
    models: &[Node<ModelSpec>],
    findings: &mut Vec<Finding>,
) -> Vec<Vec<Option<Wiring>>> {
    let names = Names {
        stages: stages
            .iter()
            .enumerate()
            .map(|(i, s)| (s.node.name.as_str(), i))
            .collect(),
        models: models
            .iter()
            .enumerate()
            .map(|(i, m)| (m.name.as_str(), i))
            .collect(),
        stage_names: stages
            .iter()
            .map(|stage| stage.node.name.as_str())
            .collect(),
        model_names: models.iter().map(|model| model.name.as_str()).collect(),
        model_places: models.iter().map(|model| &model.at).collect(),
    };
    let mut used = vec![false; models.len()];
    let wirings: Vec<Vec<Option<Wiring>>> = stages
        .iter()
        .enumerate()
        .map(|(position, stage)| {
            stage
                .node
                .configs
                .iter()
                .map(|config| {
                    let config = config.as_ref()?;
                    let wiring = names.wire(position, stage, config, findings);
                    for model in &wiring.models {
                        if let WiredSource::Model(model) = model.source
                            && let Some(used) = used.get_mut(model)
                        {
                            *used = true;
                        }
                    }
                    Some(wiring)
                })
                .collect()
        })
        .collect();
    // a stage with a mistake may be the one that uses a model
    let all_read = stages.iter().all(|stage| stage.kind.is_some())
        && wirings
            .iter()
            .flatten()
            .all(|wiring| wiring.as_ref().is_some_and(|wiring| wiring.whole));
    for (model, used) in models.iter().zip(used) {
        if !used && all_read {
            findings.push(
                Finding::warning(
                    "D0210",
                    model.at.clone(),
                    format!("no stage uses the model `{}`", model.name),
                )
                .here("never used"),
            );
        }
    }
    wirings
}

impl Names<'_> {
    fn wire(
        &self,
        position: usize,
        stage: &StageNode<'_>,
        config: &Config<'_>,
        findings: &mut Vec<Finding>,
    ) -> Wiring {
        let name = stage.node.name.as_str();
        let mut wiring = Wiring {
            whole: true,
            ..Wiring::default()
        };
        for input in &config.declaration.inputs {
            for (index, reference) in input.refs.iter().enumerate() {
                let at = place_of(&config.table, &input.slot, Some(index))
                    .unwrap_or(stage.node.at.clone());
                let kind = stage.kind.as_ref().map_or("", |kind| kind.name());
                match self.stages.get(reference.stage()) {
                    Some(found) if *found == position => {
                        wiring.whole = false;
                        findings.push(itself(name, &at, &stage.node.at));
                    }
                    Some(found) => wiring.inputs.push(WiredInput {
                        slot: input.slot.clone(),
                        stage: *found,
                        output: reference.output().map(str::to_owned),
                        at,
                    }),
                    None => {
                        wiring.whole = false;
                        let finding = match self.models.get(reference.stage()) {
                            Some(model) => Finding::error(
                                "D0205",
                                at,
                                format!("`{}` of stage `{name}` takes the output of a stage, and `{}` is a model", input.slot, reference.stage()),
                            )
                            .here("a model cannot be read as a table")
                            .also(
                                self.model_places.get(*model).map_or(0..0, |place| (*place).clone()),
                                "it is a model",
                            )
                            .help("a stage of kind `sample` asks a model and gives a table"),
                            None => {
                                let known = self.stage_names.iter().copied();
                                let written = reference.stage();
                                Finding::error("D0201", at, format!("there is no stage `{written}`"))
                                    .here(format!("`{}` of stage `{name}`, a `{kind}` stage", input.slot))
                                    .maybe_help(did_you_mean(written, known.clone().filter(|other| *other != name)))
                                    .help(match self.stage_names.as_slice() {
                                        [_] => "there are no other stages".to_owned(),
                                        _ => format!("the stages are {}", listed(known.filter(|other| *other != name))),
                                    })
                            }
                        };
                        findings.push(finding);
                    }
                }
            }
        }
        for model in &config.declaration.models {
            let at = place_of(&config.table, &model.slot, None).unwrap_or(stage.node.at.clone());
            let source = match &model.model {
                ModelRef::Spec(spec) => Some(WiredSource::Spec(spec.clone())),
                ModelRef::Named(written) => {
                    self.model(position, stage, &model.slot, written, &at, findings)
                }
            };
            match source {
                Some(source) => wiring.models.push(WiredModel {
                    slot: model.slot.clone(),
                    source,
                    at,
                }),
                None => wiring.whole = false,
            }
        }
        wiring
    }

    fn model(
        &self,
        position: usize,
        stage: &StageNode<'_>,
        slot: &str,
        written: &str,
        at: &Place,
        findings: &mut Vec<Finding>,
    ) -> Option<WiredSource> {
        let name = stage.node.name.as_str();
        if let Some(model) = self.models.get(written) {
            return Some(WiredSource::Model(*model));
        }
        let (first, output) = match written.split_once('.') {
            Some((first, output)) => (first, Some(output.to_owned())),
            None => (written, None),
        };
        match self.stages.get(first) {
            Some(found) if *found == position => {
                findings.push(itself(name, at, &stage.node.at));
                return None;
            }
            Some(found) => {
                return Some(WiredSource::Stage {
                    stage: *found,
                    output,
                });
            }
            None => {}
        }
        let known = self.model_names.iter().chain(&self.stage_names).copied();
        let mut finding = Finding::error(
            "D0207",
            at.clone(),
            format!("there is no model `{written}`"),
        )
        .here(format!("`{slot}` of stage `{name}`"));
        if written.starts_with("http://") || written.starts_with("https://") {
            finding = finding.help(format!(
                "a server stands in a table: {{ hf = \"owner/name\", server = {{ url = \"{written}\" }} }}"
            ));
        } else if written.starts_with(['.', '/', '~']) {
            finding = finding.help(format!(
                "a folder stands in a table: {{ path = \"{written}\" }}"
            ));
        } else if written.contains('/') {
            finding = finding.help(format!(
                "a hub id stands in a table: {{ hf = \"{written}\" }}"
            ));
        } else {
            let others: Vec<&str> = known.filter(|other| *other != name).collect();
            finding = finding.maybe_help(did_you_mean(written, others.iter().copied()));
            finding = match self.model_names.as_slice() {
                [] => finding.help("there are no models: begin one with `[models.NAME]`"),
                models => {
                    finding.help(format!("the models are {}", listed(models.iter().copied())))
                }
            };
        }
        findings.push(finding);
        None
    }
}

fn itself(name: &str, at: &Place, stage_at: &Place) -> Finding {
    Finding::error(
        "D0202",
        at.clone(),
        format!("stage `{name}` reads its own output"),
    )
    .here("this is the stage itself")
    .also(stage_at.clone(), format!("stage `{name}`"))
}
