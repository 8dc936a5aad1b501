//! The store on a local or mounted file system.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use fs_err as fs;

use super::{Created, Store, checked, too_large};

/// A name whose time of change is younger needs no renewing.
const FRESH: Duration = Duration::from_secs(900);

/// Bytes copied at once.
const PIECE: usize = 1 << 20;

/// Files below a folder. Bytes are written beside, synced, then renamed or linked into place. They are
/// read-only, for everybody whom the umask lets read.
#[derive(Clone, Debug)]
pub struct LocalStore {
    root: PathBuf,
    incoming: PathBuf,
    /// Folders that are known to have a durable name themselves.
    anchored: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// What became of an attempt to make a name young.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewed {
    /// It is young.
    Young,
    /// It stays as old as it was: the file is another user's, or the file system is read-only.
    AsItWas,
    /// It is not there.
    Absent,
}

impl LocalStore {
    /// Opens the store, making its folders.
    ///
    /// # Errors
    /// The folders cannot be made.
    pub fn open(root: &Path) -> io::Result<Self> {
        let incoming = root.join("incoming");
        fs::create_dir_all(&incoming)?;
        Ok(Self {
            root: root.to_owned(),
            incoming,
            anchored: Arc::default(),
        })
    }

    /// A folder in which nothing can be made; what lies there can be read.
    pub(super) fn only_read(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            incoming: root.join("incoming"),
            anchored: Arc::default(),
        }
    }

    /// Where the bytes of a name lie.
    ///
    /// # Errors
    /// It is no name.
    pub fn path(&self, name: &str) -> io::Result<PathBuf> {
        Ok(self.root.join(checked(name)?))
    }

    /// The folder for files that are being written; what lies here belongs to nobody.
    #[must_use]
    pub fn incoming(&self) -> &Path {
        &self.incoming
    }

    /// A file beside, to be written and moved into place.
    pub(crate) fn temporary(&self) -> io::Result<tempfile::NamedTempFile> {
        tempfile::Builder::new()
            .prefix("w")
            // Less what the umask takes. `tempfile` itself would keep other users from reading.
            .permissions(std::fs::Permissions::from_mode(0o444))
            .tempfile_in(&self.incoming)
    }

    fn opened(&self, name: &str) -> io::Result<Option<fs::File>> {
        match fs::File::open(self.path(name)?) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn written(&self, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
        let mut file = self.temporary()?;
        file.write_all(bytes)?;
        file.as_file().sync_data()?;
        Ok(file)
    }

    fn parent(&self, path: &Path) -> io::Result<PathBuf> {
        let parent = path.parent().unwrap_or(&self.root).to_owned();
        fs::create_dir_all(&parent)?;
        Ok(parent)
    }

    /// Stores bytes, over what was there: whole or absent whatever happens, but durable only after
    /// [`LocalStore::settle`].
    pub(crate) fn place(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.place_temporary(name, self.written(bytes)?)
    }

    /// The same for a file of [`LocalStore::temporary`] whose bytes were synced.
    pub(crate) fn place_temporary(
        &self,
        name: &str,
        file: tempfile::NamedTempFile,
    ) -> io::Result<()> {
        let path = self.path(name)?;
        self.parent(&path)?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(())
    }

    /// The same for a file of [`LocalStore::incoming`] whose bytes were synced.
    pub(crate) fn place_path(&self, name: &str, file: &Path) -> io::Result<()> {
        let path = self.path(name)?;
        self.parent(&path)?;
        let mut rights = fs::metadata(file)?.permissions();
        rights.set_readonly(true);
        fs::set_permissions(file, rights)?;
        fs::rename(file, &path)
    }

    /// [`Store::create`], but durable only after [`LocalStore::settle`].
    pub(crate) fn create_unsettled(&self, name: &str, bytes: &[u8]) -> io::Result<Created> {
        let path = self.path(name)?;
        self.parent(&path)?;
        match self.written(bytes)?.persist_noclobber(&path) {
            Ok(_) => Ok(Created::New),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(Created::Exists),
            Err(error) => Err(error.error),
        }
    }

    /// Makes names durable that were placed: syncs their folders, each once, and once a process the
    /// folders' own names.
    pub(crate) fn settle(&self, names: impl IntoIterator<Item = String>) -> io::Result<()> {
        let mut folders = BTreeSet::new();
        for name in names {
            let path = self.path(&name)?;
            folders.insert(path.parent().unwrap_or(&self.root).to_owned());
        }
        for folder in folders {
            sync_folder(&folder)?;
            self.anchor(&folder)?;
        }
        Ok(())
    }

    /// Somebody may have made the folder a moment ago, and lost power would lose it with all in it.
    fn anchor(&self, folder: &Path) -> io::Result<()> {
        let anchored = || self.anchored.lock().unwrap_or_else(PoisonError::into_inner);
        for folder in folder.ancestors().take_while(|folder| *folder != self.root) {
            if anchored().contains(folder) {
                break;
            }
            if let Some(above) = folder.parent() {
                sync_folder(above)?;
            }
            anchored().insert(folder.to_owned());
        }
        Ok(())
    }

    /// Makes a name young, so that nobody who clears up takes it for forgotten.
    pub(crate) fn renew(&self, name: &str) -> io::Result<Renewed> {
        let path = self.path(name)?;
        match fs::metadata(&path) {
            Ok(metadata) => {
                let now = SystemTime::now();
                let young = metadata
                    .modified()
                    .is_ok_and(|then| now.duration_since(then).is_ok_and(|age| age < FRESH));
                if young {
                    return Ok(Renewed::Young);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Renewed::Absent),
            Err(error) => return Err(error),
        }
        let renewed = touch(&path);
        // Setting times finds the file first and writes its times after. Who clears up may have moved it aside and
        // looked at it in between. If the name is still there now, they will find it young when they do.
        if renewed != Renewed::Absent && !path.exists() {
            return Ok(Renewed::Absent);
        }
        Ok(renewed)
    }
}

/// Sets a file's times to now.
pub(crate) fn touch(path: &Path) -> Renewed {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    match utimensat(CWD, path, &times, AtFlags::empty()) {
        Ok(()) => Renewed::Young,
        Err(rustix::io::Errno::NOENT) => Renewed::Absent,
        Err(_) => Renewed::AsItWas,
    }
}

impl Store for LocalStore {
    fn size(&self, name: &str) -> io::Result<Option<u64>> {
        match fs::metadata(self.path(name)?) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(&self, name: &str, at_most: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.opened(name)? else {
            return Ok(None);
        };
        let size = file.metadata()?.len();
        if size > at_most {
            return Err(too_large(name, at_most));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // It may have grown since: one byte more tells.
        file.take(at_most.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > at_most {
            return Err(too_large(name, at_most));
        }
        Ok(Some(bytes))
    }

    fn read_from(
        &self,
        name: &str,
        offset: u64,
        to: &mut dyn io::Write,
    ) -> io::Result<Option<u64>> {
        let Some(mut file) = self.opened(name)? else {
            return Ok(None);
        };
        file.seek(io::SeekFrom::Start(offset))?;
        let mut piece = vec![0; PIECE];
        let mut written = 0;
        loop {
            let read = file.read(&mut piece)?;
            if read == 0 {
                return Ok(Some(written));
            }
            to.write_all(&piece[..read])?;
            written += read as u64;
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.place(name, bytes)?;
        self.settle([name.to_owned()])
    }

    fn put_file(
        &self,
        name: &str,
        file: &Path,
        moved: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut copy = self.temporary()?;
        let mut file = fs::File::open(file)?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece)?;
            if read == 0 {
                break;
            }
            copy.write_all(&piece[..read])?;
            moved(read as u64)?;
        }
        copy.as_file().sync_data()?;
        self.place_temporary(name, copy)?;
        self.settle([name.to_owned()])
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<Created> {
        let created = self.create_unsettled(name, bytes)?;
        if created == Created::New {
            self.settle([name.to_owned()])?;
        }
        Ok(created)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn list(
        &self,
        folder: &str,
        each: &mut dyn FnMut(&str, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut open = vec![(self.path(folder)?, folder.to_owned())];
        while let Some((path, name)) = open.pop() {
            let entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                let entry = entry?;
                let file_name = entry.file_name();
                let Some(part) = file_name.to_str() else {
                    continue;
                };
                let name = format!("{name}/{part}");
                let metadata = match entry.metadata() {
                    Ok(metadata) => metadata,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                if metadata.is_dir() {
                    open.push((entry.path(), name));
                } else {
                    each(&name, metadata.len())?;
                }
            }
        }
        Ok(())
    }
}

/// Makes renames in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}
