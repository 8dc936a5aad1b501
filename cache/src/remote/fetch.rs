//! Fetching blobs: into a file beside, taken up again where it was cut, and placed only if the bytes have
//! the digest.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fs_err as fs;

use super::notice::{Listener, Notice, Way};
use super::{Remote, crew};
use crate::cache::blob_name;
use crate::lease::same_file;
use crate::{Cache, CacheError, Digest};

/// Blobs that are fetched at the same time.
const AT_ONCE: usize = 32;

/// A pause between two looks at a blob that another process is fetching.
const POLL: Duration = Duration::from_millis(100);

/// A blob that is wanted, and the most bytes that are taken for it: what a record claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Want {
    pub(crate) digest: Digest,
    pub(crate) at_most: u64,
}

/// Fetches blobs that are not here, several at once. Gives the first error; the others go on.
pub(crate) fn fetch(cache: &Cache, wants: &[Want]) -> Result<(), CacheError> {
    let mut missing = Vec::new();
    for want in wants {
        if !cache.is_here(&want.digest)? {
            missing.push(*want);
        }
    }
    missing.sort_unstable();
    missing.dedup_by_key(|want| want.digest);
    let Some(first) = missing.first() else {
        return Ok(());
    };
    let Some(remotes) = cache.remotes() else {
        return Err(CacheError::Missing(first.digest));
    };
    let listener = remotes.listener();
    listener.hear(&Notice::Begun {
        remote: remotes.names().collect::<Vec<_>>().join(", "),
        way: Way::Here,
        blobs: missing.len() as u64,
        bytes: missing.iter().map(|want| want.at_most).sum(),
    });
    let fetched = crew::each(&missing, AT_ONCE, |want| one(cache, want));
    listener.hear(&Notice::Ended { way: Way::Here });
    fetched.into_iter().collect()
}

fn one(cache: &Cache, want: &Want) -> Result<(), CacheError> {
    let Some(remotes) = cache.remotes() else {
        return Err(CacheError::Missing(want.digest));
    };
    let Some(mut incoming) = Incoming::begin(cache, want, Arc::clone(remotes.listener()))? else {
        return Ok(());
    };
    let mut unreachable = Vec::new();
    for remote in remotes.list() {
        match from(remote, want, &mut incoming, cache) {
            Ok(true) => return incoming.place(cache, &want.digest),
            Ok(false) => {}
            Err(error) => unreachable.push(format!("`{}`: {error}", remote.name)),
        }
    }
    if unreachable.is_empty() {
        incoming.give_up();
        Err(CacheError::Missing(want.digest))
    } else {
        // What came so far stays for the next time.
        Err(CacheError::Unreachable {
            digest: want.digest,
            reason: unreachable.join("; "),
        })
    }
}

/// Whether the remote gave the blob.
fn from(remote: &Remote, want: &Want, incoming: &mut Incoming, cache: &Cache) -> io::Result<bool> {
    let name = blob_name(&want.digest);
    // What lies there already came from elsewhere, or from here another time.
    let mut mixed = incoming.size > 0;
    // A byte may be wrong on the way and right there: twice wrong is wrong there.
    let mut wrong = 0;
    while wrong < 2 {
        let answer = remote.insist(|store, further| {
            let before = incoming.size;
            let answer = store.read_from(&name, incoming.size, incoming);
            *further = incoming.size > before;
            answer
        });
        match answer {
            Ok(Some(_)) => {
                if incoming.holds(want) {
                    return Ok(true);
                }
            }
            Ok(None) => return Ok(false),
            // More bytes than the record claims: these are not they.
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Unsupported | io::ErrorKind::NotFound
                ) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        if std::mem::take(&mut mixed) {
            // Nobody knows whose fault it is: nobody is blamed, and all of it comes anew.
            incoming.empty()?;
            continue;
        }
        wrong += 1;
        incoming.listener.hear(&Notice::Bad {
            remote: remote.name.clone(),
            digest: want.digest,
        });
        incoming.set_aside(cache, &want.digest)?;
    }
    remote.bad().insert(want.digest);
    Ok(false)
}

/// A blob on its way.
struct Incoming {
    path: PathBuf,
    file: File,
    hasher: blake3::Hasher,
    size: u64,
    at_most: u64,
    listener: Arc<dyn Listener>,
}

impl Incoming {
    /// Opens the file for a blob and takes up what lies there; `None` if the blob is there meanwhile.
    fn begin(
        cache: &Cache,
        want: &Want,
        listener: Arc<dyn Listener>,
    ) -> Result<Option<Self>, CacheError> {
        let path = cache
            .store()
            .incoming()
            .join(format!("fetch-{}", want.digest));
        loop {
            let file = open(&path)?;
            match file.try_lock() {
                // Not every file system can lock; there, two may fetch the same blob, and the digest tells
                // if they disturbed each other.
                Ok(()) | Err(TryLockError::Error(_)) => {}
                Err(TryLockError::WouldBlock) => {
                    std::thread::sleep(POLL);
                    if cache.blob_size(&want.digest).is_some() {
                        return Ok(None);
                    }
                    continue;
                }
            }
            if cache.blob_size(&want.digest).is_some() {
                drop(fs::remove_file(&path));
                return Ok(None);
            }
            // Its last holder may have moved it into place between our opening and locking it.
            if !same_file(&file, &path) {
                continue;
            }
            let mut incoming = Self {
                path,
                file,
                hasher: blake3::Hasher::new(),
                size: 0,
                at_most: want.at_most,
                listener,
            };
            incoming.take_up()?;
            return Ok(Some(incoming));
        }
    }

    /// Reads what an interrupted transfer left.
    fn take_up(&mut self) -> io::Result<()> {
        // Mostly nothing, and then not even the memory to read it is asked for.
        if self.file.metadata()?.len() == 0 {
            return Ok(());
        }
        self.file.rewind()?;
        let mut piece = vec![0; 1 << 20];
        loop {
            let read = self.file.read(&mut piece)?;
            if read == 0 {
                break;
            }
            self.hasher.update(&piece[..read]);
            self.size += read as u64;
        }
        if self.size > self.at_most {
            self.empty()?;
        }
        Ok(())
    }

    fn empty(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.hasher.reset();
        self.size = 0;
        Ok(())
    }

    fn holds(&self, want: &Want) -> bool {
        Digest::from(self.hasher.finalize()) == want.digest
    }

    /// Moves the bytes out of the way and begins with none.
    fn set_aside(&mut self, cache: &Cache, digest: &Digest) -> io::Result<()> {
        let folder = cache.root().join(crate::cache::QUARANTINE);
        fs::create_dir_all(&folder)?;
        let name = format!("{}-fetched-{digest}", uuid::Uuid::now_v7());
        fs::rename(&self.path, folder.join(name))?;
        self.file = open(&self.path)?;
        drop(self.file.try_lock());
        self.hasher.reset();
        self.size = 0;
        Ok(())
    }

    fn place(self, cache: &Cache, digest: &Digest) -> Result<(), CacheError> {
        self.file.sync_data()?;
        Ok(cache.store().place_path(&blob_name(digest), &self.path)?)
    }

    fn give_up(self) {
        drop(fs::remove_file(&self.path));
    }
}

impl Write for Incoming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size + bytes.len() as u64 > self.at_most {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "more bytes came than the record claims",
            ));
        }
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        self.listener.hear(&Notice::Moved {
            way: Way::Here,
            bytes: written as u64,
        });
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn open(path: &Path) -> io::Result<File> {
    Ok(fs::OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(path)?
        .into_parts()
        .0)
}
