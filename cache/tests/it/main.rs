//! What the cache promises, through its public face.

mod blobs;
mod canon;
mod concurrency;
mod gc;
mod memo;
mod records;
mod stores;
mod trees;
mod world;
