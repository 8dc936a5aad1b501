//! What can go wrong in the cache, and who must act.

use std::io;
use std::path::PathBuf;

use crate::{Digest, StageKey};

/// A fault of the cache or of what it lies on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The disk or the folder's rights.
    #[error("the cache cannot be read or written")]
    Io(#[from] io::Error),
    /// A stored thing does not have the content its name promises. It was set aside.
    #[error("{what} is damaged: {reason}; it was set aside and will be made again")]
    Damaged {
        /// What it is: `blob 9b2e41c0`.
        what: String,
        /// How the damage shows.
        reason: String,
    },
    /// A blob is not in the cache.
    #[error("blob {} is not in the cache", .0.short())]
    Missing(Digest),
    /// A blob is not here, and the remotes that may have it cannot be asked.
    #[error("blob {} is not in the cache, and cannot be fetched: {reason}", digest.short())]
    Unreachable {
        /// The blob.
        digest: Digest,
        /// What became of asking each remote.
        reason: String,
    },
    /// A remote could not do what was asked of it.
    #[error("remote `{remote}` failed")]
    Remote {
        /// The remote.
        remote: String,
        /// How.
        source: io::Error,
    },
    /// No remote has this name.
    #[error("there is no remote `{0}`")]
    UnknownRemote(String),
    /// Something is to be written to a remote, and there is no key to sign it with.
    #[error("there is no writer key on this machine")]
    NoWriterKey,
    /// A result was made by a stage that is not shared.
    #[error("{} stays on this machine: its stage is not shared", .0.0.short())]
    Private(StageKey),
    /// A key has no result that could be used.
    #[error("{} has no result in the cache", .0.0.short())]
    NoResult(StageKey),
    /// A folder holds something that an artifact cannot hold.
    #[error("`{}` cannot be part of a model folder: {reason}", path.display())]
    Unfit {
        /// The entry.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// The trash has nothing of that name.
    #[error("{0} is not in the trash")]
    NotInTrash(String),
    /// There is nothing in the trash that could be brought back.
    #[error("the trash is empty")]
    TrashEmpty,
    /// A gc or a restore is at work on a folder of the trash.
    #[error("the trash folder {0} is in use by another process")]
    Busy(String),
    /// A record says what nobody could believe, such as too many outputs. It was not written.
    #[error("the record of {} cannot be kept: {reason}", key.0.short())]
    UnfitRecord {
        /// The record's key.
        key: StageKey,
        /// What is wrong with it.
        reason: String,
    },
}
