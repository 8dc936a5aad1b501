//! The tests of this crate from outside.

#![expect(clippy::unwrap_used, reason = "tests, and what they share")]

mod answers;
mod attacks;
mod code;
mod group;
mod library;
mod load;
mod rows;
mod warm;
