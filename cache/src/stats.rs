//! `stats`: how large the cache is, what for, and what it saved.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::cache::{BLOBS, MEMO, QUARANTINE, SCRATCH, last_part};
use crate::gc::{entries, list};
use crate::record::{ArtifactType, Record, Usage};
use crate::trash::{self, size_of};
use crate::{Cache, CacheError, Digest, Lookup, StageKey};

/// Which stage made what a key names, as the caller's run history has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The pipeline.
    pub pipeline: String,
    /// The stage in it.
    pub stage: String,
    /// The stage's kind.
    pub kind: String,
    /// How many runs found the result there.
    pub hits: u64,
}

/// What a part of the cache takes. A blob counts once in each part that names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Records; for an artifact type, outputs.
    pub records: u64,
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Things beside records and blobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Space {
    /// How many.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What would have been spent again without the cache.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Saved {
    /// Results that were found and not made again.
    pub hits: u64,
    /// Time, in seconds.
    pub seconds: f64,
    /// Tokens, requests and money.
    pub usage: Usage,
}

/// How large the cache is, and what for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Records.
    pub records: u64,
    /// Blobs, each once.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// By artifact type: `table`, `model`, `document`.
    pub artifacts: BTreeMap<&'static str, Share>,
    /// By the kind of the stage.
    pub kinds: BTreeMap<String, Share>,
    /// By pipeline.
    pub pipelines: BTreeMap<String, Share>,
    /// What no recorded run used.
    pub unrecorded: Share,
    /// Blobs that more than one record names; they are in the total once.
    pub shared: Space,
    /// Blobs that no record names.
    pub orphans: Space,
    /// Records that name a blob which is gone.
    pub incomplete: u64,
    /// What hits saved, as far as the caller's history goes.
    pub saved: Saved,
    /// Finished rows, by namespace: segments.
    pub memo: BTreeMap<String, Space>,
    /// Work folders of unfinished stages.
    pub scratch: Space,
    /// What gc took and can be brought back: folders.
    pub trash: Space,
    /// Damaged things that were set aside.
    pub quarantine: Space,
    /// Pinned keys.
    pub pins: u64,
}

/// A part while it is added up.
#[derive(Default)]
struct Part {
    records: u64,
    blobs: BTreeSet<Digest>,
}

impl Part {
    fn add(&mut self, blobs: &BTreeSet<Digest>) {
        self.records += 1;
        self.blobs.extend(blobs);
    }

    fn share(&self, sizes: &BTreeMap<Digest, u64>) -> Share {
        let there = self.blobs.iter().filter_map(|digest| sizes.get(digest));
        Share {
            records: self.records,
            blobs: there.clone().count() as u64,
            bytes: there.sum(),
        }
    }
}

/// Measures the cache. `made` says of a key which stage made it and how often it was a hit.
///
/// # Errors
/// The disk cannot be read.
pub fn stats(cache: &Cache, made: &BTreeMap<StageKey, Made>) -> Result<Stats, CacheError> {
    let mut sizes: BTreeMap<Digest, u64> = BTreeMap::new();
    for (name, size) in list(cache, BLOBS)? {
        sizes.extend(last_part(&name).parse().ok().map(|digest| (digest, size)));
    }
    let mut stats = Stats {
        blobs: sizes.len() as u64,
        blob_bytes: sizes.values().sum(),
        pins: cache.pins()?.len() as u64,
        ..Stats::default()
    };
    let mut artifacts: BTreeMap<&'static str, Part> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, Part> = BTreeMap::new();
    let mut pipelines: BTreeMap<&str, Part> = BTreeMap::new();
    let mut unrecorded = Part::default();
    let mut users: BTreeMap<Digest, u64> = BTreeMap::new();
    for key in cache.keys()? {
        let record = match cache.try_peek(&key)? {
            Lookup::Hit(record) | Lookup::Shared { record, .. } => record,
            Lookup::Incomplete { record, .. } => {
                stats.incomplete += 1;
                record
            }
            Lookup::Miss | Lookup::Refused { .. } | Lookup::Damaged { .. } => continue,
        };
        stats.records += 1;
        let mut blobs = BTreeSet::new();
        for output in record.outputs.values() {
            let mut parts = BTreeSet::from([output.bytes]);
            match cache.blobs_of(output) {
                Ok(more) => parts.extend(more),
                Err(CacheError::Io(error)) => return Err(error.into()),
                Err(_) => {}
            }
            artifacts
                .entry(artifact(output.artifact))
                .or_default()
                .add(&parts);
            blobs.extend(parts);
        }
        for digest in &blobs {
            *users.entry(*digest).or_default() += 1;
        }
        match made.get(&key) {
            Some(made) => {
                kinds.entry(&made.kind).or_default().add(&blobs);
                pipelines.entry(&made.pipeline).or_default().add(&blobs);
                stats.saved.add(&record, made.hits);
            }
            None => unrecorded.add(&blobs),
        }
    }
    for (digest, size) in &sizes {
        let space = match users.get(digest) {
            None => &mut stats.orphans,
            Some(1) => continue,
            Some(_) => &mut stats.shared,
        };
        space.count += 1;
        space.bytes += size;
    }
    let shares = |parts: BTreeMap<&str, Part>| {
        parts
            .into_iter()
            .map(|(name, part)| (name.to_owned(), part.share(&sizes)))
            .collect()
    };
    stats.artifacts = artifacts
        .into_iter()
        .map(|(name, part)| (name, part.share(&sizes)))
        .collect();
    stats.kinds = shares(kinds);
    stats.pipelines = shares(pipelines);
    stats.unrecorded = unrecorded.share(&sizes);
    beside(cache, &mut stats)?;
    Ok(stats)
}

/// What lies beside records and blobs.
fn beside(cache: &Cache, stats: &mut Stats) -> Result<(), CacheError> {
    for (name, size) in list(cache, MEMO)? {
        let namespace = name.split('/').nth(1).unwrap_or_default().to_owned();
        let space = stats.memo.entry(namespace).or_default();
        space.count += 1;
        space.bytes += size;
    }
    for (path, _) in entries(&cache.root().join(SCRATCH))? {
        stats.scratch.count += 1;
        stats.scratch.bytes += size_of(&path)?;
    }
    for folder in trash::folders(cache)? {
        stats.trash.count += 1;
        stats.trash.bytes += folder.bytes()?;
    }
    let quarantine = cache.root().join(QUARANTINE);
    stats.quarantine.count = entries(&quarantine)?.len() as u64;
    stats.quarantine.bytes = size_of(&quarantine)?;
    Ok(())
}

impl Saved {
    #[expect(
        clippy::cast_precision_loss,
        reason = "hits of a key, far below what a float can count"
    )]
    fn add(&mut self, record: &Record, hits: u64) {
        if hits == 0 {
            return;
        }
        self.hits += hits;
        self.seconds += record.seconds * hits as f64;
        let Usage {
            prompt_tokens,
            completion_tokens,
            requests,
            usd,
        } = record.usage;
        self.usage += Usage {
            prompt_tokens: prompt_tokens.saturating_mul(hits),
            completion_tokens: completion_tokens.saturating_mul(hits),
            requests: requests.saturating_mul(hits),
            usd: usd * hits as f64,
        };
    }
}

fn artifact(artifact: ArtifactType) -> &'static str {
    match artifact {
        ArtifactType::Table => "table",
        ArtifactType::Model => "model",
        ArtifactType::Document => "document",
    }
}
