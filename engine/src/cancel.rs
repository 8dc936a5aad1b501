//! Stopping a run: first draining, then at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

// 0 is running.
const DRAINING: u8 = 1;
const STOPPING: u8 = 2;

/// A handle that says whether to go on. Clones share it; a step is never taken back.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicU8>);

impl Cancel {
    /// A handle that says to go on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Start nothing new, finish what is paid for. What the first Ctrl-C does.
    pub fn drain(&self) {
        self.0.fetch_max(DRAINING, Ordering::SeqCst);
    }

    /// Stop now. What the second Ctrl-C does.
    pub fn stop(&self) {
        self.0.fetch_max(STOPPING, Ordering::SeqCst);
    }

    /// One step further: running, draining, stopping.
    pub fn advance(&self) {
        if self.draining() {
            self.stop()
        } else {
            self.drain()
        }
    }

    /// Nothing new may start. Also true when stopping.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.0.load(Ordering::SeqCst) >= DRAINING
    }

    /// Stop now, even in the middle.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.0.load(Ordering::SeqCst) >= STOPPING
    }
}
