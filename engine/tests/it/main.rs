//! The engine from outside: pipelines of a small test kind, run against a cache in a temporary
//! folder. Tests assert what ran, not only what came out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod budget;
mod down;
mod failure;
mod healing;
mod keys;
mod kind;
mod lines;
mod parallel;
mod processes;
mod reuse;
mod scale;
mod tables;
mod team;
mod why;
mod world;
