//! Pins: keys that gc leaves alone, with everything they name, however old they are.
//!
//! A pin is a file, `pins-v1/KEY`. That it is there is what counts: one that cannot be read pins as well.

use std::io;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::cache::last_part;
use crate::store::Store as _;
use crate::{Cache, CacheError, Lookup, StageKey};

pub(crate) const PINS: &str = "pins-v1";
const FORMAT: u32 = 1;
/// A pin is a few words; more is no pin, and pins without them.
const LARGEST: u64 = 64 << 10;

/// Who pinned a key, why, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinNote {
    /// `user@host`.
    #[serde(default)]
    pub by: String,
    /// In the person's own words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// RFC 3339.
    #[serde(default)]
    pub at: String,
}

/// A pinned key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pin {
    /// The key.
    pub key: StageKey,
    /// What was said when it was pinned; `None` if that cannot be read.
    pub note: Option<PinNote>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    by: String,
    #[serde(default)]
    why: String,
    at: String,
}

fn pin_name(key: &StageKey) -> String {
    format!("{PINS}/{key}")
}

impl Cache {
    /// Pins a key; a second pin takes the first one's place. Gives what the cache has for the key: a pin
    /// may be set before there is a result. A hit is made young, so that a gc at work leaves it alone too.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn pin(&self, key: &StageKey, note: &PinNote) -> Result<Lookup, CacheError> {
        let PinNote { by, why, at } = note.clone();
        let stored = Stored {
            format: FORMAT,
            by,
            why,
            at,
        };
        let bytes = serde_json::to_vec(&stored).map_err(io::Error::other)?;
        self.store().put(&pin_name(key), &bytes)?;
        Ok(self.lookup(key))
    }

    /// Takes a pin away. Says whether there was one.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn unpin(&self, key: &StageKey) -> Result<bool, CacheError> {
        match fs::remove_file(self.store().path(&pin_name(key))?) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Every pinned key, sorted.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn pins(&self) -> Result<Vec<Pin>, CacheError> {
        let mut names = Vec::new();
        self.store().list(PINS, &mut |name, _| {
            names.push(name.to_owned());
            Ok(())
        })?;
        let mut pins = Vec::new();
        for name in names {
            let Ok(key) = last_part(&name).parse().map(StageKey) else {
                continue;
            };
            let bytes = match self.store().read(&name, LARGEST) {
                // Taken away meanwhile.
                Ok(None) => continue,
                Ok(bytes) => bytes,
                // It pins without its words.
                Err(_) => None,
            };
            let note = bytes
                .and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok())
                .filter(|stored| stored.format == FORMAT)
                .map(|Stored { by, why, at, .. }| PinNote { by, why, at });
            pins.push(Pin { key, note });
        }
        pins.sort_by_key(|pin| pin.key);
        Ok(pins)
    }
}
