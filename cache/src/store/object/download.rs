//! Reading large things: in ranges, several at once and in order, or as one stream.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, GetResult, ObjectStore};
use tokio::time::timeout;

use super::attempts::{Limits, moving};
use super::failure::{Cause, Failure, observed};
use super::runtime::{self, Feed, Memory, pump, started};
use super::webdav::WebDav;
use super::{get, pieces, size};

/// Bytes of one range.
const RANGE: u64 = 4 << 20;

/// How often a range is asked for whose answer breaks off.
const TRIES: u32 = 3;

/// Ranges fetched at once.
const AT_ONCE: usize = 4;

/// Bytes that may wait for the caller.
const ROOM: u32 = 4 << 20;

/// Bytes written, or `None` if the name is absent.
type Got = Result<Option<u64>, Failure>;

/// A range's bytes, and the memory they lie in.
type Piece = (Vec<Bytes>, Option<Memory>);

fn count(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

fn from_to(start: u64, end: u64) -> GetOptions {
    GetOptions {
        range: Some(GetRange::Bounded(start..end)),
        ..GetOptions::default()
    }
}

/// Reads range by range. The first answer tells how many there are; the others hold only for the same
/// object, so that one that is overwritten meanwhile gives no mixture.
pub(super) fn in_ranges(
    objects: Arc<dyn ObjectStore>,
    key: Key,
    offset: u64,
    limits: Limits,
    to: &mut dyn io::Write,
) -> io::Result<Got> {
    pump(
        ROOM,
        |feed: Arc<Feed<Piece, Got>>| async move {
            let Some(memory) = runtime::memory(RANGE).await else {
                return Ok(None);
            };
            let options = from_to(offset, offset.saturating_add(RANGE));
            let first = match range(&*objects, &key, &options, limits).await {
                Ok(Some(first)) => first,
                Ok(None) => return Ok(None),
                // Servers differ in how they refuse a range that begins at the end.
                Err(failure) if matches!(failure.cause, Cause::Range | Cause::Odd) => {
                    return match size(&*objects, &key, limits).await? {
                        Some(size) if size > offset => Err(failure),
                        there => Ok(there.map(|_| 0)),
                    };
                }
                Err(failure) => return Err(failure),
            };
            let (bytes, whole, tag) = first;
            let mut written = count(&bytes);
            let begin = offset.saturating_add(written);
            if !feed.send((bytes, Some(memory)), written).await {
                return Ok(Some(0));
            }
            let starts = (begin..whole).step_by(usize::try_from(RANGE).unwrap_or(usize::MAX));
            let mut ranges = futures::stream::iter(starts)
                .map(|start| {
                    let end = start.saturating_add(RANGE).min(whole);
                    let mut options = from_to(start, end);
                    options.if_match.clone_from(&tag);
                    fetched(Arc::clone(&objects), key.clone(), options, limits)
                })
                .buffered(AT_ONCE);
            while let Some(piece) = ranges.next().await {
                let piece = piece?;
                let bytes = count(&piece.0);
                written += bytes;
                if !feed.send(piece, bytes).await {
                    break;
                }
            }
            Ok(Some(written))
        },
        |(bytes, memory)| {
            let written = bytes.iter().try_for_each(|piece| to.write_all(piece));
            drop(memory);
            written
        },
    )
}

/// Fetches a range in a task of its own, so that both threads of the runtime work.
async fn fetched(
    objects: Arc<dyn ObjectStore>,
    key: Key,
    options: GetOptions,
    limits: Limits,
) -> Result<Piece, Failure> {
    let memory = runtime::memory(RANGE).await;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let task = started(async move {
        // Whoever no longer listens needs nothing.
        drop(sender.send(range(&*objects, &key, &options, limits).await));
    });
    let answer = match task {
        Ok(_task) => receiver.await,
        Err(_) => return Err(Failure::new(Cause::Odd, "no thread to fetch with")),
    };
    match answer {
        Ok(Ok(Some((bytes, _, _)))) => Ok((bytes, memory)),
        Ok(Ok(None)) => Err(Failure::new(Cause::Conflict, "removed while it was read")),
        Ok(Err(failure)) => Err(failure),
        Err(_) => Err(Failure::new(Cause::Odd, "fetching ended without an answer")),
    }
}

/// One range's bytes, the size of the whole, and the tag of its version, if that can be relied on.
async fn range(
    objects: &dyn ObjectStore,
    key: &Key,
    options: &GetOptions,
    limits: Limits,
) -> Result<Option<(Vec<Bytes>, u64, Option<String>)>, Failure> {
    let mut made = 0;
    loop {
        let Some(answer) = get(objects, key, options, limits.small).await? else {
            return Ok(None);
        };
        let size = answer.meta.size;
        let tag = answer.meta.e_tag.clone();
        let tag = tag.filter(|tag| !tag.starts_with("W/"));
        let most = limits.small + moving(RANGE);
        let failure = match timeout(most, pieces(answer, RANGE, limits.silence)).await {
            Ok(Ok(Some(bytes))) => return Ok(Some((bytes, size, tag))),
            Ok(Ok(None)) => return Err(Failure::new(Cause::Odd, "more bytes than were asked for")),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::slow(most),
        };
        made += 1;
        if !failure.may_pass() || made == TRIES {
            return Err(failure);
        }
    }
}

/// Reads as one stream. A server that knows no ranges sends everything, and what lies before the offset is
/// thrown away.
pub(super) fn in_one(
    dav: Arc<WebDav>,
    key: Key,
    offset: u64,
    limits: Limits,
    to: &mut dyn io::Write,
) -> io::Result<Got> {
    pump(
        ROOM,
        |feed: Arc<Feed<Bytes, Got>>| async move {
            let Some((answer, skip)) = stream(&dav, &key, offset, limits).await? else {
                return Ok(None);
            };
            let Some(answer) = answer else {
                return Ok(Some(0));
            };
            let mut left =
                (answer.range.end.saturating_sub(answer.range.start)).saturating_sub(skip);
            let (mut skip, mut written) = (skip, 0);
            let mut pieces = answer.into_stream();
            loop {
                let next = async { pieces.next().await.transpose() };
                let Ok(piece) = timeout(limits.silence, observed(next)).await else {
                    return Err(Failure::slow(limits.silence));
                };
                let Some(mut piece) = piece? else { break };
                let before = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
                skip -= before as u64;
                drop(piece.split_to(before));
                if piece.is_empty() {
                    continue;
                }
                let count = piece.len() as u64;
                written += count;
                left = left.saturating_sub(count);
                if !feed.send(piece, count).await {
                    return Ok(Some(written));
                }
            }
            if left > 0 {
                return Err(Failure::new(Cause::Cut, "the answer ends early"));
            }
            Ok(Some(written))
        },
        |bytes: Bytes| to.write_all(&bytes),
    )
}

/// An answer to read, and how many of its bytes lie before the offset. `Some(None)`: nothing lies behind it.
async fn stream(
    dav: &WebDav,
    key: &Key,
    offset: u64,
    limits: Limits,
) -> Result<Option<(Option<GetResult>, u64)>, Failure> {
    let objects = &*dav.objects;
    let whole = GetOptions::default();
    if offset == 0 {
        let answer = get(objects, key, &whole, limits.small).await?;
        return Ok(answer.map(|answer| (Some(answer), 0)));
    }
    let rest = GetOptions {
        range: Some(GetRange::Offset(offset)),
        ..GetOptions::default()
    };
    match get(objects, key, &rest, limits.small).await {
        Ok(answer) => Ok(answer.map(|answer| (Some(answer), 0))),
        Err(failure)
            if matches!(
                failure.cause,
                Cause::Range | Cause::Odd | Cause::Unsupported
            ) =>
        {
            match dav.size(key, limits).await? {
                None => Ok(None),
                Some(size) if size <= offset => Ok(Some((None, 0))),
                Some(_) if failure.cause == Cause::Unsupported => {
                    let answer = get(objects, key, &whole, limits.small).await?;
                    Ok(answer.map(|answer| (Some(answer), offset)))
                }
                Some(_) => Err(failure),
            }
        }
        Err(failure) => Err(failure),
    }
}
