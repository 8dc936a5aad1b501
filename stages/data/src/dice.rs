//! Chance that is the same everywhere: a BLAKE3 stream, cut into numbers.
//!
//! A seed and a purpose name one endless stream. No random-number crate is involved, so a new version of one can
//! never change which problems a seed makes or which rows a mix takes.

use blake3::{Hasher, OutputReader};

/// One stream of chance, named by a seed and a purpose.
pub(crate) struct Dice {
    stream: OutputReader,
}

impl Dice {
    /// The stream of `seed` for `purpose`; two purposes share nothing.
    pub(crate) fn new(seed: u64, purpose: &[&str]) -> Self {
        let mut hasher = Hasher::new_derive_key("dag-data 2026 dice v1");
        hasher.update(&seed.to_le_bytes());
        for part in purpose {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self {
            stream: hasher.finalize_xof(),
        }
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.stream.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number from 0 to `sides - 1`, each as likely as the other to within 2⁻³²; 0 for no sides.
    pub(crate) fn below(&mut self, sides: u32) -> u32 {
        let high = u64::from(u32::MAX) & (self.next() >> 32);
        // below `sides`, so it fits
        ((high * u64::from(sides)) >> 32) as u32
    }

    /// A small number from `low` to `high`, both included.
    pub(crate) fn digit(&mut self, low: u8, high: u8) -> u8 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "below(n) with n <= 256 fits a byte"
        )]
        let step = self.below(u32::from(high.saturating_sub(low)) + 1) as u8;
        low + step
    }

    /// True in `share` of the cases (0 never, 1 always).
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// A number in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let number = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_never_changes() {
        let mut dice = Dice::new(7, &["a"]);
        let first: Vec<u32> = (0..6).map(|_| dice.below(10)).collect();
        insta::assert_debug_snapshot!(first);
        let mut other = Dice::new(7, &["b"]);
        assert_ne!(first, (0..6).map(|_| other.below(10)).collect::<Vec<_>>());
    }

    #[test]
    fn digits_reach_both_ends_and_nothing_else() {
        let mut dice = Dice::new(1, &["ends"]);
        let seen: std::collections::BTreeSet<u8> = (0..1000).map(|_| dice.digit(3, 7)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
    }
}
