//! Rows of the memo at a remote. Rows that a stage used travel in packs: blobs that are memo segments. An
//! index for each stage that was pushed says which packs hold which rows. So who needs rows reads the
//! indexes of a namespace once, and then whole packs, never a row by itself.
//!
//! An index names a row by the first half of its key. The whole key stands in the pack, in the row's own
//! frame, and is compared when the pack is read.

use std::collections::{HashMap, HashSet};
use std::io;

use fs_err as fs;

use super::fetch::{Want, fetch};
use super::notice::Notice;
use super::push::of;
use super::{Remote, Remotes, crew, read_believed};
use crate::cache::{blob_name, last_part};
use crate::memo::{self, Segments};
use crate::store::Store as _;
use crate::trust::{Keyring, Purpose, Trust, WriterKey, open, seal};
use crate::{Cache, CacheError, Digest, RowKey, StageKey};

/// Folder of indexes at a remote, and of their copies here.
pub(crate) const ROWS: &str = "rows-v1";

/// First line of an index.
const MAGIC: &[u8] = b"dag rows v1\n";

/// No index is larger, in bytes.
pub(crate) const LARGEST: u64 = 256 << 20;

/// A pack is ended at so many bytes.
const PACK: usize = 4 << 20;

/// A pack with one row of the largest size is no larger, in bytes.
const LARGEST_PACK: u64 = PACK as u64 + (257 << 20);

/// Indexes that are read at the same time.
const AT_ONCE: usize = 32;

/// Bytes of a row key in an index.
const PREFIX: usize = 16;

type Prefix = [u8; PREFIX];

/// Rows packed together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pack {
    digest: Digest,
    size: u64,
    rows: Vec<Prefix>,
}

/// What the remotes have of a namespace.
#[derive(Default)]
pub(crate) struct RemoteRows {
    /// Only looked up: its order reaches nothing.
    index: HashMap<Prefix, u32>,
    packs: Vec<Want>,
    /// By remote: what it has. Only looked up.
    at: Vec<HashSet<Prefix>>,
}

impl RemoteRows {
    /// Reads the indexes of every remote that answers.
    pub(crate) fn load(cache: &Cache, namespace: &str) -> Self {
        let mut rows = Self::default();
        let Some(remotes) = cache.remotes() else {
            return rows;
        };
        for remote in remotes.list() {
            let mut there = HashSet::new();
            for pack in indexes(cache, remotes, remote, namespace) {
                let number = u32::try_from(rows.packs.len()).unwrap_or(u32::MAX);
                rows.packs.push(Want {
                    digest: pack.digest,
                    at_most: pack.size,
                });
                for row in pack.rows {
                    there.insert(row);
                    rows.index.entry(row).or_insert(number);
                }
            }
            rows.at.push(there);
        }
        rows
    }

    /// Whether some remote claims to have a row.
    pub(crate) fn has(&self, key: &RowKey) -> bool {
        self.index.contains_key(&prefix(key))
    }

    /// Fetches the pack with a row and puts its rows into `into`. A pack that cannot be had is as if it
    /// were not there: its rows are made again.
    pub(crate) fn bring(
        &self,
        cache: &Cache,
        key: &RowKey,
        into: &Segments,
    ) -> Result<(), CacheError> {
        let Some(pack) = self
            .index
            .get(&prefix(key))
            .and_then(|number| self.packs.get(*number as usize))
        else {
            return Ok(());
        };
        let was_here = cache.blob_size(&pack.digest).is_some();
        let bytes = match fetch(cache, &[*pack]).and_then(|()| cache.read_blob(&pack.digest)) {
            Ok(bytes) => bytes,
            Err(CacheError::Io(error)) => return Err(error.into()),
            Err(_) => return Ok(()),
        };
        for (key, row) in memo::rows_of(&bytes) {
            if !into.contains(&key) {
                into.put(key, row)?;
            }
        }
        if !was_here {
            // Its rows are in the memo now.
            drop(cache.store().remove(&blob_name(&pack.digest)));
        }
        Ok(())
    }
}

fn prefix(key: &RowKey) -> Prefix {
    let mut prefix = [0; PREFIX];
    prefix.copy_from_slice(&key.0.as_bytes()[..PREFIX]);
    prefix
}

/// Every pack that a remote has of a namespace. Indexes are kept here, so that each comes once.
fn indexes(cache: &Cache, remotes: &Remotes, remote: &Remote, namespace: &str) -> Vec<Pack> {
    let mut there = Vec::new();
    let listed = remote.ask(|store| {
        there.clear();
        store.list(&format!("{ROWS}/{namespace}"), &mut |name, size| {
            there.push((name.to_owned(), size));
            Ok(())
        })
    });
    // Told by the remote's health. A mirror that cannot list has no rows to give.
    if listed.is_err() {
        return Vec::new();
    }
    there.sort();
    crew::each(&there, AT_ONCE, |(name, size)| {
        index(cache, remotes, remote, namespace, name, *size).unwrap_or_default()
    })
    .into_iter()
    .flatten()
    .collect()
}

/// One index: the copy here if it is as large as the one there, else the one there.
fn index(
    cache: &Cache,
    remotes: &Remotes,
    remote: &Remote,
    namespace: &str,
    name: &str,
    size: u64,
) -> Option<Vec<Pack>> {
    let key = StageKey(last_part(name).parse().ok()?);
    let copy = copy_of(cache, remote, namespace, &key);
    let kept = fs::metadata(&copy).is_ok_and(|metadata| metadata.len() == size);
    if kept
        && let Ok(sealed) = fs::read(&copy)
        && let Ok(packs) = unsealed(remotes, remote, namespace, &key, &sealed)
    {
        return Some(packs);
    }
    let read = read_believed(
        || remote.ask(|store| store.read(name, LARGEST)),
        |sealed| unsealed(remotes, remote, namespace, &key, sealed),
    );
    match read.ok()?? {
        Ok((packs, sealed)) => {
            drop(keep(cache, &copy, &sealed));
            Some(packs)
        }
        Err(reason) => {
            remotes.listener().hear(&Notice::Refused {
                remote: remote.name.clone(),
                what: format!("the row index of {}", key.0.short()),
                reason,
            });
            None
        }
    }
}

fn copy_of(cache: &Cache, remote: &Remote, namespace: &str, key: &StageKey) -> std::path::PathBuf {
    // Names of remotes are checked where they are configured; a digest fits any file system.
    let folder = Digest::of(remote.name.as_bytes()).to_string();
    cache
        .root()
        .join(ROWS)
        .join(folder)
        .join(namespace)
        .join(key.to_string())
}

fn keep(cache: &Cache, copy: &std::path::Path, sealed: &[u8]) -> io::Result<()> {
    use io::Write as _;
    if let Some(folder) = copy.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = cache.store().temporary()?;
    file.write_all(sealed)?;
    file.persist(copy).map_err(|error| error.error)?;
    Ok(())
}

fn name_for_seal(namespace: &str, key: &StageKey) -> String {
    format!("{namespace}/{key}")
}

fn unsealed(
    remotes: &Remotes,
    remote: &Remote,
    namespace: &str,
    key: &StageKey,
    sealed: &[u8],
) -> Result<Vec<Pack>, String> {
    let opened = open(
        Purpose::Rows,
        &name_for_seal(namespace, key),
        sealed,
        &remote.trust,
        remotes.keyring(),
    )
    .map_err(|refusal| refusal.to_string())?;
    decode(&opened.payload).ok_or_else(|| "it is no row index".to_owned())
}

/// Stores the rows that a stage used and the remote lacks. Gives how many.
pub(super) fn push(
    cache: &Cache,
    remotes: &Remotes,
    remote: &Remote,
    writer: &WriterKey,
    key: &StageKey,
) -> Result<u64, CacheError> {
    let Some((namespace, used)) = cache.rows_of(key)? else {
        return Ok(0);
    };
    let known = cache.remote_rows(&namespace);
    let number = remotes
        .list()
        .iter()
        .position(|other| other.name == remote.name);
    let there = number.and_then(|number| known.at.get(number));
    let mut fresh: Vec<RowKey> = used
        .into_iter()
        .filter(|row| !there.is_some_and(|there| there.contains(&prefix(row))))
        .collect();
    fresh.sort_unstable();
    if fresh.is_empty() {
        return Ok(0);
    }
    let mut packs = packed(cache, &namespace, &fresh, |pack, bytes| {
        let name = blob_name(&pack.digest);
        remote
            .insist(|store, _| {
                if store.size(&name)? == Some(pack.size) {
                    return Ok(());
                }
                store.put(&name, bytes)
            })
            .map_err(|error| of(remote, error))
    })?;
    let pushed = packs.iter().map(|pack| pack.rows.len() as u64).sum();
    if packs.is_empty() {
        return Ok(0);
    }
    let name = format!("{ROWS}/{namespace}/{key}");
    // An earlier push of this key, with fewer rows finished: its packs stay in the index.
    let earlier = read_believed(
        || remote.insist(|store, _| store.read(&name, LARGEST)),
        |sealed| unsealed(remotes, remote, &namespace, key, sealed),
    )
    .map_err(|error| of(remote, error))?;
    if let Some(Ok((mut all, _))) = earlier {
        all.append(&mut packs);
        packs = all;
    }
    let sealed = seal(
        Purpose::Rows,
        &name_for_seal(&namespace, key),
        &encode(&packs),
        Some(writer),
    );
    remote
        .insist(|store, _| store.put(&name, &sealed))
        .map_err(|error| of(remote, error))?;
    cache.forget_remote_rows(&namespace);
    Ok(pushed)
}

/// Packs rows as far as they are in the memo; `each` gets a pack with its bytes, one after the other.
fn packed(
    cache: &Cache,
    namespace: &str,
    rows: &[RowKey],
    mut each: impl FnMut(&Pack, &[u8]) -> Result<(), CacheError>,
) -> Result<Vec<Pack>, CacheError> {
    let segments = cache.segments(namespace)?;
    let mut packs = Vec::new();
    let (mut bytes, mut prefixes) = (Vec::new(), Vec::new());
    for (at, row_key) in rows.iter().enumerate() {
        if let Some(row) = segments.get(row_key)? {
            memo::append(&mut bytes, row_key, &row)?;
            prefixes.push(prefix(row_key));
        }
        if !prefixes.is_empty() && (bytes.len() >= PACK || at + 1 == rows.len()) {
            let pack = Pack {
                digest: Digest::of(&bytes),
                size: bytes.len() as u64,
                rows: std::mem::take(&mut prefixes),
            };
            each(&pack, &bytes)?;
            bytes.clear();
            packs.push(pack);
        }
    }
    Ok(packs)
}

/// The rows that a stage used as they lie at a remote: `each` gets digest and bytes of every pack. Gives
/// the name of the index and its payload under a seal; `None` if no row is known.
pub(crate) fn carried(
    cache: &Cache,
    key: &StageKey,
    writer: Option<&WriterKey>,
    mut each: impl FnMut(&Digest, &[u8]) -> Result<(), CacheError>,
) -> Result<Option<(String, Vec<u8>)>, CacheError> {
    let Some((namespace, mut rows)) = cache.rows_of(key)? else {
        return Ok(None);
    };
    rows.sort_unstable();
    let packs = packed(cache, &namespace, &rows, |pack, bytes| {
        each(&pack.digest, bytes)
    })?;
    if packs.is_empty() {
        return Ok(None);
    }
    let name = name_for_seal(&namespace, key);
    let sealed = seal(Purpose::Rows, &name, &encode(&packs), writer);
    Ok(Some((format!("{ROWS}/{name}"), sealed)))
}

/// Puts the rows that a sealed index names into the memo, from packs that are here as blobs. Gives how many
/// are new.
///
/// # Errors
/// In the inner result the reason why the index is not believed; else the disk cannot be read or written.
pub(crate) fn take_in(
    cache: &Cache,
    namespace: &str,
    key: &StageKey,
    sealed: &[u8],
    trust: &Trust,
    keyring: &Keyring,
) -> Result<Result<u64, String>, CacheError> {
    let opened = open(
        Purpose::Rows,
        &name_for_seal(namespace, key),
        sealed,
        trust,
        keyring,
    );
    let packs = match opened {
        Ok(opened) => decode(&opened.payload).ok_or_else(|| "it is no row index".to_owned()),
        Err(refusal) => Err(refusal.to_string()),
    };
    let packs = match packs {
        Ok(packs) => packs,
        Err(reason) => return Ok(Err(reason)),
    };
    let segments = cache.segments(namespace)?;
    let mut fresh = 0;
    for pack in packs {
        if cache.blob_size(&pack.digest) != Some(pack.size) || pack.size > LARGEST_PACK {
            continue;
        }
        for (key, row) in memo::rows_of(&cache.read_blob(&pack.digest)?) {
            if !segments.contains(&key) {
                segments.put(key, row)?;
                fresh += 1;
            }
        }
    }
    segments.flush()?;
    Ok(Ok(fresh))
}

/// An index: its first line, then for each pack digest, size, number of rows, and the rows' keys. Numbers
/// are 8 bytes, little-endian.
fn encode(packs: &[Pack]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for pack in packs {
        bytes.extend_from_slice(pack.digest.as_bytes());
        bytes.extend_from_slice(&pack.size.to_le_bytes());
        bytes.extend_from_slice(&(pack.rows.len() as u64).to_le_bytes());
        for row in &pack.rows {
            bytes.extend_from_slice(row);
        }
    }
    bytes
}

fn decode(bytes: &[u8]) -> Option<Vec<Pack>> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut packs = Vec::new();
    while !rest.is_empty() {
        let (digest, after) = rest.split_first_chunk::<32>()?;
        let (size, after) = after.split_first_chunk::<8>()?;
        let (count, mut after) = after.split_first_chunk::<8>()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        // A count that is more than the bytes can hold is not believed before anything is made of it.
        if count > after.len() / PREFIX {
            return None;
        }
        let mut rows = Vec::with_capacity(count);
        for _ in 0..count {
            let (row, next) = after.split_first_chunk::<PREFIX>()?;
            rows.push(*row);
            after = next;
        }
        packs.push(Pack {
            digest: Digest::from_bytes(*digest),
            size: u64::from_le_bytes(*size),
            rows,
        });
        rest = after;
    }
    Some(packs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_comes_back_as_it_was_and_a_cut_one_does_not() {
        let pack = |name: &str, rows: u8| Pack {
            digest: Digest::of(name.as_bytes()),
            size: 77,
            rows: (0..rows).map(|row| [row; PREFIX]).collect(),
        };
        let packs = vec![pack("a", 3), pack("b", 0), pack("c", 1)];
        let bytes = encode(&packs);
        assert_eq!(decode(&bytes), Some(packs));
        let whole = [12, 12 + 48 + 48, 12 + 48 + 48 + 48, bytes.len()];
        for end in 0..bytes.len() {
            assert_eq!(
                decode(&bytes[..end]).is_some(),
                whole.contains(&end),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn a_claim_of_more_rows_than_bytes_is_refused() {
        let mut bytes = encode(&[Pack {
            digest: Digest::of(b"a"),
            size: 1,
            rows: Vec::new(),
        }]);
        let end = bytes.len();
        bytes[end - 8..].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(decode(&bytes), None);
    }
}
