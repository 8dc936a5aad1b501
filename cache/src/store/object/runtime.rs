//! The one runtime of all object stores of this process, and ways to wait for what it does.
//!
//! A store's calls block, and may come from any thread, also from one that drives somebody else's runtime.
//! So no future is polled on a caller's thread: it is handed to the runtime here, and the caller waits on a
//! channel of the standard library. What the caller passes in (a writer, a callback) is called on the
//! caller's own thread.

use std::future::Future;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

/// Threads that drive transfers. They wait nearly always.
const WORKERS: usize = 2;

/// KiB of transfers that may be in memory at once, over all stores of the process.
const ROOM: usize = 96 << 10;

fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<io::Result<Runtime>> = OnceLock::new();
    let built = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("dag-store")
            .enable_all()
            .build()
    });
    built
        .as_ref()
        .map_err(|error| io::Error::new(error.kind(), error.to_string()))
}

fn gone() -> io::Error {
    io::Error::other("a transfer ended without an answer; this is a bug of dag")
}

/// Ends a task when dropped.
pub(super) struct Ending(AbortHandle);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a task that ends at the latest when what this gives is dropped.
pub(super) fn started(future: impl Future<Output = ()> + Send + 'static) -> io::Result<Ending> {
    Ok(Ending(runtime()?.spawn(future).abort_handle()))
}

/// Runs a future to its end, from any thread.
pub(super) fn wait<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = channel();
    let _task = started(async move {
        // The caller waits below and nowhere else: it is there to hear.
        drop(sender.send(future.await));
    })?;
    receiver.recv().map_err(|_| gone())
}

/// Memory that a transfer may take; given back when dropped.
pub(super) type Memory = OwnedSemaphorePermit;

fn room() -> Arc<Semaphore> {
    static ALL: OnceLock<Arc<Semaphore>> = OnceLock::new();
    Arc::clone(ALL.get_or_init(|| Arc::new(Semaphore::new(ROOM))))
}

fn kib(bytes: u64) -> u32 {
    // More than all there is would never come.
    u32::try_from(bytes.div_ceil(1024).min(ROOM as u64)).unwrap_or(u32::MAX)
}

/// Waits for memory. Whoever waits here must need nothing more to give back what it already has.
pub(super) async fn memory(bytes: u64) -> Option<Memory> {
    room().acquire_many_owned(kib(bytes)).await.ok()
}

/// Memory, if there is some now.
pub(super) fn memory_now(bytes: u64) -> Option<Memory> {
    room().try_acquire_many_owned(kib(bytes)).ok()
}

enum Message<T, R> {
    Item(T, u32),
    End(R),
}

/// The end of a pipe at which a task puts things in.
pub(super) struct Feed<T, R> {
    sender: Sender<Message<T, R>>,
    free: Arc<Semaphore>,
    room: u32,
}

impl<T, R> Feed<T, R> {
    /// Hands a thing of some weight to the caller's thread, once that has room. False: nobody listens.
    pub(super) async fn send(&self, item: T, weight: u64) -> bool {
        let weight = u32::try_from(weight).unwrap_or(u32::MAX).min(self.room);
        let Ok(permit) = self.free.acquire_many(weight).await else {
            return false;
        };
        permit.forget();
        self.sender.send(Message::Item(item, weight)).is_ok()
    }
}

/// Runs a task that gives things one by one, and calls `each` with them on this thread. The task is at most
/// `room` ahead. Gives what the task gave in the end.
pub(super) fn pump<T, R, F>(
    room: u32,
    task: impl FnOnce(Arc<Feed<T, R>>) -> F,
    mut each: impl FnMut(T) -> io::Result<()>,
) -> io::Result<R>
where
    T: Send + 'static,
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let (sender, receiver): (_, Receiver<Message<T, R>>) = channel();
    let free = Arc::new(Semaphore::new(room as usize));
    let feed = Arc::new(Feed {
        sender: sender.clone(),
        free: Arc::clone(&free),
        room,
    });
    let future = task(feed);
    let _task = started(async move {
        // A caller that went away because `each` failed hears nothing, and needs nothing.
        drop(sender.send(Message::End(future.await)));
    })?;
    loop {
        match receiver.recv().map_err(|_| gone())? {
            Message::Item(item, weight) => {
                each(item)?;
                free.add_permits(weight as usize);
            }
            Message::End(result) => return Ok(result),
        }
    }
}
