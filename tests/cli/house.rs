//! The house itself: which crate may know which, what stays out of the quick crates, what every
//! member and every generated page must keep to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn members() -> BTreeMap<String, PathBuf> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--offline",
            "--no-deps",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    metadata["packages"]
        .as_array()
        .expect("a list of packages")
        .iter()
        .map(|package| {
            let text = |key: &str| package[key].as_str().expect("a text").to_owned();
            (text("name"), PathBuf::from(text("manifest_path")))
        })
        .collect()
}

fn tree(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "-e",
            "normal",
            "--prefix",
            "none",
            "-f",
            "{p}",
            "-p",
            package,
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn arrows_point_one_way() {
    let allowed: &[(&str, &[&str])] = &[
        ("dag-cache", &[]),
        ("dag-engine", &["dag-cache"]),
        ("dag-data", &[]),
        ("dag-grade", &[]),
        ("dag-llm", &[]),
        ("dag-model", &[]),
        ("dag-train", &["dag-model"]),
        (
            "dag-kinds",
            &[
                "dag-cache",
                "dag-engine",
                "dag-data",
                "dag-grade",
                "dag-llm",
                "dag-model",
                "dag-train",
            ],
        ),
    ];
    for (package, may_know) in allowed {
        let known: BTreeSet<String> = tree(package)
            .into_iter()
            .filter(|name| name.starts_with("dag-") && name != package)
            .collect();
        let forbidden: Vec<_> = known
            .iter()
            .filter(|name| !may_know.contains(&name.as_str()))
            .collect();
        assert!(forbidden.is_empty(), "{package} knows {forbidden:?}");
    }
}

#[test]
fn cache_and_engine_see_neither_burn_nor_polars_nor_a_network() {
    for package in ["dag-cache", "dag-engine"] {
        let heavy: Vec<_> = tree(package)
            .into_iter()
            .filter(|name| {
                ["burn", "polars", "reqwest", "tokio", "cudarc", "cubecl"]
                    .iter()
                    .any(|word| name == word || name.starts_with(&format!("{word}-")))
            })
            .collect();
        assert!(heavy.is_empty(), "{package} pulls in {heavy:?}");
    }
}

#[test]
fn every_member_keeps_to_the_lints_of_the_workspace() {
    for (name, manifest) in members() {
        let text = fs_err::read_to_string(&manifest).expect("the manifest");
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{name} sets its own lints"
        );
    }
}

#[test]
fn every_module_opens_with_what_it_is_for() {
    let mut without = Vec::new();
    for folder in ["src", "cache/src", "engine/src", "stages", "tests"] {
        for file in rust_files(&root().join(folder)) {
            let text = fs_err::read_to_string(&file).expect("a source file");
            if !text.starts_with("//!") {
                without.push(file);
            }
        }
    }
    assert!(without.is_empty(), "no module documentation: {without:#?}");
}

#[test]
fn no_test_file_is_forgotten() {
    for folder in [
        "tests/cli",
        "cache/tests",
        "engine/tests",
        "stages/kinds/tests",
    ] {
        for file in rust_files(&root().join(folder)) {
            let stem = file
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default();
            if matches!(stem, "main" | "mod") {
                continue;
            }
            let folder = file.parent().expect("a folder");
            let beside = |name: &str| fs_err::read_to_string(folder.join(name)).unwrap_or_default();
            let declared = format!("mod {stem};");
            let a_binary_of_its_own = folder.ends_with("tests");
            assert!(
                a_binary_of_its_own
                    || beside("main.rs").contains(&declared)
                    || beside("mod.rs").contains(&declared),
                "{} is in no test binary",
                file.display()
            );
        }
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs_err::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
