//! The folder with a model's weights, wherever the pipeline says the model is.

use std::path::PathBuf;

use dag_data::hub::{Hub, HubConfig};
use dag_engine::{ModelBinding, ModelPlace, StageContext, StageError};

/// The folder: as it stands, out of the cache, or fetched from the hub.
pub(crate) fn model_folder(
    cx: &StageContext,
    slot: &str,
    binding: &ModelBinding,
) -> Result<PathBuf, StageError> {
    match &binding.place {
        ModelPlace::Folder(folder) => Ok(folder.clone()),
        ModelPlace::Artifact(artifact) => cx.folder(artifact),
        ModelPlace::Hub { id, revision } => {
            let hub = Hub::from_env_values(HubConfig::from_env(|name| std::env::var(name).ok()));
            hub.fetch_model(id, revision).map_err(|error| {
                let hint = error.hint();
                let mut message = format!("model `{id}`: {error}");
                let mut cause = std::error::Error::source(&error);
                while let Some(source) = cause {
                    message.push_str(&format!(": {source}"));
                    cause = source.source();
                }
                let error = StageError::environment(message);
                match hint {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
            })
        }
        ModelPlace::Served { name } => Err(StageError::failed(format!(
            "model `{slot}` is only a name, `{name}`, and has no server that knows it"
        ))
        .with_hint(
            "add `server = { url = \"…\" }`, or say where the weights are with `hf` or `path`",
        )),
    }
}
