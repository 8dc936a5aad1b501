//! The cache of `dag`: what a key gave, and the bytes of it.
//!
//! - A [`Digest`] names bytes; [`canon`] turns typed values into digests.
//! - A *blob* is bytes under their digest: whole or absent, verified on every read.
//! - A [`Record`] says what a [`StageKey`] gave. It is a hit only if every blob it names is there.
//! - The [`RowMemo`] keeps finished rows of stages that pay by the row.
//! - [`trust`] seals what leaves the machine, and opens only what somebody in the keyring signed.
//!
//! The crate knows no pipeline, no stage and no table. The folder's layout is in `docs/format.md`.

pub mod bundle;
mod cache;
pub mod canon;
mod digest;
mod error;
mod files;
mod gc;
mod lease;
mod memo;
mod pins;
mod record;
pub mod remote;
mod repair;
mod results;
mod stats;
pub mod store;
mod trash;
mod tree;
pub mod trust;
mod verify;

pub use cache::{BlobWriter, Cache};
pub use digest::{Digest, NotADigest, RowKey, StageKey};
pub use error::CacheError;
pub use gc::{GRACE, GcOptions, GcReport, gc};
pub use lease::{Lease, LeaseError};
pub use memo::RowMemo;
pub use pins::{Pin, PinNote};
pub use record::{ArtifactType, MOST_OUTPUTS, OutputRef, Record, Usage, deceives};
pub use repair::{RepairReport, repair};
pub use results::{Lookup, Published};
pub use stats::{Made, Saved, Share, Space, Stats, stats};
pub use trash::{Restore, RestoreReport, TRASH_GRACE, TrashRun, restore, trash};
pub use tree::TreeRef;
pub use verify::{VerifyReport, verify};
