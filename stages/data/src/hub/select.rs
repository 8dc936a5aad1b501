//! Which files of a data set hold the rows that are wanted.

use std::fmt;

use super::HubFile;

/// The rows that are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataFiles {
    /// The configuration (subset), a folder or the start of file names.
    pub config: Option<String>,
    /// The split, such as `train`.
    pub split: Option<String>,
    /// One file by name; then configuration and split do not count.
    pub file: Option<String>,
}

impl fmt::Display for DataFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, &self.config, &self.split) {
            (Some(file), _, _) => write!(f, "file {file}"),
            (None, Some(config), Some(split)) => write!(
                f,
                "a .parquet or .jsonl file of `{config}`, split `{split}`,"
            ),
            (None, Some(config), None) => write!(f, "a .parquet or .jsonl file of `{config}`"),
            (None, None, Some(split)) => write!(f, "a .parquet or .jsonl file of split `{split}`"),
            (None, None, None) => f.write_str("a .parquet or .jsonl file"),
        }
    }
}

/// The files that hold the wanted rows, in the order given. Parquet wins over JSON Lines when both are there.
///
/// A split is found in the names that data sets use: `train.jsonl`, `data/train-00000-of-00003.parquet`,
/// `default/train/0000.parquet`.
#[must_use]
pub fn select_data_files(files: &[HubFile], wanted: &DataFiles) -> Vec<HubFile> {
    if let Some(name) = &wanted.file {
        return files
            .iter()
            .filter(|file| file.path == *name)
            .cloned()
            .collect();
    }
    let fits = |file: &&HubFile| {
        wanted
            .config
            .as_deref()
            .is_none_or(|config| names(&file.path, config))
            && wanted
                .split
                .as_deref()
                .is_none_or(|split| names(&file.path, split))
    };
    for endings in [&[".parquet"][..], &[".jsonl", ".ndjson"]] {
        let data = files
            .iter()
            .filter(|file| endings.iter().any(|ending| file.path.ends_with(ending)));
        let chosen: Vec<HubFile> = data.filter(fits).cloned().collect();
        if !chosen.is_empty() {
            return chosen;
        }
    }
    Vec::new()
}

/// Whether a folder or file of the path is called so, or starts so before a sign such as `-`, `_` or `.`.
fn names(path: &str, word: &str) -> bool {
    path.split('/').any(|part| {
        let word_at = |text: &str| {
            text.strip_prefix(word)
                .is_some_and(|rest| rest.chars().next().is_none_or(|c| !c.is_alphanumeric()))
        };
        // `MEDIUM_train-0.parquet`: also after a sign
        word_at(part)
            || part
                .match_indices(['-', '_', '.'])
                .any(|(at, _)| word_at(&part[at + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str], wanted: (Option<&str>, Option<&str>), expect: &[&str]) {
        let files: Vec<HubFile> = files
            .iter()
            .map(|path| HubFile {
                path: (*path).to_owned(),
                size: 1,
            })
            .collect();
        let wanted = DataFiles {
            config: wanted.0.map(str::to_owned),
            split: wanted.1.map(str::to_owned),
            file: None,
        };
        let chosen = select_data_files(&files, &wanted);
        assert_eq!(
            chosen
                .iter()
                .map(|file| file.path.as_str())
                .collect::<Vec<_>>(),
            expect
        );
    }

    #[test]
    fn splits_are_found_in_the_names_that_data_sets_use() {
        let shards = [
            "README.md",
            "data/test-00000-of-00001.parquet",
            "data/train-00000-of-00002.parquet",
            "data/train-00001-of-00002.parquet",
        ];
        check(&shards, (None, Some("train")), &shards[2..]);
        check(
            &["train.jsonl", "test.jsonl", "training.jsonl"],
            (None, Some("train")),
            &["train.jsonl"],
        );
        check(
            &[
                "all/train/0000.parquet",
                "all/test/0000.parquet",
                "few/test/0.parquet",
            ],
            (Some("all"), Some("test")),
            &["all/test/0000.parquet"],
        );
        check(
            &["train.jsonl", "train.parquet"],
            (None, Some("train")),
            &["train.parquet"],
        );
        check(
            &["MEDIUM_train.parquet", "HARD_train.parquet"],
            (Some("MEDIUM"), Some("train")),
            &["MEDIUM_train.parquet"],
        );
        check(&["train.csv"], (None, Some("train")), &[]);
    }
}
