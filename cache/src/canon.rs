//! The canonical encoding of values that decide keys.
//!
//! A value has one encoding: a tag byte, then its content; texts, lists and maps start with their
//! length, maps are sorted by key. So two values have the same digest exactly if they are equal, on every
//! machine and in every version of the program. Integers and floats are different values: `1` is not `1.0`.

use std::collections::BTreeMap;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Digest;

/// A value that can be part of a key.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A float, compared and encoded by its bits; all NaNs are one.
    Float(f64),
    /// A text.
    Str(String),
    /// A digest.
    Digest(Digest),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name; order does not count.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// A map from pairs.
    pub fn map<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }

    /// The field of a map; `None` for anything else.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(map) => map.get(key),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Str(_)
            | Self::Digest(_)
            | Self::List(_) => None,
        }
    }

    /// The canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        fn text(out: &mut Vec<u8>, text: &str) {
            out.extend_from_slice(&(text.len() as u64).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        match self {
            Self::Null => out.push(b'n'),
            Self::Bool(value) => out.extend_from_slice(&[b'b', u8::from(*value)]),
            Self::Int(value) => {
                out.push(b'i');
                out.extend_from_slice(&value.to_le_bytes());
            }
            Self::Float(value) => {
                out.push(b'f');
                out.extend_from_slice(&float_bits(*value).to_le_bytes());
            }
            Self::Str(value) => {
                out.push(b's');
                text(out, value);
            }
            Self::Digest(value) => {
                out.push(b'd');
                out.extend_from_slice(value.as_bytes());
            }
            Self::List(values) => {
                out.push(b'l');
                out.extend_from_slice(&(values.len() as u64).to_le_bytes());
                for value in values {
                    value.encode_into(out);
                }
            }
            Self::Map(values) => {
                out.push(b'm');
                out.extend_from_slice(&(values.len() as u64).to_le_bytes());
                for (key, value) in values {
                    text(out, key);
                    value.encode_into(out);
                }
            }
        }
    }
}

/// One bit pattern for every NaN, and for both zeros.
fn float_bits(value: f64) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else if value == 0.0 {
        0
    } else {
        value.to_bits()
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => float_bits(*a) == float_bits(*b),
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::Digest(a), Self::Digest(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (
                Self::Null
                | Self::Bool(_)
                | Self::Int(_)
                | Self::Float(_)
                | Self::Str(_)
                | Self::Digest(_)
                | Self::List(_)
                | Self::Map(_),
                _,
            ) => false,
        }
    }
}

impl Eq for Value {}

/// The digest of a value. The domain keeps digests of different things apart.
#[must_use]
pub fn digest(domain: &str, value: &Value) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(domain);
    hasher.update(&value.encode());
    hasher.finalize().into()
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(value.to_owned())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Str(value.clone())
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),* $(,)?) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! {
    bool => Bool, i64 => Int, i32 => Int, u32 => Int, u16 => Int, u8 => Int, f64 => Float, f32 => Float,
    String => Str, Digest => Digest, BTreeMap<String, Value> => Map,
}

impl From<u64> for Value {
    /// A number beyond `i64::MAX` becomes `{"$u64": "digits"}`, which is neither a text nor another number.
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(
            |_| Self::map([(LARGE, Self::Str(value.to_string()))]),
            Self::Int,
        )
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => number.as_i64().map_or_else(
                || match number.as_u64() {
                    Some(value) => Self::from(value),
                    None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
                },
                Self::Int,
            ),
            serde_json::Value::String(text) => Self::Str(text.clone()),
            serde_json::Value::Array(values) => Self::List(values.iter().map(Self::from).collect()),
            serde_json::Value::Object(map) => Self::Map(
                map.iter()
                    .map(|(key, value)| (key.clone(), Self::from(value)))
                    .collect(),
            ),
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        Self::from(&json)
    }
}

const DIGEST: &str = "$digest";
const FLOAT: &str = "$float";
const MAP: &str = "$map";
/// Numbers of 64 bits without a sign that need all of them.
const LARGE: &str = "$u64";

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            // Floats go as text: JSON knows no infinity, and `1.0` must not come back as `1`.
            Self::Float(value) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(FLOAT, &format!("{value:?}"))?;
                map.end()
            }
            Self::Str(value) => serializer.serialize_str(value),
            Self::Digest(value) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(DIGEST, value)?;
                map.end()
            }
            Self::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(value)?;
                }
                list.end()
            }
            Self::Map(values) => {
                // A map that looks like one of ours is wrapped, so that it comes back as itself.
                let plain = values.len() != 1
                    || !values
                        .keys()
                        .all(|key| matches!(key.as_str(), DIGEST | FLOAT | MAP));
                if plain {
                    let mut map = serializer.serialize_map(Some(values.len()))?;
                    for (key, value) in values {
                        map.serialize_entry(key, value)?;
                    }
                    map.end()
                } else {
                    let mut map = serializer.serialize_map(Some(1))?;
                    let pairs: Vec<(&String, &Value)> = values.iter().collect();
                    map.serialize_entry(MAP, &pairs)?;
                    map.end()
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value of a key's preimage")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value)
            .map(Value::Int)
            .map_err(|_| E::custom("a whole number beyond 64 bits"))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Str(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            if values.contains_key(&key) {
                return Err(de::Error::custom(format_args!(
                    "`{key}` stands there twice"
                )));
            }
            values.insert(key, value);
        }
        let special = match values.iter().next() {
            Some((key, value)) if values.len() == 1 => match (key.as_str(), value) {
                (DIGEST, Value::Str(text)) => {
                    Some(text.parse().map(Value::Digest).map_err(de::Error::custom)?)
                }
                (FLOAT, Value::Str(text)) => {
                    Some(text.parse().map(Value::Float).map_err(de::Error::custom)?)
                }
                (MAP, Value::List(pairs)) => Some(pairs_to_map(pairs).map_err(de::Error::custom)?),
                _ => None,
            },
            _ => None,
        };
        Ok(special.unwrap_or(Value::Map(values)))
    }
}

fn pairs_to_map(pairs: &[Value]) -> Result<Value, &'static str> {
    let mut map = BTreeMap::new();
    for pair in pairs {
        match pair {
            Value::List(pair) => match pair.as_slice() {
                [Value::Str(key), value] => {
                    if map.insert(key.clone(), value.clone()).is_some() {
                        return Err("a name stands there twice");
                    }
                }
                _ => return Err("a pair of a name and a value was expected"),
            },
            _ => return Err("a pair of a name and a value was expected"),
        }
    }
    Ok(Value::Map(map))
}
