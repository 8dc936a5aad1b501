//! Records: what a stage key gave. A record is a claim; it carries its own checksum, and counts only
//! while every blob it names is there.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::{CacheError, Digest, StageKey, canon};

/// First line of a record file; then the digest of what follows, then JSON.
const MAGIC: &str = "dag record v1 ";

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
#[serde(default)]
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
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.requests += other.requests;
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

    pub(crate) fn encode(&self) -> Result<Vec<u8>, CacheError> {
        let body = serde_json::to_vec(self).map_err(std::io::Error::other)?;
        let mut bytes = format!("{MAGIC}{}\n", Digest::of(&body)).into_bytes();
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// Reads a record, checking that it is whole and for this key.
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
        let record: Self = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if record.key != *key {
            return Err(format!("it is the record of {}", record.key.0.short()));
        }
        if !record.outputs.contains_key(&record.main) {
            return Err(format!("it has no output `{}`", record.main));
        }
        Ok(record)
    }
}

/// Floats in JSON: finite ones are numbers, the others the texts `NaN`, `inf` and `-inf`, which JSON's
/// numbers cannot say.
mod float {
    use std::fmt;

    use serde::{Deserializer, Serializer, de};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature serde calls"
    )]
    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            serializer.serialize_f64(*value)
        } else {
            serializer.serialize_str(&value.to_string())
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        deserializer.deserialize_any(FloatVisitor)
    }

    struct FloatVisitor;

    impl de::Visitor<'_> for FloatVisitor {
        type Value = f64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number, or `NaN`, `inf` or `-inf`")
        }

        fn visit_f64<E: de::Error>(self, value: f64) -> Result<f64, E> {
            Ok(value)
        }

        #[expect(
            clippy::cast_precision_loss,
            reason = "a float that was written without its point"
        )]
        fn visit_i64<E: de::Error>(self, value: i64) -> Result<f64, E> {
            Ok(value as f64)
        }

        #[expect(
            clippy::cast_precision_loss,
            reason = "a float that was written without its point"
        )]
        fn visit_u64<E: de::Error>(self, value: u64) -> Result<f64, E> {
            Ok(value as f64)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<f64, E> {
            text.parse().map_err(E::custom)
        }
    }

    /// The same for the values of a map.
    pub(super) mod by_name {
        use std::collections::BTreeMap;

        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        #[derive(Serialize, Deserialize)]
        struct One(#[serde(with = "super")] f64);

        pub(in super::super) fn serialize<S: Serializer>(
            values: &BTreeMap<String, f64>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            serializer.collect_map(values.iter().map(|(name, value)| (name, One(*value))))
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<BTreeMap<String, f64>, D::Error> {
            let values = BTreeMap::<String, One>::deserialize(deserializer)?;
            Ok(values
                .into_iter()
                .map(|(name, One(value))| (name, value))
                .collect())
        }
    }
}
