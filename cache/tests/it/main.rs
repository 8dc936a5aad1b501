//! What the cache promises, through its public face.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[cfg(feature = "cloud")]
mod bad_line;
mod blobs;
mod bundles;
mod canon;
#[cfg(feature = "cloud")]
mod cloud_stores;
mod concurrency;
mod forgeries;
mod gc;
mod laws;
mod memo;
mod race;
mod records;
mod remotes;
mod repair;
mod stats;
mod stores;
mod trash;
mod trees;
mod world;
#[cfg(feature = "cloud")]
mod writers;
