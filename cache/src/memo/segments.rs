//! Segments: the files of one namespace of the row memo.
//!
//! Rows are appended to segment files, one for each writer. A row is a frame with a checksum of its own:
//! a torn end (the writer was killed) or a flipped byte costs the frames it touches and no other. What is
//! put is durable after 64 rows or a second, whichever comes first; if it cannot be made so, the next call
//! says it. Many processes may append at once, and see each other's rows within a second.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use fs_err as fs;

use crate::store::sync_folder;
use crate::{CacheError, RowKey};

use super::frame::{self, Frame, HEADER, LARGEST, damage, parse, scan};

/// Rows after which what was put is made durable.
const ROWS: usize = 64;
/// Time after which what was put is made durable.
const AGE: Duration = Duration::from_secs(1);
/// How often rows of other processes are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Segments kept open for reading.
pub(super) const OPEN: usize = 16;

/// The rows of one namespace. Clones share it.
#[derive(Clone)]
pub(crate) struct Segments(pub(super) Arc<Inner>);

/// Segments that others may hold.
pub(crate) struct WeakSegments(Weak<Inner>);

pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    flusher: Mutex<Option<std::thread::JoinHandle<()>>>,
}

pub(super) struct Shared {
    folder: PathBuf,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    /// Only looked up and filtered: its order reaches nothing.
    index: HashMap<RowKey, Place>,
    /// Every segment ever seen; a place names one by its number.
    segments: Vec<Segment>,
    /// The last few that were read, the latest at the end.
    pub(super) open: Vec<(usize, Arc<File>)>,
    pub(super) writer: Option<Writer>,
    damaged: Vec<String>,
    /// What went wrong while nobody was there to be told.
    pub(super) failed: Option<io::Error>,
    looked: Option<Instant>,
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
    /// Up to where it is in the index.
    known: u64,
    /// Its size when it was last looked at.
    size: u64,
    /// It was compacted into another.
    gone: bool,
}

pub(super) struct Writer {
    segment: usize,
    pub(super) file: Arc<File>,
    end: u64,
    /// Rows since the last sync.
    unsynced: usize,
    /// A sync is under way.
    syncing: bool,
}

impl Segments {
    pub(crate) fn open(folder: &Path) -> Result<Self, CacheError> {
        if !folder.is_dir() {
            fs::create_dir_all(folder)?;
            for above in folder.ancestors().skip(1).take(2) {
                sync_folder(above)?;
            }
        }
        let mut state = State::default();
        state.catch_up(folder)?;
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            state: Mutex::new(state),
            wake: Condvar::new(),
        });
        Ok(Self(Arc::new(Inner {
            shared,
            flusher: Mutex::new(None),
        })))
    }

    pub(crate) fn downgrade(&self) -> WeakSegments {
        WeakSegments(Arc::downgrade(&self.0))
    }

    pub(crate) fn upgrade(weak: &WeakSegments) -> Option<Self> {
        weak.0.upgrade().map(Self)
    }

    /// The row under a key, verified; a damaged one counts as absent.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub(crate) fn get(&self, key: &RowKey) -> Result<Option<Vec<u8>>, CacheError> {
        let shared = &self.0.shared;
        let mut again = true;
        loop {
            let (place, opened) = {
                let mut state = shared.lock();
                match state.index.get(key).copied() {
                    Some(place) => (place, state.reader(place.segment)),
                    None if again && state.catch_up_now_and_then(&shared.folder)? => {
                        again = false;
                        continue;
                    }
                    None => return Ok(None),
                }
            };
            let mut frame = vec![0; HEADER + place.length as usize];
            match opened.and_then(|file| file.read_exact_at(&mut frame, place.offset)) {
                Ok(()) => {}
                // Compacted into another segment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    shared.lock().catch_up(&shared.folder)?;
                    again = false;
                    continue;
                }
                // Cut short: no frame.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => frame.clear(),
                Err(error) => return Err(error.into()),
            }
            if parse(&frame).is_some_and(|(found, length)| found == *key && length == place.length)
            {
                frame.drain(..HEADER);
                return Ok(Some(frame));
            }
            let mut state = shared.lock();
            state.index.remove(key);
            let text = damage(&state.segments[place.segment].path, place.offset);
            state.damaged.push(text);
            return Ok(None);
        }
    }

    /// Whether a row is there, without reading it.
    pub(crate) fn contains(&self, key: &RowKey) -> bool {
        let shared = &self.0.shared;
        let mut state = shared.lock();
        state.index.contains_key(key)
            || (matches!(state.catch_up_now_and_then(&shared.folder), Ok(true))
                && state.index.contains_key(key))
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.0.shared.lock().index.len()
    }

    /// What of the memo was found damaged so far: one line a place.
    pub(crate) fn damaged(&self) -> Vec<String> {
        self.0.shared.lock().damaged.clone()
    }

    /// Keeps a finished row. Durable after 64 rows, a second, or [`Segments::flush`]. A second row under
    /// the same key takes the first one's place.
    ///
    /// # Errors
    /// The disk cannot be written, now or when earlier rows were to be made durable; or the row is larger
    /// than 256 MiB. The next row goes to a new segment.
    pub(crate) fn put(&self, key: RowKey, row: &[u8]) -> Result<(), CacheError> {
        if row.len() > LARGEST {
            return Err(io::Error::other("a row of over 256 MiB").into());
        }
        let length = u32::try_from(row.len()).map_err(io::Error::other)?;
        let frame = frame::frame(&key, length, row);
        self.start_flusher()?;
        let shared = &self.0.shared;
        let mut state = shared.lock();
        if let Some(error) = state.failed.take() {
            return Err(error.into());
        }
        let mut writer = match state.writer.take() {
            Some(writer) => writer,
            None => state.begin_segment(&shared.folder)?,
        };
        if let Err(error) = (&*writer.file).write_all(&frame) {
            // What was half written is a torn end; nothing may be appended to it.
            state.leave(&writer);
            return Err(error.into());
        }
        state.index.insert(
            key,
            Place {
                segment: writer.segment,
                offset: writer.end,
                length,
            },
        );
        writer.end += frame.len() as u64;
        writer.unsynced += 1;
        let full = writer.unsynced >= ROWS && !writer.syncing;
        if writer.unsynced == 1 {
            shared.wake.notify_all();
        }
        state.writer = Some(writer);
        drop(state);
        if full {
            shared.sync()?;
        }
        Ok(())
    }

    /// Makes everything durable that was put.
    ///
    /// # Errors
    /// The disk cannot be written, now or since the last call.
    pub(crate) fn flush(&self) -> Result<(), CacheError> {
        let failed = self.0.shared.lock().failed.take();
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(self.0.shared.sync()?),
        }
    }

    fn start_flusher(&self) -> io::Result<()> {
        let mut flusher = self
            .0
            .flusher
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
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

impl State {
    fn begin_segment(&mut self, folder: &Path) -> io::Result<Writer> {
        let path = folder.join(format!("{}.seg", uuid::Uuid::now_v7()));
        let file = fs::OpenOptions::new()
            .create_new(true)
            .read(true)
            .append(true)
            .open(&path)?;
        let file = file.into_parts().0;
        // Who compacts leaves it alone while it is locked. Not every file system can lock; there, a
        // segment counts as finished when it was left alone for long.
        drop(file.try_lock());
        sync_folder(folder)?;
        let segment = self.segments.len();
        self.segments.push(Segment {
            path,
            known: 0,
            size: 0,
            gone: false,
        });
        Ok(Writer {
            segment,
            file: Arc::new(file),
            end: 0,
            unsynced: 0,
            syncing: false,
        })
    }

    /// A segment that is written no more.
    fn leave(&mut self, writer: &Writer) {
        let segment = &mut self.segments[writer.segment];
        segment.known = writer.end;
        segment.size = writer.end;
    }

    fn reader(&mut self, segment: usize) -> io::Result<Arc<File>> {
        if let Some(writer) = &self.writer
            && writer.segment == segment
        {
            return Ok(Arc::clone(&writer.file));
        }
        let file = match self.open.iter().position(|(open, _)| *open == segment) {
            Some(at) => self.open.remove(at).1,
            None => Arc::new(fs::File::open(&self.segments[segment].path)?.into_parts().0),
        };
        if self.open.len() >= OPEN {
            self.open.remove(0);
        }
        self.open.push((segment, Arc::clone(&file)));
        Ok(file)
    }

    /// Whether there may be something new.
    fn catch_up_now_and_then(&mut self, folder: &Path) -> io::Result<bool> {
        if self.looked.is_some_and(|then| then.elapsed() < LOOK_EVERY) {
            return Ok(false);
        }
        self.catch_up(folder)
    }

    /// Takes in what other processes appended, compacted and began since the last time. Says whether
    /// there was anything.
    fn catch_up(&mut self, folder: &Path) -> io::Result<bool> {
        self.looked = Some(Instant::now());
        let there = segments_in(folder)?;
        let mut changed = false;
        let mut gone = BTreeSet::new();
        for (number, segment) in self.segments.iter_mut().enumerate() {
            if !segment.gone && !there.contains(&segment.path) {
                segment.gone = true;
                gone.insert(number);
            }
        }
        if !gone.is_empty() {
            changed = true;
            self.index.retain(|_, place| !gone.contains(&place.segment));
            self.open.retain(|(number, _)| !gone.contains(number));
            self.writer = self
                .writer
                .take()
                .filter(|writer| !gone.contains(&writer.segment));
        }
        for path in there {
            let known = self
                .segments
                .iter()
                .position(|segment| segment.path == path && !segment.gone);
            if known.is_some() && known == self.writer.as_ref().map(|writer| writer.segment) {
                continue;
            }
            let (file, size) = match fs::File::open(&path).and_then(|file| {
                let size = file.metadata()?.len();
                Ok((file.into_parts().0, size))
            }) {
                Ok(opened) => opened,
                // Compacted a moment ago; what it became is seen the next time.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let number = known.unwrap_or_else(|| {
                self.segments.push(Segment {
                    path: path.clone(),
                    known: 0,
                    size: 0,
                    gone: false,
                });
                self.segments.len() - 1
            });
            if self.segments[number].size == size {
                continue;
            }
            changed = true;
            let Self {
                index,
                segments,
                damaged,
                ..
            } = self;
            let end = scan(&file, segments[number].known, &path, |frame| match frame {
                Frame::Row {
                    key,
                    offset,
                    length,
                } => {
                    // Of two rows under a key, that of the later segment counts, whenever it is read.
                    let later = |place: &Place| segments[place.segment].path > path;
                    if !index.get(&key).is_some_and(later) {
                        index.insert(
                            key,
                            Place {
                                segment: number,
                                offset,
                                length,
                            },
                        );
                    }
                }
                Frame::Damage(text) => damaged.push(text),
            })?;
            segments[number].known = end;
            segments[number].size = size;
        }
        Ok(changed)
    }
}

/// The segments of a namespace, sorted: the later begun, the later.
pub(super) fn segments_in(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut paths = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            paths.insert(path);
        }
    }
    Ok(paths)
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Syncs without holding up those who read and write meanwhile.
    fn sync(&self) -> io::Result<()> {
        let (file, segment, rows) = {
            let mut state = self.lock();
            match &mut state.writer {
                Some(writer) if writer.unsynced > 0 => {
                    writer.syncing = true;
                    (Arc::clone(&writer.file), writer.segment, writer.unsynced)
                }
                _ => return Ok(()),
            }
        };
        let synced = file.sync_data();
        let mut state = self.lock();
        if let Some(mut writer) = state.writer.take_if(|writer| writer.segment == segment) {
            writer.syncing = false;
            if synced.is_ok() {
                writer.unsynced = writer.unsynced.saturating_sub(rows);
                state.writer = Some(writer);
            } else {
                // The system forgets what it could not write: a second sync would succeed and lie.
                state.leave(&writer);
            }
        }
        synced
    }

    fn keep_flushing(&self) {
        let mut state = self.lock();
        loop {
            while !state.closing
                && state
                    .writer
                    .as_ref()
                    .is_none_or(|writer| writer.unsynced == 0)
            {
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if state.closing {
                return;
            }
            state = self
                .wake
                .wait_timeout_while(state, AGE, |state| !state.closing)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            drop(state);
            let synced = self.sync();
            state = self.lock();
            if let Err(error) = synced {
                state.failed = Some(error);
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.wake.notify_all();
        let flusher = self
            .flusher
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(flusher) = flusher {
            drop(flusher.join());
        }
        drop(self.shared.sync());
    }
}
