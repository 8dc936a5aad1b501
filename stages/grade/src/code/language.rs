//! The languages that programs are written in, as a table. A new one is a name in [`Language`] and a row here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::Detail;

/// What a program is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Python 3, with its standard library.
    Python,
    /// POSIX shell, with the commands below `/usr/bin`.
    Sh,
}

/// What is known of a language.
#[derive(Debug)]
pub(super) struct Row {
    language: Language,
    /// The word that stands in tests.
    name: &'static str,
    /// The words that stand on fences.
    pub(super) fences: &'static [&'static str],
    /// Where the interpreter usually is; a name without a slash is looked for in `PATH`.
    interpreters: &'static [&'static str],
    /// Arguments that make the interpreter print its real path and the folders it needs, a line each.
    asks: Option<&'static [&'static str]>,
    /// Arguments that come before the program's.
    pub(super) arguments: &'static [&'static str],
    /// A program of it is made of processes, so it needs namespaces, which count and end them.
    pub(super) processes: bool,
    /// Called and asserted tests, and warm workers, are written for it.
    pub(super) functions: bool,
    /// Starts of the last line of standard error, and what they say.
    errors: &'static [(&'static str, Detail)],
    /// Parts of that line, and what they say.
    error_parts: &'static [(&'static str, Detail)],
    /// What helps where the interpreter is missing.
    pub(super) remedy: &'static str,
}

const TABLE: &[Row] = &[
    Row {
        language: Language::Python,
        name: "python",
        fences: &["python", "python3", "py", "py3"],
        interpreters: &["/usr/bin/python3", "python3"],
        asks: Some(&[
            "-I",
            "-S",
            "-c",
            "import sys; print(sys.executable); print(sys.base_prefix); print(sys.base_exec_prefix)",
        ]),
        arguments: &["-s", "-S", "-B"],
        processes: false,
        functions: true,
        errors: &[
            ("MemoryError", Detail::Memory),
            ("SyntaxError", Detail::CompileError),
            ("IndentationError", Detail::CompileError),
            ("TabError", Detail::CompileError),
        ],
        error_parts: &[
            ("can't start new thread", Detail::ProcessLimit),
            ("Resource temporarily unavailable", Detail::ProcessLimit),
            ("Cannot allocate memory", Detail::Memory),
            ("File too large", Detail::OutputLimit),
            ("No space left on device", Detail::OutputLimit),
        ],
        remedy: "install python3, or put it into PATH",
    },
    Row {
        language: Language::Sh,
        name: "sh",
        fences: &["sh", "bash", "shell", "dash", "posix"],
        interpreters: &["/usr/bin/dash", "/bin/sh", "/usr/bin/sh"],
        asks: None,
        arguments: &["-c"],
        processes: true,
        functions: false,
        errors: &[],
        error_parts: &[
            ("Syntax error:", Detail::CompileError),
            ("Cannot fork", Detail::ProcessLimit),
            ("Cannot allocate memory", Detail::Memory),
            ("memory exhausted", Detail::Memory),
        ],
        remedy: "install a POSIX shell as /bin/sh",
    },
];

impl Language {
    /// Every language.
    pub fn all() -> impl Iterator<Item = Language> {
        TABLE.iter().map(|row| row.language)
    }

    /// The word that stands in tests and on fences: `python`, `sh`.
    pub fn as_str(self) -> &'static str {
        self.row().name
    }

    pub(super) fn row(self) -> &'static Row {
        let place = match self {
            Language::Python => 0,
            Language::Sh => 1,
        };
        &TABLE[place]
    }
}

impl Row {
    /// What the last words of a program that failed say.
    pub(super) fn error(&self, last_line: &str) -> Detail {
        let word = last_line.split([':', ' ']).next().unwrap_or("");
        let starts = self.errors.iter().find(|(start, _)| *start == word);
        let holds = || {
            self.error_parts
                .iter()
                .find(|(part, _)| last_line.contains(part))
        };
        starts
            .or_else(holds)
            .map_or(Detail::RuntimeError, |(_, detail)| *detail)
    }
}

/// What runs programs of a language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interpreter {
    /// Its real path.
    pub(super) path: PathBuf,
    /// Folders outside the system's that it needs.
    pub(super) folders: Vec<PathBuf>,
}

impl Interpreter {
    /// A version manager's shim costs more than a program does, so it is asked once for what it stands for.
    pub(super) fn find(language: Language) -> Option<Self> {
        let row = language.row();
        let on_path = |name: &str| -> Vec<PathBuf> {
            std::env::var_os("PATH")
                .into_iter()
                .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
                .filter(|folder| folder.is_absolute())
                .map(|folder| folder.join(name))
                .collect()
        };
        row.interpreters
            .iter()
            .flat_map(|name| {
                if Path::new(name).is_absolute() {
                    vec![PathBuf::from(name)]
                } else {
                    on_path(name)
                }
            })
            .filter(|path| path.is_file())
            .find_map(|path| match row.asks {
                Some(arguments) => Self::asked(&path, arguments),
                None => Some(Self {
                    path: fs_err::canonicalize(path).ok()?,
                    folders: Vec::new(),
                }),
            })
    }

    fn asked(path: &Path, arguments: &[&str]) -> Option<Self> {
        let output = Command::new(path)
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        let text = String::from_utf8(output.stdout).ok()?;
        let mut lines = text.lines().map(PathBuf::from);
        let path = fs_err::canonicalize(lines.next()?).ok()?;
        let mut folders: Vec<PathBuf> = lines
            .filter(|folder| folder.is_absolute() && folder.parent().is_some())
            .filter(|folder| !folder.starts_with("/usr"))
            .collect();
        folders.dedup();
        Some(Self { path, folders })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_where_its_language_looks() {
        for row in TABLE {
            assert_eq!(row.language.row().name, row.name);
            let word = format!("\"{}\"", row.name);
            assert_eq!(serde_json::to_string(&row.language).unwrap(), word);
            assert!(row.fences.contains(&row.name));
        }
    }

    #[test]
    fn last_words_say_what_went_wrong() {
        let check = |language: Language, line, detail| {
            assert_eq!(language.row().error(line), detail, "{line}");
        };
        check(Language::Python, "MemoryError", Detail::Memory);
        check(Language::Python, "TabError: x", Detail::CompileError);
        check(
            Language::Python,
            "BlockingIOError: [Errno 11] Resource temporarily unavailable",
            Detail::ProcessLimit,
        );
        check(Language::Python, "ValueError: 1", Detail::RuntimeError);
        check(Language::Sh, "sh: 3: Cannot fork", Detail::ProcessLimit);
        check(Language::Sh, "MemoryError", Detail::RuntimeError);
    }
}
