//! Where things lie on this machine. The environment is read here and nowhere else.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

/// The cache's root: `DAG_CACHE_DIR`, or `dag` in the user's cache folder.
pub(crate) fn cache_root() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("DAG_CACHE_DIR").filter(|path| !path.is_empty()) {
        return std::path::absolute(PathBuf::from(path)).map_err(|error| error.to_string());
    }
    let base = etcetera::choose_base_strategy()
        .map_err(|error| format!("no home folder for the cache: {error}; set DAG_CACHE_DIR"))?;
    Ok(base.cache_dir().join("dag"))
}

/// The pipeline file that is meant when none is named: `dag.toml` here or in a folder above.
pub(crate) fn default_pipeline() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors()
        .map(|folder| folder.join("dag.toml"))
        .find(|file| file.is_file())
}

/// The `.dag` folder beside a pipeline file: schema, reports.
pub(crate) fn beside(pipeline: &Path) -> PathBuf {
    pipeline
        .parent()
        .unwrap_or_else(|| Path::new(""))
        .join(".dag")
}

/// Whether the user has asked for no network.
pub(crate) fn offline() -> bool {
    ["DAG_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
        .iter()
        .any(|name| {
            std::env::var(name).is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
        })
}
