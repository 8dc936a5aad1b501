//! Files of the Hugging Face hub for stages: fetched once, read from the hub's cache folder afterwards.

use std::path::PathBuf;

use dag_data::hub::{DataFiles, Hub, HubConfig, HubError};
use dag_data::rows::Format;
use dag_engine::{StageContext, StageError};

/// The hub as the environment describes it.
fn hub() -> Hub {
    Hub::from_env_values(HubConfig::from_env(|name| std::env::var(name).ok()))
}

/// Fetches files of the data set declared under `field`, in the order in which they are wanted.
pub(crate) fn data_files(
    cx: &StageContext,
    field: &str,
    wanted: &[DataFiles],
) -> Result<Vec<(PathBuf, Format)>, StageError> {
    let place = cx.hub(field)?;
    cx.progress().set_message(format!("fetching {}", place.id));
    let hub = hub();
    let mut files = Vec::new();
    for wanted in wanted {
        let paths = hub
            .fetch_dataset_files(&place.id, &place.revision, wanted)
            .map_err(|error| failure(&format!("data set `{}`", place.id), &error))?;
        for path in paths {
            let format = Format::of(&path).ok_or_else(|| {
                StageError::failed(format!("{} is neither .jsonl nor .parquet", path.display()))
            })?;
            files.push((path, format));
        }
    }
    Ok(files)
}

/// Fetches a model's folder.
pub(crate) fn model(id: &str, revision: &str) -> Result<PathBuf, StageError> {
    hub()
        .fetch_model(id, revision)
        .map_err(|error| failure(&format!("model `{id}`"), &error))
}

/// A failure of the hub, with its causes in the message: who must act depends on what is wrong.
fn failure(what: &str, error: &HubError) -> StageError {
    let mut message = format!("{what}: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        message.push_str(&format!(": {source}"));
        cause = source.source();
    }
    let failure = match error {
        HubError::Missing { .. } | HubError::Denied { .. } | HubError::Name { .. } => {
            StageError::failed(message)
        }
        HubError::Offline { .. }
        | HubError::Status { .. }
        | HubError::Answer { .. }
        | HubError::Network { .. }
        | HubError::Io(_) => StageError::environment(message),
    };
    match error.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}
