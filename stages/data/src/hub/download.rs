//! Talking to the hub: commits, file lists, and downloads that are taken up where they stopped.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, ETAG, LINK, LOCATION, RANGE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;

use super::{HubConfig, HubError, HubFile, RepoKind, check_path};

/// How often a request is tried.
const ATTEMPTS: u32 = 5;
/// The pause before the second attempt; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
/// How many pages of a file list are read at most.
const PAGES: usize = 1000;

/// A client of the endpoint.
pub(super) struct Client {
    /// Follows redirects, as downloads need.
    web: reqwest::Client,
    /// Does not: the headers of the first answer name the blob.
    still: reqwest::Client,
    endpoint: String,
    token: Option<String>,
}

#[derive(Deserialize)]
struct RepoInfo {
    sha: String,
}

#[derive(Deserialize)]
struct TreeEntry {
    #[serde(rename = "type")]
    entry: String,
    path: String,
    #[serde(default)]
    size: u64,
}

impl Client {
    pub(super) fn new(config: &HubConfig) -> Result<Self, HubError> {
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("dag/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(Duration::from_secs(20))
                .read_timeout(Duration::from_secs(60))
        };
        let network = |source| HubError::Network {
            what: config.endpoint.clone(),
            source,
        };
        Ok(Self {
            web: builder().build().map_err(network)?,
            still: builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .map_err(network)?,
            endpoint: config.endpoint.clone(),
            token: config.token.clone(),
        })
    }

    pub(super) async fn commit(
        &self,
        kind: RepoKind,
        id: &str,
        revision: &str,
    ) -> Result<String, HubError> {
        let url = format!(
            "{}/api/{}/{id}/revision/{}",
            self.endpoint,
            kind.plural(),
            escape(revision, true)
        );
        let what = format!("{id} at {revision}");
        let answer = self.get(&url, &what).await?;
        Ok(json::<RepoInfo>(answer, &what).await?.sha)
    }

    pub(super) async fn files(
        &self,
        kind: RepoKind,
        id: &str,
        commit: &str,
    ) -> Result<Vec<HubFile>, HubError> {
        let what = format!("{id} at {commit}");
        let mut url = format!(
            "{}/api/{}/{id}/tree/{}?recursive=true",
            self.endpoint,
            kind.plural(),
            escape(commit, true)
        );
        let mut files = Vec::new();
        for _ in 0..PAGES {
            let answer = self.get(&url, &what).await?;
            let next = next_page(&answer, &self.endpoint);
            for TreeEntry { entry, path, size } in json::<Vec<TreeEntry>>(answer, &what).await? {
                if entry == "file" {
                    files.push(HubFile { path, size });
                }
            }
            match next {
                Some(page) => url = page,
                None => return Ok(files),
            }
        }
        Err(HubError::Answer {
            what,
            why: format!("the list of files has more than {PAGES} pages"),
        })
    }

    /// Brings one file into `blobs/` and links it into its snapshot at `path`.
    pub(super) async fn download(
        &self,
        kind: RepoKind,
        id: &str,
        commit: &str,
        file: &HubFile,
        folder: &Path,
        path: &Path,
    ) -> Result<(), HubError> {
        let what = format!("{id}/{}", file.path);
        let url = format!(
            "{}/{}{id}/resolve/{}/{}",
            self.endpoint,
            kind.prefix(),
            escape(commit, true),
            escape(&file.path, false)
        );
        let etag = self.etag(&url, &what).await?;
        let blobs = folder.join("blobs");
        fs_err::create_dir_all(&blobs)?;
        let blob = blobs.join(&etag);
        if !fs_err::metadata(&blob).is_ok_and(|meta| meta.len() == file.size) {
            let partial = blobs.join(format!("{etag}.incomplete"));
            self.fill(&url, &what, file.size, &partial).await?;
            fs_err::rename(&partial, &blob)?;
        }
        link(&blob, &file.path, &etag, path)
    }

    /// The name of the blob: the hash that the hub gives the file.
    async fn etag(&self, url: &str, what: &str) -> Result<String, HubError> {
        let mut url = url.to_owned();
        for _ in 0..5 {
            let answer = self
                .attempt(|| self.still_request(Method::HEAD, &url), what)
                .await?;
            let header = |name: &str| {
                answer
                    .headers()
                    .get(name)
                    .and_then(|value| value.to_str().ok())
            };
            let redirect = answer.status().is_redirection();
            // a repository that has moved answers with a path; a large file with the address of its store
            if let Some(place) =
                header(LOCATION.as_str()).filter(|place| redirect && place.starts_with('/'))
            {
                url = format!("{}{place}", self.endpoint);
                continue;
            }
            let etag = header("x-linked-etag")
                .or_else(|| header(ETAG.as_str()))
                .unwrap_or_default();
            let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
            if check_path(&etag).is_err() || etag.contains('/') {
                return Err(HubError::Answer {
                    what: what.to_owned(),
                    why: "it names no blob (ETag)".to_owned(),
                });
            }
            return Ok(etag);
        }
        Err(HubError::Answer {
            what: what.to_owned(),
            why: "it redirects without end".to_owned(),
        })
    }

    /// Fills the partial file up to `size`, going on where it ends, however often the connection breaks.
    async fn fill(&self, url: &str, what: &str, size: u64, partial: &Path) -> Result<(), HubError> {
        let mut failures = 0;
        loop {
            let have = fs_err::metadata(partial).map_or(0, |meta| meta.len());
            if have == size && partial.exists() {
                let file = fs_err::OpenOptions::new().append(true).open(partial)?;
                file.sync_all()?;
                return Ok(());
            }
            if have > size {
                // not what we were promised: begin anew
                fs_err::remove_file(partial)?;
                continue;
            }
            let answer = self
                .attempt(
                    || {
                        let request = self.request(Method::GET, url);
                        if have > 0 {
                            request.header(RANGE, format!("bytes={have}-"))
                        } else {
                            request
                        }
                    },
                    what,
                )
                .await?;
            let continues = answer.status() == StatusCode::PARTIAL_CONTENT
                && answer
                    .headers()
                    .get(CONTENT_RANGE)
                    .and_then(|range| range.to_str().ok())
                    .is_some_and(|range| {
                        range
                            .strip_prefix("bytes ")
                            .and_then(|range| range.split('-').next())
                            == Some(&have.to_string())
                    });
            let whole = answer.status() == StatusCode::OK;
            if !whole && !continues {
                return Err(HubError::Answer {
                    what: what.to_owned(),
                    why: "it sends another part than asked for".to_owned(),
                });
            }
            let mut file = fs_err::OpenOptions::new()
                .create(true)
                .append(continues)
                .truncate(whole)
                .write(true)
                .open(partial)?;
            let broken = self.pour(answer, &mut file).await;
            file.flush()?;
            let now = fs_err::metadata(partial)?.len();
            if now == size && broken.is_ok() {
                continue;
            }
            failures += 1;
            if failures >= ATTEMPTS {
                return Err(match broken {
                    Err(Poured::Network(source)) => HubError::Network {
                        what: what.to_owned(),
                        source,
                    },
                    Err(Poured::Disk(error)) => HubError::Io(error),
                    Ok(()) => HubError::Answer {
                        what: what.to_owned(),
                        why: format!("it has {now} bytes where {size} are listed"),
                    },
                });
            }
            if let Err(Poured::Disk(error)) = broken {
                return Err(HubError::Io(error));
            }
            tokio::time::sleep(PAUSE * 2u32.pow(failures - 1)).await;
        }
    }

    async fn pour(&self, mut answer: Response, file: &mut fs_err::File) -> Result<(), Poured> {
        while let Some(bytes) = answer.chunk().await.map_err(Poured::Network)? {
            file.write_all(&bytes).map_err(Poured::Disk)?;
        }
        Ok(())
    }

    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.signed(self.web.request(method, url))
    }

    fn still_request(&self, method: Method, url: &str) -> RequestBuilder {
        self.signed(self.still.request(method, url))
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn get(&self, url: &str, what: &str) -> Result<Response, HubError> {
        self.attempt(|| self.request(Method::GET, url), what).await
    }

    /// Sends a request until it is answered by something but a server error or a full queue.
    async fn attempt(
        &self,
        request: impl Fn() -> RequestBuilder,
        what: &str,
    ) -> Result<Response, HubError> {
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            let outcome = request().send().await;
            let again = match &outcome {
                Ok(answer) => {
                    answer.status().is_server_error()
                        || answer.status() == StatusCode::TOO_MANY_REQUESTS
                }
                Err(error) => !error.is_builder(),
            };
            if !again || attempt == ATTEMPTS {
                return judge(outcome, what);
            }
            attempt += 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

/// What stopped a download.
enum Poured {
    Network(reqwest::Error),
    Disk(std::io::Error),
}

fn judge(outcome: Result<Response, reqwest::Error>, what: &str) -> Result<Response, HubError> {
    let what = what.to_owned();
    // the address may carry a signature: it is left out of the message
    let answer = outcome.map_err(|error| HubError::Network {
        what: what.clone(),
        source: error.without_url(),
    })?;
    match answer.status() {
        status if status.is_success() || status.is_redirection() => Ok(answer),
        StatusCode::NOT_FOUND => Err(HubError::Missing { what }),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(HubError::Denied { what }),
        status => Err(HubError::Status {
            status: status.as_u16(),
            what,
        }),
    }
}

async fn json<T: for<'de> Deserialize<'de>>(answer: Response, what: &str) -> Result<T, HubError> {
    let text = answer.bytes().await.map_err(|error| HubError::Network {
        what: what.to_owned(),
        source: error.without_url(),
    })?;
    serde_json::from_slice(&text).map_err(|error| HubError::Answer {
        what: what.to_owned(),
        why: error.to_string(),
    })
}

/// The next page of a list, if it is on the same server.
fn next_page(answer: &Response, endpoint: &str) -> Option<String> {
    let links = answer.headers().get(LINK)?.to_str().ok()?;
    let next = links
        .split(',')
        .find(|link| link.contains("rel=\"next\""))?;
    let url = next.split_once('<')?.1.split_once('>')?.0;
    url.strip_prefix(endpoint)
        .is_some_and(|rest| rest.starts_with('/'))
        .then(|| url.to_owned())
}

/// Percent-encodes what may not stand in a path; with `slashes` those too.
fn escape(text: &str, slashes: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b'~')
            || (byte == b'/' && !slashes);
        if plain {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// Makes the snapshot's file a relative link to the blob, so that the cache can be moved.
fn link(blob: &Path, name: &str, etag: &str, path: &Path) -> Result<(), HubError> {
    if let Some(parent) = path.parent() {
        fs_err::create_dir_all(parent)?;
    }
    if fs_err::symlink_metadata(path).is_ok() {
        fs_err::remove_file(path)?;
    }
    // from snapshots/<commit>/a/b up to the repository's folder
    let up = "../".repeat(2 + name.matches('/').count());
    let linked = std::os::unix::fs::symlink(format!("{up}blobs/{etag}"), path);
    match linked {
        Ok(()) => Ok(()),
        // somebody else made the same link meanwhile
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        // a file system without links
        Err(_) => {
            fs_err::copy(blob, path)?;
            Ok(())
        }
    }
}
