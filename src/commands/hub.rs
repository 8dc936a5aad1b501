//! What names of hub repositories mean: resolved once, then kept in the lock file beside the pipeline.

use dag_data::hub::{Hub, HubConfig, RepoKind};
use dag_engine::checked::ModelSource;
use dag_engine::pipeline::{lock_path, write_lock};
use dag_engine::{HubLock, HubRepo, Pipeline};

use super::{Failure, chain};
use crate::exit_codes;
use crate::render::{Output, Tone};

/// Resolves every hub name that the lock file does not have, and writes them down. A server that cannot
/// be reached is told; the plan then says which stages are blocked.
pub(crate) fn resolve(pipeline: &mut Pipeline, output: &Output) -> Result<(), Failure> {
    let mut open = Vec::new();
    for stage in &pipeline.stages {
        for hub in &stage.declaration.hub {
            open.push((hub.repo, hub.id.clone(), hub.revision.clone()));
        }
        for model in &stage.models {
            if let ModelSource::Spec(spec) = &model.source
                && let Some(id) = &spec.hf
            {
                open.push((HubRepo::Model, id.clone(), spec.revision.clone()));
            }
        }
    }
    open.retain(|(repo, id, revision)| {
        pipeline
            .lock
            .resolve(*repo, id, revision.as_deref())
            .is_none()
    });
    open.sort();
    open.dedup();
    if open.is_empty() {
        return Ok(());
    }
    let hub = Hub::from_env_values(HubConfig::from_env(|name| std::env::var(name).ok()));
    let mut found = false;
    for (repo, id, revision) in open {
        let kind = match repo {
            HubRepo::Dataset => RepoKind::Dataset,
            HubRepo::Model => RepoKind::Model,
        };
        match hub.resolve_revision(kind, &id, revision.as_deref()) {
            Ok(commit) => {
                output.say(
                    Tone::Good,
                    "Locked",
                    &format!("{id} at {}", commit.get(..8).unwrap_or(&commit)),
                );
                let entry = HubLock::entry_key(repo, &id, revision.as_deref());
                pipeline.lock.revisions.insert(entry, commit);
                found = true;
            }
            Err(error) => output.say(
                Tone::Warn,
                "Unresolved",
                &format!("{id}: {}", chain(&error)),
            ),
        }
    }
    if found {
        let path = lock_path(&pipeline.path);
        let old = fs_err::read_to_string(&path).ok();
        fs_err::write(&path, write_lock(&pipeline.lock, old.as_deref()))
            .map_err(|error| Failure::new(exit_codes::ENVIRONMENT, error.to_string()))?;
    }
    Ok(())
}
