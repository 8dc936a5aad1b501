//! What a stage's settings name outside themselves, and which of them are semantic.
//!
//! A [`Declaration`] is everything the engine needs to know of a stage before it runs: which
//! stages, models, files and hub revisions it reads, what of its settings decides the output, and
//! what it needs of the machine. Inputs, models, files and hub revisions enter the stage's key by
//! content; only `key` holds settings, and a setting that is not in it is operational.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dag_cache::canon;
use serde::{Deserialize, Serialize};

use crate::model_ref::{ModelRef, OneOrMany, StageRef};

/// What a stage reads, needs and is decided by. Built with the methods below.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    /// Input slots, in the order of the reference page; the first is the kind's main one.
    pub inputs: Vec<InputDecl>,
    /// Models by slot (`model`, or `models.base` for a table of models).
    pub models: Vec<ModelDecl>,
    /// Local files and folders, relative to the pipeline file unless absolute.
    pub files: Vec<FileDecl>,
    /// Hub repositories that are read and whose revision decides the output.
    pub hub: Vec<HubDecl>,
    /// The semantic settings, and nothing else.
    pub key: canon::Value,
    /// What the stage takes of the machine while it runs.
    pub resources: Resources,
    /// The stage keeps finished rows in the row memo of its kind.
    pub memo: bool,
    /// The stage wants a process of its own.
    pub isolate: bool,
    /// The seed decides the output; without it a new seed reruns nothing.
    pub seeded: bool,
}

impl Default for Declaration {
    fn default() -> Self {
        Self {
            inputs: Vec::new(),
            models: Vec::new(),
            files: Vec::new(),
            hub: Vec::new(),
            key: canon::Value::Null,
            resources: Resources::default(),
            memo: false,
            isolate: false,
            seeded: true,
        }
    }
}

impl Declaration {
    /// A declaration of nothing: no inputs, an empty key, one CPU.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an input slot with the stages it names, in their order.
    #[must_use]
    pub fn input(mut self, slot: &str, refs: &(impl StageRefs + ?Sized)) -> Self {
        self.inputs.push(InputDecl {
            slot: slot.to_owned(),
            refs: refs.stage_refs(),
            every: false,
        });
        self
    }

    /// Adds an input slot where a bare stage name means every output of that stage, main one first;
    /// `stage.output` still means that one.
    #[must_use]
    pub fn input_all(mut self, slot: &str, refs: &(impl StageRefs + ?Sized)) -> Self {
        self.inputs.push(InputDecl {
            slot: slot.to_owned(),
            refs: refs.stage_refs(),
            every: true,
        });
        self
    }

    /// Adds a model under a slot.
    #[must_use]
    pub fn model(mut self, slot: &str, model: &ModelRef) -> Self {
        self.models.push(ModelDecl {
            slot: slot.to_owned(),
            model: model.clone(),
        });
        self
    }

    /// Adds a model if there is one.
    #[must_use]
    pub fn optional_model(self, slot: &str, model: Option<&ModelRef>) -> Self {
        match model {
            Some(model) => self.model(slot, model),
            None => self,
        }
    }

    /// Adds a table of models; each gets the slot `prefix.name`.
    #[must_use]
    pub fn models<'a>(
        mut self,
        prefix: &str,
        models: impl IntoIterator<Item = (&'a String, &'a ModelRef)>,
    ) -> Self {
        for (name, model) in models {
            self = self.model(&format!("{prefix}.{name}"), model);
        }
        self
    }

    /// Adds a file or folder that is read, under the setting that names it (`source.jsonl`).
    #[must_use]
    pub fn file(mut self, field: &str, path: &Path) -> Self {
        self.files.push(FileDecl {
            field: field.to_owned(),
            path: path.to_owned(),
        });
        self
    }

    /// Adds a hub repository, under the setting that names it (`source.hf`).
    #[must_use]
    pub fn hub(mut self, field: &str, repo: HubRepo, id: &str, revision: Option<&str>) -> Self {
        self.hub.push(HubDecl {
            field: field.to_owned(),
            repo,
            id: id.to_owned(),
            revision: revision.map(str::to_owned),
        });
        self
    }

    /// Sets the semantic settings.
    #[must_use]
    pub fn key(mut self, key: canon::Value) -> Self {
        self.key = key;
        self
    }

    /// Sets the number of CPU cores the stage keeps busy (default 1).
    #[must_use]
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.resources.cpus = cpus;
        self
    }

    /// Sets the number of GPUs the stage needs (default 0).
    #[must_use]
    pub fn gpus(mut self, gpus: u32) -> Self {
        self.resources.gpus = gpus;
        self
    }

    /// Sets the memory the stage needs, in bytes (default 0: little).
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.resources.memory = bytes;
        self
    }

    /// Takes `amount` of a named limit, such as `server:http://gpu1:8000/v1`, while it runs.
    #[must_use]
    pub fn limit(mut self, name: &str, amount: u32) -> Self {
        self.resources.limits.insert(name.to_owned(), amount);
        self
    }

    /// The stage keeps finished rows in the row memo.
    #[must_use]
    pub fn with_memo(mut self) -> Self {
        self.memo = true;
        self
    }

    /// The stage wants a process of its own.
    #[must_use]
    pub fn isolated(mut self) -> Self {
        self.isolate = true;
        self
    }

    /// The output does not depend on the seed: a new seed reruns nothing here.
    #[must_use]
    pub fn unseeded(mut self) -> Self {
        self.seeded = false;
        self
    }
}

/// An input slot and the stages (or stage outputs) it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputDecl {
    /// The slot: the name of the setting.
    pub slot: String,
    /// What it names, in the author's order.
    pub refs: Vec<StageRef>,
    /// A bare stage name means every output of the stage, not only the main one.
    pub every: bool,
}

/// A model slot.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelDecl {
    /// The slot: `model`, or `models.base`.
    pub slot: String,
    /// What the settings say.
    pub model: ModelRef,
}

/// A local file or folder that a stage reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDecl {
    /// The setting that names it, dotted.
    pub field: String,
    /// As written: relative to the pipeline file, or absolute.
    pub path: PathBuf,
}

/// A hub repository that a stage reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubDecl {
    /// The setting that names it, dotted.
    pub field: String,
    /// Data set or model.
    pub repo: HubRepo,
    /// The repository, `owner/name`.
    pub id: String,
    /// The revision as written; without one the lock file decides.
    pub revision: Option<String>,
}

/// The two kinds of hub repository that stages read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HubRepo {
    /// A data set.
    Dataset,
    /// A model.
    Model,
}

impl HubRepo {
    /// `dataset` or `model`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Model => "model",
        }
    }
}

/// What a stage takes of the machine while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// CPU cores kept busy.
    pub cpus: u32,
    /// GPUs held.
    pub gpus: u32,
    /// Memory, in bytes; 0 means little enough not to count.
    pub memory: u64,
    /// Named limits and how much of each.
    pub limits: BTreeMap<String, u32>,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            cpus: 1,
            gpus: 0,
            memory: 0,
            limits: BTreeMap::new(),
        }
    }
}

/// Settings fields that name stages.
pub trait StageRefs {
    /// The stages named, in the author's order.
    fn stage_refs(&self) -> Vec<StageRef>;
}

impl StageRefs for StageRef {
    fn stage_refs(&self) -> Vec<StageRef> {
        vec![self.clone()]
    }
}

impl<T: StageRefs> StageRefs for [T] {
    fn stage_refs(&self) -> Vec<StageRef> {
        self.iter().flat_map(StageRefs::stage_refs).collect()
    }
}

impl<T: StageRefs> StageRefs for Vec<T> {
    fn stage_refs(&self) -> Vec<StageRef> {
        self.as_slice().stage_refs()
    }
}

impl<T: StageRefs> StageRefs for Option<T> {
    fn stage_refs(&self) -> Vec<StageRef> {
        self.iter().flat_map(StageRefs::stage_refs).collect()
    }
}

impl<T: StageRefs> StageRefs for OneOrMany<T> {
    fn stage_refs(&self) -> Vec<StageRef> {
        self.as_slice().stage_refs()
    }
}
