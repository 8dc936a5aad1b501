//! A store in memory, for tests.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Created, Store, checked, too_large};

/// Names and bytes in a map.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<BTreeMap<String, Vec<u8>>>);

impl MemoryStore {
    fn names(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn size(&self, name: &str) -> io::Result<Option<u64>> {
        Ok(self
            .names()
            .get(checked(name)?)
            .map(|bytes| bytes.len() as u64))
    }

    fn read(&self, name: &str, at_most: u64) -> io::Result<Option<Vec<u8>>> {
        match self.names().get(checked(name)?) {
            Some(bytes) if bytes.len() as u64 > at_most => Err(too_large(name, at_most)),
            found => Ok(found.cloned()),
        }
    }

    fn read_from(
        &self,
        name: &str,
        offset: u64,
        to: &mut dyn io::Write,
    ) -> io::Result<Option<u64>> {
        let Some(bytes) = self.names().get(checked(name)?).cloned() else {
            return Ok(None);
        };
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = bytes.get(offset..).unwrap_or_default();
        to.write_all(rest)?;
        Ok(Some(rest.len() as u64))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.names()
            .insert(checked(name)?.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn put_file(
        &self,
        name: &str,
        file: &Path,
        moved: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let bytes = fs_err::read(file)?;
        moved(bytes.len() as u64)?;
        self.put(name, &bytes)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<Created> {
        let mut names = self.names();
        if names.contains_key(checked(name)?) {
            return Ok(Created::Exists);
        }
        names.insert(name.to_owned(), bytes.to_vec());
        Ok(Created::New)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.names().remove(checked(name)?);
        Ok(())
    }

    fn list(
        &self,
        folder: &str,
        each: &mut dyn FnMut(&str, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let prefix = format!("{}/", checked(folder)?);
        let found: Vec<(String, u64)> = self
            .names()
            .iter()
            .filter(|(name, _)| name.starts_with(&prefix))
            .map(|(name, bytes)| (name.clone(), bytes.len() as u64))
            .collect();
        found.iter().try_for_each(|(name, size)| each(name, *size))
    }
}
