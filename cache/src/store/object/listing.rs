//! Listing: page by page where the store has keys, folder by folder over WebDAV.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore};
use tokio::time::timeout;

use super::attempts::{Limits, within};
use super::failure::{Failure, observed};
use super::runtime::{Feed, pump};
use crate::store::checked;

/// Names that may be on their way to the caller.
const ROOM: u32 = 4096;

/// Folders asked for at once.
const AT_ONCE: usize = 16;

/// A listing that broke off goes on this often without a single name in between.
const RESUMES: u32 = 3;

type Each<'a> = &'a mut dyn FnMut(&str, u64) -> io::Result<()>;
type Listed = Result<(), Failure>;

fn told<'a>(below: &'a Key, each: Each<'a>) -> impl FnMut(ObjectMeta) -> io::Result<()> + 'a {
    move |object| {
        let Some(parts) = object.location.prefix_match(below) else {
            return Ok(());
        };
        let parts: Vec<_> = parts.collect();
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        let name = parts.join("/");
        // What others put there under names that are none is not ours.
        if checked(&name).is_ok() {
            each(&name, object.size)
        } else {
            Ok(())
        }
    }
}

/// Every object below a key, in the order of keys. A listing that breaks off goes on after the last name.
pub(super) fn in_pages(
    objects: Arc<dyn ObjectStore>,
    folder: Key,
    below: Key,
    limits: Limits,
    each: Each<'_>,
) -> io::Result<Listed> {
    pump(
        ROOM,
        |feed: Arc<Feed<ObjectMeta, Listed>>| async move {
            let mut last: Option<Key> = None;
            let mut fruitless = 0;
            loop {
                let mut stream = match &last {
                    Some(last) => objects.list_with_offset(Some(&folder), last),
                    None => objects.list(Some(&folder)),
                };
                // A dead server has cost the time of a small operation when it was asked twice.
                let mut most = limits.small / 2;
                let failure = loop {
                    let next = async { stream.next().await.transpose() };
                    match timeout(most, observed(next)).await {
                        Ok(Ok(Some(object))) => {
                            last = Some(object.location.clone());
                            fruitless = 0;
                            if !feed.send(object, 1).await {
                                return Ok(());
                            }
                        }
                        Ok(Ok(None)) => return Ok(()),
                        Ok(Err(failure)) => break failure,
                        Err(_) => break Failure::slow(most),
                    }
                    most = limits.silence;
                };
                fruitless += 1;
                if !failure.may_pass() || fruitless > RESUMES || (last.is_none() && fruitless > 1) {
                    return Err(failure);
                }
            }
        },
        told(&below, each),
    )
}

/// Every file below a folder, by asking each folder for what lies directly in it.
pub(super) fn by_folders(
    objects: Arc<dyn ObjectStore>,
    folder: Key,
    below: Key,
    limits: Limits,
    each: Each<'_>,
) -> io::Result<Listed> {
    pump(
        ROOM,
        |feed: Arc<Feed<ObjectMeta, Listed>>| async move {
            let ask = |folder: Key| {
                let objects = Arc::clone(&objects);
                async move {
                    within(limits.small, || {
                        observed(objects.list_with_delimiter(Some(&folder)))
                    })
                    .await
                }
                .boxed()
            };
            let mut folders = VecDeque::from([folder]);
            let mut asked = FuturesUnordered::new();
            loop {
                while asked.len() < AT_ONCE {
                    match folders.pop_front() {
                        Some(folder) => asked.push(ask(folder)),
                        None => break,
                    }
                }
                let Some(answer) = asked.next().await else {
                    return Ok(());
                };
                let answer = answer?;
                folders.extend(answer.common_prefixes);
                for object in answer.objects {
                    if !feed.send(object, 1).await {
                        return Ok(());
                    }
                }
            }
        },
        told(&below, each),
    )
}
