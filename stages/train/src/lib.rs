//! Supervised fine-tuning: rows, loss, schedule, ranks, checkpoints.
//!
//! [`prepare`] turns conversations into rows, [`train`] takes a model through them. What a device must be able to do is
//! one trait of one method, [`Differentiate`]: [`Fused`] is its fast CPU implementation, [`Plain`] the same by burn's
//! autodiff. Nothing here knows of stages or pipelines.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "arithmetic on f32: the narrowing is the point"
)]

mod checkpoint;
mod fused;
mod gradient;
mod options;
mod plain;
mod rows;
mod trainer;

pub use fused::Fused;
pub use gradient::Differentiate;
pub use options::{Overlong, Path, Schedule, SftOptions};
pub use plain::Plain;
pub use rows::{Row, Rows, prepare};
pub use trainer::{StepMetrics, Trained, Watch, train};

/// Why training did not begin or did not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A row that cannot be learnt from.
    #[error("row {row}: {message}")]
    Row {
        /// Its place in the data, from 0.
        row: usize,
        /// What is wrong with it.
        message: String,
    },
    /// Nothing is left to learn from.
    #[error("no rows to learn from ({dropped} were over the cutoff)")]
    NoRows {
        /// Rows left out for their length.
        dropped: usize,
    },
    /// An option that makes no sense.
    #[error("{field}: {message}")]
    Option {
        /// The option.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The loss or the gradient is no number any more; a lower learning rate or a longer warm-up may help.
    #[error("step {step}: loss {loss}, gradient norm {norm}: not finite")]
    NotFinite {
        /// The step, from 1.
        step: usize,
        /// Its loss.
        loss: f64,
        /// Its gradient's length.
        norm: f64,
    },
    /// The device failed.
    #[error("device: {message}")]
    Device {
        /// What it said.
        message: String,
    },
    /// It was asked to stop, and has a checkpoint where it was given a folder.
    #[error("stopped after step {step}")]
    Stopped {
        /// Steps done.
        step: usize,
    },
    /// The model, its tokenizer or its template.
    #[error(transparent)]
    Model(#[from] dag_model::ModelError),
    /// A file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
