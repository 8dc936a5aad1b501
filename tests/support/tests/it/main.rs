//! The servers of `dag-testing` as their clients see them.

mod bucket;
mod wire;
