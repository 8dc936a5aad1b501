//! What the machine offers to stages that run at once.

use std::collections::BTreeMap;

use crate::checked::Pipeline;
use crate::declaration::Resources;
use crate::key::Need;

/// What the machine offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// CPU cores. A stage that asks for more gets all of them.
    pub cpus: u32,
    /// GPUs. A stage that asks for more cannot run.
    pub gpus: u32,
    /// Memory, in bytes. A stage that asks for more cannot run.
    pub memory: u64,
    /// Named limits; see [`Capacity::with_limits_of`].
    pub limits: BTreeMap<String, u32>,
}

impl Capacity {
    /// So many cores, no GPU, memory without bound.
    #[must_use]
    pub fn cpus(cpus: u32) -> Self {
        Self {
            cpus: cpus.max(1),
            gpus: 0,
            memory: u64::MAX,
            limits: BTreeMap::new(),
        }
    }

    /// Adds the pipeline's limits. A limit that stages name and nobody has set is as large as the
    /// largest share that one stage asks for: two stages that fill one server take turns.
    #[must_use]
    pub fn with_limits_of(mut self, pipeline: &Pipeline) -> Self {
        let mut asked: BTreeMap<&String, u32> = BTreeMap::new();
        for stage in &pipeline.stages {
            for (name, amount) in &stage.declaration.resources.limits {
                let largest = asked.entry(name).or_insert(1);
                *largest = (*largest).max(*amount);
            }
        }
        for (name, amount) in asked {
            self.limits.entry(name.clone()).or_insert(amount);
        }
        for (name, amount) in &pipeline.limits {
            self.limits.insert(name.clone(), *amount);
        }
        self
    }

    /// What a stage asks for that there will never be.
    pub(crate) fn lacks(&self, asked: &Resources) -> Vec<Need> {
        let mut needs = Vec::new();
        if asked.gpus > self.gpus {
            needs.push(Need::Resource {
                resource: "gpus".to_owned(),
                asked: asked.gpus.into(),
                there: self.gpus.into(),
            });
        }
        if asked.memory > self.memory {
            needs.push(Need::Resource {
                resource: "bytes of memory".to_owned(),
                asked: asked.memory,
                there: self.memory,
            });
        }
        needs
    }

    /// Takes a stage's share if it is free.
    pub(crate) fn take(&mut self, share: &Resources) -> bool {
        let fits = share.cpus <= self.cpus
            && share.gpus <= self.gpus
            && share.memory <= self.memory
            && share
                .limits
                .iter()
                .all(|(name, amount)| self.limits.get(name).is_none_or(|there| amount <= there));
        if fits {
            self.cpus -= share.cpus;
            self.gpus -= share.gpus;
            self.memory -= share.memory;
            for (name, amount) in &share.limits {
                if let Some(there) = self.limits.get_mut(name) {
                    *there -= amount;
                }
            }
        }
        fits
    }

    /// Gives a stage's share back.
    pub(crate) fn give_back(&mut self, share: &Resources) {
        self.cpus += share.cpus;
        self.gpus += share.gpus;
        self.memory = self.memory.saturating_add(share.memory);
        for (name, amount) in &share.limits {
            if let Some(there) = self.limits.get_mut(name) {
                *there += amount;
            }
        }
    }

    /// A stage's share: what it asks for, but no more cores or parts of a limit than there are.
    pub(crate) fn share(&self, asked: &Resources) -> Resources {
        Resources {
            cpus: asked.cpus.min(self.cpus),
            gpus: asked.gpus,
            memory: asked.memory,
            limits: asked
                .limits
                .iter()
                .map(|(name, amount)| {
                    let most = self.limits.get(name).copied().unwrap_or(*amount);
                    (name.clone(), (*amount).min(most))
                })
                .collect(),
        }
    }
}
