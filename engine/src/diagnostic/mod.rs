//! What is wrong with a user's file, said so that the user can mend it.
//!
//! A [`Diagnostic`] is a value: a stable code, a place, a message, what stands at other places
//! that matter, and what to do about it. It promises to stand alone (no source text is needed to
//! read its line and column) and to compare equal when it says the same thing, so that tests
//! compare diagnostics and not pictures of them. [`render`] draws it for a terminal with the
//! source lines, [`json`] gives it to a program, [`explain`] has a page for its code.

mod codes;
mod render;
mod source;

use serde::Serialize;

pub use self::codes::{CODES, Explanation, explain, reference_page};
pub use self::render::{Colour, json, render};
pub(crate) use self::source::Finding;
pub use self::source::{SourceFile, Sources};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing can run until this is mended.
    Error,
    /// Everything can run, but the author probably did not mean this.
    Warning,
}

/// A stretch of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// The byte after the last; equal to `start` for a place between two characters.
    pub end: usize,
    /// Line of `start`, from 1.
    pub line: usize,
    /// Column of `start` in characters (not bytes), from 1.
    pub col: usize,
}

/// A second place that matters, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Label {
    /// The file, as the user named it.
    pub file: String,
    /// Where in it.
    pub span: Span,
    /// What stands there.
    pub message: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Diagnostic {
    /// Stable name of this sort of mistake (`D0101`); [`explain`] has a page for each.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// The file, as the user named it; `--set` for a value from the command line.
    pub file: String,
    /// Where in it.
    pub span: Span,
    /// What is wrong: one lower-case sentence without a full stop.
    pub message: String,
    /// What to say at the place itself; may be empty.
    pub label: String,
    /// Other places that matter, in the order in which they should be read.
    pub labels: Vec<Label>,
    /// What to do about it, a sentence each.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// Whether this keeps the file from running.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// `file:line:col: error[CODE]: message`, on one line.
impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(
            f,
            "{}:{}:{}: {severity}[{}]: {}",
            self.file, self.span.line, self.span.col, self.code, self.message
        )
    }
}
