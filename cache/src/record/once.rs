//! JSON that says everything once. Most readers keep the last of two fields of one name; whoever looked at the first was
//! told something else. Here no object has a name twice, at any depth, and there are not more values than a record
//! can need, so that a small text does not become a large structure.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The most values in one text: a few MB when they are read, and far more than any preimage has.
const MOST_VALUES: usize = 1_000_000;

/// Checks that a text is an object of fields that are known, whose objects have each name once.
///
/// # Errors
/// What is wrong and where: a name that stands there twice, an unknown field, too many values, a depth beyond 127,
/// something after the end, or what is no JSON.
pub(super) fn check(json: &[u8], known: fn(&str) -> bool) -> Result<(), serde_json::Error> {
    let mut left = MOST_VALUES;
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    deserializer.deserialize_map(Once {
        left: &mut left,
        known,
    })?;
    deserializer.end()
}

/// A value within which nothing stands twice.
struct Once<'a> {
    left: &'a mut usize,
    /// Which names an object may have here.
    known: fn(&str) -> bool,
}

impl Once<'_> {
    fn inner(&mut self) -> Once<'_> {
        Once {
            left: self.left,
            known: |_| true,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        *self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| D::Error::custom("there are more values than a record can have"))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self.inner())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key_seed(Name)? {
            if !(self.known)(&name) {
                return Err(A::Error::custom(format_args!(
                    "the field `{name}` is none of a record"
                )));
            }
            if names.contains(&name) {
                return Err(A::Error::custom(format_args!(
                    "`{name}` stands there twice"
                )));
            }
            names.insert(name);
            map.next_value_seed(self.inner())?;
        }
        Ok(())
    }
}

/// A name of an object, borrowed where the text has it as it is.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}
