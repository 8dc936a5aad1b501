//! Who is believed: writers by name, and those who are believed no more. A name has one writer and a writer one name;
//! who was revoked stays so. A [`Trust`] says which of them count for a remote.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Writer;

/// Which writers a remote's records may come from. Revoked ones never count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// From anybody, signed or not. A signature that is there must still fit. Written `any`.
    Any,
    /// From every writer of the keyring. Written `signed`.
    #[default]
    Signed,
    /// From these writers of the keyring. Written as a list of names, or with commas between them.
    Writers(Vec<String>),
}

/// The text or list says no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTrust {
    /// There is no name at all.
    #[error(
        "a list of writers needs at least one name; `signed` believes everybody in the keyring"
    )]
    Nobody,
    /// A name that no writer can have.
    #[error(transparent)]
    Name(KeyringError),
}

impl Trust {
    /// Only the writers of these names.
    ///
    /// # Errors
    /// There is no name, or one that no writer can have.
    pub fn writers(names: Vec<String>) -> Result<Self, BadTrust> {
        if names.is_empty() {
            return Err(BadTrust::Nobody);
        }
        for name in &names {
            check_name(name).map_err(BadTrust::Name)?;
        }
        Ok(Self::Writers(names))
    }
}

impl FromStr for Trust {
    type Err = BadTrust;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "any" => Ok(Self::Any),
            "signed" => Ok(Self::Signed),
            "" => Err(BadTrust::Nobody),
            names => Self::writers(
                names
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .collect(),
            ),
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Signed => f.write_str("signed"),
            Self::Writers(names) => f.write_str(&names.join(",")),
        }
    }
}

impl Serialize for Trust {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any | Self::Signed => serializer.collect_str(self),
            Self::Writers(names) => {
                let mut list = serializer.serialize_seq(Some(names.len()))?;
                for name in names {
                    list.serialize_element(name)?;
                }
                list.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Trust {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Policy;

        impl<'de> de::Visitor<'de> for Policy {
            type Value = Trust;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`any`, `signed`, or a list of writers' names")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Trust, E> {
                match text {
                    "any" => Ok(Trust::Any),
                    "signed" => Ok(Trust::Signed),
                    // One name as a bare text is more likely a mistyped policy.
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Trust, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Trust::writers(names).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_any(Policy)
    }
}

/// When a writer was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// When, as the caller wrote it: RFC 3339.
    pub at: String,
    /// The name it had, if it was trusted before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The writers somebody knows. It is read and written as
/// `{ writers: { NAME: WRITER }, revoked: { WRITER: { at, name } } }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Keyring {
    writers: BTreeMap<String, Writer>,
    revoked: BTreeMap<Writer, Revocation>,
}

/// A keyring cannot be changed so, or a stored one contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The name cannot be one.
    #[error("`{}` cannot be a writer's name: names have 1 to 64 of a-z, 0-9, `.`, `_` and `-`, do not begin with `.` or `-`, and are not `any`, `signed` or `unsigned`", .0.escape_debug())]
    Name(String),
    /// The name is another writer's.
    #[error(
        "`{name}` is {known} already; if that key is not to be believed any more, revoke it first, otherwise give {given} another name"
    )]
    Taken {
        /// The name.
        name: String,
        /// Whose it is.
        known: Writer,
        /// Who was to get it.
        given: Writer,
    },
    /// The writer has another name.
    #[error("{writer} is known as `{known}` already; a writer has one name")]
    Known {
        /// The writer.
        writer: Writer,
        /// The name it has.
        known: String,
    },
    /// The writer was revoked before.
    #[error("{writer} was revoked at {at} and stays so; ask for a new key")]
    Revoked {
        /// The writer.
        writer: Writer,
        /// When.
        at: String,
    },
}

impl Keyring {
    /// Believes a writer from now on, under a name. Doing so twice changes nothing.
    ///
    /// # Errors
    /// The name cannot be one or is another writer's; the writer has another name, or was revoked. Nothing has changed
    /// then.
    pub fn trust(&mut self, name: &str, writer: Writer) -> Result<(), KeyringError> {
        check_name(name)?;
        if let Some(revocation) = self.revoked.get(&writer) {
            return Err(KeyringError::Revoked {
                writer,
                at: revocation.at.clone(),
            });
        }
        match self.writers.get(name) {
            Some(known) if *known == writer => return Ok(()),
            Some(known) => {
                return Err(KeyringError::Taken {
                    name: name.to_owned(),
                    known: *known,
                    given: writer,
                });
            }
            None => {}
        }
        if let Some(known) = self.name_of(&writer) {
            return Err(KeyringError::Known {
                writer,
                known: known.to_owned(),
            });
        }
        self.writers.insert(name.to_owned(), writer);
        Ok(())
    }

    /// Believes a writer no more, under any policy: nothing it ever signed, since a signature says nothing about
    /// when it was made. Its name becomes free. `at` is when, in RFC 3339; of two revocations the first is kept.
    /// A writer that was never trusted can be revoked too.
    pub fn revoke(&mut self, writer: Writer, at: &str) {
        let name = self.name_of(&writer).map(str::to_owned);
        if let Some(name) = &name {
            self.writers.remove(name);
        }
        self.revoked.entry(writer).or_insert_with(|| Revocation {
            at: at.to_owned(),
            name,
        });
    }

    /// The name of a writer that is believed.
    #[must_use]
    pub fn name_of(&self, writer: &Writer) -> Option<&str> {
        self.writers
            .iter()
            .find_map(|(name, known)| (known == writer).then_some(name.as_str()))
    }

    /// The writer of a name.
    #[must_use]
    pub fn writer(&self, name: &str) -> Option<Writer> {
        self.writers.get(name).copied()
    }

    /// Those who are believed, by name.
    pub fn writers(&self) -> impl Iterator<Item = (&str, Writer)> {
        self.writers
            .iter()
            .map(|(name, writer)| (name.as_str(), *writer))
    }

    /// Those who are believed no more, by key.
    pub fn revoked(&self) -> impl Iterator<Item = (Writer, &Revocation)> {
        self.revoked
            .iter()
            .map(|(writer, revocation)| (*writer, revocation))
    }

    /// Whether a writer was revoked.
    #[must_use]
    pub fn is_revoked(&self, writer: &Writer) -> bool {
        self.revoked.contains_key(writer)
    }
}

fn check_name(name: &str) -> Result<(), KeyringError> {
    let good = (1..=64).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
        // Words of a policy and of the seal: a person would take one for the other.
        && !matches!(name, "any" | "signed" | "unsigned");
    if good {
        Ok(())
    } else {
        Err(KeyringError::Name(name.chars().take(80).collect()))
    }
}

/// A keyring as it was written down, perhaps by hand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Stored {
    #[serde(deserialize_with = "once")]
    writers: BTreeMap<String, Writer>,
    #[serde(deserialize_with = "once")]
    revoked: BTreeMap<Writer, Revocation>,
}

impl TryFrom<Stored> for Keyring {
    type Error = KeyringError;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let mut keyring = Self {
            writers: BTreeMap::new(),
            revoked: stored.revoked,
        };
        for (name, writer) in stored.writers {
            keyring.trust(&name, writer)?;
        }
        Ok(keyring)
    }
}

/// A map in which nothing stands twice: of two writers under one name, which is meant?
fn once<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Once<K, V>(std::marker::PhantomData<(K, V)>);

    impl<'de, K, V> de::Visitor<'de> for Once<K, V>
    where
        K: Deserialize<'de> + Ord + fmt::Display,
        V: Deserialize<'de>,
    {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = BTreeMap::new();
            while let Some(key) = map.next_key::<K>()? {
                if entries.contains_key(&key) {
                    return Err(de::Error::custom(format_args!(
                        "`{key}` stands there twice"
                    )));
                }
                entries.insert(key, map.next_value()?);
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_map(Once(std::marker::PhantomData))
}

#[cfg(test)]
mod tests;
