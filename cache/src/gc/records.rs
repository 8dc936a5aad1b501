//! Records and blobs: which of them go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::budget::over_budget;
use super::{GRACE, Sweep, age, leased, list};
use crate::cache::{
    ADOPTED, BLOBS, RECORDS, USED_ROWS, blob_name, last_part, record_name, used_rows_name,
};
use crate::results::adopted_name;
use crate::trash::Taken;
use crate::{Cache, CacheError, Digest, Lookup, Record, StageKey};

/// A file of a key, and its size.
pub(super) type Place = (String, u64);

/// A record that stays so far.
pub(super) struct Kept {
    pub(super) key: StageKey,
    pub(super) places: Vec<Place>,
    pub(super) age: Duration,
    /// A root, or leased.
    pub(super) fixed: bool,
    pub(super) blobs: BTreeSet<Digest>,
}

/// A record that is to go, unless somebody makes it younger than `limit`.
pub(super) struct Dead {
    pub(super) key: StageKey,
    pub(super) places: Vec<Place>,
    pub(super) limit: Duration,
}

impl Sweep<'_> {
    pub(super) fn records_and_blobs(&mut self) -> Result<(), CacheError> {
        let (mut kept, mut dead) = self.sorted_out()?;
        let blobs = list(self.cache, BLOBS)?;
        if let Some(max_bytes) = self.options.max_bytes {
            dead.extend(over_budget(
                self.cache,
                self.options,
                &mut kept,
                &blobs,
                max_bytes,
            ));
        }
        self.report.kept_records = kept.len() as u64;
        let mut live = BTreeSet::new();
        let mut there = BTreeSet::new();
        for record in kept {
            there.insert(record.key);
            live.extend(record.blobs);
        }
        let mut went = BTreeSet::new();
        for record in dead {
            let key = record.key;
            if self.take_record(record)? {
                self.report.records += 1;
                went.insert(key);
                continue;
            }
            // Somebody has just hit it: it stays with its blobs.
            if let Some(record) = looked_up(self.cache, &key)? {
                self.report.kept_records += 1;
                live.extend(named(self.cache, &record)?);
            }
            there.insert(key);
        }
        self.row_lists(&there, &went)?;
        for (name, size) in blobs {
            let Ok(digest) = last_part(&name).parse::<Digest>() else {
                continue;
            };
            if name != blob_name(&digest) {
                continue;
            }
            if live.contains(&digest) || age(self.cache.store(), &name, self.options.now) < GRACE {
                self.report.kept_bytes += size;
                continue;
            }
            match self.take(&name, size, GRACE)? {
                Taken::Went => {
                    self.report.blobs += 1;
                    self.gone.insert(digest);
                }
                Taken::Absent => {}
                Taken::Stays => self.report.kept_bytes += size,
            }
        }
        Ok(())
    }

    /// Which records stay for what was asked, and which go.
    fn sorted_out(&self) -> Result<(Vec<Kept>, Vec<Dead>), CacheError> {
        let (mut kept, mut dead) = (Vec::new(), Vec::new());
        let mut all: BTreeMap<StageKey, Vec<Place>> = BTreeMap::new();
        // A record made here comes before an adopted one, as for who looks a key up and renews it.
        for (folder, name_of) in [
            (RECORDS, record_name as fn(&StageKey) -> String),
            (ADOPTED, adopted_name),
        ] {
            for (name, size) in list(self.cache, folder)? {
                if let Ok(key) = last_part(&name).parse().map(StageKey)
                    && name == name_of(&key)
                {
                    all.entry(key).or_default().push((name, size));
                }
            }
        }
        for (key, places) in all {
            let fixed = self.roots.contains(&key) || leased(self.cache, &key);
            let age = places
                .iter()
                .map(|(name, _)| age(self.cache.store(), name, self.options.now))
                .min()
                .unwrap_or_default();
            if !fixed && age >= self.oldest_kept {
                dead.push(Dead {
                    key,
                    places,
                    limit: self.oldest_kept,
                });
                continue;
            }
            if let Some(record) = looked_up(self.cache, &key)? {
                kept.push(Kept {
                    key,
                    places,
                    age,
                    fixed,
                    blobs: named(self.cache, &record)?,
                });
            }
        }
        Ok((kept, dead))
    }

    /// Takes a record from all its places. Says whether it went.
    fn take_record(&mut self, record: Dead) -> Result<bool, CacheError> {
        let mut went = false;
        for (name, size) in record.places {
            match self.take(&name, size, record.limit)? {
                Taken::Went => went = true,
                Taken::Absent => {}
                Taken::Stays => return Ok(false),
            }
        }
        Ok(went)
    }

    /// The lists of used rows go with their records.
    fn row_lists(
        &mut self,
        there: &BTreeSet<StageKey>,
        went: &BTreeSet<StageKey>,
    ) -> Result<(), CacheError> {
        for (name, size) in list(self.cache, USED_ROWS)? {
            let Ok(key) = last_part(&name).parse().map(StageKey) else {
                continue;
            };
            if name != used_rows_name(&key) || there.contains(&key) || self.roots.contains(&key) {
                continue;
            }
            // Without a record, it may be about to get one.
            let limit = if went.contains(&key) {
                Duration::ZERO
            } else {
                GRACE
            };
            if age(self.cache.store(), &name, self.options.now) >= limit
                && !leased(self.cache, &key)
                && self.take(&name, size, limit)? == Taken::Went
            {
                self.report.row_lists += 1;
            }
        }
        Ok(())
    }
}

/// The record of a key, whole or not. A disk that cannot be read stops everything: its blobs would seem to
/// be nobody's.
fn looked_up(cache: &Cache, key: &StageKey) -> Result<Option<Box<Record>>, CacheError> {
    Ok(match cache.try_peek(key)? {
        Lookup::Hit(record) | Lookup::Incomplete { record, .. } | Lookup::Shared { record, .. } => {
            Some(record)
        }
        Lookup::Miss | Lookup::Refused { .. } | Lookup::Damaged { .. } => None,
    })
}

/// The blobs that a record names, as far as they can be known: of a model whose manifest is not here, only
/// that.
pub(crate) fn named(cache: &Cache, record: &Record) -> Result<BTreeSet<Digest>, CacheError> {
    let mut blobs = BTreeSet::new();
    for output in record.outputs.values() {
        blobs.insert(output.bytes);
        match cache.blobs_of(output) {
            Ok(parts) => blobs.extend(parts),
            Err(CacheError::Io(error)) => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(blobs)
}
