//! What a remote has to tell: facts, for whoever shows them.

use serde::Serialize;

use crate::Digest;

/// Something that happened between this cache and a remote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// It does not answer. Told once, until it is [`Notice::Up`] again.
    Down {
        /// The remote.
        remote: String,
        /// Why, in words.
        reason: String,
    },
    /// It answers again.
    Up {
        /// The remote.
        remote: String,
    },
    /// Something it holds was not believed, and counts as absent.
    Refused {
        /// The remote.
        remote: String,
        /// What: `the record of 41d0c3aa`.
        what: String,
        /// Why, in words.
        reason: String,
    },
    /// A blob that came from it has another digest. It was set aside and is fetched again, here or
    /// elsewhere.
    Bad {
        /// The remote.
        remote: String,
        /// The blob.
        digest: Digest,
    },
    /// Blobs begin to move.
    Begun {
        /// The remote.
        remote: String,
        /// Here or there.
        way: Way,
        /// How many.
        blobs: u64,
        /// Their bytes together.
        bytes: u64,
    },
    /// So many bytes more have moved.
    Moved {
        /// Here or there.
        way: Way,
        /// Bytes since the last such notice.
        bytes: u64,
    },
    /// The blobs of the last [`Notice::Begun`] have moved, or will not.
    Ended {
        /// Here or there.
        way: Way,
    },
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From a remote into this cache.
    Here,
    /// From this cache to a remote.
    There,
}

/// Hears notices, from many threads at once. It must return quickly and must not call the cache.
pub trait Listener: Send + Sync {
    /// Takes one notice.
    fn hear(&self, notice: &Notice);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deaf;

impl Listener for Deaf {
    fn hear(&self, _: &Notice) {}
}
