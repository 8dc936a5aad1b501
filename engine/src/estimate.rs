//! What a stage would take, before it runs.

use dag_cache::{OutputRef, RowMemo, Usage};
use serde::{Deserialize, Serialize};

use crate::context::ModelBinding;
use crate::lookups::Lookups;
use crate::table::Table;

/// What a run of a stage would take. `None` is "not known", never "nothing".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Rows of the main output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Rows to be worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_to_do: Option<u64>,
    /// Rows that the row memo has already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_known: Option<u64>,
    /// Requests to a server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Prompt tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// Completion tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// Money, in USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
    /// The most completion tokens it can come to, where no earlier run tells how many it will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens_at_most: Option<u64>,
    /// The most that those completions can cost, in USD; prompts not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd_at_most: Option<f64>,
    /// Wall time, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// What an earlier run of a stage took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Rows of the main output.
    pub rows: Option<u64>,
    /// Tokens, requests and money.
    pub usage: Usage,
    /// Wall time, in seconds.
    pub seconds: f64,
}

/// What is known when a stage is estimated.
pub struct EstimateContext<'a> {
    pub(crate) stage: &'a str,
    pub(crate) seed: u64,
    pub(crate) inputs: Vec<EstimateInput>,
    pub(crate) models: &'a [(String, ModelBinding)],
    pub(crate) memo: Option<RowMemo>,
    pub(crate) past: Option<Past>,
    pub(crate) lookups: &'a dyn Lookups,
}

/// One input at the time of an estimate.
pub(crate) struct EstimateInput {
    pub(crate) slot: String,
    pub(crate) rows: Option<u64>,
    pub(crate) artifact: Option<OutputRef>,
}

impl EstimateContext<'_> {
    /// The stage's name.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.stage
    }

    /// The stage's seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Rows of all inputs of a slot together, exact or estimated; `None` if one is not known.
    #[must_use]
    pub fn rows_in(&self, slot: &str) -> Option<u64> {
        self.inputs
            .iter()
            .filter(|input| input.slot == slot)
            .map(|input| input.rows)
            .sum()
    }

    /// The tables of a slot, if all of them are in the cache already; else `None`.
    #[must_use]
    pub fn tables(&self, slot: &str) -> Option<Vec<Table>> {
        self.inputs
            .iter()
            .filter(|input| input.slot == slot)
            .map(|input| self.lookups.table(input.artifact.as_ref()?))
            .collect()
    }

    /// A model, if what it is is known already.
    #[must_use]
    pub fn model(&self, slot: &str) -> Option<&ModelBinding> {
        self.models
            .iter()
            .find(|(name, _)| name == slot)
            .map(|(_, model)| model)
    }

    /// The row memo of the kind, if there is one.
    #[must_use]
    pub fn memo(&self) -> Option<&RowMemo> {
        self.memo.as_ref()
    }

    /// What the latest run of this stage took.
    #[must_use]
    pub fn past(&self) -> Option<&Past> {
        self.past.as_ref()
    }
}
