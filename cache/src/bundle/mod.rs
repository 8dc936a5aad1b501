//! Bundles: results in one file, for machines without a network between them.
//!
//! A bundle is a tar file whose entries are named as at a remote: blobs first, then indexes of rows, then
//! records under their seals. So whoever reads it from front to back has all that a record names before
//! the record. Only plain files under these names are in it; anything else is refused.

mod export;
mod import;

use std::io;

pub use export::{ExportOptions, ExportReport, export};
pub use import::{ImportOptions, ImportReport, import};

use crate::CacheError;

/// Why a bundle cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The bundle's own file.
    #[error("the bundle cannot be read or written")]
    Io(#[source] io::Error),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// It ends before its end.
    #[error("the bundle is cut off {0}")]
    CutOff(String),
    /// It is no tar file, or is damaged.
    #[error("{place}: {reason}")]
    Malformed {
        /// Where: `this is no bundle`, or `the bundle is damaged after NAME`.
        place: String,
        /// What does not fit.
        reason: String,
    },
    /// It holds something that no bundle holds, or in another order.
    #[error("the bundle has an entry `{name}`, which is refused: {reason}")]
    Entry {
        /// The entry's name, as far as it can be shown.
        name: String,
        /// Why.
        reason: String,
    },
}
