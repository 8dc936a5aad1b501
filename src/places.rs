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

/// The folder of the user's own settings: `DAG_CONFIG_DIR`, or `dag` in the user's config folder.
pub(crate) fn config_root() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("DAG_CONFIG_DIR").filter(|path| !path.is_empty()) {
        return std::path::absolute(PathBuf::from(path)).map_err(|error| error.to_string());
    }
    let base = etcetera::choose_base_strategy()
        .map_err(|error| format!("no home folder for the settings: {error}; set DAG_CONFIG_DIR"))?;
    Ok(base.config_dir().join("dag"))
}

/// The project's `dag-cache.toml`: in this folder or the nearest above.
pub(crate) fn project_cache_file(folder: &Path) -> Option<PathBuf> {
    let folder = std::path::absolute(folder).ok()?;
    folder
        .ancestors()
        .map(|folder| folder.join("dag-cache.toml"))
        .find(|file| file.is_file())
}

/// A variable of the environment, if it is set to something.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The whole environment, for the libraries that find credentials in it.
pub(crate) fn environment() -> std::collections::BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The time now, RFC 3339.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().to_string()
}
