//! Reading a bundle, which may come from anybody: names, types, sizes, order and digests are checked as it
//! streams by. Nothing is written for bytes that did not come, and a record is taken in only when all
//! it names is here.

use std::cell::Cell;
use std::io::{self, Read, Write as _};

use serde::Serialize;

use super::BundleError;
use crate::cache::{BLOBS, LARGEST_RECORD, RECORDS, blob_name, record_name};
use crate::remote::{LARGEST_INDEX, ROWS, accept, take_in};
use crate::store::checked;
use crate::trust::{Keyring, Trust};
use crate::{Cache, CacheError, Digest, Published, StageKey};

/// Bytes copied at once.
const PIECE: usize = 1 << 20;
/// What an adopted record says of where it came from.
const FROM: &str = "a bundle";

/// Whose records are believed.
#[derive(Debug)]
pub struct ImportOptions<'a> {
    /// Which writers count.
    pub trust: &'a Trust,
    /// Who they are.
    pub keyring: &'a Keyring,
}

/// What came of a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Keys that have a result now and had none.
    pub new: Vec<StageKey>,
    /// Keys that have the same result already.
    pub same: Vec<StageKey>,
    /// Keys that have a result with other content, which stays.
    pub kept: Vec<StageKey>,
    /// Records and indexes of rows that are not believed or lack blobs, with the reason.
    pub refused: Vec<(String, String)>,
    /// Blobs that were not here.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that were here already.
    pub known_blobs: u64,
    /// Memo rows that were not here.
    pub rows: u64,
}

/// Takes in a bundle from a reader, front to back, with bounded memory.
///
/// # Errors
/// The bundle is cut off, damaged, or holds what no bundle holds; or it cannot be read, or the cache not be
/// written. Nothing of it is a result then but records that came whole, with all they name; blobs without a
/// record stay until a gc takes them.
pub fn import(
    cache: &Cache,
    from: impl Read,
    options: &ImportOptions<'_>,
    mut progress: impl FnMut(u64),
) -> Result<ImportReport, BundleError> {
    let state = State::default();
    let mut archive = tar::Archive::new(Watched {
        from,
        state: &state,
        read: 0,
        progress: &mut progress,
    });
    let mut reader = Reader {
        cache,
        options,
        report: ImportReport::default(),
        phase: Phase::Blobs,
    };
    let mut last = None;
    // Raw: no extension is followed, so no header decides how much is read into memory.
    let entries = archive.entries().map_err(BundleError::Io)?.raw(true);
    for entry in entries {
        let entry = entry.map_err(|error| state.told(error, last.as_deref()))?;
        last = Some(reader.entry(entry, &state)?);
    }
    // A tar file ends with empty blocks, not with the file.
    if state.ended.get() {
        return Err(cut_off(last.as_deref()));
    }
    Ok(reader.report)
}

/// In which part of a bundle one is. Parts come in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Blobs,
    Rows,
    Records,
}

/// What an entry is, by its name.
enum Kind {
    Blob(Digest),
    Rows { namespace: String, key: StageKey },
    Record(StageKey),
}

impl Kind {
    /// Only names that the cache itself would give are names of something.
    fn of(name: &str) -> Option<Self> {
        let name = checked(name).ok()?;
        let parts: Vec<&str> = name.split('/').collect();
        let [folder, middle, last] = parts.as_slice() else {
            return None;
        };
        let digest: Digest = last.parse().ok()?;
        let kind = match *folder {
            BLOBS => Self::Blob(digest),
            RECORDS => Self::Record(StageKey(digest)),
            ROWS => {
                return Some(Self::Rows {
                    namespace: (*middle).to_owned(),
                    key: StageKey(digest),
                });
            }
            _ => return None,
        };
        let expected = match &kind {
            Self::Blob(digest) => blob_name(digest),
            Self::Record(key) => record_name(key),
            Self::Rows { .. } => return None,
        };
        (name == expected).then_some(kind)
    }

    fn phase(&self) -> Phase {
        match self {
            Self::Blob(_) => Phase::Blobs,
            Self::Rows { .. } => Phase::Rows,
            Self::Record(_) => Phase::Records,
        }
    }
}

struct Reader<'a> {
    cache: &'a Cache,
    options: &'a ImportOptions<'a>,
    report: ImportReport,
    phase: Phase,
}

impl Reader<'_> {
    /// Takes in one entry. Gives its name.
    fn entry<R: Read>(
        &mut self,
        mut entry: tar::Entry<'_, R>,
        state: &State,
    ) -> Result<String, BundleError> {
        let name = shown(&entry.path_bytes());
        let refused = |reason: &str| BundleError::Entry {
            name: name.clone(),
            reason: reason.to_owned(),
        };
        if let Some(reason) = strange(entry.header().entry_type()) {
            return Err(refused(reason));
        }
        let kind = std::str::from_utf8(&entry.path_bytes())
            .ok()
            .and_then(Kind::of)
            .ok_or_else(|| {
                refused("bundles of this version have only blobs, indexes of rows, and records")
            })?;
        if kind.phase() < self.phase {
            return Err(refused(
                "blobs come first, then indexes of rows, then records",
            ));
        }
        self.phase = kind.phase();
        let size = entry
            .header()
            .entry_size()
            .map_err(|error| refused(&error.to_string()))?;
        match kind {
            Kind::Blob(digest) => self.blob(&mut entry, &digest, size, &name, state)?,
            Kind::Rows { namespace, key } => {
                let taken = match small(&mut entry, size, LARGEST_INDEX, &name, state)? {
                    Ok(sealed) => self.rows(&namespace, &key, &sealed)?,
                    Err(reason) => Err(reason),
                };
                if let Err(reason) = taken {
                    self.report.refused.push((name.clone(), reason));
                }
            }
            Kind::Record(key) => {
                let taken = match small(&mut entry, size, LARGEST_RECORD, &name, state)? {
                    Ok(sealed) => self.record(key, &sealed)?,
                    Err(reason) => Err(reason),
                };
                if let Err(reason) = taken {
                    self.report.refused.push((name.clone(), reason));
                }
            }
        }
        Ok(name)
    }

    fn blob<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        digest: &Digest,
        size: u64,
        name: &str,
        state: &State,
    ) -> Result<(), BundleError> {
        let here = self.cache.is_here(digest).map_err(CacheError::from)?;
        let known = here && self.cache.blob_size(digest) == Some(size);
        // What is here needs no second copy on the way; its bytes are compared all the same.
        let mut writer = (!known).then(|| self.cache.blob_writer()).transpose()?;
        let mut hasher = blake3::Hasher::new();
        let mut piece = vec![0; PIECE];
        let mut read = 0;
        loop {
            let count = entry
                .read(&mut piece)
                .map_err(|error| state.told(error, Some(name)))?;
            if count == 0 {
                break;
            }
            hasher.update(&piece[..count]);
            if let Some(writer) = &mut writer {
                writer
                    .write_all(&piece[..count])
                    .map_err(CacheError::from)?;
            }
            read += count as u64;
        }
        if read != size {
            return Err(BundleError::CutOff(format!("within `{name}`")));
        }
        if Digest::from(hasher.finalize()) != *digest {
            return Err(BundleError::Entry {
                name: name.to_owned(),
                reason: "its bytes have another digest".to_owned(),
            });
        }
        match writer {
            Some(writer) => {
                writer.finish()?;
                self.report.blobs += 1;
                self.report.bytes += size;
            }
            None => self.report.known_blobs += 1,
        }
        Ok(())
    }

    /// The inner error is the reason why an index is not believed.
    fn rows(
        &mut self,
        namespace: &str,
        key: &StageKey,
        sealed: &[u8],
    ) -> Result<Result<(), String>, BundleError> {
        let taken = take_in(
            self.cache,
            namespace,
            key,
            sealed,
            self.options.trust,
            self.options.keyring,
        )?;
        // The packs are blobs that no record names: the next gc takes them.
        Ok(taken.map(|rows| self.report.rows += rows))
    }

    /// The inner error is the reason why a record is not taken in.
    fn record(&mut self, key: StageKey, sealed: &[u8]) -> Result<Result<(), String>, BundleError> {
        let accepted = accept(&key, sealed, self.options.trust, self.options.keyring);
        let record = match accepted {
            Ok((record, _)) => record,
            Err(reason) => return Ok(Err(reason)),
        };
        match self.cache.take_in(&record, FROM, sealed) {
            Ok(Published::New) => self.report.new.push(key),
            Ok(Published::Same) => self.report.same.push(key),
            Ok(Published::Kept(_)) => self.report.kept.push(key),
            Err(CacheError::Missing(digest)) => {
                return Ok(Err(format!(
                    "blob {}, which it names, is neither here nor in the bundle",
                    digest.short()
                )));
            }
            Err(CacheError::Damaged { what, reason }) => {
                return Ok(Err(format!("{what}, which it names, is damaged: {reason}")));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Ok(()))
    }
}

/// Why an entry of this type is refused; `None` for a plain file.
fn strange(kind: tar::EntryType) -> Option<&'static str> {
    use tar::EntryType;
    match kind {
        EntryType::Regular => None,
        EntryType::Link | EntryType::Symlink => Some("it is a link"),
        EntryType::Char | EntryType::Block | EntryType::Fifo => Some("it is a device"),
        EntryType::Directory => Some("it is a folder"),
        EntryType::GNUSparse => Some("it is a sparse file"),
        EntryType::GNULongName
        | EntryType::GNULongLink
        | EntryType::XHeader
        | EntryType::XGlobalHeader => Some("it changes the meaning of other entries"),
        _ => Some("it is no plain file"),
    }
}

/// The bytes of a small entry; in the inner error why they are not read: it claims too many. Memory is
/// taken as they come.
fn small<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    size: u64,
    at_most: u64,
    name: &str,
    state: &State,
) -> Result<Result<Vec<u8>, String>, BundleError> {
    if size > at_most {
        return Ok(Err(format!(
            "it claims {size} bytes, and none is larger than {at_most}"
        )));
    }
    let mut bytes = Vec::new();
    entry
        .take(size)
        .read_to_end(&mut bytes)
        .map_err(|error| state.told(error, Some(name)))?;
    if bytes.len() as u64 == size {
        Ok(Ok(bytes))
    } else {
        Err(BundleError::CutOff(format!("within `{name}`")))
    }
}

/// A name from a bundle, fit for a terminal.
fn shown(name: &[u8]) -> String {
    const LONGEST: usize = 120;
    let name = String::from_utf8_lossy(name);
    let mut shown: String = name.chars().take(LONGEST).collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown.escape_debug().to_string()
}

fn cut_off(last: Option<&str>) -> BundleError {
    BundleError::CutOff(last.map_or_else(
        || "before its first entry".to_owned(),
        |name| format!("after `{name}`"),
    ))
}

/// What became of the file that is read.
#[derive(Default)]
struct State {
    /// It came to its end, which a whole tar file never does before its empty blocks.
    ended: Cell<bool>,
    /// It could not be read.
    failed: Cell<bool>,
}

impl State {
    /// Tells a bundle that is cut off or damaged from a disk that cannot be read.
    fn told(&self, error: io::Error, last: Option<&str>) -> BundleError {
        if self.failed.get() {
            BundleError::Io(error)
        } else if self.ended.get() {
            cut_off(last)
        } else {
            BundleError::Malformed {
                place: last.map_or_else(
                    || "this is no bundle".to_owned(),
                    |name| format!("the bundle is damaged after `{name}`"),
                ),
                reason: error.to_string(),
            }
        }
    }
}

struct Watched<'a, R> {
    from: R,
    state: &'a State,
    read: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.from.read(buffer) {
            Ok(0) => {
                self.state
                    .ended
                    .set(self.state.ended.get() || !buffer.is_empty());
                Ok(0)
            }
            Ok(read) => {
                self.read += read as u64;
                (self.progress)(self.read);
                Ok(read)
            }
            Err(error) => {
                let passes = error.kind() == io::ErrorKind::Interrupted;
                self.state.failed.set(self.state.failed.get() || !passes);
                Err(error)
            }
        }
    }
}
