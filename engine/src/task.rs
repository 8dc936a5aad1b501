//! A task: one stage, ready to run, as a value. It serialises, so the same thing runs on a thread,
//! in a process of its own, or on another machine that reaches the same cache.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dag_cache::{OutputRef, StageKey, canon};
use serde::{Deserialize, Serialize};

use crate::context::{HubBinding, InputArtifact, ModelBinding};
use crate::declaration::Resources;

/// Everything a stage needs to run. Resolved: names have become contents.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// The stage's name, for events and messages; not part of the key.
    pub stage: String,
    /// The kind's name.
    pub kind: String,
    /// The kind's version; a process with another version refuses the task.
    pub version: u32,
    /// The settings.
    pub settings: serde_json::Value,
    /// The stage's key.
    pub key: StageKey,
    /// What the key is the digest of; stored with the record.
    pub preimage: canon::Value,
    /// The stage's seed.
    pub seed: u64,
    /// Inputs by slot, in the author's order.
    pub inputs: Vec<(String, Vec<InputArtifact>)>,
    /// Models by slot.
    pub models: Vec<(String, ModelBinding)>,
    /// Files and folders by setting, absolute.
    pub files: BTreeMap<String, PathBuf>,
    /// Hub repositories by setting, with their commits.
    pub hub: BTreeMap<String, HubBinding>,
    /// The outputs the kind announced, main one first.
    pub outputs: Vec<TaskOutput>,
    /// What it may take of the machine.
    pub resources: Resources,
    /// The cache it reads from and publishes to.
    pub cache: PathBuf,
    /// Who runs it (`user@host`), for the record.
    pub by: String,
    /// The program's version, for the record.
    pub tool: String,
    /// Run although the cache has a result; the result is compared with it.
    pub force: bool,
    /// Its result and rows may leave this machine.
    pub share: bool,
    /// Wait for a colleague who is at work on the same stage, instead of working beside them.
    #[serde(default)]
    pub wait: bool,
    /// Whoever started the process keeps its standard input open and writes commands to it; its
    /// end means that the starter is gone.
    #[serde(default)]
    pub supervised: bool,
}

/// An output that a task must write.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskOutput {
    /// The output's name.
    pub name: String,
    /// Table, model or document.
    pub artifact: dag_cache::ArtifactType,
    /// Names of the columns promised, in order; `None` if the kind could not say.
    pub columns: Option<Vec<String>>,
}

impl Task {
    /// All inputs, with their slots.
    pub fn artifacts(&self) -> impl Iterator<Item = (&str, &OutputRef)> {
        self.inputs.iter().flat_map(|(slot, inputs)| {
            inputs
                .iter()
                .map(move |input| (slot.as_str(), &input.artifact))
        })
    }
}
