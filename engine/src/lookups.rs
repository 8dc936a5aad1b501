//! What planning asks of the world. A [`Plan`](crate::plan::Plan) is a function of the pipeline
//! and these answers; tests answer from memory.

use std::path::Path;
use std::sync::OnceLock;

use dag_cache::{Cache, Digest, Lookup, OutputRef, RowMemo, StageKey};

use crate::history::{History, PastStage, StageHistory};
use crate::table::Table;

/// Answers about the cache, the file system and earlier runs. Many threads ask at once.
pub trait Lookups: Sync {
    /// The record of a key, if it is on this machine.
    fn record(&self, key: &StageKey) -> Lookup;

    /// The records of many keys, in their order; those of shared stages are looked for at remotes as well,
    /// all at once.
    fn records(&self, keys: &[Sought]) -> Vec<Lookup>;

    /// The content digest of a file or folder; the error is a sentence.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    fn path_digest(&self, path: &Path) -> Result<Digest, String>;

    /// Whether an interrupted run of this key left something to go on from.
    fn has_checkpoint(&self, key: &StageKey) -> bool;

    /// The row memo of a kind, if it holds anything.
    fn memo(&self, kind: &str) -> Option<RowMemo>;

    /// A table that is in the cache.
    fn table(&self, output: &OutputRef) -> Option<Table>;

    /// Earlier results of a stage, newest first, each key once.
    fn past(&self, pipeline: &str, stage: &str) -> Vec<PastStage>;
}

/// A key that is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sought {
    /// The key.
    pub key: StageKey,
    /// Whether remotes may be asked for it.
    pub shared: bool,
}

/// Answers from a cache.
pub struct CacheLookups {
    cache: Cache,
    past: OnceLock<StageHistory>,
}

impl CacheLookups {
    /// Answers from this cache and its recorded runs.
    #[must_use]
    pub fn new(cache: &Cache) -> Self {
        Self {
            cache: cache.clone(),
            past: OnceLock::new(),
        }
    }
}

impl Lookups for CacheLookups {
    fn record(&self, key: &StageKey) -> Lookup {
        self.cache.lookup(key)
    }

    fn records(&self, keys: &[Sought]) -> Vec<Lookup> {
        // What stays on this machine is not asked for elsewhere: a key tells that its stage exists.
        let shared: Vec<StageKey> = keys
            .iter()
            .filter(|sought| sought.shared)
            .map(|sought| sought.key)
            .collect();
        let mut found = self.cache.lookup_all(&shared).into_iter();
        keys.iter()
            .map(|sought| {
                if sought.shared {
                    found.next().unwrap_or(Lookup::Miss)
                } else {
                    self.cache.lookup(&sought.key)
                }
            })
            .collect()
    }

    fn path_digest(&self, path: &Path) -> Result<Digest, String> {
        let is_folder = fs_err::metadata(path)
            .map_err(|error| error.to_string())?
            .is_dir();
        let digest = if is_folder {
            self.cache.folder_digest(path)
        } else {
            self.cache.file_digest(path)
        };
        digest.map_err(|error| error.to_string())
    }

    fn has_checkpoint(&self, key: &StageKey) -> bool {
        self.cache.has_scratch(key)
    }

    fn memo(&self, kind: &str) -> Option<RowMemo> {
        self.cache.memo(kind).ok()
    }

    fn table(&self, output: &OutputRef) -> Option<Table> {
        Table::open(&self.cache.blob_path(&output.bytes).ok()?).ok()
    }

    fn past(&self, pipeline: &str, stage: &str) -> Vec<PastStage> {
        self.past
            .get_or_init(|| History::of(&self.cache).stages_of(pipeline))
            .of(stage)
    }
}
