//! The cache: blobs, records, memo, leases and scratch folders below one root.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use fs_err as fs;

use crate::digest::hash_file;
use crate::files::{FileDigests, Stamp};
use crate::lease::{Lease, LeaseError};
use crate::memo::{RowMemo, Segments, WeakSegments};
use crate::record::ArtifactType;
use crate::remote::{RemoteRows, Remotes, Want, fetch};
use crate::store::{LocalStore, Renewed, Store as _, touch};
use crate::trash::bring_back;
use crate::tree::{LARGEST_MANIFEST, Manifest, TreeRef};
use crate::{CacheError, Digest, RowKey, StageKey};

pub(crate) const BLOBS: &str = "blobs-v1";
pub(crate) const RECORDS: &str = "records-v1";
pub(crate) const ADOPTED: &str = "adopted-v1";
pub(crate) const USED_ROWS: &str = "used-rows-v1";
pub(crate) const PRIVATE: &str = "private-v1";
pub(crate) const MEMO: &str = "memo-v1";
pub(crate) const TREES: &str = "trees-v1";
pub(crate) const SCRATCH: &str = "scratch";
pub(crate) const LEASES: &str = "leases";
pub(crate) const QUARANTINE: &str = "quarantine";

/// A record is a few kilobytes, with a wide table's schema some hundred; more is no record.
pub(crate) const LARGEST_RECORD: u64 = 16 << 20;

/// First line of a list of used rows; the namespace follows, then 32 bytes a row.
const USED_ROWS_MAGIC: &str = "dag used rows v1 ";

/// How often something is tried that others may disturb for a moment.
pub(crate) const ATTEMPTS: usize = 16;

/// The most that is taken for a blob that no record claims a size for.
const UNCLAIMED: u64 = 1 << 30;

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
    memos: Mutex<BTreeMap<String, WeakSegments>>,
    /// What remotes have of each namespace, once somebody asked.
    rows: Mutex<BTreeMap<String, Arc<RemoteRows>>>,
    /// How large blobs may be that are not here. Only looked up.
    claims: Mutex<HashMap<Digest, u64>>,
    remotes: OnceLock<Remotes>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cache({})", self.root().display())
    }
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
            rows: Mutex::default(),
            claims: Mutex::default(),
            remotes: OnceLock::new(),
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

    /// Connects the cache, and all its clones, with remotes. They are asked from then on for what is not
    /// here. Only the first call counts.
    pub fn connect(&self, remotes: Remotes) {
        drop(self.0.remotes.set(remotes));
    }

    /// The remotes it is connected with.
    #[must_use]
    pub fn remotes(&self) -> Option<&Remotes> {
        self.0.remotes.get()
    }

    /// Takes note of how large the blob of an output may be when it comes: as large as its record says, or a
    /// manifest.
    pub(crate) fn claim(&self, output: &crate::OutputRef) {
        let at_most = match output.artifact {
            ArtifactType::Model => LARGEST_MANIFEST,
            ArtifactType::Table | ArtifactType::Document => output.size,
        };
        self.0
            .claims
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(output.bytes, at_most);
    }

    fn want(&self, digest: &Digest) -> Want {
        let claims = self.0.claims.lock().unwrap_or_else(PoisonError::into_inner);
        Want {
            digest: *digest,
            at_most: claims.get(digest).copied().unwrap_or(UNCLAIMED),
        }
    }

    /// Whether a blob is here. One that a gc took and somebody needs comes back from the trash.
    pub(crate) fn is_here(&self, digest: &Digest) -> io::Result<bool> {
        let name = blob_name(digest);
        Ok(self.store().size(&name)?.is_some() || bring_back(self, &name)?)
    }

    /// Fetches a blob from a remote if it is not here.
    fn bring(&self, digest: &Digest) -> Result<(), CacheError> {
        if self.is_here(digest)? {
            return Ok(());
        }
        fetch(self, &[self.want(digest)])
    }

    /// Fetches everything an output consists of that is not here, several blobs at once.
    ///
    /// # Errors
    /// A blob is at no remote, or no remote that may have it can be asked.
    pub fn pull(&self, output: &crate::OutputRef) -> Result<(), CacheError> {
        self.claim(output);
        if output.artifact == ArtifactType::Model {
            return self.bring_tree(&output.bytes);
        }
        self.bring(&output.bytes)
    }

    /// Fetches a tree's manifest and then its files, as far as they are not here.
    pub(crate) fn bring_tree(&self, manifest: &Digest) -> Result<(), CacheError> {
        let files = Manifest::load(self, manifest)?.files;
        let wants: Vec<Want> = files
            .iter()
            .map(|file| Want {
                digest: file.digest,
                at_most: file.size,
            })
            .collect();
        fetch(self, &wants)
    }

    /// The blobs of a tree whose manifest is here, with their sizes.
    pub(crate) fn files_of(&self, manifest: &Digest) -> Result<Vec<(Digest, u64)>, CacheError> {
        let files = Manifest::load(self, manifest)?.files;
        Ok(files
            .into_iter()
            .map(|file| (file.digest, file.size))
            .collect())
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

    /// A blob's bytes, verified. It is fetched from a remote if it is not here.
    ///
    /// # Errors
    /// It is absent, cannot be fetched, or is damaged; a damaged one is set aside.
    pub fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>, CacheError> {
        self.with_blob(digest, || {
            let bytes = self
                .store()
                .read(&blob_name(digest), u64::MAX)?
                .ok_or(CacheError::Missing(*digest))?;
            if Digest::of(&bytes) == *digest {
                Ok(bytes)
            } else {
                Err(self.set_aside(digest))
            }
        })
    }

    /// A file with a blob's bytes, verified once per process. It must not be written to. It is fetched from
    /// a remote if it is not here.
    ///
    /// # Errors
    /// It is absent, cannot be fetched, or is damaged; a damaged one is set aside.
    pub fn blob_path(&self, digest: &Digest) -> Result<PathBuf, CacheError> {
        self.with_blob(digest, || self.local_blob_path(digest))
    }

    /// Does something with a blob that is here. A gc may be just looking at it, and then it is absent for
    /// a moment.
    fn with_blob<T>(
        &self,
        digest: &Digest,
        read: impl Fn() -> Result<T, CacheError>,
    ) -> Result<T, CacheError> {
        let mut attempts = 0;
        loop {
            self.bring(digest)?;
            match read() {
                Err(CacheError::Missing(_)) if attempts < ATTEMPTS => attempts += 1,
                result => return result,
            }
        }
    }

    /// A file with the bytes of a blob that is here, verified.
    pub(crate) fn local_blob_path(&self, digest: &Digest) -> Result<PathBuf, CacheError> {
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
        self.bring_tree(manifest)?;
        Manifest::load(self, manifest)?.materialise(self, manifest)
    }

    /// Every blob an output consists of: itself, and for a model the files of its tree.
    ///
    /// # Errors
    /// The manifest of a model is not here, or damaged.
    pub fn blobs_of(&self, output: &crate::OutputRef) -> Result<Vec<Digest>, CacheError> {
        let mut blobs = vec![output.bytes];
        if output.artifact == ArtifactType::Model {
            // Who lists blobs fetches none.
            if !self.is_here(&output.bytes)? {
                return Err(CacheError::Missing(output.bytes));
            }
            blobs.extend(
                Manifest::load(self, &output.bytes)?
                    .files
                    .into_iter()
                    .map(|file| file.digest),
            );
        }
        Ok(blobs)
    }

    /// The row memo of a namespace (a kind's name), for a stage that is shared.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn memo(&self, namespace: &str) -> Result<RowMemo, CacheError> {
        RowMemo::open(self, namespace, true)
    }

    /// The row memo of a namespace for a stage whose rows stay on this machine.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn private_memo(&self, namespace: &str) -> Result<RowMemo, CacheError> {
        RowMemo::open(self, namespace, false)
    }

    /// The segments of a namespace. All who ask for it share them.
    pub(crate) fn segments(&self, namespace: &str) -> Result<Segments, CacheError> {
        let folder = self.store().path(&format!("{MEMO}/{namespace}"))?;
        let mut memos = self.0.memos.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(memo) = memos.get(namespace).and_then(Segments::upgrade) {
            return Ok(memo);
        }
        let memo = Segments::open(&folder)?;
        memos.insert(namespace.to_owned(), memo.downgrade());
        Ok(memo)
    }

    /// The segments of a namespace, if it has ever had any.
    pub(crate) fn segments_there(&self, namespace: &str) -> Result<Option<Segments>, CacheError> {
        let folder = self.store().path(&format!("{MEMO}/{namespace}"))?;
        folder
            .is_dir()
            .then(|| self.segments(namespace))
            .transpose()
    }

    /// What the remotes have of a namespace; asked once.
    pub(crate) fn remote_rows(&self, namespace: &str) -> Arc<RemoteRows> {
        let mut all = self.0.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rows) = all.get(namespace) {
            return Arc::clone(rows);
        }
        let rows = Arc::new(RemoteRows::load(self, namespace));
        all.insert(namespace.to_owned(), Arc::clone(&rows));
        rows
    }

    /// Has the remotes asked again what they have of a namespace.
    pub(crate) fn forget_remote_rows(&self, namespace: &str) {
        self.0
            .rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(namespace);
    }

    /// Writes down which rows of a namespace a stage used, so that they can be pushed with its result.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn note_rows(
        &self,
        key: &StageKey,
        namespace: &str,
        rows: &BTreeSet<RowKey>,
    ) -> Result<(), CacheError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut bytes = format!("{USED_ROWS_MAGIC}{namespace}\n").into_bytes();
        for row in rows {
            bytes.extend_from_slice(row.0.as_bytes());
        }
        Ok(self.store().put(&used_rows_name(key), &bytes)?)
    }

    /// Writes down that a key's result stays on this machine, or that it need not any more.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn keep_private(&self, key: &StageKey, private: bool) -> Result<(), CacheError> {
        let name = format!("{PRIVATE}/{key}");
        if private {
            Ok(self.store().put(&name, b"")?)
        } else {
            Ok(self.store().remove(&name)?)
        }
    }

    /// Whether a key's result stays on this machine.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn is_private(&self, key: &StageKey) -> Result<bool, CacheError> {
        Ok(self.store().size(&format!("{PRIVATE}/{key}"))?.is_some())
    }

    /// The namespace and the rows that a stage used; `None` if nothing is known of it.
    pub(crate) fn rows_of(
        &self,
        key: &StageKey,
    ) -> Result<Option<(String, Vec<RowKey>)>, CacheError> {
        let Some(bytes) = self.store().read(&used_rows_name(key), u64::MAX)? else {
            return Ok(None);
        };
        Ok(bytes
            .strip_prefix(USED_ROWS_MAGIC.as_bytes())
            .and_then(|rest| {
                let end = rest.iter().position(|byte| *byte == b'\n')?;
                let namespace = std::str::from_utf8(&rest[..end]).ok()?;
                let (rows, []) = rest[end + 1..].as_chunks::<32>() else {
                    return None;
                };
                let rows = rows
                    .iter()
                    .map(|row| RowKey(Digest::from_bytes(*row)))
                    .collect();
                Some((namespace.to_owned(), rows))
            }))
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

pub(crate) fn used_rows_name(key: &StageKey) -> String {
    let hex = key.to_string();
    format!("{USED_ROWS}/{}/{hex}", &hex[..2])
}

pub(crate) fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
