//! Problems from Hugging Face, JSONL, Parquet or a generator; mixing; polars SQL.
//!
//! As the data travels:
//! * [`generate`] makes seeded reasoning problems with exact answers;
//! * [`hub`] brings data sets and models here; [`rows`] reads JSON Lines and Parquet of any layout; [`Condition`] says
//!   which rows are wanted; [`layout`] turns them into problems;
//! * [`mix`] joins tables of problems: quotas, duplicates, decontamination, shuffling.
//!
//! A plain library: it knows nothing of stages, caches or pipelines.

mod condition;
mod dice;
pub mod generate;
pub mod hub;
pub mod layout;
pub mod mix;
mod problem;
pub mod rows;
#[cfg(feature = "polars")]
pub mod sql;

pub use condition::{Condition, ConditionFault};
pub use problem::{Problem, ProblemRows, content_id, schema};
