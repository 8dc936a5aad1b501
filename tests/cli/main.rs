//! End to end, through the command line: small worlds with a pipeline file, a cache and a teacher of
//! their own, and the house itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod damage;
mod errors;
mod golden;
mod grade;
mod house;
mod killed;
mod life;
mod memory;
mod pages;
mod reuse;
mod shipped;
mod sweep;
mod team;
mod world;
