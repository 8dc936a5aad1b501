//! Texts compared as readers compare them: one form for equality, and windows of words for overlap.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization as _;

/// The form in which prompts are compared: NFKC, lower case, white space as single blanks.
#[must_use]
pub fn normalised(text: &str) -> String {
    let folded: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let mut form = String::with_capacity(folded.len());
    for word in folded.split_whitespace() {
        if !form.is_empty() {
            form.push(' ');
        }
        form.push_str(word);
    }
    form
}

/// 16 bytes that stand for a normalised text.
pub(super) fn digest(form: &str) -> u128 {
    let hash = blake3::hash(form.as_bytes());
    let mut short = [0; 16];
    short.copy_from_slice(&hash.as_bytes()[..16]);
    u128::from_le_bytes(short)
}

/// What a table of problems to stay away from contains.
#[derive(Debug, Default)]
pub(super) struct Forbidden {
    window: usize,
    windows: HashSet<u64>,
    prompts: HashSet<u128>,
}

impl Forbidden {
    /// Overlaps count from this many words on.
    pub(super) fn new(window: usize) -> Self {
        Self {
            window: window.max(1),
            ..Self::default()
        }
    }

    /// Adds a prompt to stay away from. Only a whole match counts for one that is shorter than the window.
    pub(super) fn add(&mut self, form: &str) {
        self.prompts.insert(digest(form));
        self.windows.extend(windows(form, self.window));
    }

    /// Whether a prompt is one of these, or shares a window of words with one.
    pub(super) fn touches(&self, form: &str) -> bool {
        self.prompts.contains(&digest(form))
            || (!self.windows.is_empty()
                && windows(form, self.window).any(|window| self.windows.contains(&window)))
    }
}

/// An odd number for the polynomial over the words of a window.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hashes of all runs of `window` words; words are runs of letters and digits. A rolling polynomial over the hashes of
/// the words, so that the cost does not grow with the window.
fn windows(form: &str, window: usize) -> impl Iterator<Item = u64> {
    let words: Vec<u64> = form
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(word_hash)
        .collect();
    let mut power = 1u64;
    for _ in 1..window {
        power = power.wrapping_mul(BASE);
    }
    let mut rolled = 0u64;
    let mut at = 0usize;
    std::iter::from_fn(move || {
        while at < words.len() {
            if at >= window {
                rolled = rolled.wrapping_sub(words[at - window].wrapping_mul(power));
            }
            rolled = rolled.wrapping_mul(BASE).wrapping_add(words[at]);
            at += 1;
            if at >= window {
                return Some(stirred(rolled));
            }
        }
        None
    })
}

/// FNV-1a, stirred.
fn word_hash(word: &str) -> u64 {
    stirred(word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}

fn stirred(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spelling_does_not_hide_a_duplicate() {
        assert_eq!(normalised("  What\tIS\n ①+ﬁve? "), "what is 1+five?");
    }

    #[test]
    fn short_prompts_match_whole_and_long_ones_by_their_windows() {
        let mut forbidden = Forbidden::new(4);
        forbidden.add("one two three");
        forbidden.add("a b c d e f");
        assert!(forbidden.touches("one two three"));
        assert!(!forbidden.touches("one two three four five"));
        assert!(forbidden.touches("x, y: b c (d) e!"));
        assert!(!forbidden.touches("b c d x e"));
    }

    proptest! {
        #[test]
        fn rolling_windows_are_the_plain_ones(words in proptest::collection::vec("[ab]{1,2}", 0..30), window in 1usize..6) {
            let rolled: Vec<u64> = windows(&words.join(" "), window).collect();
            let plain: Vec<u64> = words
                .windows(window)
                .map(|run| stirred(run.iter().fold(0u64, |sum, word| sum.wrapping_mul(BASE).wrapping_add(word_hash(word)))))
                .collect();
            prop_assert_eq!(rolled, plain);
        }
    }
}
