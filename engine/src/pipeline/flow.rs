//! What flows between stages: every output that is named is there, models are models, and each
//! kind finds the columns it needs.

use dag_cache::ArtifactType;
use toml::de::DeTable;

use super::document::Place;
use super::nearest::{did_you_mean, listed};
use super::references::{WiredSource, Wiring};
use super::stages::StageNode;
use super::variants::{Above, Instance, Parts, labels_in_words};
use crate::diagnostic::Finding;
use crate::kind::{Fault, InputShape, Inputs, OutputDecl};

/// The outputs of an instance; `None` when something is wrong here or above, and here is told.
pub(super) fn outputs(
    instance: &Instance,
    parts: &Parts<'_, '_>,
    instances: &[Instance],
    findings: &mut Vec<Finding>,
) -> Option<Vec<OutputDecl>> {
    let stage = parts.stages.get(instance.stage)?;
    let config = stage.node.configs.get(instance.config)?.as_ref()?;
    let wiring = parts
        .wirings
        .get(instance.stage)?
        .get(instance.config)?
        .as_ref()?;
    let mut inputs = Inputs::new(&stage.node.name);
    let mut whole = true;
    for (input, above) in wiring.inputs.iter().zip(&instance.inputs) {
        let source = instances.get(*above)?;
        let Some(outputs) = &source.outputs else {
            whole = false;
            continue;
        };
        let above = parts.stages.get(source.stage)?;
        match find_output(outputs, input.output.as_deref()) {
            Some(output) => inputs.push(
                &input.slot,
                InputShape {
                    stage: above.node.name.clone(),
                    output: output.name.clone(),
                    artifact: output.artifact,
                    schema: output.schema.clone(),
                },
            ),
            None => {
                whole = false;
                findings.push(no_output(
                    above,
                    outputs,
                    input.output.as_deref(),
                    &input.at,
                ));
            }
        }
    }
    for (model, above) in wiring.models.iter().zip(&instance.models) {
        let (Above::Stage(above), WiredSource::Stage { output, .. }) = (above, &model.source)
        else {
            continue;
        };
        let source = instances.get(*above)?;
        let Some(outputs) = &source.outputs else {
            whole = false;
            continue;
        };
        let above = parts.stages.get(source.stage)?;
        match find_output(outputs, output.as_deref()) {
            Some(output) if output.artifact == ArtifactType::Model => {}
            Some(output) => {
                whole = false;
                let gives = artifact_in_words(output.artifact);
                let (name, kind) = (&above.node.name, kind_name(above));
                findings.push(
                    Finding::error(
                        "D0211",
                        model.at.clone(),
                        format!(
                            "`{}` of stage `{}` needs a model, and `{name}` gives {gives}",
                            model.slot, stage.node.name
                        ),
                    )
                    .here("not a model")
                    .also(
                        above.kind_at.clone(),
                        format!("a `{kind}` stage gives {gives}"),
                    ),
                );
            }
            None => {
                whole = false;
                findings.push(no_output(above, outputs, output.as_deref(), &model.at));
            }
        }
    }
    if !whole {
        return None;
    }
    match stage.kind.as_ref()?.outputs(&config.settings, &inputs) {
        Ok(outputs) if outputs.is_empty() => None,
        Ok(outputs) => Some(outputs),
        Err(faults) => {
            for fault in faults {
                findings.push(flow_fault(
                    fault,
                    instance,
                    stage,
                    &config.table,
                    wiring,
                    parts,
                ));
            }
            None
        }
    }
}

fn find_output<'o>(outputs: &'o [OutputDecl], name: Option<&str>) -> Option<&'o OutputDecl> {
    match name {
        None => outputs.first(),
        Some(name) => outputs.iter().find(|output| output.name == name),
    }
}

fn no_output(
    above: &StageNode<'_>,
    outputs: &[OutputDecl],
    output: Option<&str>,
    at: &Place,
) -> Finding {
    let output = output.unwrap_or_default();
    let names = outputs.iter().map(|output| output.name.as_str());
    Finding::error(
        "D0204",
        at.clone(),
        format!("stage `{}` has no output `{output}`", above.node.name),
    )
    .also(
        above.kind_at.clone(),
        format!("a `{}` stage", kind_name(above)),
    )
    .maybe_help(did_you_mean(output, names.clone()))
    .help(format!("its outputs are {}", listed(names)))
}

fn kind_name(stage: &StageNode<'_>) -> &'static str {
    stage.kind.as_ref().map_or("", |kind| kind.name())
}

fn artifact_in_words(artifact: ArtifactType) -> &'static str {
    match artifact {
        ArtifactType::Table => "a table",
        ArtifactType::Model => "a model",
        ArtifactType::Document => "a document",
    }
}

/// A fault between a stage and its inputs, shown at both ends.
fn flow_fault(
    fault: Fault,
    instance: &Instance,
    stage: &StageNode<'_>,
    table: &DeTable<'_>,
    wiring: &Wiring,
    parts: &Parts<'_, '_>,
) -> Finding {
    let field = fault.field.as_deref();
    let in_slot: Vec<_> = wiring
        .inputs
        .iter()
        .filter(|input| field == Some(input.slot.as_str()))
        .collect();
    let stage_name = |position: usize| {
        parts
            .stages
            .get(position)
            .map_or("", |s| s.node.name.as_str())
    };
    // of several inputs in a slot, the one that the message names
    let named: Vec<_> = in_slot
        .iter()
        .filter(|input| {
            fault
                .message
                .contains(&format!("`{}` gives", stage_name(input.stage)))
        })
        .collect();
    let code = if fault.message.contains("needs column") {
        "D0208"
    } else if fault.message.contains("needs a table") || fault.message.contains("needs a model") {
        "D0206"
    } else {
        "D0213"
    };
    let place = match named.first() {
        Some(input) => Some(input.at.clone()),
        None => field.and_then(|field| super::settings::place_of(table, field, None)),
    };
    let at = place.unwrap_or(stage.node.at.clone());
    let mut finding = Finding::error(code, at.clone(), fault.message).maybe_help(fault.hint);
    finding = finding.also(
        stage.kind_at.clone(),
        format!(
            "stage `{}` is a `{}` stage",
            stage.node.name,
            kind_name(stage)
        ),
    );
    for input in named.iter().take(1) {
        if let Some(above) = parts.stages.get(input.stage) {
            finding = finding.also(
                above.kind_at.clone(),
                format!("`{}` is a `{}` stage", above.node.name, kind_name(above)),
            );
        }
    }
    if !instance.labels.is_empty() {
        finding = finding.help(format!(
            "this is so with {}",
            labels_in_words(&instance.labels, parts.axes)
        ));
    }
    finding
}
