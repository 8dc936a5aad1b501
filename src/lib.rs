//! The `dag` command line: arguments in, one call of the engine, events drawn.
//!
//! Only this crate touches the terminal, the environment and the user's folders. A command is a file in
//! `commands`: it parses, calls the engine once, and renders. What a reader sees of a run is drawn from
//! the run's events by the files of `render`, live or from a recording.

mod commands;
mod exit_codes;
mod places;
mod remotes;
mod render;
mod signals;

pub use commands::Cli;

/// Runs the command line of this process and gives its exit code.
#[must_use]
pub fn main() -> u8 {
    commands::dispatch()
}
