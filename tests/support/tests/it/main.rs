//! The servers of `dag-testing` as their clients see them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod bucket;
mod proxy;
mod stores;
mod wire;
