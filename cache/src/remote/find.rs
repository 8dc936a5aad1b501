//! Finding records: by key, many at once, from the first remote that has one to be believed.

use std::io;

use super::notice::Notice;
use super::{Remote, Remotes, crew, read_believed};
use crate::StageKey;
use crate::cache::{LARGEST_RECORD, record_name};
use crate::record::Record;
use crate::trust::{Keyring, Purpose, Trust, Writer, open};

/// Records that are asked for at the same time.
const AT_ONCE: usize = 64;

/// What the remotes have for a key.
pub(crate) enum Found {
    /// A record to be believed.
    Record {
        /// As it came, under its seal.
        sealed: Vec<u8>,
        /// The remote's place in the list.
        remote: usize,
    },
    /// Nothing that is believed; why what was there is not.
    Nothing {
        /// A sentence for each record that was refused.
        refused: Vec<String>,
    },
}

impl Remotes {
    /// Asks the remotes in order for every key that none before had.
    pub(crate) fn find(&self, keys: &[StageKey]) -> Vec<Found> {
        let mut found: Vec<Found> = keys
            .iter()
            .map(|_| Found::Nothing {
                refused: Vec::new(),
            })
            .collect();
        for (number, remote) in self.list().iter().enumerate() {
            let open: Vec<usize> = (0..keys.len())
                .filter(|at| matches!(found[*at], Found::Nothing { .. }))
                .collect();
            let answers = crew::each(&open, AT_ONCE, |at| {
                remote.record(&keys[*at], self.keyring())
            });
            for (at, answer) in open.into_iter().zip(answers) {
                match (answer, &mut found[at]) {
                    (Answer::Absent, _) => {}
                    (Answer::Refused(reason), Found::Nothing { refused }) => {
                        self.listener().hear(&Notice::Refused {
                            remote: remote.name.clone(),
                            what: format!("the record of {}", keys[at].0.short()),
                            reason: reason.clone(),
                        });
                        refused.push(format!("`{}` has a record, but {reason}", remote.name));
                    }
                    (Answer::Record(_, _, sealed), slot) => {
                        *slot = Found::Record {
                            sealed,
                            remote: number,
                        };
                    }
                    (Answer::Refused(_), Found::Record { .. }) => {}
                }
            }
        }
        found
    }
}

/// What one remote says to one key.
pub(crate) enum Answer {
    /// Nothing, or it cannot be asked.
    Absent,
    /// A record that is not believed, and why.
    Refused(String),
    /// A record, who sealed it, and its bytes as they came.
    Record(Box<Record>, Option<Writer>, Vec<u8>),
}

impl Remote {
    /// The record of a key, if it is believed.
    pub(crate) fn record(&self, key: &StageKey, keyring: &Keyring) -> Answer {
        let name = record_name(key);
        let read = read_believed(
            || self.ask(|store| store.read(&name, LARGEST_RECORD)),
            |sealed| accept(key, sealed, &self.trust, keyring),
        );
        match read {
            Ok(Some(Ok(((record, writer), sealed)))) => {
                Answer::Record(Box::new(record), writer, sealed)
            }
            Ok(Some(Err(reason))) => Answer::Refused(reason),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                Answer::Refused("it is larger than any record".to_owned())
            }
            // A failure is told by the remote's health.
            Ok(None) | Err(_) => Answer::Absent,
        }
    }
}

/// Opens a sealed record and checks all it can be checked for without its blobs.
pub(crate) fn accept(
    key: &StageKey,
    sealed: &[u8],
    trust: &Trust,
    keyring: &Keyring,
) -> Result<(Record, Option<Writer>), String> {
    let opened = open(Purpose::Record, &key.to_string(), sealed, trust, keyring)
        .map_err(|refusal| refusal.to_string())?;
    let record = Record::decode(key, &opened.payload)?;
    if !record.can_be_shown() {
        return Err("a note or a name in it holds control characters".to_owned());
    }
    Ok((record, opened.writer))
}
