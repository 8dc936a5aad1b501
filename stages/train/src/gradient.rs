//! The seam between the trainer and a device: weights and rows in, loss and gradient out, both flat.

use crate::TrainError;
use crate::rows::Row;

/// Computes gradients of the summed loss.
///
/// Contract: adds `scale · Σ loss` of every learnt token's gradient to `gradient`, which has the layout of
/// `weights`, and returns `Σ loss` in nats, unscaled. Rows never see one another. The same call gives the same
/// bits. With `gradient` absent only the loss is computed.
pub trait Differentiate {
    /// See the trait.
    ///
    /// # Errors
    /// When the device fails.
    fn accumulate(
        &mut self,
        weights: &[f32],
        rows: &[&Row],
        scale: f32,
        gradient: Option<&mut [f32]>,
    ) -> Result<f64, TrainError>;
}
