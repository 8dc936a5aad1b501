//! The store on a local or mounted file system.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::{Created, Store, checked};

/// Files below a folder. Bytes are written beside, synced, then renamed or linked into place.
#[derive(Clone, Debug)]
pub struct LocalStore {
    root: PathBuf,
    incoming: PathBuf,
}

impl LocalStore {
    /// Opens the store, making its folders.
    ///
    /// # Errors
    /// The folders cannot be made.
    pub fn open(root: &Path) -> io::Result<Self> {
        let incoming = root.join("incoming");
        fs::create_dir_all(&incoming)?;
        Ok(Self { root: root.to_owned(), incoming })
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

    fn temporary(&self, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
        let mut file = tempfile::Builder::new().prefix("w").tempfile_in(&self.incoming)?;
        file.write_all(bytes)?;
        file.as_file().sync_data()?;
        Ok(file)
    }

    fn parent(&self, path: &Path) -> io::Result<PathBuf> {
        let parent = path.parent().unwrap_or(&self.root).to_owned();
        fs::create_dir_all(&parent)?;
        Ok(parent)
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

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(name)?) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name)?;
        let parent = self.parent(&path)?;
        self.temporary(bytes)?.persist(&path).map_err(|error| error.error)?;
        sync_folder(&parent)
    }

    fn put_file(&self, name: &str, file: &Path) -> io::Result<()> {
        let path = self.path(name)?;
        let parent = self.parent(&path)?;
        if fs::rename(file, &path).is_err() {
            let copy = tempfile::Builder::new().prefix("w").tempfile_in(&self.incoming)?;
            fs::copy(file, copy.path())?;
            copy.as_file().sync_data()?;
            copy.persist(&path).map_err(|error| error.error)?;
        }
        sync_folder(&parent)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<Created> {
        let path = self.path(name)?;
        let parent = self.parent(&path)?;
        match self.temporary(bytes)?.persist_noclobber(&path) {
            Ok(_) => {
                sync_folder(&parent)?;
                Ok(Created::New)
            }
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(Created::Exists),
            Err(error) => Err(error.error),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn list(&self, folder: &str, each: &mut dyn FnMut(&str, u64) -> io::Result<()>) -> io::Result<()> {
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
                let Some(part) = file_name.to_str() else { continue };
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
