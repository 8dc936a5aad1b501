//! The frames of a segment: a row with a checksum of its own, found again after damage.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::{Digest, RowKey};

/// Begins every frame; found again after damage.
const MAGIC: [u8; 4] = *b"\xd1Rw1";
/// Magic, length of the row, key, checksum of these three, checksum of length, key and row.
pub(super) const HEADER: usize = CLAIM + 4 + 16;
/// Magic, length of the row, key.
const CLAIM: usize = 4 + 4 + 32;
/// A row larger than this is refused; a frame that claims more is damaged.
pub(super) const LARGEST: usize = 256 << 20;
/// Bytes read at once while scanning.
const WINDOW: usize = 1 << 20;

pub(super) fn frame(key: &RowKey, length: u32, row: &[u8]) -> Vec<u8> {
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

/// Appends a row's frame to a segment in memory.
///
/// # Errors
/// The row is larger than 256 MiB.
pub(crate) fn append(segment: &mut Vec<u8>, key: &RowKey, row: &[u8]) -> io::Result<()> {
    let length = u32::try_from(row.len())
        .ok()
        .filter(|length| *length as usize <= LARGEST)
        .ok_or_else(|| io::Error::other("a row of over 256 MiB"))?;
    segment.extend_from_slice(&frame(key, length, row));
    Ok(())
}

/// The whole rows at the beginning of a segment in memory; what follows the first frame that does not fit
/// is left out.
pub(crate) fn rows_of(segment: &[u8]) -> impl Iterator<Item = (RowKey, &[u8])> {
    let mut rest = segment;
    std::iter::from_fn(move || {
        let length = claimed(rest)? as usize;
        let (frame, after) = rest.split_at_checked(HEADER + length)?;
        let (key, _) = parse(frame)?;
        rest = after;
        Some((key, &frame[HEADER..]))
    })
}

fn checksum(length: u32, key: &RowKey, row: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&length.to_le_bytes())
        .update(key.0.as_bytes())
        .update(row);
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
    // Almost everywhere in damaged bytes this is the end of it, before anything is hashed.
    if !header.starts_with(&MAGIC) {
        return None;
    }
    let sum = claim_checksum(header.get(..CLAIM)?);
    let length = u32::from_le_bytes(header.get(4..8)?.try_into().ok()?);
    let whole = header.get(CLAIM..CLAIM + 4)? == sum;
    (whole && length as usize <= LARGEST).then_some(length)
}

/// Key and length of a whole frame whose checksum fits.
pub(super) fn parse(frame: &[u8]) -> Option<(RowKey, u32)> {
    let length = claimed(frame)?;
    let key = RowKey(Digest::from_bytes(frame.get(8..CLAIM)?.try_into().ok()?));
    let row = frame.get(HEADER..HEADER + length as usize)?;
    (frame.get(CLAIM + 4..HEADER)? == checksum(length, &key, row)).then_some((key, length))
}

pub(super) fn damage(path: &Path, offset: u64) -> String {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("?");
    format!("memo segment {name} at byte {offset}")
}

/// What a scan finds.
pub(crate) enum Frame {
    /// A whole row; where its frame begins.
    Row {
        key: RowKey,
        offset: u64,
        length: u32,
    },
    /// A place that cannot be read.
    Damage(String),
}

/// Walks a segment from a place on. A torn end is no damage: its writer was stopped, or is at it. Gives
/// the place from which to go on when the file has grown: the torn end or the end.
pub(crate) fn scan(
    file: &File,
    from: u64,
    path: &Path,
    mut found: impl FnMut(Frame),
) -> io::Result<u64> {
    let mut reader = file;
    reader.seek(SeekFrom::Start(from))?;
    let mut window: Vec<u8> = Vec::new();
    let mut base = from;
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
            io::Read::by_ref(&mut reader)
                .take(WINDOW.max(wanted) as u64)
                .read_to_end(&mut window)?;
            ended = window.len() == before;
            continue;
        }
        let offset = base + at as u64;
        if unread == 0 {
            return Ok(offset);
        }
        if let Some((key, length)) = parse(&window[at..]) {
            found(Frame::Row {
                key,
                offset,
                length,
            });
            at += HEADER + length as usize;
            in_damage = false;
            continue;
        }
        let next = window[at + 1..]
            .windows(MAGIC.len())
            .position(|bytes| bytes == MAGIC);
        // The last frame, cut short. Anything else is damage.
        let torn = ended
            && !in_damage
            && next.is_none()
            && unread < wanted
            && MAGIC.starts_with(&window[at..window.len().min(at + MAGIC.len())])
            && (unread < HEADER || claimed(&window[at..]).is_some());
        if torn {
            return Ok(offset);
        }
        if !in_damage {
            found(Frame::Damage(damage(path, offset)));
            in_damage = true;
        }
        match next {
            Some(distance) => at += 1 + distance,
            None if ended => return Ok(base + window.len() as u64),
            // The magic may begin in the last bytes read.
            None => at = window.len().saturating_sub(MAGIC.len() - 1).max(at + 1),
        }
    }
}
