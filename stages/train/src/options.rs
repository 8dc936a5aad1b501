//! How to train. Every field says whether it changes the result.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The learning rate's course after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Half a cosine, down to zero.
    Cosine,
    /// Half a cosine, down to a tenth of the peak.
    CosineWithMin,
    /// A straight line, down to zero.
    Linear,
    /// The peak throughout.
    Constant,
}

/// What happens to a row that is longer than the cutoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlong {
    /// It is left out, and counted.
    Drop,
    /// Training does not begin.
    Error,
    /// Its end is cut; its last token, which ends the answer, is kept.
    TruncateKeepEnd,
}

/// How the gradient is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// The fused arithmetic on CPU slices: the fast one.
    Fused,
    /// burn's autodiff, operation by operation: the plain one.
    Plain,
}

/// The settings of a training run. All but `checkpoint_steps` and `checkpoint_seconds` change the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SftOptions {
    /// Optimizer steps; where it is absent, `epochs` counts.
    pub steps: Option<usize>,
    /// Passes over the rows.
    pub epochs: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Steps in which the rate rises to its peak.
    pub warmup_steps: usize,
    /// The rate's course afterwards.
    pub schedule: Schedule,
    /// Rows of an optimizer step, over all ranks.
    pub batch: usize,
    /// Rows that a rank takes through the model at once.
    pub micro_batch: usize,
    /// Data-parallel ranks. Gradients are summed in rank order, so the result depends on this and not on the machine.
    pub world: usize,
    /// Decoupled weight decay; norms and biases have none.
    pub weight_decay: f64,
    /// AdamW's decay of the first and second moments.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Longest gradient, over all parameters; 0 leaves it as it is.
    pub clip: f64,
    /// Longest row, in tokens.
    pub cutoff: usize,
    /// What happens to longer ones.
    pub overlong: Overlong,
    /// Decides the order of the rows.
    pub seed: u64,
    /// Share of the rows that is only measured, never learnt from.
    pub validation: f64,
    /// How the gradient is computed.
    pub path: Path,
    /// A checkpoint after this many steps; 0 for never. Operational.
    pub checkpoint_steps: usize,
    /// A checkpoint after this many seconds; 0 for never. Operational.
    pub checkpoint_seconds: u64,
}

impl Default for SftOptions {
    fn default() -> Self {
        Self {
            steps: None,
            epochs: 3,
            learning_rate: 1e-5,
            warmup_steps: 0,
            schedule: Schedule::Cosine,
            batch: 32,
            micro_batch: 16,
            world: 2,
            weight_decay: 0.0,
            betas: (0.9, 0.999),
            eps: 1e-8,
            clip: 1.0,
            cutoff: 2048,
            overlong: Overlong::Drop,
            seed: 0,
            validation: 0.0,
            path: Path::Fused,
            checkpoint_steps: 0,
            checkpoint_seconds: 60,
        }
    }
}

impl SftOptions {
    /// What is impossible in these options, field by field.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut need = |good: bool, field, message: String| {
            if !good {
                faults.push((field, message));
            }
        };
        need(
            self.steps.map_or(self.epochs > 0, |steps| steps > 0),
            "epochs",
            "nothing would be trained".into(),
        );
        need(
            self.world > 0 && self.micro_batch > 0,
            "micro_batch",
            "micro_batch and world are at least 1".into(),
        );
        let together = self.micro_batch * self.world;
        let divides = together > 0 && self.batch > 0 && self.batch.is_multiple_of(together);
        need(
            divides,
            "batch",
            format!(
                "batch = {} is no multiple of micro_batch × world = {} × {}",
                self.batch, self.micro_batch, self.world
            ),
        );
        need(
            self.learning_rate > 0.0 && self.learning_rate.is_finite(),
            "learning_rate",
            "must be above 0".into(),
        );
        need(
            (0.0..1.0).contains(&self.betas.0) && (0.0..1.0).contains(&self.betas.1),
            "betas",
            "must lie in 0 to 1".into(),
        );
        need(
            (0.0..0.9).contains(&self.validation),
            "validation",
            "must lie in 0 to 0.9".into(),
        );
        need(
            self.cutoff >= 2,
            "cutoff",
            "must be at least 2 tokens".into(),
        );
        faults
    }

    /// The learning rate of a step, counted from 0, of `total`.
    pub fn rate(&self, step: usize, total: usize) -> f64 {
        if step < self.warmup_steps {
            return self.learning_rate * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let left = total.saturating_sub(self.warmup_steps).max(1);
        let done = (step - self.warmup_steps) as f64 / left as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        self.learning_rate
            * match self.schedule {
                Schedule::Cosine => cosine,
                Schedule::CosineWithMin => 0.1 + 0.9 * cosine,
                Schedule::Linear => 1.0 - done,
                Schedule::Constant => 1.0,
            }
    }
}
