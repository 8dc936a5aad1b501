//! What the cache promises, through its public face.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod blobs;
mod canon;
#[cfg(feature = "cloud")]
mod cloud_stores;
mod concurrency;
mod gc;
mod memo;
mod records;
mod stores;
mod trees;
mod world;
