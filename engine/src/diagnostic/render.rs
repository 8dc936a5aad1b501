//! Diagnostics for people and for programs.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::{Diagnostic, Severity, Sources, Span};

/// Whether to colour what is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// Text alone.
    #[default]
    Plain,
    /// With ANSI colours.
    Ansi,
}

/// Draws diagnostics with their source lines, one after the other, ending in a newline; nothing
/// at all for an empty slice.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, colour: Colour) -> String {
    let renderer = match colour {
        Colour::Plain => Renderer::plain(),
        Colour::Ansi => Renderer::styled(),
    };
    let mut drawn = String::new();
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        if index > 0 {
            drawn.push('\n');
        }
        drawn.push_str(&one(diagnostic, sources, &renderer));
        drawn.push('\n');
    }
    drawn
}

/// The diagnostics as a JSON array: `code`, `severity`, `file`, `span` (`start`, `end` in bytes,
/// `line`, `col` from 1), `message`, `label`, `labels`, `help`.
#[must_use]
pub fn json(diagnostics: &[Diagnostic]) -> serde_json::Value {
    serde_json::to_value(diagnostics).unwrap_or_default()
}

fn one(diagnostic: &Diagnostic, sources: &Sources, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(&diagnostic.message)
        .id(diagnostic.code)
        .elements(Vec::<annotate_snippets::Message<'_>>::new());

    // the file of the diagnostic first, then those of its labels, each once
    let mut files: Vec<&str> = vec![&diagnostic.file];
    for label in &diagnostic.labels {
        if !files.contains(&label.file.as_str()) {
            files.push(&label.file);
        }
    }
    for file in files {
        let mut marks: Vec<(AnnotationKind, &Span, &str)> = Vec::new();
        if file == diagnostic.file {
            marks.push((AnnotationKind::Primary, &diagnostic.span, &diagnostic.label));
        }
        for label in diagnostic.labels.iter().filter(|label| label.file == file) {
            marks.push((AnnotationKind::Context, &label.span, &label.message));
        }
        let Some(text) = sources.text(file) else {
            continue;
        };
        let window = window(text, &marks);
        let first_line = marks
            .iter()
            .map(|(_, span, _)| span.line)
            .min()
            .unwrap_or(1);
        let Some(shown) = text.get(window.clone()) else {
            continue;
        };
        let annotations = marks.iter().map(|(kind, span, message)| {
            let label = (!message.is_empty()).then_some(*message);
            kind.span(shift(span, &window, shown)).label(label)
        });
        group = group.element(
            Snippet::source(shown)
                .line_start(first_line)
                .path(file)
                .annotations(annotations),
        );
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(help));
    }
    renderer.render(&[group])
}

/// The lines from the first mark to the last: a large file is not searched for each diagnostic.
fn window(text: &str, marks: &[(AnnotationKind, &Span, &str)]) -> Range<usize> {
    let start = marks
        .iter()
        .map(|(_, span, _)| span.start)
        .min()
        .unwrap_or(0);
    let end = marks.iter().map(|(_, span, _)| span.end).max().unwrap_or(0);
    let from = text
        .get(..start)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |at| at + 1);
    let to = text
        .get(end..)
        .and_then(|after| after.find('\n'))
        .map_or(text.len(), |at| end + at);
    // the other half of a Windows line end is no part of the line
    let to = match text.get(end..to) {
        Some(rest) if rest.ends_with('\r') => to - 1,
        _ => to,
    };
    from..to
}

fn shift(span: &Span, window: &Range<usize>, shown: &str) -> Range<usize> {
    let start = span.start - window.start;
    // an empty span gets a caret of one character, unless the text ends there
    let end = if span.end > span.start {
        span.end - window.start
    } else {
        shown
            .get(start..)
            .and_then(|rest| rest.chars().next())
            .map_or(start, |c| start + c.len_utf8())
    };
    start..end
}
