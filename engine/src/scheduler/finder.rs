//! What is to be done with a stage whose inputs are there: nothing, run, or tell what is lacking.

use std::sync::Arc;

use dag_cache::{Lookup, Record};

use crate::checked::Pipeline;
use crate::graph::Graph;
use crate::key::{Need, Resolved, resolve};
use crate::lookups::{CacheLookups, Lookups, Sought};
use crate::plan::in_order;

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
    /// A result; the remote it came from, if its files are not all here.
    Hit(Arc<Record>, Option<String>),
    Run(Arc<Resolved>),
    Blocked(Vec<Need>),
}

impl Finder<'_> {
    /// Finds the keys of stages and looks them up, all at once.
    pub(super) fn find(&self, stages: Vec<usize>) -> Vec<(usize, Found)> {
        let resolved = in_order(stages, |index| (index, self.resolve(index)));
        let sought: Vec<Sought> = resolved
            .iter()
            .filter_map(|(index, resolved)| {
                Some(Sought {
                    key: resolved.as_ref().ok()?.key,
                    shared: self.pipeline.stages[*index].share,
                })
            })
            .collect();
        let mut found = self.lookups.records(&sought).into_iter();
        resolved
            .into_iter()
            .map(|(index, resolved)| {
                let found = match resolved {
                    Err(needs) => Found::Blocked(needs),
                    Ok(resolved) => match found.next() {
                        Some(Lookup::Hit(record)) if !self.force[index] => {
                            Found::Hit(Arc::from(record), None)
                        }
                        Some(Lookup::Shared { record, remote, .. }) if !self.force[index] => {
                            Found::Hit(Arc::from(record), Some(remote))
                        }
                        Some(
                            Lookup::Hit(_)
                            | Lookup::Shared { .. }
                            | Lookup::Miss
                            | Lookup::Refused { .. }
                            | Lookup::Incomplete { .. }
                            | Lookup::Damaged { .. },
                        )
                        | None => Found::Run(Arc::new(resolved)),
                    },
                };
                (index, found)
            })
            .collect()
    }

    fn resolve(&self, index: usize) -> Result<Resolved, Vec<Need>> {
        let record_of = |name: &str| {
            self.graph
                .index(name)
                .and_then(|parent| self.records[parent].clone())
        };
        resolve(
            self.pipeline,
            &self.pipeline.stages[index],
            &record_of,
            self.lookups,
        )
    }
}
