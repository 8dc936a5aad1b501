//! The folder with a model's weights, wherever the pipeline says the model is.

use std::path::PathBuf;

use dag_engine::{ModelBinding, ModelPlace, StageContext, StageError};

use crate::hub;

/// The folder: as it stands, out of the cache, or fetched from the hub.
pub(crate) fn model_folder(
    cx: &StageContext,
    slot: &str,
    binding: &ModelBinding,
) -> Result<PathBuf, StageError> {
    match &binding.place {
        ModelPlace::Folder(folder) => Ok(folder.clone()),
        ModelPlace::Artifact(artifact) => cx.folder(artifact),
        ModelPlace::Hub { id, revision } => hub::model(id, revision),
        ModelPlace::Served { name } => Err(StageError::failed(format!(
            "model `{slot}` is only a name, `{name}`, and has no server that knows it"
        ))
        .with_hint(
            "add `server = { url = \"…\" }`, or say where the weights are with `hf` or `path`",
        )),
    }
}
