//! Whether a remote answers. One that does not is asked no more in the foreground, so that it costs one
//! failed call and no more; a thread looks now and then whether it is back.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::notice::{Listener, Notice};
use crate::store::Store;

/// How often somebody looks whether a remote is back.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// Who said something within this time is taken to be there still.
const LATELY: Duration = Duration::from_secs(10);

/// What a remote is asked to find out whether it answers; it is never there.
pub(super) const PROBE: &str = "records-v1/00/probe";

/// What is known of a remote's state.
pub(crate) struct Health {
    shared: Arc<Shared>,
    /// When it last answered.
    heard: Mutex<Option<Instant>>,
}

struct Shared {
    remote: String,
    listener: Arc<dyn Listener>,
    /// Why it is down, if it is.
    down: Mutex<Option<String>>,
    /// Told when nobody is interested any more.
    over: Condvar,
}

impl Health {
    pub(crate) fn new(remote: &str, listener: Arc<dyn Listener>) -> Self {
        Self {
            shared: Arc::new(Shared {
                remote: remote.to_owned(),
                listener,
                down: Mutex::default(),
                over: Condvar::new(),
            }),
            heard: Mutex::default(),
        }
    }

    /// Takes note of an answer.
    pub(crate) fn heard(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Takes note of silence.
    pub(crate) fn unheard(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether it has answered a short while ago.
    pub(crate) fn heard_lately(&self) -> bool {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_some_and(|heard| heard.elapsed() < LATELY)
    }

    /// Why it is not asked, if it is down.
    pub(crate) fn down(&self) -> Option<String> {
        self.shared
            .down
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes note of a call that failed.
    pub(crate) fn failed(&self, error: &io::Error, store: &Arc<dyn Store>) {
        let reason = error.to_string();
        {
            let mut down = self
                .shared
                .down
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if down.is_some() {
                return;
            }
            *down = Some(reason.clone());
        }
        self.shared.listener.hear(&Notice::Down {
            remote: self.shared.remote.clone(),
            reason,
        });
        // Credentials that are refused do not mend themselves.
        if error.kind() != io::ErrorKind::PermissionDenied {
            let (shared, store) = (Arc::downgrade(&self.shared), Arc::clone(store));
            // Without the thread it just stays down.
            drop(
                std::thread::Builder::new()
                    .name("remote probe".to_owned())
                    .spawn(move || probe(&shared, &*store)),
            );
        }
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.shared.over.notify_all();
    }
}

/// Looks whether the remote is back, until it is or nobody asks any more.
fn probe(shared: &Weak<Shared>, store: &dyn Store) {
    loop {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        {
            let down = shared.down.lock().unwrap_or_else(PoisonError::into_inner);
            drop(
                shared
                    .over
                    .wait_timeout(down, LOOK_EVERY)
                    .unwrap_or_else(PoisonError::into_inner),
            );
        }
        // Only this thread holds on to it.
        if Arc::strong_count(&shared) == 1 {
            return;
        }
        if store.size(PROBE).is_ok() {
            *shared.down.lock().unwrap_or_else(PoisonError::into_inner) = None;
            shared.listener.hear(&Notice::Up {
                remote: shared.remote.clone(),
            });
            return;
        }
    }
}
