//! Where the hub is and where its files are kept, from the variables that every Hugging Face tool honours.

use std::path::{Path, PathBuf};

/// How to reach the hub. The token is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct HubConfig {
    /// The server, without a slash at the end: `https://huggingface.co`.
    pub endpoint: String,
    /// The folder of `datasets--owner--name` and `models--owner--name`.
    pub cache: PathBuf,
    /// Sent as bearer token to the endpoint, and to no other host.
    pub token: Option<String>,
    /// Never touch the network.
    pub offline: bool,
}

impl HubConfig {
    /// The settings that the environment, as read by `get`, asks for: `HF_ENDPOINT`, `HF_HUB_CACHE` or `HF_HOME` or
    /// `XDG_CACHE_HOME` or `HOME`, `HF_TOKEN` or `HF_TOKEN_PATH` or the token file, `HF_HUB_OFFLINE` and
    /// `TRANSFORMERS_OFFLINE`, `HF_HUB_DISABLE_IMPLICIT_TOKEN`.
    ///
    /// ```
    /// use dag_data::hub::HubConfig;
    /// let config = HubConfig::from_env(|name| (name == "HF_HOME").then(|| "/big/hf".to_owned()));
    /// assert_eq!(config.cache, std::path::Path::new("/big/hf/hub"));
    /// assert_eq!(config.endpoint, "https://huggingface.co");
    /// ```
    #[must_use]
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
        let on = |name: &str| {
            get(name).is_some_and(|value| {
                matches!(
                    value.to_ascii_lowercase().as_str(),
                    "1" | "true" | "yes" | "on"
                )
            })
        };
        let home = get("HF_HOME").map_or_else(
            || {
                let caches = get("XDG_CACHE_HOME").map_or_else(
                    || PathBuf::from(get("HOME").unwrap_or_else(|| ".".to_owned())).join(".cache"),
                    PathBuf::from,
                );
                caches.join("huggingface")
            },
            PathBuf::from,
        );
        let from_file = || {
            if on("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
                return None;
            }
            let file = get("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from);
            read_token(&file)
        };
        Self {
            endpoint: get("HF_ENDPOINT")
                .unwrap_or_else(|| "https://huggingface.co".to_owned())
                .trim_end_matches('/')
                .to_owned(),
            cache: get("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from),
            token: get("HF_TOKEN")
                .map(|token| token.trim().to_owned())
                .or_else(from_file),
            offline: on("HF_HUB_OFFLINE") || on("TRANSFORMERS_OFFLINE"),
        }
    }
}

fn read_token(file: &Path) -> Option<String> {
    let token = fs_err::read_to_string(file).ok()?.trim().to_owned();
    (!token.is_empty()).then_some(token)
}

impl std::fmt::Debug for HubConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            endpoint,
            cache,
            token,
            offline,
        } = self;
        f.debug_struct("HubConfig")
            .field("endpoint", endpoint)
            .field("cache", cache)
            .field("token", &token.as_ref().map(|_| "…"))
            .field("offline", offline)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(values: &[(&str, &str)]) -> HubConfig {
        HubConfig::from_env(|name| {
            values
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn every_variable_has_its_say() {
        let all = config(&[
            ("HF_ENDPOINT", "http://127.0.0.1:9/"),
            ("HF_HUB_CACHE", "/c"),
            ("HF_HOME", "/h"),
            ("HF_TOKEN", " secret\n"),
            ("HF_HUB_OFFLINE", "1"),
        ]);
        assert_eq!(
            (all.endpoint.as_str(), all.cache.as_path()),
            ("http://127.0.0.1:9", Path::new("/c"))
        );
        assert_eq!((all.token.as_deref(), all.offline), (Some("secret"), true));
        assert!(!format!("{all:?}").contains("secret"));
        assert_eq!(
            config(&[("HOME", "/u")]).cache,
            Path::new("/u/.cache/huggingface/hub")
        );
        assert_eq!(
            config(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/u")]).cache,
            Path::new("/x/huggingface/hub")
        );
        assert!(!config(&[("HF_HUB_OFFLINE", "0")]).offline);
    }

    #[test]
    fn the_token_file_counts_unless_switched_off() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("token"), "filed\n").unwrap();
        let home = folder.path().to_str().unwrap();
        assert_eq!(config(&[("HF_HOME", home)]).token.as_deref(), Some("filed"));
        assert_eq!(
            config(&[("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).token,
            None
        );
    }
}
