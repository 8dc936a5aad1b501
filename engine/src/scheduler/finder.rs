//! What is to be done with a stage whose inputs are there: nothing, run, or tell what is lacking.

use std::sync::Arc;

use dag_cache::{Lookup, Record};

use crate::checked::Pipeline;
use crate::graph::Graph;
use crate::key::{Need, Resolved, resolve};
use crate::lookups::{CacheLookups, Lookups};

/// Finds what is to be done with a stage whose inputs are there.
pub(super) struct Finder<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) graph: &'a Graph,
    pub(super) records: &'a [Option<Arc<Record>>],
    pub(super) force: &'a [bool],
    pub(super) lookups: &'a CacheLookups,
}

/// What was found.
pub(super) enum Found {
    Hit(Arc<Record>),
    Run(Arc<Resolved>),
    Blocked(Vec<Need>),
}

impl Finder<'_> {
    pub(super) fn find(&self, index: usize) -> Found {
        let record_of = |name: &str| {
            self.graph
                .index(name)
                .and_then(|parent| self.records[parent].clone())
        };
        match resolve(
            self.pipeline,
            &self.pipeline.stages[index],
            &record_of,
            self.lookups,
        ) {
            Ok(resolved) => match self.lookups.record(&resolved.key) {
                Lookup::Hit(record) if !self.force[index] => Found::Hit(Arc::from(record)),
                Lookup::Hit(_)
                | Lookup::Miss
                | Lookup::Incomplete { .. }
                | Lookup::Damaged { .. } => Found::Run(Arc::new(resolved)),
            },
            Err(needs) => Found::Blocked(needs),
        }
    }
}
