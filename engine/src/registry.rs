//! The kinds a program knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::kind::{Kind, StageKind};

/// The kinds a program knows, by name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    kinds: Arc<BTreeMap<&'static str, Kind>>,
}

impl Registry {
    /// No kinds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind; one with the same name is replaced.
    #[must_use]
    pub fn with<K: StageKind>(mut self) -> Self {
        Arc::make_mut(&mut self.kinds).insert(K::NAME, Kind::of::<K>());
        self
    }

    /// All kinds, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.values()
    }

    /// The kind of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name)
    }
}
