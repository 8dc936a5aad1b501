//! The store: bytes under names. Everything the cache shares between processes, and later between
//! machines, goes through this trait.

mod conformance;
mod local;
mod memory;
#[cfg(feature = "cloud")]
mod object;
mod url;

use std::io;
use std::path::Path;

pub use conformance::check as check_conformance;
pub use local::LocalStore;
pub(crate) use local::{Renewed, sync_folder, touch};
pub use memory::MemoryStore;
#[cfg(feature = "cloud")]
pub use object::CloudStore;
pub use url::{OpenError, StoreOptions, open_store, shown};

/// Bytes under names.
///
/// A name is a relative path of parts `[A-Za-z0-9._-]+` joined by `/`, none of them beginning with a dot.
///
/// What every implementation promises:
/// - **Whole or absent.** A reader sees all bytes of a `put` or `create`, or nothing, also when the
///   writer is killed or the machine loses power.
/// - **Durable.** When `put` or `create` returns `Ok`, the bytes survive a loss of power.
/// - **`create` has one winner.** Of any number of concurrent calls for one name, at most one is told
///   [`Created::New`]; what it wrote is what everybody reads.
///   (Over WebDAV that holds for different bytes: who writes the very bytes that are there may be told it won.)
/// - **`put` overwrites.** It is for names that fix the content, where overwriting changes nothing.
/// - **`list` is a snapshot at best.** Names that come or go meanwhile may be missing or present.
/// - **Errors have a kind.** [`io::ErrorKind::Unsupported`]: this store will never do that (a mirror that is
///   only read). [`io::ErrorKind::PermissionDenied`]: not with these credentials. Anything else may pass.
/// - **An answer that was lost is no answer.** `create` says [`Created::Exists`] only of bytes that another
///   call wrote, even if its own first attempt went through and only the answer did not arrive.
pub trait Store: Send + Sync {
    /// The size of a name's bytes; `None` if it is absent.
    ///
    /// # Errors
    /// The store cannot be asked.
    fn size(&self, name: &str) -> io::Result<Option<u64>>;

    /// The bytes of a name, if they are no more than `at_most`; `None` if it is absent.
    ///
    /// # Errors
    /// The store cannot be read; or [`io::ErrorKind::FileTooLarge`], before more than `at_most` bytes are
    /// held.
    fn read(&self, name: &str, at_most: u64) -> io::Result<Option<Vec<u8>>>;

    /// Writes the bytes of a name to `to`, from an offset on. Gives how many they were, or `None` if it is
    /// absent. An offset at or beyond the end gives 0. Bytes come piece by piece, never all in memory.
    ///
    /// # Errors
    /// The store cannot be read, or what `to` returned. What was written until then is the beginning of
    /// the bytes.
    fn read_from(&self, name: &str, offset: u64, to: &mut dyn io::Write)
    -> io::Result<Option<u64>>;

    /// Stores bytes, over what was there.
    ///
    /// # Errors
    /// The store cannot be written; the name is as it was.
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Stores a local file's bytes, over what was there. `moved` hears how many bytes more are stored
    /// whenever some are. The bytes are never all in memory.
    ///
    /// # Errors
    /// The file cannot be read, the store not be written, or what `moved` returned; the name is as it was,
    /// unless `moved` failed when told of the last bytes: then all of them are there.
    fn put_file(
        &self,
        name: &str,
        file: &Path,
        moved: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()>;

    /// Stores bytes unless the name is there already.
    ///
    /// # Errors
    /// The store cannot be written; the name is as it was.
    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<Created>;

    /// Removes a name. An absent one is no error.
    ///
    /// # Errors
    /// The store cannot be written.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Calls `each` with every name below a folder and its size, in any order.
    ///
    /// # Errors
    /// The store cannot be read, or what `each` returned.
    fn list(
        &self,
        folder: &str,
        each: &mut dyn FnMut(&str, u64) -> io::Result<()>,
    ) -> io::Result<()>;
}

/// What `create` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The name was absent; it has these bytes now.
    New,
    /// The name was there; nothing was written.
    Exists,
}

/// Refuses names that climb, hide or hold odd characters.
pub(crate) fn checked(name: &str) -> io::Result<&str> {
    let good = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    if name.split('/').all(good) {
        Ok(name)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{name}` is no name of a store"),
        ))
    }
}

/// The error of [`Store::read`] for more bytes than were asked for.
pub(crate) fn too_large(name: &str, at_most: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("`{name}` is larger than {at_most} bytes"),
    )
}
