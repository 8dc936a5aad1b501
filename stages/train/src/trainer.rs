//! The training run: which rows make a step, ranks that share them, one optimizer over the flat weights.
//!
//! A step's rows are sorted by length and dealt to the ranks in turn, so that all have about the same to do. Ranks
//! are threads; their gradients are summed in rank order, so a run gives the same bits on any number of cores.

use crate::checkpoint::{Checkpoint, Progress, digest};
use crate::gradient::Differentiate;
use crate::options::{Path as Route, SftOptions};
use crate::rows::{Row, Rows};
use crate::{Fused, Plain, TrainError};
use dag_model::{Layout, Model, Weights, cpu};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Instant;

/// What was measured of one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Counted from 1.
    pub step: usize,
    /// Passes over the rows so far.
    pub epoch: f64,
    /// Mean loss of the learnt tokens, in nats.
    pub loss: f64,
    /// The learning rate of the step.
    pub rate: f64,
    /// Length of the gradient before clipping.
    pub gradient_norm: f64,
    /// Tokens that went through the model in this step.
    pub tokens: usize,
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The trained weights.
    pub weights: Weights,
    /// Every step, also those before a resume.
    pub metrics: Vec<StepMetrics>,
    /// Mean loss on the rows kept apart, in nats a token, where there are any.
    pub validation_loss: Option<f64>,
}

/// What the caller is told, and asks for, between steps.
pub trait Watch {
    /// A step is done; `total` is how many there will be, `seconds` how long it took.
    fn step(&mut self, metrics: &StepMetrics, total: usize, seconds: f64);

    /// An epoch is complete; its weights may be kept.
    ///
    /// # Errors
    /// When they cannot be.
    fn epoch(&mut self, epoch: usize, weights: &[f32]) -> Result<(), TrainError>;

    /// Whether to stop. A checkpoint is written first.
    fn stopped(&self) -> bool;
}

/// Trains, from the checkpoint of this very run if `checkpoints` holds one.
///
/// # Errors
/// Impossible options, a loss that is not finite, a stop that was asked for, a checkpoint that cannot be written.
pub fn train(
    model: &Model,
    rows: &Rows,
    options: &SftOptions,
    checkpoints: Option<&Path>,
    watch: &mut dyn Watch,
) -> Result<Trained, TrainError> {
    if let Some((field, message)) = options.faults().into_iter().next() {
        return Err(TrainError::Option { field, message });
    }
    let (learnt, kept_apart) = split(&rows.rows, options);
    if learnt.is_empty() {
        return Err(TrainError::NoRows {
            dropped: rows.dropped,
        });
    }
    let per_epoch = learnt.len().div_ceil(options.batch);
    let total = options.steps.unwrap_or(per_epoch * options.epochs);
    let run = run_digest(model, rows, options)?;
    let count = model.weights.values.len();
    let fresh = || Checkpoint {
        progress: Progress {
            step: 0,
            metrics: Vec::new(),
            run: run.clone(),
        },
        weights: model.weights.values.clone(),
        first: vec![0.0; count],
        second: vec![0.0; count],
    };
    let found = checkpoints
        .map(|folder| Checkpoint::read(folder, &run, count))
        .transpose()?
        .flatten();
    let mut state = found.unwrap_or_else(fresh);
    let positions = rows
        .rows
        .iter()
        .map(|row| row.tokens.len())
        .max()
        .unwrap_or(1);
    let mut ranks: Vec<Rank> = (0..options.world)
        .map(|_| Rank::new(model, options, positions))
        .collect();
    let mut saved = Instant::now();
    let mut order = (usize::MAX, Vec::new());
    while state.progress.step < total {
        let begun = Instant::now();
        let (epoch, part) = (
            state.progress.step / per_epoch,
            state.progress.step % per_epoch,
        );
        if order.0 != epoch {
            order = (epoch, shuffled(learnt.len(), options.seed, epoch as u64));
        }
        let mut batch: Vec<&Row> = order
            .1
            .iter()
            .skip(part * options.batch)
            .take(options.batch)
            .map(|&row| learnt[row])
            .collect();
        batch.sort_by_key(|row| std::cmp::Reverse(row.tokens.len()));
        let metrics = step(
            &mut state,
            &mut ranks,
            &batch,
            model.weights.layout(),
            options,
            (total, per_epoch),
        )?;
        state.progress.metrics.push(metrics);
        state.progress.step += 1;
        watch.step(&metrics, total, begun.elapsed().as_secs_f64());
        if state.progress.step % per_epoch == 0 {
            watch.epoch(epoch + 1, &state.weights)?;
        }
        let stopped = watch.stopped();
        let due =
            options.checkpoint_steps > 0 && state.progress.step % options.checkpoint_steps == 0;
        let due = due
            || options.checkpoint_seconds > 0
                && saved.elapsed().as_secs() >= options.checkpoint_seconds;
        if let Some(folder) = checkpoints
            && (due || stopped)
        {
            state.write(folder)?;
            saved = Instant::now();
        }
        if stopped {
            return Err(TrainError::Stopped {
                step: state.progress.step,
            });
        }
    }
    let validation_loss = match kept_apart.is_empty() {
        true => None,
        false => Some(mean_loss(
            &mut ranks[0],
            &state.weights,
            &kept_apart,
            options,
        )?),
    };
    let weights = Weights::new(
        model.weights.layout().clone(),
        state.weights,
        model.weights.stored,
    );
    Ok(Trained {
        weights,
        metrics: state.progress.metrics,
        validation_loss,
    })
}

/// One data-parallel rank: its device and its gradient.
struct Rank {
    path: Box<dyn Differentiate + Send>,
    gradient: Vec<f32>,
}

impl Rank {
    fn new(model: &Model, options: &SftOptions, positions: usize) -> Self {
        let layout = model.weights.layout().clone();
        let path: Box<dyn Differentiate + Send> = match options.path {
            Route::Fused => Box::new(Fused::new(&model.config, layout, positions)),
            Route::Plain => {
                type Cpu = burn::backend::Autodiff<burn::backend::Flex>;
                Box::new(Plain::<Cpu>::new(&model.config, layout, Default::default()))
            }
        };
        Self {
            path,
            gradient: vec![0.0; model.weights.values.len()],
        }
    }

    fn loss(
        &mut self,
        weights: &[f32],
        rows: &[&Row],
        micro_batch: usize,
        scale: f32,
    ) -> Result<f64, TrainError> {
        self.gradient.fill(0.0);
        rows.chunks(micro_batch)
            .map(|rows| {
                self.path
                    .accumulate(weights, rows, scale, Some(&mut self.gradient))
            })
            .sum()
    }
}

fn step(
    state: &mut Checkpoint,
    ranks: &mut [Rank],
    batch: &[&Row],
    layout: &Layout,
    options: &SftOptions,
    (total, per_epoch): (usize, usize),
) -> Result<StepMetrics, TrainError> {
    let number = state.progress.step;
    let targets: usize = batch.iter().map(|row| row.targets()).sum();
    let scale = 1.0 / targets.max(1) as f32;
    let world = ranks.len();
    let shares: Vec<Vec<&Row>> = (0..world)
        .map(|rank| batch.iter().skip(rank).step_by(world).copied().collect())
        .collect();
    let weights = &state.weights;
    let losses: Vec<Result<f64, TrainError>> = std::thread::scope(|scope| {
        let (first, others) = ranks.split_at_mut(1);
        let handles: Vec<_> = others
            .iter_mut()
            .zip(&shares[1..])
            .map(|(rank, rows)| {
                scope.spawn(move || rank.loss(weights, rows, options.micro_batch, scale))
            })
            .collect();
        let mut losses = vec![first[0].loss(weights, &shares[0], options.micro_batch, scale)];
        losses.extend(handles.into_iter().map(|handle| {
            handle.join().unwrap_or_else(|_| {
                Err(TrainError::Device {
                    message: "a rank broke off".into(),
                })
            })
        }));
        losses
    });
    let loss = losses.into_iter().sum::<Result<f64, _>>()? / targets.max(1) as f64;
    let (first, others) = ranks.split_at_mut(1);
    for other in others {
        cpu::add_into(&mut first[0].gradient, &other.gradient);
    }
    let gradient = &first[0].gradient;
    let norm = cpu::square_sum(gradient).sqrt();
    if !loss.is_finite() || !norm.is_finite() {
        return Err(TrainError::NotFinite {
            step: number + 1,
            loss,
            norm,
        });
    }
    let clip = if options.clip > 0.0 {
        (options.clip / (norm + 1e-6)).min(1.0)
    } else {
        1.0
    };
    let rate = options.rate(number, total);
    update(state, gradient, layout, options, clip as f32, rate as f32);
    let tokens = batch.iter().map(|row| row.tokens.len() - 1).sum();
    Ok(StepMetrics {
        step: number + 1,
        epoch: (number + 1) as f64 / per_epoch as f64,
        loss,
        rate,
        gradient_norm: norm,
        tokens,
    })
}

/// Decay is for matrices: norms and biases have none.
fn update(
    state: &mut Checkpoint,
    gradient: &[f32],
    layout: &Layout,
    options: &SftOptions,
    clip: f32,
    rate: f32,
) {
    let power = i32::try_from(state.progress.step + 1).unwrap_or(i32::MAX);
    let (b1, b2) = options.betas;
    let corrections = ((1.0 - b1.powi(power)) as f32, (1.0 - b2.powi(power)) as f32);
    for place in &layout.tensors {
        let decay = if place.shape.len() > 1 {
            options.weight_decay as f32
        } else {
            0.0
        };
        let range = place.range.clone();
        let (first, second) = (
            &mut state.first[range.clone()],
            &mut state.second[range.clone()],
        );
        let weights = &mut state.weights[range.clone()];
        cpu::adamw(
            weights,
            &gradient[range],
            first,
            second,
            clip,
            rate,
            decay,
            (b1 as f32, b2 as f32),
            corrections,
            options.eps as f32,
        );
    }
}

fn mean_loss(
    rank: &mut Rank,
    weights: &[f32],
    rows: &[&Row],
    options: &SftOptions,
) -> Result<f64, TrainError> {
    let targets: usize = rows.iter().map(|row| row.targets()).sum();
    let sum: f64 = rows
        .chunks(options.micro_batch)
        .map(|rows| rank.path.accumulate(weights, rows, 1.0, None))
        .sum::<Result<f64, _>>()?;
    Ok(sum / targets.max(1) as f64)
}

/// The rows to learn from, and those kept apart.
fn split<'a>(rows: &'a [Row], options: &SftOptions) -> (Vec<&'a Row>, Vec<&'a Row>) {
    let apart = (rows.len() as f64 * options.validation).round() as usize;
    let order = shuffled(rows.len(), options.seed, u64::MAX);
    let mut chosen = order[..apart].to_vec();
    chosen.sort_unstable();
    let (mut learnt, mut kept) = (Vec::new(), Vec::new());
    for (index, row) in rows.iter().enumerate() {
        if chosen.binary_search(&index).is_ok() {
            kept.push(row)
        } else {
            learnt.push(row)
        }
    }
    (learnt, kept)
}

/// A permutation of `0..count` that follows from the seed and the epoch.
fn shuffled(count: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch);
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        let other = ((u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64) as usize;
        order.swap(last, other);
    }
    order
}

fn run_digest(model: &Model, rows: &Rows, options: &SftOptions) -> Result<String, TrainError> {
    let SftOptions {
        checkpoint_steps: _,
        checkpoint_seconds: _,
        ..
    } = options; // operational
    let semantic = SftOptions {
        checkpoint_steps: 0,
        checkpoint_seconds: 0,
        ..options.clone()
    };
    let options = serde_json::to_vec(&semantic).map_err(std::io::Error::other)?;
    let mut ids = Vec::new();
    for row in &rows.rows {
        ids.extend((row.tokens.len() as u64).to_le_bytes());
        for (token, learnt) in row.tokens.iter().zip(&row.learnt) {
            ids.extend(token.to_le_bytes());
            ids.push(u8::from(*learnt));
        }
    }
    Ok(digest(&[&options, &ids], &model.weights.values))
}
