//! Records: what a stage key gave. A record is a claim; it carries its own checksum, and counts only
//! while every blob it names is there.
//!
//! Reading one expects the worst, since it may come from somebody else's machine: it has one meaning or is refused with
//! the reason. What would be refused is not written either.

mod float;
mod once;

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::cache::LARGEST_RECORD;
use crate::{CacheError, Digest, StageKey, canon};

/// First line of a record file; then the digest of what follows, then JSON.
const MAGIC: &str = "dag record v1 ";

/// The most outputs that a record can have.
pub const MOST_OUTPUTS: usize = 64;

/// The fields of [`Record`]. Another one is refused, since nobody knows what it would change; `unfinished` was such a
/// one once. What may be ignored by who does not know it begins with [`IGNORED`].
const FIELDS: [&str; 13] = [
    "key",
    "preimage",
    "outputs",
    "main",
    "metrics",
    "counts",
    "usage",
    "notes",
    "unfinished",
    "seconds",
    "finished_at",
    "by",
    "tool",
];

/// How fields begin that say nothing about the result.
const IGNORED: &str = "x-";

/// What kind of thing an output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactType {
    /// Rows, as Parquet.
    Table,
    /// A folder in the Hugging Face layout.
    Model,
    /// JSON or HTML.
    Document,
}

/// One output of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputRef {
    /// Table, model or document.
    pub artifact: ArtifactType,
    /// The stored bytes; for a model, those of its tree manifest.
    pub bytes: Digest,
    /// Schema and values alone: what later keys depend on.
    pub content: Digest,
    /// Size in bytes, of all files together.
    pub size: u64,
    /// Rows of a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Media type of a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// Columns of a table, as the engine writes them down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
}

/// Tokens, requests and money.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// Prompt tokens.
    pub prompt_tokens: u64,
    /// Completion tokens.
    pub completion_tokens: u64,
    /// Requests answered.
    pub requests: u64,
    /// Money, in USD.
    #[serde(with = "float")]
    pub usd: f64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        // What others claim adds up to much at most, never to little.
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self
            .completion_tokens
            .saturating_add(other.completion_tokens);
        self.requests = self.requests.saturating_add(other.requests);
        self.usd += other.usd;
    }
}

/// What a stage key gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The key.
    pub key: StageKey,
    /// What the key is the digest of.
    pub preimage: canon::Value,
    /// The outputs by name.
    pub outputs: BTreeMap<String, OutputRef>,
    /// The name of the main output.
    pub main: String,
    /// Losses, scores; a loss that went to infinity or NaN is kept as it is.
    #[serde(default, with = "float::by_name")]
    pub metrics: BTreeMap<String, f64>,
    /// Rows in, kept, per verdict.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// What it took.
    #[serde(default)]
    pub usage: Usage,
    /// Approximations and other things to know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Rows that went without a result for a reason that may pass, such as a server that did not answer. A record with
    /// fewer of them takes this one's place.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unfinished: u64,
    /// Wall time, in seconds.
    #[serde(with = "float")]
    pub seconds: f64,
    /// When it was finished, RFC 3339.
    pub finished_at: String,
    /// Who made it: `user@host`.
    pub by: String,
    /// With which version of the program.
    pub tool: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
fn is_zero(rows: &u64) -> bool {
    *rows == 0
}

impl Record {
    /// Whether another record for this key says the same of the outputs' content.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.outputs.len() == other.outputs.len()
            && self.outputs.iter().all(|(name, output)| {
                other
                    .outputs
                    .get(name)
                    .is_some_and(|theirs| theirs.content == output.content)
            })
    }

    /// The bytes of a record file.
    ///
    /// # Errors
    /// [`CacheError::UnfitRecord`] if nobody could read it back: a record that is written is one that counts.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, CacheError> {
        let body = serde_json::to_vec(self).map_err(std::io::Error::other)?;
        let mut bytes = format!("{MAGIC}{}\n", Digest::of(&body)).into_bytes();
        bytes.extend_from_slice(&body);
        let read_back = if bytes.len() as u64 > LARGEST_RECORD {
            Err(format!(
                "it has {} bytes; {LARGEST_RECORD} are the most",
                bytes.len()
            ))
        } else {
            Self::decode(&self.key, &bytes)
        };
        match read_back {
            Ok(_) => Ok(bytes),
            Err(reason) => Err(CacheError::UnfitRecord {
                key: self.key,
                reason,
            }),
        }
    }

    /// Reads a record, checking that it is whole, for this key, and says one thing that can be true.
    ///
    /// # Errors
    /// The reason, in words that are safe to show: whatever the bytes hold, it has no control characters and is short.
    pub(crate) fn decode(key: &StageKey, bytes: &[u8]) -> Result<Self, String> {
        let rest = bytes
            .strip_prefix(MAGIC.as_bytes())
            .ok_or("it does not begin like a record")?;
        let end = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or("it ends within its first line")?;
        let (sum, body) = (&rest[..end], &rest[end + 1..]);
        if sum != Digest::of(body).to_string().as_bytes() {
            return Err("its checksum does not fit".to_owned());
        }
        Self::read(body)
            .and_then(|record| record.check(key).map(|()| record))
            .map_err(|reason| shown(&reason, 300))
    }

    fn read(body: &[u8]) -> Result<Self, String> {
        once::check(body, |field| {
            FIELDS.contains(&field) || field.starts_with(IGNORED)
        })
        .and_then(|()| serde_json::from_slice(body))
        .map_err(|error| error.to_string())
    }

    /// What a record must hold beyond its form.
    fn check(&self, key: &StageKey) -> Result<(), String> {
        let Self {
            key: own,
            preimage: _,
            outputs,
            main,
            metrics: _,
            counts,
            usage,
            notes: _,
            unfinished,
            seconds,
            finished_at,
            by,
            tool,
        } = self;
        if own != key {
            return Err(format!("it is the record of {}", own.0.short()));
        }
        if outputs.len() > MOST_OUTPUTS {
            return Err(format!(
                "it has {} outputs; {MOST_OUTPUTS} are the most",
                outputs.len()
            ));
        }
        for name in outputs.keys() {
            if !is_output_name(name) {
                return Err(format!("`{}` is no name of an output", shown(name, 80)));
            }
        }
        if !outputs.contains_key(main) {
            return Err(format!("it has no output `{}`", shown(main, 80)));
        }
        let Usage {
            prompt_tokens,
            completion_tokens,
            requests,
            usd,
        } = usage;
        let together = outputs
            .values()
            .try_fold(0_u64, |sum, output| sum.checked_add(output.size))
            .unwrap_or(u64::MAX);
        let numbers = [
            together,
            *prompt_tokens,
            *completion_tokens,
            *requests,
            *unfinished,
        ];
        let rows = outputs.values().filter_map(|output| output.rows);
        if let Some(number) = numbers
            .into_iter()
            .chain(rows)
            .chain(counts.values().copied())
            .find(|number| i64::try_from(*number).is_err())
        {
            return Err(format!("a size or count of {number} cannot be"));
        }
        if *seconds < 0.0 || *usd < 0.0 {
            return Err("it took less than no time, or cost less than nothing".to_owned());
        }
        let texts = [
            ("finished_at", Some(finished_at)),
            ("by", Some(by)),
            ("tool", Some(tool)),
        ];
        let media = outputs
            .values()
            .map(|output| ("media", output.media.as_ref()));
        for (field, text) in texts.into_iter().chain(media) {
            if text.is_some_and(|text| text.len() > 1024 || text.contains(deceives)) {
                return Err(format!(
                    "`{field}` is longer than 1024 bytes or has control characters"
                ));
            }
        }
        Ok(())
    }
}

impl Record {
    /// Whether everything in it that people are shown may be shown as it stands. A record that was made here may hold
    /// what its stages wrote; one from elsewhere may not.
    pub(crate) fn can_be_shown(&self) -> bool {
        let names = self.metrics.keys().chain(self.counts.keys());
        !self
            .notes
            .iter()
            .chain(names)
            .any(|text| text.contains(deceives))
    }
}

/// Whether an output can have this name: it may become the name of a file.
fn is_output_name(name: &str) -> bool {
    (1..=200).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// A text of somebody else's as it can be shown: cut, and without what would deceive whoever reads it on a terminal.
fn shown(text: &str, at_most: usize) -> String {
    let mut shown = String::new();
    for character in text.chars().take(at_most) {
        if deceives(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Whether a character moves the cursor, breaks the line, or turns the direction of what follows: what may not stand
/// in a text that other people are shown.
#[must_use]
pub fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
