//! The row memo: row key → finished row, for stages that pay by the row.
//!
//! Rows lie in [`Segments`], files of a namespace. A stage that is not shared keeps its rows apart from
//! those of the others, and both kinds see each other's: a row that was paid for is never paid for twice
//! on one machine. A shared stage also finds rows that colleagues pushed.

mod compact;
mod frame;
mod segments;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub(crate) use compact::compact;
pub(crate) use frame::{Frame, append, rows_of, scan};
pub(crate) use segments::{Segments, WeakSegments};

use crate::remote::RemoteRows;
use crate::{Cache, CacheError, RowKey};

/// The memo of one namespace, as a stage sees it. Clones share it.
#[derive(Clone)]
pub struct RowMemo {
    own: Segments,
    /// Rows of the stages that are shared if this one is not, and the other way round.
    other: Other,
    /// Rows of colleagues; none for a stage that is not shared.
    beyond: Option<Beyond>,
    /// What was read and put through this value and its clones.
    used: Arc<Mutex<BTreeSet<RowKey>>>,
}

/// The namespace of the other kind of stage, which mostly has never had a row.
#[derive(Clone)]
struct Other {
    cache: Cache,
    namespace: String,
    segments: Arc<OnceLock<Segments>>,
}

impl Other {
    fn segments(&self) -> Result<Option<&Segments>, CacheError> {
        if self.segments.get().is_none()
            && let Some(segments) = self.cache.segments_there(&self.namespace)?
        {
            return Ok(Some(self.segments.get_or_init(|| segments)));
        }
        Ok(self.segments.get())
    }
}

/// What the remotes have; asked when a row is first missed.
#[derive(Clone)]
struct Beyond {
    cache: Cache,
    namespace: String,
    rows: Arc<OnceLock<Arc<RemoteRows>>>,
}

impl Beyond {
    fn rows(&self) -> &RemoteRows {
        self.rows
            .get_or_init(|| self.cache.remote_rows(&self.namespace))
    }
}

impl RowMemo {
    /// The memo of a shared stage, or of one that is not.
    pub(crate) fn open(cache: &Cache, namespace: &str, shared: bool) -> Result<Self, CacheError> {
        let private = format!("{namespace}-private");
        let (own, other) = if shared {
            (namespace, private.as_str())
        } else {
            (private.as_str(), namespace)
        };
        Ok(Self {
            own: cache.segments(own)?,
            other: Other {
                cache: cache.clone(),
                namespace: other.to_owned(),
                segments: Arc::default(),
            },
            beyond: shared.then(|| Beyond {
                cache: cache.clone(),
                namespace: namespace.to_owned(),
                rows: Arc::default(),
            }),
            used: Arc::default(),
        })
    }

    /// The row under a key, verified; a damaged one counts as absent.
    ///
    /// # Errors
    /// The disk cannot be read or written.
    pub fn get(&self, key: &RowKey) -> Result<Option<Vec<u8>>, CacheError> {
        let found = self.find(key)?;
        if found.is_some() {
            self.note(*key);
        }
        Ok(found)
    }

    fn find(&self, key: &RowKey) -> Result<Option<Vec<u8>>, CacheError> {
        if let Some(row) = self.own.get(key)? {
            return Ok(Some(row));
        }
        if let Some(other) = self.other.segments()?
            && let Some(row) = other.get(key)?
        {
            // A shared stage has paid for it as well as the other: it may be shared now.
            if self.beyond.is_some() {
                self.own.put(*key, &row)?;
            }
            return Ok(Some(row));
        }
        match &self.beyond {
            Some(beyond) if beyond.rows().has(key) => {
                beyond.rows().bring(&beyond.cache, key, &self.own)?;
                self.own.get(key)
            }
            _ => Ok(None),
        }
    }

    /// Whether a row is there, or claimed to be at a remote, without reading it.
    #[must_use]
    pub fn contains(&self, key: &RowKey) -> bool {
        self.own.contains(key)
            || matches!(self.other.segments(), Ok(Some(other)) if other.contains(key))
            || self
                .beyond
                .as_ref()
                .is_some_and(|beyond| beyond.rows().has(key))
    }

    /// The number of rows on this machine, without those of the other kind of stage.
    #[must_use]
    pub fn len(&self) -> usize {
        self.own.len()
    }

    /// Whether there is no row on this machine, those of the other kind of stage left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What of the memo was found damaged so far: one line a place.
    #[must_use]
    pub fn damaged(&self) -> Vec<String> {
        let mut damaged = self.own.damaged();
        if let Ok(Some(other)) = self.other.segments() {
            damaged.extend(other.damaged());
        }
        damaged
    }

    /// Keeps a finished row. Durable after 64 rows, a second, or [`RowMemo::flush`]. A second row under
    /// the same key takes the first one's place.
    ///
    /// # Errors
    /// The disk cannot be written, now or when earlier rows were to be made durable; or the row is larger
    /// than 256 MiB. The next row goes to a new segment.
    pub fn put(&self, key: RowKey, row: &[u8]) -> Result<(), CacheError> {
        self.own.put(key, row)?;
        self.note(key);
        Ok(())
    }

    /// Makes everything durable that was put.
    ///
    /// # Errors
    /// The disk cannot be written, now or since the last call.
    pub fn flush(&self) -> Result<(), CacheError> {
        self.own.flush()
    }

    /// The keys of all rows that were read or put through this value and its clones.
    #[must_use]
    pub fn used(&self) -> BTreeSet<RowKey> {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, key: RowKey) {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key);
    }
}
