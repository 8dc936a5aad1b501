//! Editing the files where remotes and writers are written down: comments and order stay.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use toml_edit::{DocumentMut, Item, Table};

use crate::commands::Failure;
use crate::exit_codes;
use crate::remotes::config;

/// Which file is edited.
pub(crate) enum Home {
    /// The user's own.
    User,
    /// The project's, in the folder where the program was started or the nearest above that has one.
    Project,
    /// This one.
    At(PathBuf),
}

impl Home {
    pub(crate) fn of(project: bool) -> Self {
        if project { Self::Project } else { Self::User }
    }

    fn path(&self) -> Result<PathBuf, Failure> {
        match self {
            Self::User => config::user_file(),
            Self::Project => Ok(crate::places::project_cache_file(Path::new("."))
                .unwrap_or_else(|| PathBuf::from("dag-cache.toml"))),
            Self::At(path) => Ok(path.clone()),
        }
    }
}

/// Changes a file, and gives where it lies. It is written beside and renamed.
pub(crate) fn edit(
    home: &Home,
    change: impl FnOnce(&mut DocumentMut) -> Result<(), Failure>,
) -> Result<PathBuf, Failure> {
    let path = home.path()?;
    let environment =
        |error: std::io::Error| Failure::new(exit_codes::ENVIRONMENT, error.to_string());
    let text = match fs_err::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(environment(error)),
    };
    let mut document: DocumentMut = text.parse().map_err(|error| {
        Failure::new(
            exit_codes::ENVIRONMENT,
            format!("`{}` is no TOML: {error}", path.display()),
        )
        .hint("mend it or move it away")
    })?;
    change(&mut document)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs_err::create_dir_all(folder).map_err(environment)?;
    }
    let beside = path.with_extension("toml.new");
    // A URL may hold a password: a new file of the user's is theirs alone, and one that is there keeps its rights.
    let mode = match (fs_err::metadata(&path), home) {
        (Ok(metadata), _) => metadata.permissions().mode() & 0o777,
        (Err(_), Home::User) => 0o600,
        (Err(_), Home::Project | Home::At(_)) => 0o666,
    };
    drop(fs_err::remove_file(&beside));
    fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .and_then(|mut file| file.write_all(document.to_string().as_bytes()))
        .map_err(environment)?;
    fs_err::rename(&beside, &path).map_err(environment)?;
    Ok(path)
}

/// The table at a path, made if it is not there. Tables on the way are not written by themselves.
pub(crate) fn table<'d>(document: &'d mut DocumentMut, path: &[&str]) -> &'d mut Table {
    let mut table = document.as_table_mut();
    for (depth, part) in path.iter().enumerate() {
        let item = table
            .entry(part)
            .or_insert_with(|| Item::Table(Table::new()));
        if !item.is_table() {
            // `remotes.team = { … }` becomes a table of its own, with the same entries.
            let inline = std::mem::take(item);
            *item = Item::Table(inline.into_table().unwrap_or_default());
        }
        table = item.as_table_mut().expect("it was made a table just now");
        if depth + 1 < path.len() && table.is_empty() {
            table.set_implicit(true);
        }
    }
    table
}

/// A URL as a person may see it: without password and query, where secrets may stand.
pub(crate) fn shown(url: &str) -> String {
    url.parse()
        .map_or_else(|_| url.to_owned(), |url| dag_cache::store::shown(&url))
}
