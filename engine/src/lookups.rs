//! What planning asks of the world. A [`Plan`](crate::plan::Plan) is a function of the pipeline
//! and these answers; tests answer from memory.

use std::path::Path;
use std::sync::OnceLock;

use dag_cache::{Cache, Digest, Lookup, OutputRef, RowMemo, StageKey};

use crate::history::{History, PastStage, StageHistory};
use crate::table::Table;

/// Answers about the cache, the file system and earlier runs. Many threads ask at once.
pub trait Lookups: Sync {
    /// The record of a key.
    fn record(&self, key: &StageKey) -> Lookup;

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
