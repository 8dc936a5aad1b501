//! Trees: folders in the cache. A manifest names every file and its blob; a folder is laid out from it
//! when somebody needs one.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::cache::TREES;
use crate::digest::hash_file;
use crate::files::files_below;
use crate::{Cache, CacheError, Digest, canon};

/// No manifest is larger, in bytes: some hundred thousand files.
pub(crate) const LARGEST_MANIFEST: u64 = 64 << 20;

/// A stored folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeRef {
    /// The manifest's blob.
    pub bytes: Digest,
    /// Names and contents of the files.
    pub content: Digest,
    /// Size of the files together, in bytes.
    pub size: u64,
}

/// What a tree consists of, sorted by name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) files: Vec<TreeFile>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TreeFile {
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl Manifest {
    pub(crate) fn store(cache: &Cache, folder: &Path) -> Result<TreeRef, CacheError> {
        let mut files = Vec::new();
        for (name, path) in files_below(folder)? {
            let (digest, size) = cache.put_file(&path)?;
            files.push(TreeFile { name, digest, size });
        }
        let content = canon::Value::map(
            files
                .iter()
                .map(|file| (file.name.clone(), canon::Value::Digest(file.digest))),
        );
        let size = files.iter().map(|file| file.size).sum();
        let bytes = serde_json::to_vec(&Self { files }).map_err(io::Error::other)?;
        Ok(TreeRef {
            bytes: cache.put_bytes(&bytes)?,
            content: canon::digest("dag tree v1", &content),
            size,
        })
    }

    pub(crate) fn load(cache: &Cache, digest: &Digest) -> Result<Self, CacheError> {
        Self::parse(digest, &cache.read_blob(digest)?)
    }

    /// A manifest from its bytes, if no name in it leads anywhere but below the folder.
    pub(crate) fn parse(digest: &Digest, bytes: &[u8]) -> Result<Self, CacheError> {
        let damaged = |reason: String| CacheError::Damaged {
            what: format!("tree {}", digest.short()),
            reason,
        };
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        for file in &manifest.files {
            // Part by part, so that one place has one name: `a//b` would be another of `a/b`.
            let inside = file
                .name
                .split('/')
                .all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'));
            if !inside {
                return Err(damaged(format!(
                    "`{}` is no name within a folder",
                    file.name.escape_debug()
                )));
            }
        }
        // A name twice would have the second file written over the first, which may be a link to a blob.
        if let Some([_, second]) = manifest
            .files
            .array_windows()
            .find(|[first, second]| first.name >= second.name)
        {
            return Err(damaged(format!(
                "`{}` stands there twice, or not in its place",
                second.name.escape_debug()
            )));
        }
        Ok(manifest)
    }

    /// Lays the folder out, or checks the one that is there.
    pub(crate) fn materialise(
        &self,
        cache: &Cache,
        digest: &Digest,
    ) -> Result<PathBuf, CacheError> {
        let trees = cache.root().join(TREES);
        let folder = trees.join(digest.to_string());
        if folder.is_dir() {
            if self.fits(cache, &folder)? {
                return Ok(folder);
            }
            let aside = tempfile::Builder::new()
                .prefix("t")
                .tempdir_in(cache.store().incoming())?;
            fs::rename(&folder, aside.path().join("tree"))?;
        }
        fs::create_dir_all(&trees)?;
        let building = tempfile::Builder::new()
            .prefix("t")
            .tempdir_in(cache.store().incoming())?;
        let tree = building.path().join("tree");
        fs::create_dir(&tree)?;
        for file in &self.files {
            let to = tree.join(&file.name);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            let from = cache.blob_path(&file.digest)?;
            if fs::hard_link(&from, &to).is_err() {
                fs::copy(&from, &to)?;
            }
            let mut rights = fs::metadata(&to)?.permissions();
            // Blobs are read-only already, and may belong to another user.
            if !rights.readonly() {
                rights.set_readonly(true);
                fs::set_permissions(&to, rights)?;
            }
        }
        match fs::rename(&tree, &folder) {
            Ok(()) => Ok(folder),
            // Somebody else laid it out meanwhile.
            Err(_) if folder.is_dir() => Ok(folder),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a laid-out folder has exactly the tree's files. A damaged blob is set aside on the way.
    fn fits(&self, cache: &Cache, folder: &Path) -> Result<bool, CacheError> {
        let there = files_below(folder)?;
        if there.len() != self.files.len() {
            return Ok(false);
        }
        for file in &self.files {
            let Some(path) = there.get(&file.name) else {
                return Ok(false);
            };
            // Mostly the blob itself by another name; else read.
            let blob = cache.blob_path(&file.digest)?;
            let same = {
                use std::os::unix::fs::MetadataExt as _;
                let (a, b) = (fs::metadata(&blob)?, fs::metadata(path)?);
                a.ino() == b.ino() && a.dev() == b.dev()
            };
            if !same && hash_file(path)? != file.digest {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
