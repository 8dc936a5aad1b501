//! The Hugging Face hub: resolve a revision, list files, bring them here once.
//!
//! Files land in the cache that every Hugging Face tool shares (`blobs/`, `snapshots/`, `refs/`), so what another tool
//! has downloaded is used, and the other way round. A download that breaks off is taken up where it stopped; a file
//! is in its snapshot only when its size is right. Offline, the cache alone answers.
//!
//! The interface blocks: each call runs its own small runtime on a thread of its own, so it can be called from
//! anywhere, an async runtime included.

mod config;
mod download;
mod select;

use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use config::HubConfig;
pub use select::{DataFiles, select_data_files};

use download::Client;

/// The two kinds of repository that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepoKind {
    /// A model.
    Model,
    /// A data set.
    Dataset,
}

impl RepoKind {
    fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }

    /// What stands before the id in the address of a file.
    fn prefix(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Dataset => "datasets/",
        }
    }
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HubFile {
    /// Its path in the repository.
    pub path: String,
    /// Its size in bytes.
    #[serde(default)]
    pub size: u64,
}

/// What goes wrong with the hub.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// There is no such repository, revision or file, or it is hidden from us.
    #[error("{what} is not on the hub")]
    Missing {
        /// Repository, revision or file.
        what: String,
    },
    /// The repository asks for a token, or for another one.
    #[error("{what} needs a token that may read it")]
    Denied {
        /// Repository.
        what: String,
    },
    /// The network is off and the cache does not have it.
    #[error("{what} is not in the cache, and the hub is off limits (HF_HUB_OFFLINE)")]
    Offline {
        /// Repository, revision or file.
        what: String,
    },
    /// A name that could leave its folder.
    #[error("`{name}` is no name of a repository, revision or file")]
    Name {
        /// The name.
        name: String,
    },
    /// The server answered with something else.
    #[error("the hub answered {status} for {what}")]
    Status {
        /// HTTP status.
        status: u16,
        /// Repository, revision or file.
        what: String,
    },
    /// The answer makes no sense.
    #[error("the hub's answer for {what} makes no sense: {why}")]
    Answer {
        /// Repository, revision or file.
        what: String,
        /// How.
        why: String,
    },
    /// The network failed, again and again.
    #[error("the hub cannot be reached for {what}")]
    Network {
        /// Repository, revision or file.
        what: String,
        /// Why, the last time.
        #[source]
        source: reqwest::Error,
    },
    /// The cache folder cannot be written or read.
    #[error("the hub's cache cannot be used")]
    Io(#[from] std::io::Error),
}

impl HubError {
    /// What would help, where something would.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing { .. } => {
                Some("check the id and the revision; a private repository needs HF_TOKEN")
            }
            Self::Denied { .. } => {
                Some("set HF_TOKEN, and accept the repository's terms on its page")
            }
            Self::Offline { .. } => Some("run once with the network, or unset HF_HUB_OFFLINE"),
            Self::Network { .. } | Self::Status { .. } => {
                Some("check the network, and HF_ENDPOINT if you set it")
            }
            Self::Name { .. } | Self::Answer { .. } | Self::Io(_) => None,
        }
    }
}

/// Files that a model folder does not need: weights in other formats, pictures, logs.
const NOT_FOR_MODELS: [&str; 11] = [
    ".bin",
    ".pt",
    ".pth",
    ".h5",
    ".msgpack",
    ".onnx",
    ".gguf",
    ".ot",
    ".png",
    ".jpg",
    ".gitattributes",
];

/// The hub, as one machine sees it.
#[derive(Debug, Clone)]
pub struct Hub {
    config: HubConfig,
}

impl Hub {
    /// The hub with these settings; see [`HubConfig::from_env`] for where they come from.
    #[must_use]
    pub fn from_env_values(config: HubConfig) -> Self {
        Self { config }
    }

    /// The commit that a revision (branch, tag, commit or the start of one; `main` if none) stands for.
    ///
    /// # Errors
    /// Repository or revision do not exist, or the hub cannot be asked.
    pub fn resolve_revision(
        &self,
        kind: RepoKind,
        id: &str,
        revision: Option<&str>,
    ) -> Result<String, HubError> {
        let revision = revision.unwrap_or("main");
        check_id(id)?;
        check_path(revision)?;
        if self.config.offline {
            let reference = self.folder(kind, id).join("refs").join(revision);
            return match fs_err::read_to_string(reference) {
                Ok(commit) => Ok(commit.trim().to_owned()),
                Err(_) => self.cached_commit(kind, id, revision),
            };
        }
        let client = Client::new(&self.config)?;
        let commit = blocking(async { client.commit(kind, id, revision).await })?;
        check_path(&commit)?;
        if !commit.starts_with(revision) {
            let reference = self.folder(kind, id).join("refs").join(revision);
            if let Some(parent) = reference.parent() {
                fs_err::create_dir_all(parent)?;
            }
            fs_err::write(reference, &commit)?;
        }
        Ok(commit)
    }

    /// The files of a repository at a commit, sorted by path.
    ///
    /// # Errors
    /// The commit does not exist, or the hub cannot be asked.
    pub fn list_files(
        &self,
        kind: RepoKind,
        id: &str,
        commit: &str,
    ) -> Result<Vec<HubFile>, HubError> {
        check_id(id)?;
        check_path(commit)?;
        let mut files = if self.config.offline {
            let snapshot = self.snapshot(kind, id, commit)?;
            let mut files = Vec::new();
            walk(&snapshot, &snapshot, &mut files)?;
            files
        } else {
            let client = Client::new(&self.config)?;
            blocking(async { client.files(kind, id, commit).await })?
        };
        files.retain(|file| check_path(&file.path).is_ok());
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    /// Brings files of a repository at a commit here and gives their paths, in the order asked.
    ///
    /// # Errors
    /// A file does not exist, or cannot be brought here whole.
    pub fn fetch_files(
        &self,
        kind: RepoKind,
        id: &str,
        commit: &str,
        files: &[HubFile],
    ) -> Result<Vec<PathBuf>, HubError> {
        check_id(id)?;
        check_path(commit)?;
        let folder = self.folder(kind, id);
        let snapshot = folder.join("snapshots").join(commit);
        let mut paths = Vec::with_capacity(files.len());
        let mut client = None;
        for file in files {
            check_path(&file.path)?;
            let path = snapshot.join(&file.path);
            // following the link: a link to a blob that is gone is no file
            let there =
                fs_err::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() == file.size);
            if !there {
                if self.config.offline {
                    return Err(HubError::Offline {
                        what: format!("{id}/{}", file.path),
                    });
                }
                let client = match &client {
                    Some(client) => client,
                    None => client.insert(Client::new(&self.config)?),
                };
                blocking(async {
                    client
                        .download(kind, id, commit, file, &folder, &path)
                        .await
                })?;
            }
            paths.push(path);
        }
        Ok(paths)
    }

    /// Brings a model's folder here: configuration, tokenizer and safetensors, not the same weights in other formats.
    /// `revision` is best a commit. Gives the snapshot folder.
    ///
    /// # Errors
    /// See [`fetch_files`](Self::fetch_files).
    pub fn fetch_model(&self, id: &str, revision: &str) -> Result<PathBuf, HubError> {
        let commit = self.commit(RepoKind::Model, id, revision)?;
        let mut files = self.list_files(RepoKind::Model, id, &commit)?;
        files.retain(|file| {
            let top = !file.path.contains('/');
            top && !NOT_FOR_MODELS
                .iter()
                .any(|ending| file.path.ends_with(ending))
        });
        if files.is_empty() {
            return Err(HubError::Missing {
                what: format!("a model in {id} at {commit}"),
            });
        }
        self.fetch_files(RepoKind::Model, id, &commit, &files)?;
        Ok(self
            .folder(RepoKind::Model, id)
            .join("snapshots")
            .join(commit))
    }

    /// Brings the data files of a data set's split here and gives their paths, sorted.
    ///
    /// # Errors
    /// No file fits, or one cannot be brought here.
    pub fn fetch_dataset_files(
        &self,
        id: &str,
        revision: &str,
        wanted: &DataFiles,
    ) -> Result<Vec<PathBuf>, HubError> {
        let commit = self.commit(RepoKind::Dataset, id, revision)?;
        let files = self.list_files(RepoKind::Dataset, id, &commit)?;
        let chosen = select_data_files(&files, wanted);
        if chosen.is_empty() {
            return Err(HubError::Missing {
                what: format!("{wanted} in {id} at {commit}"),
            });
        }
        self.fetch_files(RepoKind::Dataset, id, &commit, &chosen)
    }

    /// A full commit is taken as it is, without asking anyone.
    fn commit(&self, kind: RepoKind, id: &str, revision: &str) -> Result<String, HubError> {
        if revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(revision.to_owned());
        }
        self.resolve_revision(kind, id, Some(revision))
    }

    fn folder(&self, kind: RepoKind, id: &str) -> PathBuf {
        self.config
            .cache
            .join(format!("{}--{}", kind.plural(), id.replace('/', "--")))
    }

    fn snapshot(&self, kind: RepoKind, id: &str, commit: &str) -> Result<PathBuf, HubError> {
        let snapshot = self.folder(kind, id).join("snapshots").join(commit);
        if snapshot.is_dir() {
            Ok(snapshot)
        } else {
            Err(HubError::Offline {
                what: format!("{id} at {commit}"),
            })
        }
    }

    /// The one snapshot in the cache whose commit begins like this.
    fn cached_commit(&self, kind: RepoKind, id: &str, start: &str) -> Result<String, HubError> {
        let missing = || HubError::Offline {
            what: format!("{id} at {start}"),
        };
        let entries =
            fs_err::read_dir(self.folder(kind, id).join("snapshots")).map_err(|_| missing())?;
        let mut found = Vec::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if start.len() >= 7 && name.starts_with(start) {
                found.push(name);
            }
        }
        match found.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(missing()),
        }
    }
}

/// Runs a future to its end on a thread of its own.
fn blocking<T: Send>(
    future: impl Future<Output = Result<T, HubError>> + Send,
) -> Result<T, HubError> {
    std::thread::scope(|scope| {
        let runner = scope.spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(future)
        });
        match runner.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<HubFile>) -> Result<(), HubError> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder)? {
            let path = entry?.path();
            let meta = fs_err::metadata(&path)?;
            if meta.is_dir() {
                folders.push(path);
            } else if let Ok(name) = path.strip_prefix(root) {
                files.push(HubFile {
                    path: name.to_string_lossy().into_owned(),
                    size: meta.len(),
                });
            }
        }
    }
    Ok(())
}

/// `owner/name` or `name`, of letters, digits, `-`, `_` and `.`.
fn check_id(id: &str) -> Result<(), HubError> {
    let good = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let parts: Vec<&str> = id.split('/').collect();
    if parts.len() <= 2 && parts.iter().all(|part| good(part)) {
        Ok(())
    } else {
        Err(HubError::Name {
            name: id.to_owned(),
        })
    }
}

/// A relative path that stays below its folder.
fn check_path(path: &str) -> Result<(), HubError> {
    let good = !path.is_empty()
        && !path.contains('\\')
        && path.chars().all(|c| !c.is_control())
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if good {
        Ok(())
    } else {
        Err(HubError::Name {
            name: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
