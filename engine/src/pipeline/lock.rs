//! The lock file beside a pipeline: which commit a hub id without a fixed revision means. Written
//! once, so that the same file means the same thing next year.
//!
//! ```toml
//! version = 1
//!
//! [revisions]
//! "dataset:AI-MO/NuminaMath-CoT@main" = "9d8d21059b3d2b8f2d9a6f6b3c5c0a1f4e7d8c9b"
//! ```

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::document::{Place, described};
use crate::checked::HubLock;
use crate::diagnostic::Finding;

/// The version of the file that this program writes, and the newest it reads.
const VERSION: u64 = 1;

const HEAD: &str = "\
# Written by dag: the commit that each hub id without a fixed revision means in this pipeline.
# Keep it with the pipeline file. To take a newer revision, delete its line.
";

/// Where the lock file of a pipeline lies: `sky-t1.toml` → `sky-t1.lock`.
#[must_use]
pub fn lock_path(pipeline: &Path) -> PathBuf {
    pipeline.with_extension("lock")
}

/// Reads a lock file whose text begins at byte `base` of the sources.
pub(crate) fn read_lock(text: &str, base: usize, findings: &mut Vec<Finding>) -> HubLock {
    let mut lock = HubLock::default();
    let place = |span: Place| span.start + base..span.end + base;
    let root = match DeTable::parse(text) {
        Ok(root) => root.into_inner(),
        Err(error) => {
            findings.push(
                Finding::error(
                    "D0401",
                    place(error.span().unwrap_or(0..0)),
                    format!("the lock file is not TOML: {}", error.message()),
                )
                .help("it is written by dag: delete it to have the revisions looked up again"),
            );
            return lock;
        }
    };
    match root
        .get("version")
        .map(|version| (version.span(), version.get_ref()))
    {
        Some((_, DeValue::Integer(version)))
            if version
                .as_str()
                .parse::<u64>()
                .is_ok_and(|version| version <= VERSION) => {}
        Some((span, version)) => {
            findings.push(
                Finding::error(
                    "D0402",
                    place(span),
                    format!(
                        "the lock file has version {version}, and this dag reads up to {VERSION}",
                        version = value_text(version)
                    ),
                )
                .help("use the dag that wrote it, or a newer one"),
            );
            return lock;
        }
        None => findings.push(Finding::error(
            "D0401",
            base..base,
            "the lock file has no `version`",
        )),
    }
    for (key, value) in &root {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("version", _) => {}
            ("revisions", DeValue::Table(revisions)) => {
                for (entry, revision) in revisions {
                    match revision.get_ref() {
                        DeValue::String(commit) if is_commit(commit) && is_entry(entry.get_ref()) => {
                            lock.revisions.insert(entry.get_ref().to_string(), commit.to_string());
                        }
                        DeValue::String(_) if !is_entry(entry.get_ref()) => findings.push(
                            Finding::error(
                                "D0403",
                                place(entry.span()),
                                format!("`{}` does not name a hub repository", entry.get_ref()),
                            )
                            .help("an entry reads \"dataset:owner/name@revision\" or \"model:owner/name@revision\""),
                        ),
                        other => findings.push(
                            Finding::error(
                                "D0403",
                                place(revision.span()),
                                format!(
                                    "`{}` must be locked to a commit, not {}",
                                    entry.get_ref(),
                                    described(other)
                                ),
                            )
                            .help("a commit is 7 to 64 hexadecimal digits"),
                        ),
                    }
                }
            }
            (name, _) => findings.push(Finding::error(
                "D0401",
                place(key.span()),
                format!("a lock file has no `{name}`"),
            )),
        }
    }
    lock
}

fn value_text(value: &DeValue<'_>) -> String {
    super::sweep::compact(value)
}

fn is_entry(key: &str) -> bool {
    key.split_once(':').is_some_and(|(repo, rest)| {
        matches!(repo, "dataset" | "model")
            && rest
                .rsplit_once('@')
                .is_some_and(|(id, revision)| !id.is_empty() && !revision.is_empty())
    })
}

fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The text of a lock file: entries of `old` that still hold keep their order, new ones follow in
/// the order of their names.
#[must_use]
pub fn write_lock(lock: &HubLock, old: Option<&str>) -> String {
    let mut text = format!("{HEAD}version = {VERSION}\n\n[revisions]\n");
    let old = old.and_then(|old| DeTable::parse(old).ok());
    let mut written: Vec<String> = Vec::new();
    let mut put = |entry: &str, commit: &str| {
        // basic strings: an id never holds a character that needs more than this
        text.push_str(&format!(
            "{} = {}\n",
            toml::Value::from(entry),
            toml::Value::from(commit)
        ));
    };
    if let Some(DeValue::Table(revisions)) = old
        .as_ref()
        .and_then(|old| old.get_ref().get("revisions"))
        .map(|value| value.get_ref())
    {
        for entry in revisions.keys() {
            let entry = entry.get_ref().to_string();
            if let Some(commit) = lock.revisions.get(&entry) {
                put(&entry, commit);
                written.push(entry);
            }
        }
    }
    for (entry, commit) in &lock.revisions {
        if !written.contains(entry) {
            put(entry, commit);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(entries: &[(&str, &str)]) -> HubLock {
        HubLock {
            revisions: entries
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        }
    }

    fn read(text: &str) -> (HubLock, usize) {
        let mut findings = Vec::new();
        let lock = read_lock(text, 0, &mut findings);
        (lock, findings.len())
    }

    #[test]
    fn what_is_written_is_read_back() {
        let lock = lock(&[
            ("dataset:a/b@main", "0123abcd"),
            ("model:c/d@v1.0", "fedcba9876543210"),
        ]);
        assert_eq!(read(&write_lock(&lock, None)), (lock, 0));
    }

    #[test]
    fn old_entries_keep_their_order_and_new_ones_follow() {
        let old = write_lock(&lock(&[("model:z/z@main", "0000000")]), None);
        let old = old.replace(
            "\"model:z/z@main\"",
            "\"model:gone/x@main\" = \"1111111\"\n\"model:z/z@main\"",
        );
        let new = write_lock(
            &lock(&[
                ("dataset:a/b@main", "2222222"),
                ("model:z/z@main", "3333333"),
            ]),
            Some(&old),
        );
        let z = new.find("model:z/z").unwrap();
        assert!(z < new.find("dataset:a/b").unwrap());
        assert!(!new.contains("gone"));
    }

    #[test]
    fn a_newer_version_is_refused() {
        assert_eq!(read("version = 2\n[revisions]\n").1, 1);
        assert_eq!(read("[revisions]\n").1, 1);
        assert_eq!(
            read("version = 1\n[revisions]\n\"model:a/b@main\" = 3\n").1,
            1
        );
        assert_eq!(
            read("version = 1\n[revisions]\n\"a/b\" = \"0123456\"\n").1,
            1
        );
    }
}
