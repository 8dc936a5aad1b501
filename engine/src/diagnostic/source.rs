//! The texts that a pipeline comes from: the file itself, its lock file, and every `--set` of the
//! command line. They share one range of byte offsets, so that a value keeps the place where it
//! was written when it is merged into a stage.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{Diagnostic, Label, Severity, Span};

/// A text and the path under which the user knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it lies; relative paths in the text are relative to its folder.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

impl SourceFile {
    /// A text with the path it came from.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> SourceFile {
        SourceFile {
            path: path.into(),
            text: text.into(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is not UTF-8; the message names the path.
    pub fn read(path: &Path) -> std::io::Result<SourceFile> {
        Ok(SourceFile::new(path, fs_err::read_to_string(path)?))
    }
}

#[derive(Debug, Clone)]
struct Source {
    name: String,
    text: String,
    base: usize,
    line_starts: Vec<usize>,
}

/// All texts of one load, each with its own stretch of byte offsets.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    sources: Vec<Source>,
}

impl Sources {
    /// Adds a text and returns the offset at which its stretch begins.
    pub(crate) fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> usize {
        let base = self
            .sources
            .last()
            .map_or(0, |last| last.base + last.text.len() + 1);
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(
                text.bytes()
                    .enumerate()
                    .filter(|(_, byte)| *byte == b'\n')
                    .map(|(at, _)| at + 1),
            )
            .collect();
        self.sources.push(Source {
            name: name.into(),
            text,
            base,
            line_starts,
        });
        base
    }

    /// The text of the source that diagnostics call by this name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.sources
            .iter()
            .find(|source| source.name == name)
            .map(|source| source.text.as_str())
    }

    /// The file, the line's number from 1 and the line's text where a place begins.
    pub(crate) fn line(&self, place: &Range<usize>) -> Option<(&str, usize, &str)> {
        let (_, source, span) = self.locate(place)?;
        let start = source.line_starts.get(span.line - 1).copied().unwrap_or(0);
        let end = source
            .line_starts
            .get(span.line)
            .copied()
            .unwrap_or(source.text.len());
        let text = source.text.get(start..end).unwrap_or_default();
        Some((&source.name, span.line, text.trim_end()))
    }

    fn locate(&self, span: &Range<usize>) -> Option<(usize, &Source, Span)> {
        let index = self
            .sources
            .partition_point(|source| source.base <= span.start)
            .checked_sub(1)?;
        let source = self.sources.get(index)?;
        let limit = source.text.len();
        let start = floor_char(&source.text, (span.start - source.base).min(limit));
        let end = ceil_char(
            &source.text,
            span.end.saturating_sub(source.base).clamp(start, limit),
        );
        let line = source.line_starts.partition_point(|at| *at <= start);
        let line_start = source.line_starts.get(line - 1).copied().unwrap_or(0);
        let col = source
            .text
            .get(line_start..start)
            .map_or(1, |before| before.chars().count() + 1);
        let span = Span {
            start,
            end,
            line,
            col,
        };
        Some((index, source, span))
    }

    /// Turns findings into diagnostics: sorted by place, each said once.
    pub(crate) fn settle(&self, findings: Vec<Finding>) -> Vec<Diagnostic> {
        let mut placed: Vec<(usize, Diagnostic)> = findings
            .into_iter()
            .map(|finding| self.place(finding))
            .collect();
        placed.sort_by(|(a_source, a), (b_source, b)| {
            (a_source, a.span, a.code, &a.message, &a.labels)
                .cmp(&(b_source, b.span, b.code, &b.message, &b.labels))
        });
        placed.dedup_by(|(a_source, a), (b_source, b)| {
            a_source == b_source && a.span == b.span && a.code == b.code && a.message == b.message
        });
        placed
            .into_iter()
            .map(|(_, diagnostic)| diagnostic)
            .collect()
    }

    fn place(&self, finding: Finding) -> (usize, Diagnostic) {
        let nowhere = Span {
            start: 0,
            end: 0,
            line: 1,
            col: 1,
        };
        let (index, file, span) = self.locate(&finding.span).map_or_else(
            || (0, String::new(), nowhere),
            |(index, source, span)| (index, source.name.clone(), span),
        );
        let labels = finding
            .labels
            .into_iter()
            .filter_map(|(at, message)| {
                self.locate(&at).map(|(_, source, span)| Label {
                    file: source.name.clone(),
                    span,
                    message,
                })
            })
            .collect();
        let diagnostic = Diagnostic {
            code: finding.code,
            severity: finding.severity,
            file,
            span,
            message: finding.message,
            label: finding.label,
            labels,
            help: finding.help,
        };
        (index, diagnostic)
    }
}

fn floor_char(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil_char(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// A diagnostic in the making: its spans still count through all sources.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    code: &'static str,
    severity: Severity,
    span: Range<usize>,
    message: String,
    label: String,
    labels: Vec<(Range<usize>, String)>,
    help: Vec<String>,
}

impl Finding {
    pub(crate) fn error(
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Finding {
        Finding {
            code,
            severity: Severity::Error,
            span,
            message: message.into(),
            label: String::new(),
            labels: Vec::new(),
            help: Vec::new(),
        }
    }

    pub(crate) fn warning(
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Finding {
        Finding {
            severity: Severity::Warning,
            ..Finding::error(code, span, message)
        }
    }

    /// What to say at the place itself.
    pub(crate) fn here(mut self, label: impl Into<String>) -> Finding {
        self.label = label.into();
        self
    }

    /// Another place that matters.
    pub(crate) fn also(mut self, span: Range<usize>, message: impl Into<String>) -> Finding {
        self.labels.push((span, message.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Finding {
        self.help.push(help.into());
        self
    }

    pub(crate) fn maybe_help(self, help: Option<String>) -> Finding {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    pub(crate) fn place(&self) -> &Range<usize> {
        &self.span
    }

    /// Tells the same of another holder, and drops the places that explained the first.
    pub(crate) fn tell_of(&mut self, holder: &str, other: &str) {
        self.message = self.message.replace(holder, other);
        self.labels.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, needle: &str, line: usize, col: usize) {
        let mut sources = Sources::default();
        sources.add("before", "another text\n");
        let base = sources.add("f.toml", text);
        let start = text.find(needle).unwrap();
        let finding = Finding::error("D0101", base + start..base + start + needle.len(), "m");
        let diagnostic = &sources.settle(vec![finding])[0];
        assert_eq!(diagnostic.file, "f.toml");
        assert_eq!(&text[diagnostic.span.start..diagnostic.span.end], needle);
        assert_eq!((diagnostic.span.line, diagnostic.span.col), (line, col));
    }

    #[test]
    fn columns_count_characters_whatever_stands_before() {
        check("a = 1\nb = 2\n", "2", 2, 5);
        check("a = '🦀🦀' # x\n", "x", 1, 12);
        check("a = 1\r\nb = 2\r\n", "2", 2, 5);
        check("\ta\t=\t1", "1", 1, 6);
        check("x", "x", 1, 1);
    }

    #[test]
    fn a_span_past_the_end_is_drawn_in() {
        let mut sources = Sources::default();
        let base = sources.add("f.toml", "é");
        let settled = sources.settle(vec![Finding::error("D0101", base + 1..base + 99, "m")]);
        assert_eq!((settled[0].span.start, settled[0].span.end), (0, 2));
    }
}
