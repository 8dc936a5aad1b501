//! The seal on what a remote keeps: one line before the payload.
//!
//! ```text
//! dag sealed v1 record 64-hex-digits-of-the-writer 128-hex-digits-of-the-signature
//! ```
//!
//! Every part has one spelling, and every bit of line and payload counts: whatever is changed, moved to another
//! name or taken for another purpose is refused, with the reason.

use super::key::{from_hex, push_hex};
use super::{Keyring, Trust, Writer, WriterKey};
use crate::Digest;

const SEALED: &str = "dag sealed ";
const VERSION: &str = "v1";
/// What stands for writer and signature where nobody signed.
const UNSIGNED: &str = "unsigned";
/// First in what is signed. It has the version too, so a signature is of one version only.
const DOMAIN: &str = "dag seal v1";
/// How records begin that lie on a remote as they lie in a cache folder: without a seal.
const PLAIN: &str = "dag record ";
/// No first line that means anything is longer.
const LONGEST_LINE: usize = 1024;

/// What a sealed thing is for. One is never taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A record. Its name is the stage key, 64 hex digits.
    Record,
    /// An index of rows of the memo. Its name is the namespace, `/`, and the stage key.
    Rows,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Rows => "rows",
        }
    }
}

/// What was sealed, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The payload, as it was sealed.
    pub payload: Vec<u8>,
    /// Who signed it; `None` if nobody did.
    pub writer: Option<Writer>,
}

/// Why something sealed is not believed: a reason in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody signed, and only signed things count here.
    #[error("it is not signed")]
    Unsigned,
    /// Signed by somebody who is not in the keyring.
    #[error("it is signed by {0}, who is not in the keyring")]
    Unknown(Writer),
    /// Signed by somebody who is not believed any more.
    #[error("it is signed by {0}, who was revoked")]
    Revoked(Writer),
    /// Signed by somebody of the keyring whom this remote's list leaves out.
    #[error("it is signed by `{name}` ({}), who is not on the list of this remote", writer.short())]
    NotListed {
        /// Who it is in the keyring.
        name: String,
        /// The writer.
        writer: Writer,
    },
    /// The signature is not one of this writer over this payload, name and purpose.
    #[error("its signature does not fit: it was changed, or made for another name or purpose")]
    BadSignature,
    /// It does not look like something sealed.
    #[error("{0}")]
    Malformed(String),
    /// It is of a version that this program does not read.
    #[error("it is `{0}`, which this version of the program does not read")]
    OtherVersion(String),
}

/// Seals a payload under a name for a purpose; without a key, unsigned. What `name` is for each purpose, [`Purpose`]
/// says.
///
/// ```
/// use dag_cache::trust::{Keyring, Purpose, Trust, WriterKey, open, seal};
///
/// let key = WriterKey::generate()?;
/// let mut keyring = Keyring::default();
/// keyring.trust("alice", key.writer())?;
///
/// let sealed = seal(Purpose::Record, "41d0", b"payload", Some(&key));
/// let opened = open(Purpose::Record, "41d0", &sealed, &Trust::Signed, &keyring)?;
/// assert_eq!((opened.payload.as_slice(), opened.writer), (&b"payload"[..], Some(key.writer())));
///
/// let moved = open(Purpose::Record, "9b2e", &sealed, &Trust::Signed, &keyring);
/// assert!(moved.unwrap_err().to_string().starts_with("its signature does not fit"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn seal(purpose: Purpose, name: &str, payload: &[u8], key: Option<&WriterKey>) -> Vec<u8> {
    let mut line = format!("{SEALED}{VERSION} {} ", purpose.word());
    match key {
        Some(key) => {
            push_hex(&mut line, key.writer().as_bytes());
            line.push(' ');
            push_hex(
                &mut line,
                &key.sign(&signed_message(purpose, name, payload)),
            );
        }
        None => {
            line.push_str(UNSIGNED);
            line.push(' ');
            line.push_str(UNSIGNED);
        }
    }
    line.push('\n');
    let mut sealed = line.into_bytes();
    sealed.extend_from_slice(payload);
    sealed
}

/// Opens what [`seal`] made, if it is for this purpose and name, and from somebody whom `trust` admits. A record that
/// begins like one of a cache folder counts as unsigned, and is its own payload.
///
/// # Errors
/// [`Refusal`], the reason in words. A signature is checked before it is asked who may sign, so a refusal names a
/// writer only if that writer did sign. A signature that does not fit and a revoked writer are refused under every
/// policy.
pub fn open(
    purpose: Purpose,
    name: &str,
    sealed: &[u8],
    trust: &Trust,
    keyring: &Keyring,
) -> Result<Opened, Refusal> {
    let line = first_line(sealed)?;
    let (writer, payload) = if line.starts_with(PLAIN) && purpose == Purpose::Record {
        check_version(line, PLAIN)?;
        (None, sealed)
    } else if line.starts_with(SEALED) {
        check_version(line, SEALED)?;
        let signed = parse(line, purpose)?;
        // The line's end is one byte; it was found, so what follows begins at or before the end.
        let payload = sealed.get(line.len() + 1..).unwrap_or_default();
        let writer = match signed {
            Some((writer, signature)) => {
                if !writer.signed(&signed_message(purpose, name, payload), &signature) {
                    return Err(Refusal::BadSignature);
                }
                Some(writer)
            }
            None => None,
        };
        (writer, payload)
    } else {
        return Err(malformed("it does not begin like something sealed"));
    };
    admit(writer, trust, keyring)?;
    Ok(Opened {
        payload: payload.to_vec(),
        writer,
    })
}

/// What is signed: domain, purpose, name and the payload's digest, each after its length in 8 bytes, so that no two
/// different things are the same message.
fn signed_message(purpose: Purpose, name: &str, payload: &[u8]) -> Vec<u8> {
    let digest = Digest::of(payload);
    let mut message = Vec::new();
    for part in [
        DOMAIN.as_bytes(),
        purpose.word().as_bytes(),
        name.as_bytes(),
        digest.as_bytes(),
    ] {
        message.extend_from_slice(&(part.len() as u64).to_le_bytes());
        message.extend_from_slice(part);
    }
    message
}

/// The first line without its end.
fn first_line(sealed: &[u8]) -> Result<&str, Refusal> {
    if sealed.is_empty() {
        return Err(malformed("it is empty"));
    }
    let head = &sealed[..sealed.len().min(LONGEST_LINE)];
    let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
        return Err(malformed(if head.len() < LONGEST_LINE {
            "it ends within its first line"
        } else {
            "it does not begin like something sealed"
        }));
    };
    std::str::from_utf8(&head[..end]).map_err(|_| malformed("its first line is no text"))
}

/// Refuses a line whose third word is another version.
fn check_version(line: &str, beginning: &str) -> Result<(), Refusal> {
    let version = line[beginning.len()..]
        .split(' ')
        .next()
        .unwrap_or_default();
    if version == VERSION {
        Ok(())
    } else {
        let shown: String = version.chars().take(20).collect();
        Err(Refusal::OtherVersion(format!(
            "{beginning}{}",
            shown.escape_debug()
        )))
    }
}

/// The writer and the signature of a first line; `None` if it says that nobody signed.
fn parse(line: &str, purpose: Purpose) -> Result<Option<(Writer, [u8; 64])>, Refusal> {
    let words: Vec<&str> = line[SEALED.len()..].split(' ').collect();
    let [_, word, writer, signature] = words.as_slice() else {
        return Err(malformed(
            "its first line has not version, purpose, writer and signature",
        ));
    };
    if *word != purpose.word() {
        let shown: String = word.chars().take(20).collect();
        return Err(malformed(&format!(
            "it is sealed as `{}`, not as `{}`",
            shown.escape_debug(),
            purpose.word()
        )));
    }
    if [*writer, *signature] == [UNSIGNED, UNSIGNED] {
        return Ok(None);
    }
    let writer = from_hex(writer)
        .ok_or_else(|| malformed("its writer is not 64 lower-case hex digits"))
        .and_then(|bytes| {
            Writer::from_bytes(bytes)
                .map_err(|error| malformed(&format!("its writer is none: {error}")))
        })?;
    let signature = from_hex(signature)
        .ok_or_else(|| malformed("its signature is not 128 lower-case hex digits"))?;
    Ok(Some((writer, signature)))
}

/// Whether what this writer signed, or nobody, is believed.
fn admit(writer: Option<Writer>, trust: &Trust, keyring: &Keyring) -> Result<(), Refusal> {
    if let Some(writer) = writer
        && keyring.is_revoked(&writer)
    {
        return Err(Refusal::Revoked(writer));
    }
    let listed = match trust {
        Trust::Any => return Ok(()),
        Trust::Signed => None,
        Trust::Writers(names) => Some(names),
    };
    let writer = writer.ok_or(Refusal::Unsigned)?;
    let name = keyring.name_of(&writer).ok_or(Refusal::Unknown(writer))?;
    match listed {
        Some(names) if !names.iter().any(|listed| listed == name) => Err(Refusal::NotListed {
            name: name.to_owned(),
            writer,
        }),
        Some(_) | None => Ok(()),
    }
}

fn malformed(reason: &str) -> Refusal {
    Refusal::Malformed(reason.to_owned())
}
