//! Remotes of this user and project: what is written down about them becomes the remotes of a cache.

pub(crate) mod config;
mod voice;

use std::path::Path;
use std::sync::Arc;

use dag_cache::Cache;
use dag_cache::remote::{RemoteSpec, Remotes};
use dag_cache::store::{Store, StoreOptions, open_store};

pub(crate) use voice::Voice;

use crate::commands::{Failure, chain};
use crate::places;
use crate::render::{Output, Tone};

/// Connects a cache with the remotes that count for a pipeline in this folder. One that cannot be opened
/// costs a warning.
pub(crate) fn connect(
    cache: &Cache,
    folder: &Path,
    output: &Output,
) -> Result<Arc<Voice>, Failure> {
    let voice = Arc::new(Voice::new(output));
    let config = config::read(folder)?;
    for warning in &config.warnings {
        output.say(Tone::Warn, "Writers", warning);
    }
    let mut specs = Vec::new();
    if !places::offline() {
        for remote in &config.remotes {
            match store(remote, cache) {
                Ok(store) => specs.push(RemoteSpec {
                    name: remote.name.clone(),
                    store,
                    trust: remote.trust.clone(),
                    push: remote.push,
                }),
                Err(error) => output.say(
                    Tone::Warn,
                    "Remote",
                    &format!("`{}` is left out: {}", remote.name, chain(&error)),
                ),
            }
        }
    }
    cache.connect(Remotes::new(
        specs,
        config.keyring,
        config.key,
        Arc::clone(&voice) as _,
    ));
    Ok(voice)
}

/// Opens the store of a remote. Nothing is asked of it yet.
pub(crate) fn store(
    remote: &config::Remote,
    cache: &Cache,
) -> Result<Arc<dyn Store>, dag_cache::store::OpenError> {
    let options = StoreOptions {
        environment: places::environment(),
        state: Some(cache.root().join("uploads")),
        ..StoreOptions::default()
    };
    open_store(&remote.url, &options)
}
