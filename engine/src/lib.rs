//! The engine: from a pipeline file to results in the cache, and the story of how they came.
//!
//! Data goes one way: TOML text → [`Pipeline`] (checked, with places) → [`Graph`] → [`Plan`]
//! (cached, resume, run; and why) → [`run()`] → records in the cache. Beside it flow
//! [events](event), facts only, from which everything that is shown is drawn.
//!
//! The engine knows [`StageKind`] and no kind. It starts no terminal, reads no environment and no
//! home folder: capacity, names and places come in as arguments.

pub mod builder;
pub mod cancel;
pub mod capacity;
pub mod checked;
mod content;
pub mod context;
pub mod declaration;
pub mod diagnostic;
pub mod error;
pub mod estimate;
pub mod event;
pub mod executor;
pub mod graph;
pub mod history;
pub mod key;
pub mod kind;
pub mod lookups;
pub mod model_ref;
pub mod pipeline;
pub mod plan;
pub mod progress;
pub mod registry;
pub mod run;
mod run_events;
mod scheduler;
pub mod shape;
pub mod subprocess;
pub mod table;
pub mod table_writer;
pub mod task;
pub mod why;

pub use dag_cache::{ArtifactType, Cache, OutputRef, RowKey, RowMemo, StageKey, Usage, canon};

pub use crate::builder::PipelineBuilder;
pub use crate::cancel::Cancel;
pub use crate::capacity::Capacity;
pub use crate::checked::{CheckedStage, HubLock, Pipeline, SourceLine};
pub use crate::context::{HubBinding, InputArtifact, ModelBinding, ModelPlace, StageContext};
pub use crate::declaration::{Declaration, HubRepo, Resources};
pub use crate::error::{Failure, StageError};
pub use crate::estimate::{Estimate, EstimateContext, Past};
pub use crate::event::{Event, EventSink, Level, RunOutcome, StageOutcome, StageReport};
pub use crate::executor::{Executor, InProcess, exec_task};
pub use crate::graph::Graph;
pub use crate::history::History;
pub use crate::kind::{Kind, StageKind};
pub use crate::lookups::{CacheLookups, Lookups};
pub use crate::model_ref::{ModelRef, ModelSpec, OneOrMany, Price, ServerSpec, StageRef};
pub use crate::plan::{Plan, PlannedStage, Scope, Status};
pub use crate::progress::Progress;
pub use crate::registry::Registry;
pub use crate::run::{RunOptions, RunSummary, run};
pub use crate::shape::{Fault, InputShape, Inputs, OutputDecl, extend_schema, open_schema};
pub use crate::subprocess::{Subprocess, serve_exec};
pub use crate::table::{Batches, Table};
pub use crate::table_writer::TableWriter;
pub use crate::task::Task;
pub use crate::why::{Change, Why};
