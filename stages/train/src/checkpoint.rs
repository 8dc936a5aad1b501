//! Where a run stands, on disk: written beside, synced, renamed into place. Resuming from it continues bit by bit.

use crate::TrainError;
use crate::trainer::StepMetrics;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

const NAME: &str = "checkpoint.bin";

/// Everything that the next step depends on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Checkpoint {
    /// Steps done, and what was measured of them.
    pub(crate) progress: Progress,
    pub(crate) weights: Vec<f32>,
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) step: usize,
    #[serde(with = "exact")]
    pub(crate) metrics: Vec<StepMetrics>,
    /// Digest of options, rows and initial weights: a checkpoint of another run is not resumed.
    pub(crate) run: String,
}

/// Metrics by the bits of their numbers: a number read back from decimal digits may be its neighbour.
mod exact {
    use super::StepMetrics;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    type Bits = (usize, [u64; 4], usize);

    pub(super) fn serialize<S: Serializer>(
        metrics: &[StepMetrics],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bits = |metrics: &StepMetrics| -> Bits {
            let StepMetrics {
                step,
                epoch,
                loss,
                rate,
                gradient_norm,
                tokens,
            } = *metrics;
            (
                step,
                [epoch, loss, rate, gradient_norm].map(f64::to_bits),
                tokens,
            )
        };
        metrics
            .iter()
            .map(bits)
            .collect::<Vec<_>>()
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<StepMetrics>, D::Error> {
        let metrics = |(step, bits, tokens): Bits| {
            let [epoch, loss, rate, gradient_norm] = bits.map(f64::from_bits);
            StepMetrics {
                step,
                epoch,
                loss,
                rate,
                gradient_norm,
                tokens,
            }
        };
        Ok(Vec::<Bits>::deserialize(deserializer)?
            .into_iter()
            .map(metrics)
            .collect())
    }
}

impl Checkpoint {
    pub(crate) fn write(&self, folder: &Path) -> Result<(), TrainError> {
        fs_err::create_dir_all(folder)?;
        let mut bytes = Vec::with_capacity(self.weights.len() * 12 + 4096);
        let progress = serde_json::to_vec(&self.progress).map_err(std::io::Error::other)?;
        bytes.extend((progress.len() as u64).to_le_bytes());
        bytes.extend(progress);
        for values in [&self.weights, &self.first, &self.second] {
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        let sum = blake3::hash(&bytes);
        let part = folder.join(format!("{NAME}.part"));
        let mut file = fs_err::File::create(&part)?;
        file.write_all(sum.as_bytes())?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs_err::rename(part, folder.join(NAME))?;
        Ok(())
    }

    /// The checkpoint of this very run, if there is a whole one.
    pub(crate) fn read(
        folder: &Path,
        run: &str,
        length: usize,
    ) -> Result<Option<Self>, TrainError> {
        let bytes = match fs_err::read(folder.join(NAME)) {
            Ok(bytes) => bytes,
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(fault) => return Err(fault.into()),
        };
        let Some((sum, rest)) = bytes.split_first_chunk::<32>() else {
            return Ok(None);
        };
        if blake3::hash(rest).as_bytes() != sum {
            return Ok(None);
        }
        let Some((size, rest)) = rest.split_first_chunk::<8>() else {
            return Ok(None);
        };
        let size = usize::try_from(u64::from_le_bytes(*size)).unwrap_or(usize::MAX);
        let Some((progress, values)) = rest.split_at_checked(size) else {
            return Ok(None);
        };
        let Ok(progress) = serde_json::from_slice::<Progress>(progress) else {
            return Ok(None);
        };
        if progress.run != run || values.len() != length * 12 {
            return Ok(None);
        }
        let values: Vec<f32> = values
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        let part = |index: usize| values[index * length..(index + 1) * length].to_vec();
        Ok(Some(Self {
            progress,
            weights: part(0),
            first: part(1),
            second: part(2),
        }))
    }
}

/// A digest of anything that is written as JSON, and of numbers.
pub(crate) fn digest(parts: &[&[u8]], numbers: &[f32]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    for chunk in numbers.chunks(4096) {
        let bytes: Vec<u8> = chunk.iter().flat_map(|value| value.to_le_bytes()).collect();
        hasher.update(&bytes);
    }
    hasher.finalize().to_hex().to_string()
}
