//! Pipeline files: what is read, what is refused and how that is said.

mod kinds;
mod laws;
mod mistakes;
mod reading;
mod sharing;
mod sweeps;

use std::path::{Path, PathBuf};

use dag_engine::checked::Pipeline;
use dag_engine::diagnostic::{Colour, SourceFile, render};
use dag_engine::pipeline::{LoadOptions, Loaded, load};

/// The only file that exists, in tests, is the one called `problems.jsonl`.
pub(crate) fn exists(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name == "problems.jsonl")
}

pub(crate) fn load_with(text: &str, sets: &[&str]) -> Loaded {
    let options = LoadOptions {
        sets: sets.iter().map(|set| (*set).to_owned()).collect(),
        exists,
        ..LoadOptions::default()
    };
    load(
        &SourceFile::new("p.toml", text),
        &kinds::registry(),
        &options,
    )
}

/// The pipeline, or a panic that shows what is wrong with it.
#[track_caller]
pub(crate) fn pipeline_with(text: &str, sets: &[&str]) -> Pipeline {
    let loaded = load_with(text, sets);
    let drawn = render(&loaded.diagnostics, &loaded.sources, Colour::Plain);
    loaded.pipeline.unwrap_or_else(|| panic!("{drawn}"))
}

#[track_caller]
pub(crate) fn pipeline(text: &str) -> Pipeline {
    pipeline_with(text, &[])
}

/// `tests/pipelines/{valid,invalid}` of the project, by name.
pub(crate) fn files(folder: &str) -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/pipelines")
        .join(folder);
    let mut files: Vec<(String, PathBuf)> = fs_err::read_dir(folder)
        .expect("the folder of test pipelines is part of the project")
        .map(|entry| entry.expect("a folder that opens can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .filter_map(|path| Some((path.file_stem()?.to_string_lossy().into_owned(), path)))
        .collect();
    files.sort();
    files
}
