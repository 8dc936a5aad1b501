//! The size budget of gc: which records go so that what stays fits.

use std::collections::BTreeMap;

use super::records::{Dead, Kept};
use super::{GRACE, GcOptions, age};
use crate::cache::last_part;
use crate::{Cache, Digest};

/// Takes records out of `kept`, the longest unused first, until the blobs of those that stay fit.
pub(super) fn over_budget(
    cache: &Cache,
    options: &GcOptions,
    kept: &mut Vec<Kept>,
    blobs: &[(String, u64)],
    max_bytes: u64,
) -> Vec<Dead> {
    let mut users: BTreeMap<Digest, u64> = BTreeMap::new();
    for digest in kept.iter().flat_map(|record| &record.blobs) {
        *users.entry(*digest).or_default() += 1;
    }
    // Only what would go with its last record counts as freed by it.
    let mut sizes: BTreeMap<Digest, u64> = BTreeMap::new();
    let mut total = 0;
    for (name, size) in blobs {
        let Ok(digest) = last_part(name).parse::<Digest>() else {
            continue;
        };
        let young = age(cache.store(), name, options.now) < GRACE;
        if young || users.contains_key(&digest) {
            total += size;
        }
        if !young {
            sizes.insert(digest, *size);
        }
    }
    kept.sort_by(|a, b| b.age.cmp(&a.age).then(a.key.cmp(&b.key)));
    let mut dead = Vec::new();
    kept.retain_mut(|record| {
        if total <= max_bytes || record.fixed || record.age < GRACE {
            return true;
        }
        for digest in &record.blobs {
            if let Some(count) = users.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    total -= sizes.get(digest).copied().unwrap_or(0).min(total);
                }
            }
        }
        dead.push(Dead {
            key: record.key,
            places: std::mem::take(&mut record.places),
            limit: GRACE,
        });
        false
    });
    dead
}
