//! The gradient by burn's autodiff: the plain twin of [`crate::Fused`], and the path for other devices.

use crate::TrainError;
use crate::gradient::Differentiate;
use crate::rows::Row;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor, TensorData, activation};
use dag_model::{Config, Decoder, Layout, Parameter, Stored, Weights};
use std::sync::Arc;

/// The plain path on a device.
pub struct Plain<B: AutodiffBackend> {
    config: Config,
    layout: Arc<Layout>,
    device: B::Device,
}

impl<B: AutodiffBackend> Plain<B> {
    /// A path on a device.
    pub fn new(config: &Config, layout: Arc<Layout>, device: B::Device) -> Self {
        Self {
            config: config.clone(),
            layout,
            device,
        }
    }
}

impl<B: AutodiffBackend> Differentiate for Plain<B> {
    fn accumulate(
        &mut self,
        weights: &[f32],
        rows: &[&Row],
        scale: f32,
        gradient: Option<&mut [f32]>,
    ) -> Result<f64, TrainError> {
        let b = rows.len();
        let s = rows
            .iter()
            .map(|row| row.tokens.len() - 1)
            .max()
            .unwrap_or(0);
        let (mut seen, mut next, mut learnt) =
            (vec![0i64; b * s], vec![0i64; b * s], vec![0.0f32; b * s]);
        for (index, row) in rows.iter().enumerate() {
            for position in 0..row.tokens.len() - 1 {
                let at = index * s + position;
                seen[at] = i64::from(row.tokens[position]);
                next[at] = i64::from(row.tokens[position + 1]);
                learnt[at] = if row.learnt[position + 1] { 1.0 } else { 0.0 };
            }
        }
        let ids = |values: Vec<i64>| {
            Tensor::<B, 2, Int>::from_data(TensorData::new(values, [b, s]), &self.device)
        };
        let held = Weights::new(self.layout.clone(), weights.to_vec(), Stored::F32);
        let decoder = Decoder::<B>::new(&self.config, &held, &self.device);
        let logits_bsv = decoder.forward(&self.config, ids(seen));
        let chances_bs = activation::log_softmax(logits_bsv, 2)
            .gather(2, ids(next).unsqueeze_dim::<3>(2))
            .squeeze_dim::<2>(2);
        let learnt = Tensor::<B, 2>::from_data(TensorData::new(learnt, [b, s]), &self.device);
        let loss = (chances_bs * learnt).sum().neg();
        let value = numbers(loss.clone().inner())?
            .first()
            .copied()
            .unwrap_or_default();
        if let Some(gradient) = gradient {
            let gradients = loss.mul_scalar(scale).backward();
            let mut places = self.layout.tensors.iter();
            let mut fault = None;
            decoder.each_parameter(|parameter| {
                let Some(place) = places.next() else { return };
                let found = match parameter {
                    Parameter::Matrix(matrix) => matrix.val().grad(&gradients).map(numbers),
                    Parameter::Vector(vector) => vector.val().grad(&gradients).map(numbers),
                };
                match found {
                    Some(Ok(values)) => {
                        dag_model::cpu::add_into(&mut gradient[place.range.clone()], &values)
                    }
                    Some(Err(error)) => fault = Some(error),
                    None => {}
                }
            });
            if let Some(error) = fault {
                return Err(error);
            }
        }
        Ok(f64::from(value))
    }
}

fn numbers<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Result<Vec<f32>, TrainError> {
    tensor
        .into_data()
        .to_vec::<f32>()
        .map_err(|fault| TrainError::Device {
            message: format!("{fault:?}"),
        })
}
