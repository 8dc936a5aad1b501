//! From a URL to a store: which scheme is which kind of store, and what a user may write into a URL.
//!
//! No secret stands in what this module shows: a user name, a password and a query never reach a message.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::{LocalStore, Store};

/// What a store needs to know beside its URL. Nothing of it is part of a key.
#[derive(Clone)]
pub struct StoreOptions {
    /// The environment's variables, from which credentials and endpoints of object stores come:
    /// `AWS_*`, `GOOGLE_*`, `SERVICE_ACCOUNT`, `AZURE_*`, `IDENTITY_ENDPOINT`, and `HOME` for `~/.aws`.
    /// Empty: no credentials but those of the machine's role.
    pub environment: BTreeMap<String, String>,
    /// A folder that remembers unfinished uploads, so that another process goes on with them. `None`: an
    /// upload that fails is given up.
    pub state: Option<PathBuf>,
    /// How long connecting may take. Default: 3 s.
    pub connect: Duration,
    /// How long a small operation may take, retries included. Default: 4.5 s, so that a server that is gone
    /// costs a run less than 5 s. Bytes that are moved add a second for every 64 KiB.
    pub small: Duration,
    /// How long a transfer may move no byte. Default: 15 s.
    pub silence: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            environment: BTreeMap::new(),
            state: None,
            connect: Duration::from_secs(3),
            small: Duration::from_millis(4500),
            silence: Duration::from_secs(15),
        }
    }
}

/// The environment holds secrets: its names are shown, its values not.
impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            environment,
            state,
            connect,
            small,
            silence,
        } = self;
        f.debug_struct("StoreOptions")
            .field("environment", &environment.keys().collect::<Vec<_>>())
            .field("state", state)
            .field("connect", connect)
            .field("small", small)
            .field("silence", silence)
            .finish()
    }
}

/// Why a URL is no store. The user must act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is no URL.
    #[error(
        "a store is named by a URL such as `file:///mnt/team/cache` or `s3://bucket/cache`: {reason}"
    )]
    NotAUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// No store has this scheme.
    #[error("`{url}`: no store begins with `{scheme}:`; use file, s3, gs, az, http or https")]
    UnknownScheme {
        /// The URL, without secrets.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// This build has no object stores.
    #[error(
        "`{url}`: this build knows only `file://`; build dag-cache with the feature `cloud` for `{scheme}://`"
    )]
    WithoutCloud {
        /// The URL, without secrets.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// The folder of a `file://` URL cannot be used.
    #[error("`{}` cannot be used as a store", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The URL, or the environment, says something that this store cannot honour.
    #[error("`{url}`: {reason}")]
    Settings {
        /// The URL, without secrets.
        url: String,
        /// What it is, and what to write instead.
        reason: String,
    },
}

/// Opens the store that a URL names. Nothing is asked of a server before the first use.
///
/// | URL | store |
/// |---|---|
/// | `file:///mnt/team/cache` | a folder, also on NFS or Lustre |
/// | `s3://bucket/prefix` | Amazon S3; other servers with `?endpoint=http://host:port` and `&region=` |
/// | `gs://bucket/prefix` | Google Cloud Storage |
/// | `az://container/prefix` | Azure Blob Storage; other servers with `?endpoint=` |
/// | `http://`, `https://` | WebDAV, or a server of plain files that is only read |
///
/// ```
/// use dag_cache::store::{StoreOptions, open_store};
///
/// let folder = tempfile::tempdir()?;
/// let url = format!("file://{}/cache", folder.path().display());
/// let store = open_store(&url, &StoreOptions::default())?;
/// store.put("greeting", b"hello")?;
/// assert_eq!(store.size("greeting")?, Some(5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// It names no store, or one that cannot be opened.
pub fn open_store(url: &str, options: &StoreOptions) -> Result<Arc<dyn Store>, OpenError> {
    let parsed = Url::parse(url).map_err(|error| OpenError::NotAUrl {
        reason: error.to_string(),
    })?;
    match parsed.scheme() {
        "file" => local(&parsed),
        "s3" | "gs" | "az" | "http" | "https" => cloud(&parsed, options),
        scheme => Err(OpenError::UnknownScheme {
            url: shown(&parsed),
            scheme: scheme.to_owned(),
        }),
    }
}

/// A URL as a person may see it: without user, password, query and fragment.
///
/// ```
/// let url = "https://me:secret@host/cache?sig=abc".parse()?;
/// assert_eq!(dag_cache::store::shown(&url), "https://host/cache");
/// # Ok::<(), url::ParseError>(())
/// ```
#[must_use]
pub fn shown(url: &Url) -> String {
    if url.cannot_be_a_base() {
        // What follows may be anything: `me:secret@host` has the scheme `me`.
        return format!("{}:…", url.scheme());
    }
    let mut port = String::new();
    if let Some(number) = url.port() {
        port = format!(":{number}");
    }
    format!(
        "{}://{}{port}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.path().trim_end_matches('/')
    )
}

fn local(url: &Url) -> Result<Arc<dyn Store>, OpenError> {
    let path = url.to_file_path().map_err(|()| OpenError::Settings {
        url: shown(url),
        reason: "a folder of this machine is written `file:///path`, with three slashes".to_owned(),
    })?;
    match opened(&path) {
        Ok(store) => Ok(Arc::new(store)),
        Err(source) => Err(OpenError::Folder { path, source }),
    }
}

/// Makes the folder, but not the one above: that is missing when a file system is not mounted, and then a
/// new folder would look like an empty store.
fn opened(path: &Path) -> std::io::Result<LocalStore> {
    if !path.is_dir() {
        fs_err::create_dir(path)?;
    }
    match LocalStore::open(path) {
        // Somebody else's folder, or a file system that is only read: what lies there can be read.
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            Ok(LocalStore::only_read(path))
        }
        opened => opened,
    }
}

#[cfg(feature = "cloud")]
fn cloud(url: &Url, options: &StoreOptions) -> Result<Arc<dyn Store>, OpenError> {
    Ok(Arc::new(super::object::open(url, options)?))
}

#[cfg(not(feature = "cloud"))]
fn cloud(url: &Url, _: &StoreOptions) -> Result<Arc<dyn Store>, OpenError> {
    Err(OpenError::WithoutCloud {
        url: shown(url),
        scheme: url.scheme().to_owned(),
    })
}
