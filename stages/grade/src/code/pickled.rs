//! LiveCodeBench's private tests: JSON text, pickled, compressed, in base64. Reading a pickle runs what it says; this
//! reads the one shape that a pickled text has, and runs nothing.

use std::io::Read;

use base64::Engine;

/// The most bytes that tests may unpack to.
const MOST: u64 = 256 << 20;

/// Why packed tests cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackedFault {
    /// The text is no base64.
    #[error("the private tests are no base64")]
    Base64,
    /// The bytes are no zlib stream, or one of more than 256 MiB.
    #[error("the private tests are no zlib stream of at most 256 MiB")]
    Zlib,
    /// The pickle holds something else than one text.
    #[error("the private tests are no pickle of one text")]
    Pickle,
}

/// The JSON text of packed private tests.
///
/// ```
/// // python3: base64.b64encode(zlib.compress(pickle.dumps("[]")))
/// let packed = "eJxrYJnKxgABPUzRsVP0ABkLAyg=";
/// assert_eq!(dag_grade::code::unpack_private_tests(packed).as_deref(), Ok("[]"));
/// ```
pub fn unpack_private_tests(packed: &str) -> Result<String, PackedFault> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(packed.trim())
        .map_err(|_| PackedFault::Base64)?;
    let mut pickle = Vec::new();
    flate2::read::ZlibDecoder::new(bytes.as_slice())
        .take(MOST + 1)
        .read_to_end(&mut pickle)
        .map_err(|_| PackedFault::Zlib)?;
    if pickle.len() as u64 > MOST {
        return Err(PackedFault::Zlib);
    }
    pickled_text(&pickle).ok_or(PackedFault::Pickle)
}

/// The text that a pickle consists of. None where it consists of anything else.
fn pickled_text(pickle: &[u8]) -> Option<String> {
    const PROTOCOL: u8 = 0x80;
    const FRAME: u8 = 0x95;
    const SHORT_TEXT: u8 = 0x8c;
    const TEXT: u8 = b'X';
    const LONG_TEXT: u8 = 0x8d;
    const MEMOIZE: u8 = 0x94;
    const PUT: u8 = b'q';
    const LONG_PUT: u8 = b'r';
    const STOP: u8 = b'.';
    let mut rest = pickle;
    let mut take = |count: usize| -> Option<&[u8]> {
        let (taken, left) = rest.split_at_checked(count)?;
        rest = left;
        Some(taken)
    };
    let little = |bytes: &[u8]| {
        let value = bytes.iter().rev().try_fold(0u64, |sum, byte| {
            Some(sum.checked_mul(256)? + u64::from(*byte))
        });
        value.and_then(|value| usize::try_from(value).ok())
    };
    let mut text = None;
    loop {
        let length_bytes = match *take(1)?.first()? {
            PROTOCOL | PUT => {
                take(1)?;
                continue;
            }
            FRAME => {
                take(8)?;
                continue;
            }
            LONG_PUT => {
                take(4)?;
                continue;
            }
            MEMOIZE => continue,
            STOP => return text,
            SHORT_TEXT => 1,
            TEXT => 4,
            LONG_TEXT => 8,
            _ => return None,
        };
        if text.is_some() {
            return None;
        }
        let length = little(take(length_bytes)?)?;
        text = Some(String::from_utf8(take(length)?.to_vec()).ok()?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pickle_of_one_text_is_read_whatever_its_protocol() {
        let check = |pickle: &[u8], text: Option<&str>| {
            assert_eq!(pickled_text(pickle).as_deref(), text, "{pickle:?}");
        };
        check(b"\x80\x04\x95\x06\0\0\0\0\0\0\0\x8c\x02[]\x94.", Some("[]"));
        check(b"\x80\x02X\x02\0\0\0[]q\0.", Some("[]"));
        check(b"\x80\x04\x8d\x02\0\0\0\0\0\0\0[]\x94.", Some("[]"));
        check(b"\x80\x04\x8c\x02[", None);
        check(b"\x80\x04\x8c\x01a\x8c\x01b.", None);
        check(b"\x80\x04.", None);
        check(b"", None);
        // os.system("id"): a call is not read at all.
        check(b"cos\nsystem\n(S'id'\ntR.", None);
        check(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", None);
    }

    #[test]
    fn packed_tests_unpack() {
        // python3: base64.b64encode(zlib.compress(pickle.dumps('[{"input": "1", "output": "2"}]')))
        let packed = "eJxrYJmqzAABPfLR1UqZeQWlJUpWCkqGSjoKSvmlJVCukVJt7BQ9APfMC64=";
        assert_eq!(
            unpack_private_tests(packed).as_deref(),
            Ok(r#"[{"input": "1", "output": "2"}]"#)
        );
        assert_eq!(unpack_private_tests("?"), Err(PackedFault::Base64));
        assert_eq!(unpack_private_tests("AAAA"), Err(PackedFault::Zlib));
    }
}
