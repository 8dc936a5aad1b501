//! Leases at a remote: advice that a colleague is at work on a key. Nothing depends on them but work done
//! twice, and nothing depends on clocks that agree: whoever watches a lease asks only whether it changes.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Push, Remote, Remotes};
use crate::store::{Created, Store};
use crate::{Cache, StageKey};

/// Folder of leases at a remote.
pub(crate) const LEASES: &str = "leases-v1";

/// A lease is renewed so often.
const BEAT: Duration = Duration::from_secs(20);

/// A lease that does not change for so long is nobody's.
const STALE: Duration = Duration::from_secs(90);

/// No lease is larger, in bytes.
const LARGEST: u64 = 4096;

/// What a lease says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    by: String,
    /// Tells two holders apart.
    id: String,
    beat: u64,
}

/// A lease that is held at a remote. Dropped, it is given back; a killed process's lease goes stale.
pub struct RemoteLease {
    at: At,
    name: String,
    stop: Option<Sender<()>>,
    beating: Option<std::thread::JoinHandle<()>>,
}

/// One of the remotes, by its place in the list. Asked through it, one that is down is not waited for.
#[derive(Clone)]
struct At {
    remotes: Remotes,
    number: usize,
}

impl At {
    fn remote(&self) -> &Remote {
        &self.remotes.list()[self.number]
    }
}

/// A colleague who is at work on a key.
pub struct Busy {
    /// Who, as they say themselves: `alice@gpu3`.
    pub by: String,
    /// At which remote it is said.
    pub remote: String,
    store: Arc<dyn Store>,
    name: String,
    last: Vec<u8>,
    since: Instant,
}

/// What a look at a colleague's lease found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// It is held, as far as one can tell.
    Held,
    /// It was given back, or has not changed for a minute and a half.
    Over,
}

impl Cache {
    /// Tells colleagues that somebody is at work on a key: takes its lease at every remote that results
    /// are pushed to. Or tells who is at work already, at any remote. What cannot be asked counts as free.
    ///
    /// # Errors
    /// The colleague who is at work on it.
    pub fn announce(&self, key: &StageKey, by: &str) -> Result<Vec<RemoteLease>, Box<Busy>> {
        let mut leases = Vec::new();
        let Some(remotes) = self.remotes() else {
            return Ok(leases);
        };
        let name = format!("{LEASES}/{key}");
        for remote in remotes.list() {
            if let Ok(Some(bytes)) = remote.ask(|store| store.read(&name, LARGEST))
                && let Ok(note) = serde_json::from_slice::<Note>(&bytes)
            {
                return Err(Box::new(Busy {
                    by: note
                        .by
                        .chars()
                        .filter(|c| !c.is_control())
                        .take(80)
                        .collect(),
                    remote: remote.name.clone(),
                    store: Arc::clone(&remote.store),
                    name,
                    last: bytes,
                    since: Instant::now(),
                }));
            }
        }
        for (number, remote) in remotes.list().iter().enumerate() {
            if remotes.key().is_none() || remote.push != Push::OnSuccess {
                continue;
            }
            let note = Note {
                by: by.to_owned(),
                id: uuid::Uuid::now_v7().to_string(),
                beat: 0,
            };
            let bytes = serde_json::to_vec(&note).unwrap_or_default();
            if let Ok(Created::New) = remote.ask(|store| store.create(&name, &bytes)) {
                let remotes = remotes.clone();
                leases.push(RemoteLease::begin(
                    At { remotes, number },
                    name.clone(),
                    note,
                ));
            }
        }
        Ok(leases)
    }
}

impl RemoteLease {
    fn begin(at: At, name: String, mut note: Note) -> Self {
        let (stop, stopped) = channel::<()>();
        let (to, under) = (at.clone(), name.clone());
        let beating = std::thread::Builder::new()
            .name("remote lease".to_owned())
            .spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(BEAT) {
                    note.beat += 1;
                    // A beat that is lost is made up for by the next.
                    let bytes = serde_json::to_vec(&note).unwrap_or_default();
                    drop(to.remote().ask(|store| store.put(&under, &bytes)));
                }
            })
            // Without its thread the lease goes stale, and that is all.
            .ok();
        Self {
            at,
            name,
            stop: Some(stop),
            beating,
        }
    }
}

impl Drop for RemoteLease {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(beating) = self.beating.take() {
            drop(beating.join());
        }
        // One that cannot be given back goes stale.
        drop(self.at.remote().ask(|store| store.remove(&self.name)));
    }
}

impl Busy {
    /// Looks again. A lease that is over and still there is removed, so that the key can be announced.
    pub fn look(&mut self) -> Watched {
        match self.store.read(&self.name, LARGEST) {
            Ok(None) => Watched::Over,
            Ok(Some(bytes)) if bytes != self.last => {
                self.last = bytes;
                self.since = Instant::now();
                Watched::Held
            }
            // Who cannot ask waits no longer than for one who does not answer.
            Ok(Some(_)) | Err(_) if self.since.elapsed() < STALE => Watched::Held,
            Ok(Some(_)) | Err(_) => {
                drop(self.store.remove(&self.name));
                Watched::Over
            }
        }
    }
}

impl std::fmt::Debug for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Busy({} at {})", self.by, self.remote)
    }
}
