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
use std::sync::{Arc, Mutex, PoisonError};

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
    other: Segments,
    /// Rows of colleagues; none for a stage that is not shared.
    beyond: Option<(Cache, Arc<RemoteRows>)>,
    /// What was read and put through this value and its clones.
    used: Arc<Mutex<BTreeSet<RowKey>>>,
}

impl RowMemo {
    pub(crate) fn new(
        own: Segments,
        other: Segments,
        beyond: Option<(Cache, Arc<RemoteRows>)>,
    ) -> Self {
        Self {
            own,
            other,
            beyond,
            used: Arc::default(),
        }
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
        if let Some(row) = self.other.get(key)? {
            // A shared stage has paid for it as well as the other: it may be shared now.
            if self.beyond.is_some() {
                self.own.put(*key, &row)?;
            }
            return Ok(Some(row));
        }
        let Some((cache, rows)) = &self.beyond else {
            return Ok(None);
        };
        if !rows.has(key) {
            return Ok(None);
        }
        rows.bring(cache, key, &self.own)?;
        self.own.get(key)
    }

    /// Whether a row is there, or claimed to be at a remote, without reading it.
    #[must_use]
    pub fn contains(&self, key: &RowKey) -> bool {
        self.own.contains(key)
            || self.other.contains(key)
            || self.beyond.as_ref().is_some_and(|(_, rows)| rows.has(key))
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
        damaged.extend(self.other.damaged());
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
