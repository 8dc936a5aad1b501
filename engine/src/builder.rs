//! A pipeline made in code, with the checks that a file gets. For programs that embed the engine,
//! and for tests.

use std::collections::BTreeMap;
use std::path::Path;

use crate::checked::{CheckedInput, CheckedModel, CheckedStage, HubLock, ModelSource, Pipeline};
use crate::kind::{Kind, StageKind};
use crate::model_ref::{ModelRef, ModelSpec};
use crate::shape::{Fault, InputShape, Inputs};

/// Makes a [`Pipeline`] stage by stage. A stage may only name stages added before it.
#[derive(Clone, Debug)]
pub struct PipelineBuilder {
    pipeline: Pipeline,
    faults: Vec<(String, Fault)>,
}

impl PipelineBuilder {
    /// A pipeline of that name, with seed 0; `path` is where its file would lie.
    #[must_use]
    pub fn new(name: &str, path: &Path) -> Self {
        let pipeline = Pipeline {
            name: name.to_owned(),
            seed: 0,
            path: path.to_owned(),
            stages: Vec::new(),
            models: BTreeMap::new(),
            budget: None,
            limits: BTreeMap::new(),
            lock: HubLock::default(),
        };
        Self {
            pipeline,
            faults: Vec::new(),
        }
    }

    /// Sets the seed, for stages added after it.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.pipeline.seed = seed;
        self
    }

    /// Sets the budget, in USD.
    #[must_use]
    pub fn budget(mut self, usd: f64) -> Self {
        self.pipeline.budget = Some(usd);
        self
    }

    /// Sets the capacity of a named limit.
    #[must_use]
    pub fn limit(mut self, name: &str, capacity: u32) -> Self {
        self.pipeline.limits.insert(name.to_owned(), capacity);
        self
    }

    /// Adds a model under a name.
    #[must_use]
    pub fn model(mut self, name: &str, spec: ModelSpec) -> Self {
        self.pipeline.models.insert(name.to_owned(), spec);
        self
    }

    /// Sets the resolved hub revisions.
    #[must_use]
    pub fn lock(mut self, lock: HubLock) -> Self {
        self.pipeline.lock = lock;
        self
    }

    /// Adds a stage of kind `K`.
    #[must_use]
    pub fn stage<K: StageKind>(mut self, name: &str, settings: K::Settings) -> Self {
        let kind = Kind::of::<K>();
        let Some(settings) = kind.settings(settings) else {
            return self;
        };
        let mut faults = kind.check(&settings);
        let declaration = kind.declare(&settings);
        let mut inputs = Vec::new();
        let mut shapes = Inputs::new(name);
        for decl in &declaration.inputs {
            for reference in &decl.refs {
                match self.shape(reference.stage(), reference.output()) {
                    Some(shape) => shapes.push(&decl.slot, shape),
                    None => faults.push(Fault::field(
                        &decl.slot,
                        format!("there is no stage or output `{reference}` before `{name}`"),
                    )),
                }
                let all = self
                    .pipeline
                    .stages
                    .iter()
                    .rev()
                    .find(|stage| stage.name == reference.stage());
                let outputs: Vec<Option<String>> = match (reference.output(), all) {
                    (None, Some(all)) if decl.every => all
                        .outputs
                        .iter()
                        .map(|output| Some(output.name.clone()))
                        .collect(),
                    (named, _) => vec![named.map(str::to_owned)],
                };
                inputs.extend(outputs.into_iter().map(|output| CheckedInput {
                    slot: decl.slot.clone(),
                    stage: reference.stage().to_owned(),
                    output,
                }));
            }
        }
        let mut models = Vec::new();
        for decl in &declaration.models {
            let source = match &decl.model {
                ModelRef::Spec(spec) => ModelSource::Spec(spec.clone()),
                ModelRef::Named(named) => match self.pipeline.models.get(named) {
                    Some(spec) => ModelSource::Spec(spec.clone()),
                    None => {
                        if self.pipeline.stage(named).is_none() {
                            faults.push(Fault::field(
                                &decl.slot,
                                format!("there is no model or stage `{named}` before `{name}`"),
                            ));
                        }
                        ModelSource::Stage {
                            stage: named.clone(),
                            output: None,
                        }
                    }
                },
            };
            models.push(CheckedModel {
                slot: decl.slot.clone(),
                source,
            });
        }
        let outputs = match kind.outputs(&settings, &shapes) {
            Ok(outputs) => outputs,
            Err(more) => {
                faults.extend(more);
                Vec::new()
            }
        };
        if faults.is_empty() && outputs.is_empty() {
            faults.push(Fault::stage(format!(
                "kind `{}` announces no output",
                kind.name()
            )));
        }
        self.faults
            .extend(faults.into_iter().map(|fault| (name.to_owned(), fault)));
        self.pipeline.stages.push(CheckedStage {
            name: name.to_owned(),
            settings_json: kind.settings_to_json(&settings),
            kind,
            settings,
            declaration,
            inputs,
            models,
            outputs,
            seed: self.pipeline.seed,
            share: true,
            lines: BTreeMap::new(),
            variant: BTreeMap::new(),
        });
        self
    }

    fn shape(&self, stage: &str, output: Option<&str>) -> Option<InputShape> {
        let stage = self
            .pipeline
            .stages
            .iter()
            .rev()
            .find(|there| there.name == stage)?;
        let output = match output {
            Some(name) => stage.outputs.iter().find(|output| output.name == name)?,
            None => stage.outputs.first()?,
        };
        Some(InputShape {
            stage: stage.name.clone(),
            output: output.name.clone(),
            artifact: output.artifact,
            schema: output.schema.clone(),
        })
    }

    /// The pipeline.
    ///
    /// # Errors
    /// Every fault, with the stage it is in.
    pub fn build(self) -> Result<Pipeline, Vec<(String, Fault)>> {
        if self.faults.is_empty() {
            Ok(self.pipeline)
        } else {
            Err(self.faults)
        }
    }
}
