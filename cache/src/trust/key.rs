//! Keys of writers: ed25519 (RFC 8032). A secret leaves its type only as text that wipes itself, and never through
//! `Debug` or an error. A public key here is one that can be trusted at all: a point, written in its one
//! canonical way, and not one of the weak points under which anybody can sign.

use std::fmt;
use std::io;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

const SECRET: &str = "dag-writer-key-v1:";
const PUBLIC: &str = "ed25519:";

/// The secret key of a writer. Wiped from memory when it is dropped.
pub struct WriterKey(SigningKey);

impl WriterKey {
    /// A new key from the randomness of the operating system.
    ///
    /// # Errors
    /// The operating system has none.
    pub fn generate() -> io::Result<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut())?;
        Ok(Self(SigningKey::from_bytes(&secret)))
    }

    /// Reads `dag-writer-key-v1:` and 64 lower-case hex digits; white space around it does not count.
    ///
    /// # Errors
    /// [`BadKey`], which says what is wrong and shows nothing of the text.
    pub fn from_text(text: &str) -> Result<Self, BadKey> {
        let text = text.trim();
        if text.starts_with(PUBLIC) {
            return Err(BadKey::Public);
        }
        let digits = text.strip_prefix(SECRET).ok_or(BadKey::NoKey)?;
        let secret = Zeroizing::new(from_hex::<32>(digits).ok_or(BadKey::Digits)?);
        Ok(Self(SigningKey::from_bytes(&secret)))
    }

    /// The text that [`WriterKey::from_text`] reads, without an end of line. It is the secret itself.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // As long as it gets: growing would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(SECRET.len() + 64));
        text.push_str(SECRET);
        push_hex(&mut text, self.0.as_bytes());
        text
    }

    /// The public half.
    #[must_use]
    pub fn writer(&self) -> Writer {
        Writer(self.0.verifying_key().to_bytes())
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for WriterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriterKey(secret of {})", self.writer())
    }
}

/// The text is not a writer's secret key. The text itself is not shown: it may be nearly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// It begins differently.
    #[error("a writer's key begins with `{SECRET}`; this does not")]
    NoKey,
    /// It is the public half.
    #[error(
        "this is the public half of a key; signing needs the secret, which begins with `{SECRET}`"
    )]
    Public,
    /// What follows are not 64 hex digits.
    #[error(
        "a writer's key has 64 digits of 0-9 and a-f after `{SECRET}`; this has others, or is cut off"
    )]
    Digits,
}

/// A writer: the public key that its signatures are checked with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Writer([u8; 32]);

impl Writer {
    /// A writer from the 32 bytes of a public key.
    ///
    /// # Errors
    /// [`NotAWriter`] if the bytes are no point of the curve, another spelling of one, or a weak one under which
    /// everybody could sign.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, NotAWriter> {
        let point = VerifyingKey::from_bytes(&bytes).map_err(|_| NotAWriter::NoPoint)?;
        if !is_reduced(&bytes) {
            return Err(NotAWriter::Spelling);
        }
        if point.is_weak() {
            return Err(NotAWriter::Weak);
        }
        Ok(Self(bytes))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight hex digits: what a person reads.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = String::with_capacity(8);
        push_hex(&mut text, &self.0[..4]);
        text
    }

    /// Whether this writer signed the message. Strict: a signature has one spelling, so nobody else can make a
    /// second one out of it.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| {
            key.verify_strict(message, &Signature::from_bytes(signature))
                .is_ok()
        })
    }
}

/// Whether the coordinate is below the field's prime, 2^255 - 19: the points just above have two spellings.
fn is_reduced(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff) || *low < 0xed
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(64);
        push_hex(&mut text, &self.0);
        write!(f, "{PUBLIC}{text}")
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Writer({self})")
    }
}

/// The text or the bytes are no writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAWriter {
    /// It is not written like one.
    #[error("a writer is written `{PUBLIC}` and 64 digits of 0-9 and a-f; this is not")]
    Text,
    /// It is a secret key. It is not shown.
    #[error("this is a secret key, which nobody else may have; a writer begins with `{PUBLIC}`")]
    Secret,
    /// The digits are no public key.
    #[error("these digits are no public key; was one mistyped?")]
    NoPoint,
    /// A public key, but not as it is written.
    #[error("this public key is not written in its one canonical way")]
    Spelling,
    /// Anybody can sign for it.
    #[error("this public key is a weak one, under which anybody can sign")]
    Weak,
}

impl FromStr for Writer {
    type Err = NotAWriter;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with(SECRET) {
            return Err(NotAWriter::Secret);
        }
        let digits = text.strip_prefix(PUBLIC).ok_or(NotAWriter::Text)?;
        Self::from_bytes(from_hex(digits).ok_or(NotAWriter::Text)?)
    }
}

impl Serialize for Writer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Writer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Appends lower-case hex digits.
pub(super) fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from(half + if half < 10 { b'0' } else { b'a' - 10 }));
        }
    }
}

/// Exactly as many lower-case hex digits as the bytes have. Upper case would be a second spelling.
pub(super) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let half = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = match digits {
            [high, low] => half(*high)? << 4 | half(*low)?,
            _ => return None,
        };
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
