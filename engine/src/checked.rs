//! The checked pipeline: what loading a file yields and everything after it reads.
//!
//! A [`Pipeline`] holds only what the checks have proven: every reference is resolved to a stage
//! or a model, there is no cycle, every slot has the columns it needs. The loading half of the
//! crate makes it from TOML; [`PipelineBuilder`](crate::builder::PipelineBuilder) makes one in
//! code.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::declaration::{Declaration, HubRepo};
use crate::kind::{AnySettings, Kind, OutputDecl};
use crate::model_ref::ModelSpec;

/// A pipeline that passed every check.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// `[pipeline] name`; by it earlier runs are found.
    pub name: String,
    /// `[pipeline] seed`.
    pub seed: u64,
    /// The pipeline file, absolute; relative paths are relative to its folder.
    pub path: PathBuf,
    /// Stages in the order of the file, sweep variants in the order of the sweep. Names are unique.
    pub stages: Vec<CheckedStage>,
    /// `[models]`.
    pub models: BTreeMap<String, ModelSpec>,
    /// A run stops before it spends more than this, in USD.
    pub budget: Option<f64>,
    /// Capacity of named limits.
    pub limits: BTreeMap<String, u32>,
    /// Hub revisions that were resolved earlier.
    pub lock: HubLock,
}

impl Pipeline {
    /// The folder that relative paths start from.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.path.parent().map(PathBuf::from).unwrap_or_default()
    }

    /// The stage of that name.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&CheckedStage> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}

/// A stage that passed every check.
#[derive(Clone, Debug)]
pub struct CheckedStage {
    /// Unique name; a sweep variant carries its values (`student@epochs=2`).
    pub name: String,
    /// The kind that runs it.
    pub kind: Kind,
    /// Its settings, typed; only `kind` can open them.
    pub settings: AnySettings,
    /// The same settings as JSON with defaults filled in: for tasks in other processes, and to show.
    pub settings_json: serde_json::Value,
    /// What the kind declared from the settings. References in it may name sweep families; the
    /// resolved ones are `inputs` and `models`.
    pub declaration: Declaration,
    /// Every input, resolved, in the order of the declaration and of the author.
    pub inputs: Vec<CheckedInput>,
    /// Every model, resolved, in the order of the declaration.
    pub models: Vec<CheckedModel>,
    /// The outputs the kind announced; the first is the main one. Never empty.
    pub outputs: Vec<OutputDecl>,
    /// The stage's seed: the pipeline's, unless the stage has its own.
    pub seed: u64,
    /// Whether its result and rows may leave this machine: not if it says `share = false`, or takes
    /// anything from a stage that does. Operational.
    pub share: bool,
    /// Where each setting stands, by dotted path (`source.jsonl`); `""` is the stage's header.
    pub lines: BTreeMap<String, SourceLine>,
    /// Values of the sweep that made this variant, by setting (`student.epochs` → `2`); empty
    /// outside a sweep and for stages that all variants share.
    pub variant: BTreeMap<String, String>,
}

impl CheckedStage {
    /// The line of a setting: its own, or that of the nearest setting around it.
    #[must_use]
    pub fn line_of(&self, path: &str) -> Option<&SourceLine> {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return Some(line);
            }
            if path.is_empty() {
                return None;
            }
            path = path.rfind(['.', '[']).map_or("", |at| &path[..at]);
        }
    }
}

/// A resolved input: which output of which stage fills a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedInput {
    /// The slot it fills.
    pub slot: String,
    /// The stage it comes from.
    pub stage: String,
    /// The output; `None` is the main one.
    pub output: Option<String>,
}

/// A resolved model.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedModel {
    /// The slot it fills (`model`, `models.base`).
    pub slot: String,
    /// Where it comes from.
    pub source: ModelSource,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelSource {
    /// A hub repository, folder or server, from `[models]` or written in place.
    Spec(ModelSpec),
    /// The output of a stage; `None` is its main one.
    Stage {
        /// The stage that makes the model.
        stage: String,
        /// Which output.
        output: Option<String>,
    },
}

/// A place in a pipeline file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLine {
    /// The file, as the user named it.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// The line's text, without its end.
    pub text: String,
}

/// Hub revisions resolved once and kept beside the pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubLock {
    /// From [`HubLock::entry_key`] to the commit.
    pub revisions: BTreeMap<String, String>,
}

impl HubLock {
    /// The name of an entry: `dataset:AI-MO/NuminaMath-CoT@main`. No revision means `main`.
    #[must_use]
    pub fn entry_key(repo: HubRepo, id: &str, revision: Option<&str>) -> String {
        format!("{}:{id}@{}", repo.as_str(), revision.unwrap_or("main"))
    }

    /// The commit a hub reference means: a revision that is a commit already (7 to 40 hex
    /// characters) is itself, any other is looked up. `None` if nobody has resolved it yet.
    #[must_use]
    pub fn resolve(&self, repo: HubRepo, id: &str, revision: Option<&str>) -> Option<String> {
        if let Some(revision) = revision.filter(|revision| is_commit(revision)) {
            return Some(revision.to_ascii_lowercase());
        }
        self.revisions
            .get(&Self::entry_key(repo, id, revision))
            .cloned()
    }
}

fn is_commit(revision: &str) -> bool {
    (7..=40).contains(&revision.len()) && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}
