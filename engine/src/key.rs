//! Stage keys: the digest of everything that decides a stage's output, and of nothing else.
//!
//! The preimage is a map with fixed entries; `why` compares it entry by entry. Names of stages,
//! paths, addresses and hosts never enter it: inputs are their content digests in slot order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use dag_cache::{Record, StageKey, canon};
use serde::{Deserialize, Serialize};

use crate::checked::{CheckedModel, CheckedStage, ModelSource, Pipeline};
use crate::context::{HubBinding, InputArtifact, ModelBinding, ModelPlace};
use crate::declaration::HubRepo;
use crate::lookups::Lookups;
use crate::model_ref::ModelSpec;

/// Version of the preimage: a change of its make-up makes every key new.
pub const KEY_FORMAT: u32 = 1;

/// Entries of a preimage.
pub(crate) mod entry {
    pub(crate) const FORMAT: &str = "format";
    pub(crate) const KIND: &str = "kind";
    pub(crate) const VERSION: &str = "version";
    pub(crate) const SETTINGS: &str = "settings";
    pub(crate) const INPUTS: &str = "inputs";
    pub(crate) const MODELS: &str = "models";
    pub(crate) const FILES: &str = "files";
    pub(crate) const HUB: &str = "hub";
    pub(crate) const SEED: &str = "seed";
}

/// Something a stage needs that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "need", rename_all = "snake_case")]
pub enum Need {
    /// The revision of a hub repository has never been resolved.
    HubRevision {
        /// Data set or model.
        repo: HubRepo,
        /// `owner/name`.
        id: String,
        /// What the file says, if anything.
        revision: Option<String>,
    },
    /// A file or folder cannot be read.
    File {
        /// The setting that names it.
        field: String,
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        problem: String,
    },
    /// A stage before it did not write the output that is named.
    Output {
        /// The stage before.
        stage: String,
        /// The output named.
        output: String,
    },
    /// A model that says neither what it is nor who serves it.
    Model {
        /// The slot.
        slot: String,
    },
    /// The machine has less than the stage asks for.
    Resource {
        /// `gpus`, `memory`.
        resource: String,
        /// What the stage asks for.
        asked: u64,
        /// What there is.
        there: u64,
    },
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::HubRevision { repo, id, revision } => {
                let revision = revision.as_deref().unwrap_or("main");
                write!(
                    f,
                    "the commit of {} `{id}` at `{revision}` is not known yet",
                    repo.as_str()
                )
            }
            Self::File {
                field,
                path,
                problem,
            } => {
                write!(
                    f,
                    "`{field}` names {}, which cannot be read: {problem}",
                    path.display()
                )
            }
            Self::Output { stage, output } => write!(f, "stage `{stage}` has no output `{output}`"),
            Self::Model { slot } => {
                write!(
                    f,
                    "model `{slot}` names no hub id, no folder and no served name"
                )
            }
            Self::Resource {
                resource,
                asked,
                there,
            } => {
                write!(f, "it asks for {asked} {resource}, and there are {there}")
            }
        }
    }
}

/// A stage whose names have become contents.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) key: StageKey,
    pub(crate) preimage: canon::Value,
    pub(crate) inputs: Vec<(String, Vec<InputArtifact>)>,
    pub(crate) models: Vec<(String, ModelBinding)>,
    pub(crate) files: BTreeMap<String, PathBuf>,
    pub(crate) hub: BTreeMap<String, HubBinding>,
}

/// Finds the key of a stage whose inputs are all there. `record_of` gives the record of a stage
/// before it.
///
/// # Errors
/// Everything that is missing, not only the first.
pub(crate) fn resolve(
    pipeline: &Pipeline,
    stage: &CheckedStage,
    record_of: &dyn Fn(&str) -> Option<Arc<Record>>,
    lookups: &dyn Lookups,
) -> Result<Resolved, Vec<Need>> {
    let mut needs = Vec::new();
    let mut inputs: Vec<(String, Vec<InputArtifact>)> = stage
        .declaration
        .inputs
        .iter()
        .map(|decl| (decl.slot.clone(), Vec::new()))
        .collect();
    for input in &stage.inputs {
        match artifact(&input.stage, input.output.as_deref(), record_of) {
            Ok(artifact) => match inputs.iter_mut().find(|(slot, _)| *slot == input.slot) {
                Some((_, list)) => list.push(artifact),
                None => inputs.push((input.slot.clone(), vec![artifact])),
            },
            Err(need) => needs.push(need),
        }
    }
    let mut models = Vec::with_capacity(stage.models.len());
    for model in &stage.models {
        match bind_model(pipeline, model, record_of, lookups) {
            Ok(binding) => models.push((model.slot.clone(), binding)),
            Err(need) => needs.push(need),
        }
    }
    let folder = pipeline.folder();
    let mut files = BTreeMap::new();
    let mut file_digests = BTreeMap::new();
    for file in &stage.declaration.files {
        let path = folder.join(&file.path);
        match lookups.path_digest(&path) {
            Ok(digest) => {
                file_digests.insert(file.field.clone(), canon::Value::Digest(digest));
                files.insert(file.field.clone(), path);
            }
            Err(problem) => {
                needs.push(Need::File {
                    field: file.field.clone(),
                    path,
                    problem,
                });
            }
        }
    }
    let mut hub = BTreeMap::new();
    for decl in &stage.declaration.hub {
        match pipeline
            .lock
            .resolve(decl.repo, &decl.id, decl.revision.as_deref())
        {
            Some(revision) => {
                hub.insert(
                    decl.field.clone(),
                    HubBinding {
                        id: decl.id.clone(),
                        revision,
                    },
                );
            }
            None => needs.push(Need::HubRevision {
                repo: decl.repo,
                id: decl.id.clone(),
                revision: decl.revision.clone(),
            }),
        }
    }
    if !needs.is_empty() {
        return Err(needs);
    }
    let preimage = preimage(stage, &inputs, &models, file_digests, &hub);
    let key = StageKey(canon::digest("dag stage key v1", &preimage));
    Ok(Resolved {
        key,
        preimage,
        inputs,
        models,
        files,
        hub,
    })
}

fn preimage(
    stage: &CheckedStage,
    inputs: &[(String, Vec<InputArtifact>)],
    models: &[(String, ModelBinding)],
    files: BTreeMap<String, canon::Value>,
    hub: &BTreeMap<String, HubBinding>,
) -> canon::Value {
    let inputs = inputs
        .iter()
        .map(|(slot, list)| {
            let digests = list
                .iter()
                .map(|input| canon::Value::Digest(input.artifact.content))
                .collect();
            (slot.clone(), canon::Value::List(digests))
        })
        .collect();
    let models = models
        .iter()
        .map(|(slot, model)| (slot.clone(), model.identity.clone()))
        .collect();
    let hub = hub
        .iter()
        .map(|(field, hub)| (field.clone(), hub_identity(&hub.id, &hub.revision)))
        .collect();
    let seed = if stage.declaration.seeded {
        // A seed is 64 bits; as text none of them is lost.
        canon::Value::Str(stage.seed.to_string())
    } else {
        canon::Value::Null
    };
    canon::Value::Map(BTreeMap::from([
        (
            entry::FORMAT.to_owned(),
            canon::Value::Int(i64::from(KEY_FORMAT)),
        ),
        (
            entry::KIND.to_owned(),
            canon::Value::Str(stage.kind.name().to_owned()),
        ),
        (
            entry::VERSION.to_owned(),
            canon::Value::Int(i64::from(stage.kind.version())),
        ),
        (entry::SETTINGS.to_owned(), stage.declaration.key.clone()),
        (entry::INPUTS.to_owned(), canon::Value::Map(inputs)),
        (entry::MODELS.to_owned(), canon::Value::Map(models)),
        (entry::FILES.to_owned(), canon::Value::Map(files)),
        (entry::HUB.to_owned(), canon::Value::Map(hub)),
        (entry::SEED.to_owned(), seed),
    ]))
}

fn artifact(
    stage: &str,
    output: Option<&str>,
    record_of: &dyn Fn(&str) -> Option<Arc<Record>>,
) -> Result<InputArtifact, Need> {
    let missing = || Need::Output {
        stage: stage.to_owned(),
        output: output.unwrap_or("(main)").to_owned(),
    };
    let record = record_of(stage).ok_or_else(missing)?;
    let output = output.unwrap_or(&record.main);
    let artifact = record.outputs.get(output).ok_or_else(|| Need::Output {
        stage: stage.to_owned(),
        output: output.to_owned(),
    })?;
    Ok(InputArtifact {
        stage: stage.to_owned(),
        output: output.to_owned(),
        key: record.key,
        artifact: artifact.clone(),
    })
}

/// What a model is and where.
pub(crate) fn bind_model(
    pipeline: &Pipeline,
    model: &CheckedModel,
    record_of: &dyn Fn(&str) -> Option<Arc<Record>>,
    lookups: &dyn Lookups,
) -> Result<ModelBinding, Need> {
    match &model.source {
        ModelSource::Stage { stage, output } => {
            let input = artifact(stage, output.as_deref(), record_of)?;
            Ok(ModelBinding {
                identity: map([("model", canon::Value::Digest(input.artifact.content))]),
                place: ModelPlace::Artifact(input.artifact),
                spec: None,
            })
        }
        ModelSource::Spec(spec) => bind_spec(pipeline, &model.slot, spec, lookups),
    }
}

fn bind_spec(
    pipeline: &Pipeline,
    slot: &str,
    spec: &ModelSpec,
    lookups: &dyn Lookups,
) -> Result<ModelBinding, Need> {
    let served = |name: &str| {
        let name = spec.name.as_deref().unwrap_or(name).to_owned();
        spec.server.as_ref().map(|_| ModelPlace::Served { name })
    };
    let (identity, place) = if let Some(id) = &spec.hf {
        let revision = pipeline
            .lock
            .resolve(HubRepo::Model, id, spec.revision.as_deref())
            .ok_or_else(|| Need::HubRevision {
                repo: HubRepo::Model,
                id: id.clone(),
                revision: spec.revision.clone(),
            })?;
        let identity = hub_identity(id, &revision);
        (
            identity,
            served(id).unwrap_or(ModelPlace::Hub {
                id: id.clone(),
                revision,
            }),
        )
    } else if let Some(path) = &spec.path {
        let folder = pipeline.folder().join(path);
        let digest = lookups.path_digest(&folder).map_err(|problem| Need::File {
            field: slot.to_owned(),
            path: folder.clone(),
            problem,
        })?;
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy())
            .unwrap_or_default();
        (
            map([("folder", canon::Value::Digest(digest))]),
            served(&name).unwrap_or(ModelPlace::Folder(folder)),
        )
    } else if let Some(name) = &spec.name {
        (
            map([("name", canon::Value::Str(name.clone()))]),
            ModelPlace::Served { name: name.clone() },
        )
    } else {
        return Err(Need::Model {
            slot: slot.to_owned(),
        });
    };
    Ok(ModelBinding {
        identity,
        place,
        spec: Some(spec.clone()),
    })
}

fn hub_identity(id: &str, revision: &str) -> canon::Value {
    map([
        ("hf", canon::Value::Str(id.to_owned())),
        ("revision", canon::Value::Str(revision.to_owned())),
    ])
}

fn map<const N: usize>(entries: [(&str, canon::Value); N]) -> canon::Value {
    canon::Value::Map(
        entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}
