//! The folder of a gc at work: begun with a lock, filled by moving, and closed.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use fs_err as fs;

use super::{FORMAT, Folder, MANIFEST, Manifest, TRASH, put_back, seconds, write_manifest};
use crate::cache::SCRATCH;
use crate::gc::{age_of, gone};
use crate::{Cache, StageKey};

/// The folder of a gc that is at work.
pub(crate) struct Open {
    pub(crate) id: String,
    path: PathBuf,
    manifest: Manifest,
    /// The lock on the manifest.
    _lock: File,
}

/// What became of an attempt to take something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is in the trash.
    Went,
    /// Somebody made it young in between: it is where it was.
    Stays,
    /// Somebody else took it.
    Absent,
}

impl Open {
    pub(crate) fn begin(cache: &Cache, at: SystemTime, grace: Duration) -> io::Result<Self> {
        let id = uuid::Uuid::now_v7().to_string();
        let manifest = Manifest {
            format: FORMAT,
            at: seconds(at),
            until: seconds(at).saturating_add(grace.as_secs()),
            finished: false,
        };
        let building = tempfile::Builder::new()
            .prefix("t")
            .tempdir_in(cache.store().incoming())?;
        let folder = building.path().join("trash");
        fs::create_dir(&folder)?;
        fs::write(
            folder.join(MANIFEST),
            serde_json::to_vec(&manifest).map_err(io::Error::other)?,
        )?;
        // Held before anybody can see it.
        let lock = fs::File::open(folder.join(MANIFEST))?.into_parts().0;
        drop(lock.try_lock());
        let trash = cache.root().join(TRASH);
        fs::create_dir_all(&trash)?;
        let path = trash.join(&id);
        fs::rename(&folder, &path)?;
        Ok(Self {
            id,
            path,
            manifest,
            _lock: lock,
        })
    }

    /// Moves a name into the trash, unless somebody made it young since it was looked at. It is moved
    /// first and looked at then: whoever renews it after that finds it absent and writes it again, so
    /// nobody relies on what goes.
    pub(crate) fn take(
        &self,
        cache: &Cache,
        name: &str,
        now: SystemTime,
        limit: Duration,
    ) -> io::Result<Taken> {
        let path = cache.store().path(name)?;
        let aside = self.path.join(name);
        if let Some(parent) = aside.parent() {
            fs::create_dir_all(parent)?;
        }
        match fs::rename(&path, &aside) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Taken::Absent),
            Err(error) => return Err(error),
        }
        if age_of(&aside, now).is_some_and(|age| age >= limit) {
            return Ok(Taken::Went);
        }
        put_back(&aside, &path)?;
        Ok(Taken::Stays)
    }

    /// Moves a work folder into the trash.
    pub(crate) fn take_scratch(&self, cache: &Cache, key: &StageKey) -> io::Result<()> {
        let to = self.path.join(SCRATCH);
        fs::create_dir_all(&to)?;
        gone(fs::rename(
            cache.root().join(SCRATCH).join(key.to_string()),
            to.join(key.to_string()),
        ))
    }

    /// Says that everything in it was meant to go. Without anything in it the folder goes.
    pub(crate) fn close(self, cache: &Cache, took: bool) -> io::Result<()> {
        if !took {
            let Self { id, path, .. } = self;
            return Folder { id, path }.remove(cache);
        }
        let finished = Manifest {
            finished: true,
            ..self.manifest
        };
        write_manifest(cache, &self.path, &finished)
    }
}
