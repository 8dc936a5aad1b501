//! The row memo: row key → finished row, for stages that pay by the row.
//!
//! Rows are appended to segment files, one for each writer. A row is a frame with a checksum of its own:
//! a torn end (the writer was killed) or a flipped byte costs the frames it touches and no other. What is
//! put is durable after 64 rows or a second, whichever comes first. Many processes may append at once.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fs_err as fs;

use crate::store::sync_folder;
use crate::{CacheError, Digest, RowKey};

/// Begins every frame; found again after damage.
const MAGIC: [u8; 4] = *b"\xd1Rw1";
/// Magic, length of the row, key, checksum of these three, checksum of length, key and row.
const HEADER: usize = CLAIM + 4 + 16;
/// Magic, length of the row, key.
const CLAIM: usize = 4 + 4 + 32;
/// A row larger than this is refused; a frame that claims more is damaged.
const LARGEST: usize = 256 << 20;
/// Rows after which what was put is made durable.
const ROWS: usize = 64;
/// Time after which what was put is made durable.
const AGE: Duration = Duration::from_secs(1);
/// Bytes read at once while scanning.
const WINDOW: usize = 1 << 20;

/// The memo of one namespace. Clones share it.
#[derive(Clone)]
pub struct RowMemo(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    flusher: Mutex<Option<std::thread::JoinHandle<()>>>,
}

struct Shared {
    folder: PathBuf,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    /// Only looked up, never walked: its order reaches nothing.
    index: HashMap<RowKey, Place>,
    segments: Vec<Segment>,
    writer: Option<Writer>,
    damaged: Vec<String>,
    closing: bool,
}

#[derive(Clone, Copy)]
struct Place {
    segment: usize,
    offset: u64,
    length: u32,
}

struct Segment {
    path: PathBuf,
    file: Arc<File>,
}

struct Writer {
    segment: usize,
    end: u64,
    /// Rows since the last sync.
    unsynced: usize,
}

impl RowMemo {
    pub(crate) fn open(folder: &Path) -> Result<Self, CacheError> {
        fs::create_dir_all(folder)?;
        let mut state = State::default();
        let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
            .collect();
        paths.sort();
        for path in paths {
            let file = match fs::File::open(&path) {
                Ok(file) => file.into_parts().0,
                // A compaction replaced it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            let segment = state.segments.len();
            let State { index, damaged, .. } = &mut state;
            scan(&file, &path, |frame| match frame {
                Frame::Row { key, offset, length } => {
                    index.insert(key, Place { segment, offset, length });
                }
                Frame::Damage(text) => damaged.push(text),
            })?;
            state.segments.push(Segment { path, file: Arc::new(file) });
        }
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            state: Mutex::new(state),
            wake: Condvar::new(),
        });
        Ok(Self(Arc::new(Inner { shared, flusher: Mutex::new(None) })))
    }

    /// The row under a key, verified; a damaged one counts as absent.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn get(&self, key: &RowKey) -> Result<Option<Vec<u8>>, CacheError> {
        let (place, file) = {
            let state = self.0.shared.lock();
            let Some(place) = state.index.get(key).copied() else { return Ok(None) };
            (place, Arc::clone(&state.segments[place.segment].file))
        };
        let mut frame = vec![0; HEADER + place.length as usize];
        let read = file.read_exact_at(&mut frame, place.offset);
        if read.is_ok() && parse(&frame).is_some_and(|(found, length)| found == *key && length == place.length) {
            frame.drain(..HEADER);
            return Ok(Some(frame));
        }
        let mut state = self.0.shared.lock();
        state.index.remove(key);
        let text = damage(&state.segments[place.segment].path, place.offset);
        state.damaged.push(text);
        Ok(None)
    }

    /// Whether a row is there, without reading it.
    #[must_use]
    pub fn contains(&self, key: &RowKey) -> bool {
        self.0.shared.lock().index.contains_key(key)
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.shared.lock().index.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What of the memo was found damaged so far: one line a place.
    #[must_use]
    pub fn damaged(&self) -> Vec<String> {
        self.0.shared.lock().damaged.clone()
    }

    /// Keeps a finished row. Durable after 64 rows, a second, or [`RowMemo::flush`]. A second row under
    /// the same key takes the first one's place.
    ///
    /// # Errors
    /// The disk cannot be written, or the row is larger than 256 MiB.
    pub fn put(&self, key: RowKey, row: &[u8]) -> Result<(), CacheError> {
        if row.len() > LARGEST {
            return Err(io::Error::other("a row of over 256 MiB").into());
        }
        let length = u32::try_from(row.len()).map_err(io::Error::other)?;
        let frame = frame(&key, length, row);
        self.start_flusher()?;
        let mut state = self.0.shared.lock();
        if state.writer.is_none() {
            let path = self.0.shared.folder.join(format!("{}.seg", uuid::Uuid::now_v7()));
            let file = fs::OpenOptions::new().create_new(true).read(true).append(true).open(&path)?;
            sync_folder(&self.0.shared.folder)?;
            let segment = state.segments.len();
            state.segments.push(Segment { path, file: Arc::new(file.into_parts().0) });
            state.writer = Some(Writer { segment, end: 0, unsynced: 0 });
        }
        let State { index, segments, writer, .. } = &mut *state;
        if let Some(writer) = writer {
            let file = &segments[writer.segment].file;
            if let Err(error) = (&**file).write_all(&frame) {
                // What was half written is skipped by its checksum; go on behind it.
                writer.end = file.metadata()?.len();
                return Err(error.into());
            }
            index.insert(key, Place { segment: writer.segment, offset: writer.end, length });
            writer.end += frame.len() as u64;
            writer.unsynced += 1;
            if writer.unsynced >= ROWS {
                file.sync_data()?;
                writer.unsynced = 0;
            } else if writer.unsynced == 1 {
                self.0.shared.wake.notify_all();
            }
        }
        Ok(())
    }

    /// Makes everything durable that was put.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn flush(&self) -> Result<(), CacheError> {
        Ok(self.0.shared.sync()?)
    }

    fn start_flusher(&self) -> io::Result<()> {
        let mut flusher = self.0.flusher.lock().unwrap_or_else(PoisonError::into_inner);
        if flusher.is_none() {
            let shared = Arc::clone(&self.0.shared);
            *flusher = Some(
                std::thread::Builder::new()
                    .name("row memo".to_owned())
                    .spawn(move || shared.keep_flushing())?,
            );
        }
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Syncs without holding up those who read and write meanwhile.
    fn sync(&self) -> io::Result<()> {
        let (file, rows) = {
            let state = self.lock();
            match &state.writer {
                Some(writer) if writer.unsynced > 0 => {
                    (Arc::clone(&state.segments[writer.segment].file), writer.unsynced)
                }
                _ => return Ok(()),
            }
        };
        file.sync_data()?;
        if let Some(writer) = &mut self.lock().writer {
            writer.unsynced = writer.unsynced.saturating_sub(rows);
        }
        Ok(())
    }

    fn keep_flushing(&self) {
        let mut state = self.lock();
        loop {
            while !state.closing && state.writer.as_ref().is_none_or(|writer| writer.unsynced == 0) {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.closing {
                return;
            }
            state = self.wake.wait_timeout(state, AGE).unwrap_or_else(PoisonError::into_inner).0;
            drop(state);
            // An error shows again, and is told, at the next put or flush.
            drop(self.sync());
            state = self.lock();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.wake.notify_all();
        let flusher = self.flusher.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(flusher) = flusher {
            drop(flusher.join());
        }
        drop(self.shared.sync());
    }
}

fn frame(key: &RowKey, length: u32, row: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER + row.len());
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(key.0.as_bytes());
    let claim = claim_checksum(&frame);
    frame.extend_from_slice(&claim);
    frame.extend_from_slice(&checksum(length, key, row));
    frame.extend_from_slice(row);
    frame
}

fn checksum(length: u32, key: &RowKey, row: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&length.to_le_bytes()).update(key.0.as_bytes()).update(row);
    let mut sum = [0; 16];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    sum
}

/// Tells a header that was cut short from one that was changed.
fn claim_checksum(claim: &[u8]) -> [u8; 4] {
    let mut sum = [0; 4];
    sum.copy_from_slice(&blake3::hash(claim).as_bytes()[..4]);
    sum
}

/// The length a whole header claims; `None` if it is no header.
fn claimed(header: &[u8]) -> Option<u32> {
    let sum = claim_checksum(header.get(..CLAIM)?);
    let length = u32::from_le_bytes(header.get(4..8)?.try_into().ok()?);
    let whole = header.starts_with(&MAGIC) && header.get(CLAIM..CLAIM + 4)? == sum;
    (whole && length as usize <= LARGEST).then_some(length)
}

/// Key and length of a whole frame whose checksum fits.
fn parse(frame: &[u8]) -> Option<(RowKey, u32)> {
    let length = claimed(frame)?;
    let key = RowKey(Digest::from_bytes(frame.get(8..CLAIM)?.try_into().ok()?));
    let row = frame.get(HEADER..HEADER + length as usize)?;
    (frame.get(CLAIM + 4..HEADER)? == checksum(length, &key, row)).then_some((key, length))
}

fn damage(path: &Path, offset: u64) -> String {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("?");
    format!("memo segment {name} at byte {offset}")
}

/// What a scan finds.
pub(crate) enum Frame {
    /// A whole row; where its frame begins.
    Row { key: RowKey, offset: u64, length: u32 },
    /// A place that cannot be read.
    Damage(String),
}

/// Walks a segment. A torn end is no damage: its writer was stopped.
pub(crate) fn scan(file: &File, path: &Path, mut found: impl FnMut(Frame)) -> io::Result<()> {
    let mut reader = file;
    let mut window: Vec<u8> = Vec::new();
    let mut base = 0_u64;
    let mut at = 0_usize;
    let mut ended = false;
    let mut in_damage = false;
    loop {
        let unread = window.len() - at;
        let wanted = claimed(&window[at..]).map_or(HEADER, |length| HEADER + length as usize);
        if unread < wanted && !ended {
            window.drain(..at);
            base += at as u64;
            at = 0;
            let before = window.len();
            io::Read::by_ref(&mut reader).take(WINDOW.max(wanted) as u64).read_to_end(&mut window)?;
            ended = window.len() == before;
            continue;
        }
        if unread == 0 {
            return Ok(());
        }
        let offset = base + at as u64;
        if let Some((key, length)) = parse(&window[at..]) {
            found(Frame::Row { key, offset, length });
            at += HEADER + length as usize;
            in_damage = false;
            continue;
        }
        let next = window[at + 1..].windows(MAGIC.len()).position(|bytes| bytes == MAGIC);
        // The last frame, cut short: the writer was killed. Anything else is damage.
        let torn = ended
            && !in_damage
            && next.is_none()
            && unread < wanted
            && MAGIC.starts_with(&window[at..window.len().min(at + MAGIC.len())])
            && (unread < HEADER || claimed(&window[at..]).is_some());
        if !torn && !in_damage {
            found(Frame::Damage(damage(path, offset)));
            in_damage = true;
        }
        match next {
            Some(distance) => at += 1 + distance,
            None if ended => return Ok(()),
            // The magic may begin in the last bytes read.
            None => at = window.len().saturating_sub(MAGIC.len() - 1).max(at + 1),
        }
    }
}
