//! A loopback server in the layout of the Hugging Face hub: what a loader needs to resolve a revision,
//! list its files and read them. Repositories are held in memory, by commit.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/models/{id}[/revision/{rev}]`, `GET /api/datasets/…` | `{"id", "sha", "siblings": [{"rfilename", "size"}]}` |
//! | `GET /api/…/tree/{rev}` | `[{"type": "file", "path", "size", "oid"}]` |
//! | `GET` or `HEAD /{id}/resolve/{rev}/{file}`, `/datasets/{id}/resolve/…` | the bytes, with `x-repo-commit`, `etag`, `content-length`; `range` is honoured |
//!
//! A branch name, a full commit or a prefix of seven or more digits names a revision. What does not
//! exist is a 404 with the hub's `x-error-code`; a gated repository without its token is a 401.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use futures::stream;
use serde_json::json;

use crate::loopback::Loopback;

/// A hub with the repositories a test put into it.
pub struct FakeHub {
    shelves: Arc<Mutex<Shelves>>,
    server: Loopback,
}

#[derive(Default)]
struct Shelves {
    /// By kind (`models` or `datasets`) and id.
    repos: BTreeMap<(&'static str, String), Repo>,
    requests: Vec<String>,
    /// Files whose next download ends after half of its bytes.
    cut: Vec<String>,
}

#[derive(Default)]
struct Repo {
    commits: BTreeMap<String, BTreeMap<String, Bytes>>,
    branches: BTreeMap<String, String>,
    token: Option<String>,
}

impl FakeHub {
    /// An empty hub.
    #[must_use]
    pub fn start() -> Self {
        let shelves = Arc::new(Mutex::new(Shelves::default()));
        let router = Router::new()
            .fallback(serve)
            .with_state(Arc::clone(&shelves));
        Self {
            server: Loopback::start(router),
            shelves,
        }
    }

    /// `http://127.0.0.1:PORT`: what a loader takes for `https://huggingface.co`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Puts a model repository's commit on the shelf and points its `main` branch at it.
    pub fn model(&self, id: &str, commit: &str, files: &[(&str, &[u8])]) {
        self.put("models", id, commit, files);
    }

    /// Puts a data set repository's commit on the shelf and points its `main` branch at it.
    pub fn dataset(&self, id: &str, commit: &str, files: &[(&str, &[u8])]) {
        self.put("datasets", id, commit, files);
    }

    /// Points a branch or tag of the repository (model or data set) named `id` at `commit`.
    pub fn branch(&self, id: &str, branch: &str, commit: &str) {
        for ((_, repo_id), repo) in &mut self.shelves().repos {
            if repo_id == id {
                repo.branches.insert(branch.to_owned(), commit.to_owned());
            }
        }
    }

    /// From now on the repository answers only to `Authorization: Bearer {token}`.
    pub fn gate(&self, id: &str, token: &str) {
        for ((_, repo_id), repo) in &mut self.shelves().repos {
            if repo_id == id {
                repo.token = Some(token.to_owned());
            }
        }
    }

    /// The next download of `file` breaks off after half of its bytes.
    pub fn cut_next(&self, file: &str) {
        self.shelves().cut.push(file.to_owned());
    }

    /// Every request so far, as `GET /path`, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shelves().requests.clone()
    }

    /// How many file downloads (`GET …/resolve/…`) there were.
    #[must_use]
    pub fn downloads(&self) -> usize {
        let is_download =
            |request: &&String| request.starts_with("GET ") && request.contains("/resolve/");
        self.shelves().requests.iter().filter(is_download).count()
    }

    fn put(&self, kind: &'static str, id: &str, commit: &str, files: &[(&str, &[u8])]) {
        let mut shelves = self.shelves();
        let repo = shelves.repos.entry((kind, id.to_owned())).or_default();
        let files = files
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), Bytes::copy_from_slice(bytes)))
            .collect();
        repo.commits.insert(commit.to_owned(), files);
        repo.branches.insert("main".to_owned(), commit.to_owned());
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves
            .lock()
            .expect("no request panics while it holds the shelves")
    }
}

impl Repo {
    fn commit(&self, revision: &str) -> Option<(&str, &BTreeMap<String, Bytes>)> {
        let name = self.branches.get(revision).map_or(revision, String::as_str);
        let named = |commit: &str| commit == name || (name.len() >= 7 && commit.starts_with(name));
        self.commits
            .iter()
            .find(|(commit, _)| named(commit))
            .map(|(commit, files)| (commit.as_str(), files))
    }
}

/// What a path asks for. Ids hold one slash or none, so the path is split at its fixed words.
enum Wanted {
    Info {
        kind: &'static str,
        id: String,
        revision: String,
    },
    Tree {
        kind: &'static str,
        id: String,
        revision: String,
    },
    File {
        kind: &'static str,
        id: String,
        revision: String,
        file: String,
    },
}

fn wanted(path: &str) -> Option<Wanted> {
    let path = path.strip_prefix('/')?;
    if let Some(api) = path.strip_prefix("api/") {
        let (kind, rest) = split_kind(api)?;
        if let Some((id, revision)) = rest.split_once("/tree/") {
            let revision = revision.trim_end_matches('/').to_owned();
            return Some(Wanted::Tree {
                kind,
                id: id.to_owned(),
                revision,
            });
        }
        let (id, revision) = rest.split_once("/revision/").unwrap_or((rest, "main"));
        return Some(Wanted::Info {
            kind,
            id: id.to_owned(),
            revision: revision.to_owned(),
        });
    }
    let (kind, rest) = match path.strip_prefix("datasets/") {
        Some(rest) => ("datasets", rest),
        None => ("models", path),
    };
    let (id, rest) = rest.split_once("/resolve/")?;
    let (revision, file) = rest.split_once('/')?;
    Some(Wanted::File {
        kind,
        id: id.to_owned(),
        revision: revision.to_owned(),
        file: file.to_owned(),
    })
}

fn split_kind(api: &str) -> Option<(&'static str, &str)> {
    let (kind, rest) = api.split_once('/')?;
    match kind {
        "models" => Some(("models", rest)),
        "datasets" => Some(("datasets", rest)),
        _ => None,
    }
}

async fn serve(
    State(shelves): State<Arc<Mutex<Shelves>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let mut shelves = shelves
        .lock()
        .expect("no request panics while it holds the shelves");
    shelves.requests.push(format!("{method} {}", uri.path()));
    let path = uri.path().replace("%2F", "/");
    let Some(wanted) = wanted(&path) else {
        return missing("RepoNotFound");
    };
    let (kind, id) = match &wanted {
        Wanted::Info { kind, id, .. }
        | Wanted::Tree { kind, id, .. }
        | Wanted::File { kind, id, .. } => (*kind, id.clone()),
    };
    let Some(repo) = shelves.repos.get(&(kind, id.clone())) else {
        return missing("RepoNotFound");
    };
    if let Some(token) = &repo.token {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        if given != Some(&format!("Bearer {token}")) {
            return failure(StatusCode::UNAUTHORIZED, "GatedRepo");
        }
    }
    match wanted {
        Wanted::Info { revision, .. } => match repo.commit(&revision) {
            None => missing("RevisionNotFound"),
            Some((commit, files)) => {
                let siblings: Vec<_> = files
                    .iter()
                    .map(|(name, bytes)| json!({"rfilename": name, "size": bytes.len()}))
                    .collect();
                json_answer(&json!({"id": id, "sha": commit, "siblings": siblings}))
            }
        },
        Wanted::Tree { revision, .. } => match repo.commit(&revision) {
            None => missing("RevisionNotFound"),
            Some((_, files)) => {
                let entry = |(name, bytes): (&String, &Bytes)| json!({"type": "file", "path": name, "size": bytes.len(), "oid": etag(bytes)});
                json_answer(&json!(files.iter().map(entry).collect::<Vec<_>>()))
            }
        },
        Wanted::File { revision, file, .. } => {
            let Some((commit, files)) = repo.commit(&revision) else {
                return missing("RevisionNotFound");
            };
            let Some(bytes) = files.get(&file).cloned() else {
                return missing("EntryNotFound");
            };
            let commit = commit.to_owned();
            let cut = method == Method::GET && take(&mut shelves.cut, &file);
            file_answer(&commit, bytes, &method, &headers, cut)
        }
    }
}

fn take(list: &mut Vec<String>, name: &str) -> bool {
    let place = list.iter().position(|entry| entry == name);
    place.map(|place| list.remove(place)).is_some()
}

fn file_answer(
    commit: &str,
    bytes: Bytes,
    method: &Method,
    headers: &HeaderMap,
    cut: bool,
) -> Response<Body> {
    let whole = bytes.len();
    let start = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("bytes="))
        .and_then(|value| value.split('-').next()?.parse::<usize>().ok());
    let mut answer = Response::builder()
        .header("x-repo-commit", commit)
        .header(header::ETAG, format!("\"{}\"", etag(&bytes)))
        .header(header::ACCEPT_RANGES, "bytes");
    let part = match start {
        None => bytes,
        Some(start) if start < whole => {
            answer = answer.status(StatusCode::PARTIAL_CONTENT).header(
                header::CONTENT_RANGE,
                format!("bytes {start}-{}/{whole}", whole - 1),
            );
            bytes.slice(start..)
        }
        Some(_) => return failure(StatusCode::RANGE_NOT_SATISFIABLE, "RangeNotSatisfiable"),
    };
    answer = answer.header(header::CONTENT_LENGTH, part.len());
    let body = if *method == Method::HEAD {
        Body::empty()
    } else if cut {
        let half = part.slice(..part.len() / 2);
        Body::from_stream(stream::iter([
            Ok(half),
            Err(std::io::Error::other("cut on purpose")),
        ]))
    } else {
        Body::from(part)
    };
    answer.body(body).expect("the headers above are valid")
}

/// Changes with the content; not the hub's own hash.
fn etag(bytes: &[u8]) -> String {
    // FNV-1a
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn json_answer(value: &serde_json::Value) -> Response<Body> {
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(value.to_string()))
        .expect("the header above is valid")
}

fn missing(code: &'static str) -> Response<Body> {
    failure(StatusCode::NOT_FOUND, code)
}

fn failure(status: StatusCode, code: &'static str) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("x-error-code", code)
        .body(Body::from(json!({"error": code}).to_string()))
        .expect("the header above is valid")
}
