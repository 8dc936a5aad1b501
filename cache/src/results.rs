//! Results: the records of keys, whether made here or adopted from a remote, and whether all they name
//! is here.

use std::io;

use rayon::prelude::*;

use crate::cache::{ADOPTED, ATTEMPTS, LARGEST_RECORD, RECORDS, blob_name, last_part, record_name};
use crate::record::{ArtifactType, Record};
use crate::remote::{Found, accept, crew};
use crate::store::{Created, Renewed, Store as _};
use crate::tree::LARGEST_MANIFEST;
use crate::trust::{Keyring, Trust};
use crate::{Cache, CacheError, Digest, StageKey};

/// First line of an adopted record: the remote's name follows, then the record as it came.
const ADOPTED_MAGIC: &str = "dag adopted v1 ";

/// A result that took longer than this, in seconds, or cost money, is durable when it is published. One
/// that took less is whole or absent after lost power, and made again sooner than it was synced.
const WORTH_SYNCING: f64 = 1.0;

/// So many keys are looked up on many threads.
const PARALLEL_FROM: usize = 16;

/// So many records of remotes are kept at the same time.
const ADOPTED_AT_ONCE: usize = 32;

/// What the cache knows of a key.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// The result is there, whole.
    Hit(Box<Record>),
    /// The result is a colleague's, believed, and not all of its blobs are here: they come from a remote
    /// when somebody reads them.
    Shared {
        /// The record.
        record: Box<Record>,
        /// The remote it came from.
        remote: String,
        /// Bytes that are not here yet, as far as the record tells.
        bytes: u64,
    },
    /// Nothing.
    Miss,
    /// Nothing here, and only records that are not believed at remotes.
    Refused {
        /// A sentence for each of them.
        reasons: Vec<String>,
    },
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

    /// [`Cache::lookup`] for many keys, and what is not here is looked for at the remotes, all of it at
    /// once. A record that is found there and believed is adopted.
    #[must_use]
    pub fn lookup_all(&self, keys: &[StageKey]) -> Vec<Lookup> {
        let mut found: Vec<Lookup> = if keys.len() < PARALLEL_FROM {
            keys.iter().map(|key| self.lookup(key)).collect()
        } else {
            keys.par_iter().map(|key| self.lookup(key)).collect()
        };
        let Some(remotes) = self.remotes() else {
            return found;
        };
        let open: Vec<usize> = (0..keys.len())
            .filter(|at| !matches!(found[*at], Lookup::Hit(_) | Lookup::Shared { .. }))
            .collect();
        let asked: Vec<StageKey> = open.iter().map(|at| keys[*at]).collect();
        let answers: Vec<(usize, Found)> = open.into_iter().zip(remotes.find(&asked)).collect();
        // Each record waits for the disk, and many waits at once take hardly longer than one.
        let adopted = crew::each(&answers, ADOPTED_AT_ONCE, |(at, answer)| match answer {
            Found::Record { sealed, remote } => {
                let remote = &remotes.list()[*remote].name;
                // After lost power the remote is asked again.
                Some(match self.adopt_unsettled(&keys[*at], remote, sealed) {
                    Ok(()) => self.lookup(&keys[*at]),
                    Err(error) => Lookup::Damaged {
                        reason: format!("what `{remote}` has cannot be kept: {error}"),
                    },
                })
            }
            Found::Nothing { .. } => None,
        });
        for ((at, answer), adopted) in answers.into_iter().zip(adopted) {
            match (adopted, answer) {
                (Some(lookup), _) => found[at] = lookup,
                (None, Found::Nothing { refused })
                    if matches!(found[at], Lookup::Miss) && !refused.is_empty() =>
                {
                    found[at] = Lookup::Refused { reasons: refused };
                }
                (None, _) => {}
            }
        }
        found
    }

    fn try_lookup(&self, key: &StageKey) -> Result<Lookup, CacheError> {
        let found = self.try_peek(key)?;
        if !matches!(found, Lookup::Hit(_) | Lookup::Shared { .. }) {
            return Ok(found);
        }
        // A gc may have taken it since it was read.
        let there = match self.place_of(key)? {
            Some(name) => self.store().renew(&name)? != Renewed::Absent,
            None => false,
        };
        Ok(if there { found } else { Lookup::Miss })
    }

    /// The name of the record a key has: its own, or an adopted one.
    pub(crate) fn place_of(&self, key: &StageKey) -> io::Result<Option<String>> {
        for name in [record_name(key), adopted_name(key)] {
            if self.store().size(&name)?.is_some() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Tells a disk that cannot be read from a record that cannot be believed.
    pub(crate) fn try_peek(&self, key: &StageKey) -> Result<Lookup, CacheError> {
        let own = self.peek_own(key)?;
        match own {
            Lookup::Miss => self.peek_adopted(key),
            // What was made here and lost may be whole elsewhere.
            Lookup::Incomplete { .. } | Lookup::Damaged { .. } => {
                Ok(match self.peek_adopted(key)? {
                    found @ (Lookup::Hit(_) | Lookup::Shared { .. }) => found,
                    _ => own,
                })
            }
            Lookup::Hit(_) | Lookup::Shared { .. } | Lookup::Refused { .. } => Ok(own),
        }
    }

    fn peek_own(&self, key: &StageKey) -> Result<Lookup, CacheError> {
        let name = record_name(key);
        let decoded = match self.store().read(&name, LARGEST_RECORD) {
            Ok(None) => return Ok(Lookup::Miss),
            Ok(Some(bytes)) => Record::decode(key, &bytes),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        let record = match decoded {
            Ok(record) => record,
            Err(reason) => return self.put_away(key, &name, &reason),
        };
        let missing = self.missing_of(&record)?;
        Ok(if missing.is_empty() {
            Lookup::Hit(Box::new(record))
        } else {
            Lookup::Incomplete {
                record: Box::new(record),
                missing: missing.into_iter().map(|(blob, _)| blob).collect(),
            }
        })
    }

    fn peek_adopted(&self, key: &StageKey) -> Result<Lookup, CacheError> {
        let name = adopted_name(key);
        let bytes = match self.store().read(&name, 2 * LARGEST_RECORD) {
            Ok(None) => return Ok(Lookup::Miss),
            Ok(Some(bytes)) => bytes,
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return self.put_away(key, &name, &error.to_string());
            }
            Err(error) => return Err(error.into()),
        };
        let nobody = Keyring::default();
        let keyring = self.remotes().map_or(&nobody, |remotes| remotes.keyring());
        // Whose it is was decided when it was adopted; a writer who was revoked since is refused.
        let opened = adopted_parts(&bytes).and_then(|(remote, sealed)| {
            let (record, _) = accept(key, sealed, &Trust::Any, keyring)?;
            Ok((remote.to_owned(), record))
        });
        let (remote, record) = match opened {
            Ok(opened) => opened,
            Err(reason) => return self.put_away(key, &name, &reason),
        };
        let missing = self.missing_of(&record)?;
        if missing.is_empty() {
            return Ok(Lookup::Hit(Box::new(record)));
        }
        let has_remotes = self
            .remotes()
            .is_some_and(|remotes| !remotes.list().is_empty());
        if !has_remotes {
            return Ok(Lookup::Incomplete {
                record: Box::new(record),
                missing: missing.into_iter().map(|(blob, _)| blob).collect(),
            });
        }
        let bytes = missing.iter().map(|(_, size)| size).sum();
        self.expect(&record);
        Ok(Lookup::Shared {
            record: Box::new(record),
            remote,
            bytes,
        })
    }

    fn put_away(&self, key: &StageKey, name: &str, reason: &str) -> Result<Lookup, CacheError> {
        match self.quarantine(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        Ok(Lookup::Damaged {
            reason: format!("the record of {}: {reason}", key.0.short()),
        })
    }

    /// The blobs of a record that are not here, and what the record says of their size. Never asks a
    /// remote.
    fn missing_of(&self, record: &Record) -> Result<Vec<(Digest, u64)>, CacheError> {
        let mut missing = Vec::new();
        for output in record.outputs.values() {
            if !self.is_here(&output.bytes)? {
                // The files of a model stand in its manifest, which is not here.
                missing.push((output.bytes, output.size));
                continue;
            }
            if output.artifact != ArtifactType::Model {
                continue;
            }
            match self.files_of(&output.bytes) {
                Ok(files) => {
                    for (file, size) in files {
                        if !self.is_here(&file)? {
                            missing.push((file, size));
                        }
                    }
                }
                Err(CacheError::Io(error)) => return Err(error.into()),
                Err(_) => missing.push((output.bytes, output.size)),
            }
        }
        Ok(missing)
    }

    /// Remembers how large the blobs of a record may be when they come.
    fn expect(&self, record: &Record) {
        for output in record.outputs.values() {
            self.claim(output);
        }
    }

    /// Makes a remote's record the record of a key, under its seal. One that was made here goes: its blobs
    /// stay until they are nobody's. Durable when this returns.
    pub(crate) fn adopt(
        &self,
        key: &StageKey,
        remote: &str,
        sealed: &[u8],
    ) -> Result<(), CacheError> {
        let name = adopted_name(key);
        self.store().put(&name, &adopted_bytes(remote, sealed))?;
        Ok(self.store().remove(&record_name(key))?)
    }

    /// [`Cache::adopt`], but only whole or absent after lost power.
    fn adopt_unsettled(
        &self,
        key: &StageKey,
        remote: &str,
        sealed: &[u8],
    ) -> Result<(), CacheError> {
        let name = adopted_name(key);
        self.store().place(&name, &adopted_bytes(remote, sealed))?;
        Ok(self.store().remove(&record_name(key))?)
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
        let adopted = self.peek_adopted(&record.key)?;
        // Whoever publishes relies on what is there as whoever looks it up: it is made young, or is gone.
        let stays = matches!(adopted, Lookup::Hit(_) | Lookup::Shared { .. })
            && self.store().renew(&adopted_name(&record.key))? != Renewed::Absent;
        match adopted {
            Lookup::Hit(kept) if stays && record.unfinished >= kept.unfinished => {
                return Ok(if kept.agrees_with(record) {
                    Published::Same
                } else {
                    Published::Kept(kept)
                });
            }
            // What is not all here gives way, unless it says the same: its blobs are here now.
            Lookup::Shared { record: kept, .. } if stays && kept.agrees_with(record) => {
                return Ok(Published::Same);
            }
            _ => {}
        }
        let published = self.publish_own(record, &name, &bytes, durable)?;
        if !matches!(published, Published::Kept(_)) {
            self.store().remove(&adopted_name(&record.key))?;
        }
        Ok(published)
    }

    fn publish_own(
        &self,
        record: &Record,
        name: &str,
        bytes: &[u8],
        durable: bool,
    ) -> Result<Published, CacheError> {
        for _ in 0..ATTEMPTS {
            let published = if self.store().create_unsettled(name, bytes)? == Created::New {
                Published::New
            } else {
                match self.peek_own(&record.key)? {
                    // The holes of the other are filled here.
                    Lookup::Hit(kept) if record.unfinished < kept.unfinished => {
                        self.store().place(name, bytes)?;
                        Published::New
                    }
                    // As good as gone if a gc took it since.
                    Lookup::Hit(_) if self.store().renew(name)? == Renewed::Absent => continue,
                    Lookup::Hit(kept) if kept.agrees_with(record) => Published::Same,
                    Lookup::Hit(kept) => return Ok(Published::Kept(kept)),
                    // Not a result any more: this one replaces it.
                    Lookup::Incomplete { .. } => {
                        self.store().place(name, bytes)?;
                        Published::New
                    }
                    // It was set aside, or went meanwhile.
                    Lookup::Damaged { .. }
                    | Lookup::Miss
                    | Lookup::Refused { .. }
                    | Lookup::Shared { .. } => continue,
                }
            };
            if durable {
                self.store().settle([name.to_owned()])?;
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

    /// Adopts a record whose blobs are all here, unless the key has a result with as few unfinished rows.
    /// Durable when this returns.
    ///
    /// # Errors
    /// As for [`Cache::publish`]; [`CacheError::Damaged`] if a manifest is none.
    pub(crate) fn take_in(
        &self,
        record: &Record,
        from: &str,
        sealed: &[u8],
    ) -> Result<Published, CacheError> {
        for output in record.outputs.values() {
            let size = self.blob_size(&output.bytes);
            if output.artifact == ArtifactType::Model && size > Some(LARGEST_MANIFEST) {
                return Err(CacheError::Damaged {
                    what: format!("tree {}", output.bytes.short()),
                    reason: "it is larger than any manifest".to_owned(),
                });
            }
        }
        self.secure_blobs(record, true)?;
        match self.try_lookup(&record.key)? {
            Lookup::Hit(kept) | Lookup::Shared { record: kept, .. }
                if record.unfinished >= kept.unfinished =>
            {
                return Ok(if kept.agrees_with(record) {
                    Published::Same
                } else {
                    Published::Kept(kept)
                });
            }
            _ => {}
        }
        self.adopt(&record.key, from, sealed)?;
        Ok(Published::New)
    }

    /// Checks that the blobs of a record are there, makes them young, and durable if asked to.
    fn secure_blobs(&self, record: &Record, durable: bool) -> Result<(), CacheError> {
        let mut names = Vec::new();
        for output in record.outputs.values() {
            for blob in self.blobs_of(output)? {
                let name = blob_name(&blob);
                // A gc may be just looking at it, and then it is absent for a moment.
                let mut attempts = 0;
                while self.store().renew(&name)? == Renewed::Absent {
                    attempts += 1;
                    if attempts > ATTEMPTS || !self.is_here(&blob)? {
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
        for folder in [RECORDS, ADOPTED] {
            self.store().list(folder, &mut |name, _| {
                keys.extend(last_part(name).parse().ok().map(StageKey));
                Ok(())
            })?;
        }
        keys.sort();
        keys.dedup();
        Ok(keys)
    }
}

pub(crate) fn adopted_name(key: &StageKey) -> String {
    let hex = key.to_string();
    format!("{ADOPTED}/{}/{hex}", &hex[..2])
}

fn adopted_bytes(remote: &str, sealed: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{ADOPTED_MAGIC}{remote}\n").into_bytes();
    bytes.extend_from_slice(sealed);
    bytes
}

pub(crate) fn adopted_parts(bytes: &[u8]) -> Result<(&str, &[u8]), String> {
    let rest = bytes
        .strip_prefix(ADOPTED_MAGIC.as_bytes())
        .ok_or("it does not begin like an adopted record")?;
    let end = rest
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or("it ends within its first line")?;
    let remote = std::str::from_utf8(&rest[..end]).map_err(|error| error.to_string())?;
    Ok((remote, &rest[end + 1..]))
}
