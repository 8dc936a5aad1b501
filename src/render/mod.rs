//! What people and programs see. The result goes to standard output, everything on the way there to
//! standard error; with `--json` the result is one JSON document.

mod events;
mod json;
mod plain;
mod progress;
mod tables;
mod words;

use std::io::{IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};

pub(crate) use events::{Follow, RunView, short};
pub(crate) use json::notice_line;
pub(crate) use progress::{above_bars, bars};
pub(crate) use tables::table;
pub(crate) use words::{bytes, count, duration, moment, plural, tokens, usd};

use crate::commands::{Color, Global, ProgressStyle};

/// The verb column: right-aligned, as wide as the longest verb.
pub(crate) const VERB_WIDTH: usize = 12;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Something was done, or was there already.
    Good,
    /// Something to know.
    Warn,
    /// Something failed.
    Bad,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Good => GOOD,
            Self::Warn => WARN,
            Self::Bad => BAD,
        }
    }
}

/// Where results and messages go.
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    progress: ProgressStyle,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        match global.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::AlwaysAnsi.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        Self {
            json: global.json,
            quiet: global.quiet,
            progress: global.progress,
        }
    }

    /// Whether the result is to be one JSON document.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// How progress is to be shown, with `auto` decided.
    pub(crate) fn progress(&self) -> ProgressStyle {
        match self.progress {
            ProgressStyle::Auto if self.quiet => ProgressStyle::None,
            ProgressStyle::Auto if std::io::stderr().is_terminal() && dumb_free() => {
                ProgressStyle::Bar
            }
            ProgressStyle::Auto => ProgressStyle::Plain,
            chosen => chosen,
        }
    }

    /// Whether diagnostics should be drawn in colour.
    pub(crate) fn colour(&self) -> bool {
        match anstream::ColorChoice::global() {
            anstream::ColorChoice::Always | anstream::ColorChoice::AlwaysAnsi => true,
            anstream::ColorChoice::Never => false,
            anstream::ColorChoice::Auto => {
                anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
            }
        }
    }

    /// The result: text on standard output. A closed pipe is no error.
    pub(crate) fn result(&self, text: &str) {
        let mut out = anstream::stdout().lock();
        drop(out.write_all(text.as_bytes()).and_then(|()| {
            if text.ends_with('\n') || text.is_empty() {
                Ok(())
            } else {
                out.write_all(b"\n")
            }
        }));
        drop(out.flush());
    }

    /// The result as one JSON document.
    pub(crate) fn document(&self, value: &serde_json::Value) {
        // a value of our own making has string keys and finite numbers: it always prints
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        self.result(&text);
    }

    /// A message on standard error, a verb first.
    pub(crate) fn say(&self, tone: Tone, verb: &str, text: &str) {
        if !self.quiet || tone == Tone::Bad {
            message(&verb_line(tone, verb, text));
        }
    }

    /// Text on standard error as it stands.
    pub(crate) fn text(&self, text: &str) {
        message(text);
    }

    /// An error, and what to do about it.
    pub(crate) fn fail(&self, text: &str, hint: Option<&str>) {
        if self.json {
            self.document(&serde_json::json!({ "error": { "message": text, "hint": hint } }));
        }
        message(&format!("{BAD}error{BAD:#}: {text}"));
        if let Some(hint) = hint {
            message(&format!("{HINT}hint{HINT:#}: {hint}"));
        }
    }
}

/// `    Sampled traces  …`
pub(crate) fn verb_line(tone: Tone, verb: &str, text: &str) -> String {
    let style = tone.style();
    format!("{style}{verb:>VERB_WIDTH$}{style:#} {text}")
}

fn message(text: &str) {
    let mut out = anstream::stderr().lock();
    drop(writeln!(out, "{text}"));
}

fn dumb_free() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Eight characters of a key, as people read it.
pub(crate) fn short_key(key: &dag_cache::StageKey) -> String {
    key.0.short()
}

/// A line about a signal, from the thread that heard it.
pub(crate) fn interrupt_line(text: &str) {
    message(&verb_line(Tone::Warn, "Stopping", text));
}
