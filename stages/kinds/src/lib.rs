//! The stage kinds: problems, mix, query, sample, filter, reformat, sft, eval, report, command.
//!
//! Each kind is one file: what it does and its columns, its settings, its `impl StageKind`, its row function. The work
//! is done by libraries that know nothing of stages (`dag-data`, `dag-grade`, `dag-llm`, `dag-model`, `dag-train`);
//! here it meets the engine. A new kind is a new file and one line in [`registry`].
//!
//! [`statistics`] says what a score means and how surely; the eval puts it into columns, the report draws it.

pub mod answerer;
mod benchmark;
mod code_tests;
mod columns;
pub mod command;
pub mod eval;
pub mod filter;
pub mod grading;
mod hub;
pub mod mix;
mod model_folder;
pub mod problems;
pub mod query;
pub mod reformat;
pub mod report;
pub mod sample;
pub mod sft;
pub mod statistics;
mod stop;
mod template;

/// All kinds of this crate.
#[must_use]
pub fn registry() -> dag_engine::Registry {
    dag_engine::Registry::new()
        .with::<problems::Problems>()
        .with::<mix::Mix>()
        .with::<query::Query>()
        .with::<sample::Sample>()
        .with::<filter::Filter>()
        .with::<reformat::Reformat>()
        .with::<sft::Sft>()
        .with::<eval::Eval>()
        .with::<report::Report>()
        .with::<command::Command>()
}
