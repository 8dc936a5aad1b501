//! What `sft` is told.

use dag_engine::{ModelRef, StageRef};
use dag_train::{Overlong, Schedule, SftOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The shape of a model that starts from nothing. All fields are semantic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Init {
    /// Blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Query heads; divides `hidden`.
    pub heads: usize,
    /// Key and value heads. Default: `heads`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<usize>,
    /// Width of the feed-forward part. Default: three times `hidden`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intermediate: Option<usize>,
    /// Longest sequence, in tokens. Default 512.
    #[serde(default = "default_positions")]
    pub positions: usize,
    /// Whether the head is the embedding. Default false.
    #[serde(default)]
    pub tied: bool,
}

/// Settings of `sft`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SftSettings {
    /// The conversations. Semantic.
    pub from: StageRef,
    /// The model to start from; or give `init`. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelRef>,
    /// The shape of a model to start from nothing; or give `model`. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// The column with what the user says; needs `response`. Default: the column `messages` has whole conversations. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The column with what the assistant answers; needs `prompt`. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// Passes over the rows. Default 3. Semantic.
    #[serde(default = "three")]
    pub epochs: usize,
    /// Optimizer steps; where it is given, `epochs` does not count. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Peak learning rate. Default 1e-5. Semantic.
    #[serde(default = "default_rate")]
    pub learning_rate: f64,
    /// Steps in which the rate rises to its peak. Default 0. Semantic.
    #[serde(default)]
    pub warmup: usize,
    /// The rate's course afterwards. Default `cosine`. Semantic.
    #[serde(default = "default_schedule")]
    pub schedule: Schedule,
    /// Rows of an optimizer step: `micro_batch` × `world` × accumulation. Default 32. Semantic.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// Rows that a rank takes through the model at once. Default: `batch / world`. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// Data-parallel ranks. Default 2. Semantic: gradients are summed rank by rank, on any number of cores.
    #[serde(default = "two")]
    pub world: usize,
    /// Decoupled weight decay; norms and biases have none. Default 0. Semantic.
    #[serde(default)]
    pub weight_decay: f64,
    /// AdamW's decay of the first and second moments. Default 0.9, 0.999. Semantic.
    #[serde(default = "default_betas")]
    pub betas: (f64, f64),
    /// Longest gradient; 0 does not clip. Default 1. Semantic.
    #[serde(default = "default_clip")]
    pub clip: f64,
    /// Longest row, in tokens. Default 2048. Semantic.
    #[serde(default = "default_cutoff")]
    pub cutoff: usize,
    /// What happens to longer rows. Default `drop`; they are counted. Semantic.
    #[serde(default = "default_overlong")]
    pub overlong: Overlong,
    /// Share of the rows that is measured and not learnt. Default 0. Semantic.
    #[serde(default)]
    pub validation: f64,
    /// Decides the first weights and the order of the rows. Default: made from the pipeline's seed. Semantic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Whether every epoch's model is an output: `epoch1`, `epoch2`, … Default false. Semantic.
    #[serde(default)]
    pub keep_epochs: bool,
    /// GPUs to train on, a rank each; 0 trains on the CPU. Default 0. Operational. The plan says what is asked for; this
    /// version trains on the CPU only and refuses others before the first step.
    #[serde(default)]
    pub gpus: u32,
    /// Seconds between two checkpoints; 0 writes none but at a stop. Default 30. Operational.
    #[serde(default = "default_checkpoint")]
    pub checkpoint_seconds: u64,
}

fn default_positions() -> usize {
    512
}
fn three() -> usize {
    3
}
fn two() -> usize {
    2
}
fn default_rate() -> f64 {
    1e-5
}
fn default_schedule() -> Schedule {
    Schedule::Cosine
}
fn default_batch() -> usize {
    32
}
fn default_betas() -> (f64, f64) {
    (0.9, 0.999)
}
fn default_clip() -> f64 {
    1.0
}
fn default_cutoff() -> usize {
    2048
}
fn default_overlong() -> Overlong {
    Overlong::Drop
}
fn default_checkpoint() -> u64 {
    30
}

impl SftSettings {
    pub(super) fn options(&self, seed: u64) -> SftOptions {
        SftOptions {
            steps: self.steps,
            epochs: self.epochs,
            learning_rate: self.learning_rate,
            warmup_steps: self.warmup,
            schedule: self.schedule,
            batch: self.batch,
            micro_batch: self.micro_batch.unwrap_or(self.batch / self.world.max(1)),
            world: self.world,
            weight_decay: self.weight_decay,
            betas: self.betas,
            clip: self.clip,
            cutoff: self.cutoff,
            overlong: self.overlong,
            seed,
            validation: self.validation,
            checkpoint_seconds: self.checkpoint_seconds,
            ..SftOptions::default()
        }
    }

    /// The epochs whose models are outputs of their own.
    pub(super) fn kept(&self) -> std::ops::RangeInclusive<usize> {
        let last = if self.keep_epochs && self.steps.is_none() {
            self.epochs
        } else {
            0
        };
        1..=last
    }
}
