//! Compaction: segments whose writers are gone become one, without what was damaged or superseded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::frame::{HEADER, parse};
use super::segments::segments_in;
use super::{Frame, scan};
use crate::RowKey;
use crate::lease::same_file;
use crate::store::sync_folder;

/// What compaction did, or would do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Compacted {
    /// Segments that went.
    pub(crate) segments: u64,
    /// Bytes freed.
    pub(crate) bytes: u64,
}

/// Merges the finished segments of a namespace into one: those that `old` says were left alone for long,
/// and that no writer holds. The new segment is whole and durable before the first old one goes, so a
/// stop anywhere leaves rows twice at most. It takes the place of the last in the order of segments.
pub(crate) fn compact(
    folder: &Path,
    incoming: &Path,
    old: &dyn Fn(&Path) -> bool,
    dry_run: bool,
) -> io::Result<Compacted> {
    let mut finished: Vec<(PathBuf, File)> = Vec::new();
    for path in segments_in(folder)? {
        if !old(&path) {
            continue;
        }
        let file = match fs::File::open(&path) {
            Ok(file) => file.into_parts().0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        // Held by a writer or by another compaction; or that one has just removed it.
        if file.try_lock().is_ok() && same_file(&file, &path) {
            finished.push((path, file));
        }
    }
    let mut rows: BTreeMap<RowKey, (usize, u64, u32)> = BTreeMap::new();
    let mut waste = false;
    let mut before = 0;
    for (number, (path, file)) in finished.iter().enumerate() {
        before += file.metadata()?.len();
        scan(file, 0, path, |frame| match frame {
            Frame::Row {
                key,
                offset,
                length,
            } => {
                waste |= rows.insert(key, (number, offset, length)).is_some();
            }
            Frame::Damage(_) => waste = true,
        })?;
    }
    let Some((last, _)) = finished.last() else {
        return Ok(Compacted::default());
    };
    if finished.len() == 1 && !waste {
        return Ok(Compacted::default());
    }
    let after: u64 = rows
        .values()
        .map(|(_, _, length)| HEADER as u64 + u64::from(*length))
        .sum();
    let compacted = Compacted {
        segments: finished.len() as u64,
        bytes: before.saturating_sub(after),
    };
    if dry_run {
        return Ok(compacted);
    }
    let merged = tempfile::Builder::new()
        .prefix("m")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(incoming)?;
    let mut places: Vec<_> = rows.into_values().collect();
    places.sort_unstable();
    let mut out = BufWriter::new(merged);
    for (number, offset, length) in places {
        let mut frame = vec![0; HEADER + length as usize];
        finished[number].1.read_exact_at(&mut frame, offset)?;
        if parse(&frame).is_none() {
            return Err(io::Error::other(format!(
                "`{}` changed while it was read",
                finished[number].0.display()
            )));
        }
        out.write_all(&frame)?;
    }
    let merged = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    merged.as_file().sync_data()?;
    merged
        .persist_noclobber(successor(last))
        .map_err(|error| error.error)?;
    sync_folder(folder)?;
    for (path, _) in &finished {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(compacted)
}

/// A name that sorts among the segments as its predecessor did: `ID.seg`, `ID-1.seg`, `ID-2.seg`, …
fn successor(path: &Path) -> PathBuf {
    const ID: usize = 36;
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or("0");
    let (id, generation) = stem.split_at_checked(ID).unwrap_or((stem, ""));
    let generation: u64 = generation.trim_start_matches('-').parse().unwrap_or(0);
    path.with_file_name(format!("{id}-{}.seg", generation + 1))
}
