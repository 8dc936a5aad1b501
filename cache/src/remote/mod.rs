//! Remotes: caches elsewhere, whose results are fetched instead of made again.
//!
//! A remote is a [`Store`] with the layout of a cache folder, a name, and a [`Trust`]. Nothing that comes
//! from it is believed for itself: a record counts if its seal holds and its writer is trusted, a blob if
//! its bytes have its digest. A remote that is down or lies costs time, never a result.
//!
//! - *Records* are asked for by key, many at once, and adopted under their seal.
//! - *Blobs* come when somebody needs their bytes.
//! - *Rows* of the memo come in packs, found by an index for each stage that was pushed.
//! - *Pushing* stores blobs first and the record last, with one conditional put.

mod audit;
pub(crate) mod crew;
mod fetch;
mod find;
mod health;
mod lease;
mod notice;
mod push;
mod rows;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use audit::{AuditOptions, AuditReport, audit};
pub(crate) use fetch::{Want, fetch};
pub(crate) use find::{Found, accept};
use health::{Health, PROBE};
pub use lease::{Busy, RemoteLease, Watched};
pub use notice::{Deaf, Listener, Notice, Way};
pub(crate) use push::seal_record;
pub use push::{PushReport, Pushed};
pub(crate) use rows::{LARGEST as LARGEST_INDEX, ROWS, RemoteRows, carried, take_in};

use crate::Digest;
use crate::store::Store;
use crate::trust::{Keyring, Trust, Writer, WriterKey};

/// How often a transfer that was cut is taken up again without a byte of progress.
const TRIES: u32 = 5;

/// The pause before a transfer is taken up again; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// When results go to a remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Push {
    /// Only when somebody asks for it.
    #[default]
    Never,
    /// Every result, once it is there.
    OnSuccess,
}

/// What a remote is to be.
pub struct RemoteSpec {
    /// Its name, for people.
    pub name: String,
    /// Where it lies.
    pub store: Arc<dyn Store>,
    /// Whose records are believed.
    pub trust: Trust,
    /// When results go there.
    pub push: Push,
}

/// A cache elsewhere.
pub(crate) struct Remote {
    pub(crate) name: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) trust: Trust,
    pub(crate) push: Push,
    health: Health,
    /// Blobs that it was found to hold with other bytes.
    bad: Mutex<BTreeSet<Digest>>,
}

/// The remotes of a cache, in the order they are asked, and who is trusted. Clones share it.
#[derive(Clone)]
pub struct Remotes(Arc<Inner>);

struct Inner {
    remotes: Vec<Remote>,
    keyring: Keyring,
    key: Option<WriterKey>,
    listener: Arc<dyn Listener>,
}

impl Remotes {
    /// Remotes that are asked in this order. Without a key nothing is ever written to them.
    #[must_use]
    pub fn new(
        specs: Vec<RemoteSpec>,
        keyring: Keyring,
        key: Option<WriterKey>,
        listener: Arc<dyn Listener>,
    ) -> Self {
        let remotes = specs
            .into_iter()
            .map(|spec| Remote {
                health: Health::new(&spec.name, Arc::clone(&listener)),
                name: spec.name,
                store: spec.store,
                trust: spec.trust,
                push: spec.push,
                bad: Mutex::default(),
            })
            .collect();
        Self(Arc::new(Inner {
            remotes,
            keyring,
            key,
            listener,
        }))
    }

    /// Their names, in the order they are asked.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.remotes.iter().map(|remote| remote.name.as_str())
    }

    /// Who sealed something, by the name this user gave them.
    pub(crate) fn who(&self, writer: Option<Writer>) -> String {
        match writer {
            None => "somebody who did not sign".to_owned(),
            Some(writer) => match self.0.keyring.name_of(&writer) {
                Some(name) => name.to_owned(),
                None => format!("writer {}", writer.short()),
            },
        }
    }

    /// The names of those that results are pushed to as they come; none without a key to sign with.
    pub fn pushed_to(&self) -> impl Iterator<Item = &str> {
        self.0
            .remotes
            .iter()
            .filter(|remote| self.0.key.is_some() && remote.push == Push::OnSuccess)
            .map(|remote| remote.name.as_str())
    }

    pub(crate) fn list(&self) -> &[Remote] {
        &self.0.remotes
    }

    /// Whom this user knows.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.0.keyring
    }

    /// The key this user signs with.
    #[must_use]
    pub fn key(&self) -> Option<&WriterKey> {
        self.0.key.as_ref()
    }

    pub(crate) fn listener(&self) -> &Arc<dyn Listener> {
        &self.0.listener
    }
}

impl std::fmt::Debug for Remotes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Remote {
    /// Asks the store once, unless it is known to be down.
    pub(crate) fn ask<T>(
        &self,
        question: impl FnOnce(&dyn Store) -> io::Result<T>,
    ) -> io::Result<T> {
        if let Some(reason) = self.health.down() {
            return Err(self.is_down(&reason));
        }
        let answer = question(&*self.store);
        match &answer {
            Err(error) if is_of_the_way(error) => self.health.failed(error, &self.store),
            Ok(_) | Err(_) => self.health.heard(),
        }
        answer
    }

    /// Asks the store until it answers, with patience: for what somebody waits for. `question` says
    /// whether it got further before it failed. Patience is for a bad line: a remote that keeps silent
    /// costs one small call, however long a large one may take.
    pub(crate) fn insist<T>(
        &self,
        mut question: impl FnMut(&dyn Store, &mut bool) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut tries = 0;
        let mut pause = PAUSE;
        loop {
            self.is_there()?;
            let mut further = false;
            match question(&*self.store, &mut further) {
                Err(error) if is_of_the_way(&error) => {
                    if further {
                        tries = 0;
                        pause = PAUSE;
                    }
                    tries += 1;
                    if tries >= TRIES || error.kind() == io::ErrorKind::PermissionDenied {
                        self.health.failed(&error, &self.store);
                        return Err(error);
                    }
                    if error.kind() == io::ErrorKind::TimedOut && !further {
                        self.health.unheard();
                    }
                    std::thread::sleep(pause);
                    pause *= 2;
                }
                answer => {
                    self.health.heard();
                    return answer;
                }
            }
        }
    }

    /// Whether it can be asked: it is not down, and if it was not heard lately, it says something now.
    fn is_there(&self) -> io::Result<()> {
        if let Some(reason) = self.health.down() {
            return Err(self.is_down(&reason));
        }
        if self.health.heard_lately() {
            return Ok(());
        }
        match self.store.size(PROBE) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.health.failed(&error, &self.store);
                Err(error)
            }
            // It answers, or it fails at once, and that can be repeated.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn bad(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_down(&self, reason: &str) -> io::Error {
        io::Error::new(
            io::ErrorKind::NotConnected,
            format!("remote `{}` does not answer: {reason}", self.name),
        )
    }
}

/// Reads what is believed only if it is accepted. A byte may be wrong on the way and right there, so what is
/// not accepted is read once more: twice wrong is wrong there. Gives the bytes with what was made of them, or
/// why they are not accepted.
fn read_believed<T>(
    mut read: impl FnMut() -> io::Result<Option<Vec<u8>>>,
    accept: impl Fn(&[u8]) -> Result<T, String>,
) -> io::Result<Option<Result<(T, Vec<u8>), String>>> {
    let mut again = true;
    loop {
        let Some(bytes) = read()? else {
            return Ok(None);
        };
        match accept(&bytes) {
            Ok(accepted) => return Ok(Some(Ok((accepted, bytes)))),
            Err(_) if again => again = false,
            Err(reason) => return Ok(Some(Err(reason))),
        }
    }
}

/// Whether an error is the network's or the server's, and not an answer.
fn is_of_the_way(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::Unsupported
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::NotFound
            | io::ErrorKind::StorageFull
    )
}
