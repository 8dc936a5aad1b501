//! How the first line is written: in one way, and in no other version.

use dag_cache::Digest;
use dag_cache::trust::Trust;

use super::forger::Forger;
use super::{check, only};

#[test]
fn the_seal_has_one_spelling() {
    let forger = Forger::new();
    let sealed = forger.by_alice(&forger.plain);
    let before = |bytes: &[u8]| [bytes, &sealed].concat();
    let rows: Vec<(&'static str, Vec<u8>, &'static str)> = vec![
        ("nothing", Vec::new(), "it is empty"),
        (
            "an older version",
            forger.words(|words| words[2] = "v0".to_owned()),
            "it is `dag sealed v0`, which this version of the program does not read",
        ),
        (
            "a newer version",
            forger.words(|words| words[2] = "v2".to_owned()),
            "it is `dag sealed v2`",
        ),
        (
            "a version that counts as the same",
            forger.words(|words| words[2] = "v01".to_owned()),
            "it is `dag sealed v01`",
        ),
        (
            "a newer version of a plain record",
            [b"dag record v2 ", &forger.plain[b"dag record v1 ".len()..]].concat(),
            "it is `dag record v2`",
        ),
        (
            "a version that clears the screen",
            forger.words(|words| words[2] = "v2\u{1b}[2J".to_owned()),
            "it is `dag sealed v2\\u{1b}[2J`",
        ),
        (
            "another purpose",
            forger.words(|words| words[3] = "lease".to_owned()),
            "it is sealed as `lease`, not as `record`",
        ),
        (
            "a purpose in capitals",
            forger.words(|words| words[3] = "Record".to_owned()),
            "it is sealed as `Record`, not as `record`",
        ),
        (
            "a writer in capitals",
            forger.words(|words| words[4] = words[4].to_uppercase()),
            "its writer is not 64 lower-case hex digits",
        ),
        (
            "a signature in capitals",
            forger.words(|words| words[5] = words[5].to_uppercase()),
            "its signature is not 128 lower-case hex digits",
        ),
        (
            "a writer as it is shown",
            forger.words(|words| words[4] = format!("ed25519:{}", words[4])),
            "its writer is not 64 lower-case hex digits",
        ),
        (
            "a writer cut",
            forger.words(|words| words[4].truncate(62)),
            "its writer is not 64 lower-case hex digits",
        ),
        (
            "a signature cut",
            forger.words(|words| words[5].truncate(126)),
            "its signature is not 128 lower-case hex digits",
        ),
        (
            "a signature too long",
            forger.words(|words| words[5].push_str("00")),
            "its signature is not 128 lower-case hex digits",
        ),
        (
            "signed by nobody",
            forger.words(|words| words[4] = "unsigned".to_owned()),
            "its writer is not 64 lower-case hex digits",
        ),
        (
            "a writer who did not sign",
            forger.words(|words| words[5] = "unsigned".to_owned()),
            "its signature is not 128 lower-case hex digits",
        ),
        (
            "no signature",
            forger.words(|words| drop(words.pop())),
            "its first line has not version, purpose, writer and signature",
        ),
        (
            "a word more",
            forger.words(|words| words.push("trusted".to_owned())),
            "its first line has not version, purpose, writer and signature",
        ),
        (
            "two spaces",
            forger.words(|words| words.insert(4, String::new())),
            "its first line has not version, purpose, writer and signature",
        ),
        (
            "a space at the end",
            forger.words(|words| words.push(String::new())),
            "its first line has not version, purpose, writer and signature",
        ),
        (
            "a tab",
            forger.words(|words| words[2] = "v1\trecord".to_owned()),
            "it is `dag sealed v1\\trecord`",
        ),
        (
            "a carriage return",
            forger.words(|words| words[5].push('\r')),
            "its signature is not 128 lower-case hex digits",
        ),
        (
            "a NUL in the line",
            forger.words(|words| words[5].push('\0')),
            "its signature is not 128 lower-case hex digits",
        ),
        (
            "a NUL before it",
            before(b"\0"),
            "it does not begin like something sealed",
        ),
        (
            "a byte order mark before it",
            before(b"\xef\xbb\xbf"),
            "it does not begin like something sealed",
        ),
        (
            "an empty line before it",
            before(b"\n"),
            "it does not begin like something sealed",
        ),
        (
            "a first line that is no text",
            before(b"\xff"),
            "its first line is no text",
        ),
        (
            "a first line of a megabyte",
            before(&[b' '; 1 << 20]),
            "it does not begin like something sealed",
        ),
        (
            "only the first line",
            sealed[..=sealed.iter().position(|byte| *byte == b'\n').unwrap()].to_vec(),
            "its signature does not fit",
        ),
        (
            "a first line without its end",
            sealed[..sealed.iter().position(|byte| *byte == b'\n').unwrap()].to_vec(),
            "it ends within its first line",
        ),
        (
            "a page that asks to log in",
            b"<html><body>Sign in</body></html>\n".to_vec(),
            "it does not begin like something sealed",
        ),
        (
            "a byte more at the end",
            [&sealed[..], b"\n"].concat(),
            "its signature does not fit",
        ),
        (
            "itself twice",
            sealed.repeat(2),
            "its signature does not fit",
        ),
        (
            "a seal within a seal",
            forger.by_alice(&sealed),
            "it does not begin like a record",
        ),
        (
            "a metric changed",
            {
                let line = &sealed[..=sealed.iter().position(|byte| *byte == b'\n').unwrap()];
                [line, &forger.edited(r#""loss":0.25"#, r#""loss":0.125"#)].concat()
            },
            "its signature does not fit",
        ),
        (
            "another output's digest",
            {
                let line = &sealed[..=sealed.iter().position(|byte| *byte == b'\n').unwrap()];
                let theirs = forger.true_record.outputs["text"].bytes.to_string();
                [
                    line,
                    &forger.edited(&theirs, &Digest::of(b"poison").to_string()),
                ]
                .concat()
            },
            "its signature does not fit",
        ),
    ];
    // None of these depends on who is believed.
    for trust in [Trust::Signed, only("alice")] {
        check(
            &forger,
            rows.iter()
                .map(|(what, bytes, reason)| (*what, bytes.clone(), trust.clone(), *reason))
                .collect(),
        );
    }
}
