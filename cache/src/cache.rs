//! The cache: blobs, records, memo, leases and scratch folders below one root.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fs_err as fs;

use crate::files::{FileDigests, Stamp};
use crate::lease::{Lease, LeaseError};
use crate::memo::{RowMemo, WeakMemo};
use crate::record::{ArtifactType, Record};
use crate::store::{Created, LocalStore, Renewed, Store as _, touch};
use crate::trash::bring_back;
use crate::tree::{Manifest, TreeRef};
use crate::{CacheError, Digest, StageKey};

pub(crate) const BLOBS: &str = "blobs-v1";
pub(crate) const RECORDS: &str = "records-v1";
pub(crate) const MEMO: &str = "memo-v1";
pub(crate) const TREES: &str = "trees-v1";
pub(crate) const SCRATCH: &str = "scratch";
pub(crate) const LEASES: &str = "leases";
pub(crate) const QUARANTINE: &str = "quarantine";

/// Files this large are hashed by all cores.
const PARALLEL_FROM: u64 = 1 << 20;

/// A result that took longer than this, in seconds, or cost money, is durable when it is published. One
/// that took less is whole or absent after lost power, and made again sooner than it was synced.
const WORTH_SYNCING: f64 = 1.0;

/// A record is a few kilobytes, with a wide table's schema some hundred; more is no record.
pub(crate) const LARGEST_RECORD: u64 = 16 << 20;

/// How often publishing goes on when the record under it changes all the time.
const ATTEMPTS: usize = 16;

/// A cache below a folder. Clones share it; many processes may use one folder.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    root: PathBuf,
    store: LocalStore,
    digests: FileDigests,
    /// Blobs this process has read and found whole, with the file's stamp then.
    verified: Mutex<BTreeSet<(Digest, Stamp)>>,
    /// The memos that are open, so that parallel stages see each other's rows.
    memos: Mutex<BTreeMap<String, WeakMemo>>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cache({})", self.root().display())
    }
}

/// What the cache knows of a key.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// The result is there, whole.
    Hit(Box<Record>),
    /// Nothing.
    Miss,
    /// A record, but not all it names.
    Incomplete {
        /// The record.
        record: Box<Record>,
        /// The blobs that are gone.
        missing: Vec<Digest>,
    },
    /// A record that cannot be believed. It was set aside.
    Damaged {
        /// How the damage shows.
        reason: String,
    },
}

/// What became of a record.
#[derive(Clone, Debug)]
pub enum Published {
    /// It is the key's record now.
    New,
    /// The key has a record that says the same.
    Same,
    /// The key has a record with other content; that one stays.
    Kept(Box<Record>),
}

impl Cache {
    /// Opens the cache at a folder, making it if need be.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        let store = LocalStore::open(root)?;
        let tag = root.join("CACHEDIR.TAG");
        if !tag.exists() {
            fs::write(
                &tag,
                "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is the cache of dag; see docs/format.md.\n",
            )?;
        }
        Ok(Self(Arc::new(Inner {
            root: root.to_owned(),
            store,
            digests: FileDigests::open(root),
            verified: Mutex::default(),
            memos: Mutex::default(),
        })))
    }

    /// The cache's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    pub(crate) fn store(&self) -> &LocalStore {
        &self.0.store
    }

    /// Begins a blob whose digest is not known yet.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn blob_writer(&self) -> Result<BlobWriter, CacheError> {
        let file = self.store().temporary()?;
        // Tells who clears up that somebody is at work on it. Not every file system can lock.
        drop(file.as_file().try_lock());
        Ok(BlobWriter {
            cache: self.clone(),
            file,
            hasher: blake3::Hasher::new(),
            size: 0,
        })
    }

    /// Stores bytes. They are whole or absent whatever happens, and durable once a record that names
    /// them is.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, CacheError> {
        let digest = Digest::of(bytes);
        let name = blob_name(&digest);
        if !self.has_young(&name, bytes.len() as u64)? {
            self.store().place(&name, bytes)?;
        }
        Ok(digest)
    }

    /// Whether a blob is there and nobody who clears up will take it from whoever relies on it now. If it
    /// is another user's, whose times we cannot set, the answer is no, and it is written again.
    fn has_young(&self, name: &str, size: u64) -> io::Result<bool> {
        Ok(self.store().size(name)? == Some(size) && self.store().renew(name)? == Renewed::Young)
    }

    /// Stores a copy of a file. Gives its digest and size.
    ///
    /// # Errors
    /// The file cannot be read or the disk not be written.
    pub fn put_file(&self, path: &Path) -> Result<(Digest, u64), CacheError> {
        let mut writer = self.blob_writer()?;
        io::copy(&mut fs::File::open(path)?, &mut writer)?;
        writer.finish()
    }

    /// The size of a blob; `None` if it is absent.
    #[must_use]
    pub fn blob_size(&self, digest: &Digest) -> Option<u64> {
        self.store().size(&blob_name(digest)).ok().flatten()
    }

    /// A blob's bytes, verified.
    ///
    /// # Errors
    /// It is absent or damaged; a damaged one is set aside.
    pub fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>, CacheError> {
        let name = blob_name(digest);
        let mut read = self.store().read(&name, u64::MAX)?;
        if read.is_none() && bring_back(self, &name)? {
            read = self.store().read(&name, u64::MAX)?;
        }
        let bytes = read.ok_or(CacheError::Missing(*digest))?;
        if Digest::of(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(self.set_aside(digest))
        }
    }

    /// A file with a blob's bytes, verified once per process. It must not be written to.
    ///
    /// # Errors
    /// It is absent or damaged; a damaged one is set aside.
    pub fn blob_path(&self, digest: &Digest) -> Result<PathBuf, CacheError> {
        let mut attempts = 0;
        loop {
            match self.verified_path(digest) {
                // A gc may just be looking at it, or have taken it a moment too early.
                Err(CacheError::Missing(_))
                    if attempts < ATTEMPTS && bring_back(self, &blob_name(digest))? =>
                {
                    attempts += 1;
                }
                result => return result,
            }
        }
    }

    fn verified_path(&self, digest: &Digest) -> Result<PathBuf, CacheError> {
        let path = self.store().path(&blob_name(digest))?;
        let missing = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => CacheError::Missing(*digest),
            _ => error.into(),
        };
        let stamp = Stamp::of_blob(&path).map_err(missing)?;
        let verified = || {
            self.0
                .verified
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if !verified().contains(&(*digest, stamp)) {
            if hash_file(&path).map_err(missing)? != *digest {
                return Err(self.set_aside(digest));
            }
            // Just written, it could be written again without a change of its stamp.
            if stamp.settled() {
                verified().insert((*digest, stamp));
            }
        }
        Ok(path)
    }

    /// Moves a damaged blob out of the way; from then on it is absent.
    pub(crate) fn set_aside(&self, digest: &Digest) -> CacheError {
        self.set_aside_at(digest, &blob_name(digest))
    }

    /// The same for a blob that lies where no blob of this digest should.
    pub(crate) fn set_aside_at(&self, digest: &Digest, name: &str) -> CacheError {
        let reason = match self.quarantine(name) {
            Ok(()) => "its bytes have another digest".to_owned(),
            Err(error) => format!("its bytes have another digest, and it cannot be moved: {error}"),
        };
        CacheError::Damaged {
            what: format!("blob {}", digest.short()),
            reason,
        }
    }

    pub(crate) fn quarantine(&self, name: &str) -> io::Result<()> {
        let folder = self.root().join(QUARANTINE);
        fs::create_dir_all(&folder)?;
        let to = folder.join(format!(
            "{}-{}",
            uuid::Uuid::now_v7(),
            name.replace('/', "-")
        ));
        // Names that are no names of a store may lie in its folders as well.
        fs::rename(self.root().join(name), &to)?;
        // Its time here begins now.
        touch(&to);
        Ok(())
    }

    /// Stores a folder as a tree: a manifest of relative names and blobs.
    ///
    /// # Errors
    /// The folder holds something that is no file, or a name that is not UTF-8; or I/O.
    pub fn put_tree(&self, folder: &Path) -> Result<TreeRef, CacheError> {
        Manifest::store(self, folder)
    }

    /// A read-only folder with a tree's files, verified.
    ///
    /// # Errors
    /// The manifest or a file is absent or damaged.
    pub fn tree_path(&self, manifest: &Digest) -> Result<PathBuf, CacheError> {
        Manifest::load(self, manifest)?.materialise(self, manifest)
    }

    /// Every blob an output consists of: itself, and for a model the files of its tree.
    ///
    /// # Errors
    /// The manifest of a model is absent or damaged.
    pub fn blobs_of(&self, output: &crate::OutputRef) -> Result<Vec<Digest>, CacheError> {
        let mut blobs = vec![output.bytes];
        if output.artifact == ArtifactType::Model {
            blobs.extend(
                Manifest::load(self, &output.bytes)?
                    .files
                    .into_iter()
                    .map(|file| file.digest),
            );
        }
        Ok(blobs)
    }

    /// What the cache has for a key. A hit names only blobs that are there; their bytes are verified
    /// when they are read. A hit makes the record young again for [`crate::gc`].
    #[must_use]
    pub fn lookup(&self, key: &StageKey) -> Lookup {
        self.try_lookup(key)
            .unwrap_or_else(|error| Lookup::Damaged {
                reason: error.to_string(),
            })
    }

    /// [`Cache::lookup`] for who only looks: a hit stays as old as it was.
    #[must_use]
    pub fn peek(&self, key: &StageKey) -> Lookup {
        self.try_peek(key).unwrap_or_else(|error| Lookup::Damaged {
            reason: error.to_string(),
        })
    }

    fn try_lookup(&self, key: &StageKey) -> Result<Lookup, CacheError> {
        let found = self.try_peek(key)?;
        if let Lookup::Hit(_) = found
            && self.store().renew(&record_name(key))? == Renewed::Absent
        {
            return Ok(Lookup::Miss);
        }
        Ok(found)
    }

    /// Tells a disk that cannot be read from a record that cannot be believed.
    pub(crate) fn try_peek(&self, key: &StageKey) -> Result<Lookup, CacheError> {
        let name = record_name(key);
        let decoded = match self.store().read(&name, LARGEST_RECORD) {
            Ok(None) => return Ok(Lookup::Miss),
            Ok(Some(bytes)) => Record::decode(key, &bytes),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        let record = match decoded {
            Ok(record) => record,
            Err(reason) => {
                match self.quarantine(&name) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(error.into());
                    }
                    _ => {}
                }
                let reason = format!("the record of {}: {reason}", key.0.short());
                return Ok(Lookup::Damaged { reason });
            }
        };
        let mut missing = Vec::new();
        for output in record.outputs.values() {
            match self.blobs_of(output) {
                Ok(blobs) => {
                    for blob in blobs {
                        let name = blob_name(&blob);
                        if self.store().size(&name)?.is_none() && !bring_back(self, &name)? {
                            missing.push(blob);
                        }
                    }
                }
                Err(CacheError::Io(error)) => return Err(error.into()),
                Err(_) => missing.push(output.bytes),
            }
        }
        Ok(if missing.is_empty() {
            Lookup::Hit(Box::new(record))
        } else {
            Lookup::Incomplete {
                record: Box::new(record),
                missing,
            }
        })
    }

    /// Makes a record the key's record, unless it has one with as few unfinished rows. Its blobs must be there already.
    /// When this returns, what took over a second to make or cost money is durable, with its blobs.
    ///
    /// # Errors
    /// [`CacheError::Missing`] if a blob that the record names is not there; or the disk cannot be read
    /// or written. Nothing of the key has changed then.
    pub fn publish(&self, record: &Record) -> Result<Published, CacheError> {
        let name = record_name(&record.key);
        let bytes = record.encode()?;
        let durable =
            record.seconds.is_nan() || record.seconds >= WORTH_SYNCING || record.usage.usd > 0.0;
        self.secure_blobs(record, durable)?;
        for _ in 0..ATTEMPTS {
            let published = if self.store().create_unsettled(&name, &bytes)? == Created::New {
                Published::New
            } else {
                match self.try_lookup(&record.key)? {
                    // The holes of the other are filled here.
                    Lookup::Hit(kept) if record.unfinished < kept.unfinished => {
                        self.store().place(&name, &bytes)?;
                        Published::New
                    }
                    Lookup::Hit(kept) if kept.agrees_with(record) => Published::Same,
                    Lookup::Hit(kept) => return Ok(Published::Kept(kept)),
                    // Not a result any more: this one replaces it.
                    Lookup::Incomplete { .. } => {
                        self.store().place(&name, &bytes)?;
                        Published::New
                    }
                    // It was set aside, or went meanwhile.
                    Lookup::Damaged { .. } | Lookup::Miss => continue,
                }
            };
            if durable {
                self.store().settle([name])?;
            }
            return Ok(published);
        }
        Err(io::Error::other(format!(
            "the record of {} changes all the time",
            record.key.0.short()
        ))
        .into())
    }

    /// Replaces whatever record the key has. Durable when this returns.
    ///
    /// # Errors
    /// As for [`Cache::publish`].
    pub fn replace(&self, record: &Record) -> Result<(), CacheError> {
        let bytes = record.encode()?;
        self.secure_blobs(record, true)?;
        Ok(self.store().put(&record_name(&record.key), &bytes)?)
    }

    /// Checks that the blobs of a record are there, makes them young, and durable if asked to.
    fn secure_blobs(&self, record: &Record, durable: bool) -> Result<(), CacheError> {
        let mut names = Vec::new();
        for output in record.outputs.values() {
            for blob in self.blobs_of(output)? {
                let name = blob_name(&blob);
                // A gc may just be looking at it.
                let mut attempts = 0;
                while self.store().renew(&name)? == Renewed::Absent {
                    attempts += 1;
                    if attempts > ATTEMPTS || !bring_back(self, &name)? {
                        return Err(CacheError::Missing(blob));
                    }
                }
                names.push(name);
            }
        }
        if durable {
            self.store().settle(names)?;
        }
        Ok(())
    }

    /// The keys of all records, sorted.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn keys(&self) -> Result<Vec<StageKey>, CacheError> {
        let mut keys = Vec::new();
        self.store().list(RECORDS, &mut |name, _| {
            keys.extend(last_part(name).parse().ok().map(StageKey));
            Ok(())
        })?;
        keys.sort();
        Ok(keys)
    }

    /// The row memo of a namespace (a kind's name). All who ask for it share one.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn memo(&self, namespace: &str) -> Result<RowMemo, CacheError> {
        let folder = self.store().path(&format!("{MEMO}/{namespace}"))?;
        let mut memos = self.0.memos.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(memo) = memos.get(namespace).and_then(RowMemo::upgrade) {
            return Ok(memo);
        }
        let memo = RowMemo::open(&folder)?;
        memos.insert(namespace.to_owned(), memo.downgrade());
        Ok(memo)
    }

    /// Takes the advisory lease of a key. It is given back when dropped, or when the process ends.
    ///
    /// # Errors
    /// [`LeaseError::Held`] if another process has it.
    pub fn lease(&self, key: &StageKey) -> Result<Lease, LeaseError> {
        Lease::take(&self.root().join(LEASES), key)
    }

    /// The durable work folder of a key.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn scratch(&self, key: &StageKey) -> Result<PathBuf, CacheError> {
        let folder = self.scratch_folder(key);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Whether a key has a work folder with something in it.
    #[must_use]
    pub fn has_scratch(&self, key: &StageKey) -> bool {
        fs::read_dir(self.scratch_folder(key)).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Removes the work folder of a key.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn drop_scratch(&self, key: &StageKey) -> Result<(), CacheError> {
        match fs::remove_dir_all(self.scratch_folder(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn scratch_folder(&self, key: &StageKey) -> PathBuf {
        self.root().join(SCRATCH).join(key.to_string())
    }

    /// The digest of a file's bytes, remembered by the file's stamp.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn file_digest(&self, path: &Path) -> Result<Digest, CacheError> {
        Ok(self.0.digests.file(path)?)
    }

    /// The digest of a folder: its files' relative names and digests, sorted.
    ///
    /// # Errors
    /// Something in it cannot be read.
    pub fn folder_digest(&self, path: &Path) -> Result<Digest, CacheError> {
        Ok(self.0.digests.folder(path)?)
    }
}

/// A blob that is being written. Dropped before [`BlobWriter::finish`], nothing is left of it.
pub struct BlobWriter {
    cache: Cache,
    file: tempfile::NamedTempFile,
    hasher: blake3::Hasher,
    size: u64,
}

impl BlobWriter {
    /// Makes the blob visible, whole; it is durable once a record that names it is. Gives its digest
    /// and size.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn finish(self) -> Result<(Digest, u64), CacheError> {
        let Self {
            cache,
            mut file,
            hasher,
            size,
        } = self;
        file.flush()?;
        let digest = Digest::from(hasher.finalize());
        let name = blob_name(&digest);
        if !cache.has_young(&name, size)? {
            file.as_file().sync_data()?;
            cache.store().place_temporary(&name, file)?;
        }
        Ok((digest, size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

pub(crate) fn blob_name(digest: &Digest) -> String {
    let hex = digest.to_string();
    format!("{BLOBS}/{}/{hex}", &hex[..2])
}

pub(crate) fn record_name(key: &StageKey) -> String {
    let hex = key.to_string();
    format!("{RECORDS}/{}/{hex}", &hex[..2])
}

pub(crate) fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The digest of a file, by all cores if it is large.
pub(crate) fn hash_file(path: &Path) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    if fs::metadata(path)?.len() >= PARALLEL_FROM {
        hasher.update_mmap_rayon(path)?;
    } else {
        hasher.update(&fs::read(path)?);
    }
    Ok(hasher.finalize().into())
}
