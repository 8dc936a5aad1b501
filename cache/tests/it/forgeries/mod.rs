//! What somebody who can write to a remote may put there, and why none of it is believed.
//!
//! Each row is a forgery, the bytes that a remote would give for the record of `a`, the policy, and the reason that a
//! person is told.

mod forger;

use dag_cache::Digest;
use dag_cache::trust::{Purpose, Trust, seal};
use proptest::prelude::*;

use crate::world::{key, record};
use forger::{DOMAIN, Forger, as_record, message, name, signed_otherwise, with_other_s};

type Row = (&'static str, Vec<u8>, Trust, &'static str);

/// Checks that each is refused, for its reason, under its policy.
fn check(forger: &Forger, rows: Vec<Row>) {
    let mut wrong = Vec::new();
    for (forgery, bytes, trust, reason) in &rows {
        match forger.received(bytes, trust) {
            Ok(_) => wrong.push(format!("{forgery}: it was believed")),
            Err(said) if said.contains(reason) => {
                assert!(said.len() < 500, "{forgery}: {said}");
                assert!(!said.contains(char::is_control), "{forgery}: {said:?}");
            }
            Err(said) => wrong.push(format!("{forgery}: `{said}`, not `{reason}`")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The reader is not one who refuses everything.
    let honest = forger.by_alice(&forger.plain);
    assert_eq!(
        forger.received(&honest, &Trust::Signed),
        Ok(forger.true_record.clone())
    );
}

fn only(name: &str) -> Trust {
    Trust::Writers(vec![name.to_owned()])
}

#[test]
fn what_is_honest_passes_wherever_its_writer_is_admitted() {
    let forger = Forger::new();
    let unsigned = seal(Purpose::Record, &name(), &forger.plain, None);
    let by = |key| seal(Purpose::Record, &name(), &forger.plain, Some(key));
    for (bytes, trust) in [
        (forger.plain.clone(), Trust::Any),
        (unsigned, Trust::Any),
        (by(&forger.mallory), Trust::Any),
        (by(&forger.alice), Trust::Any),
        (by(&forger.alice), Trust::Signed),
        (by(&forger.bob), Trust::Signed),
        (by(&forger.alice), only("alice")),
        (
            by(&forger.bob),
            Trust::Writers(vec!["alice".to_owned(), "bob".to_owned()]),
        ),
        // the signature is over what the format page says, made here without the seal's code
        (
            signed_otherwise(
                &forger.alice,
                &message(DOMAIN, "record", &name(), &forger.plain),
                &forger.plain,
            ),
            Trust::Signed,
        ),
    ] {
        assert_eq!(
            forger.received(&bytes, &trust),
            Ok(forger.true_record.clone()),
            "{trust}"
        );
    }
}

#[test]
fn nobody_signs_for_another() {
    let forger = Forger::new();
    let by = |key| seal(Purpose::Record, &name(), &forger.plain, Some(key));
    let unsigned = seal(Purpose::Record, &name(), &forger.plain, None);
    let other_key = key("b").to_string();
    let signature_of = |payload: &[u8]| {
        let sealed = forger.by_alice(payload);
        let line = sealed.split(|byte| *byte == b'\n').next().unwrap();
        let line = String::from_utf8(line.to_vec()).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    let otherwise = |message: &[u8]| signed_otherwise(&forger.alice, message, &forger.plain);
    let does_not_fit = "its signature does not fit";
    check(
        &forger,
        vec![
            (
                "unsigned, where only signed ones count",
                unsigned.clone(),
                Trust::Signed,
                "it is not signed",
            ),
            (
                "unsigned, under a list",
                unsigned,
                only("alice"),
                "it is not signed",
            ),
            (
                "a record out of a cache folder, without a seal",
                forger.plain.clone(),
                Trust::Signed,
                "it is not signed",
            ),
            (
                "the signature taken off",
                forger.words(|words| {
                    words[4] = "unsigned".to_owned();
                    words[5] = "unsigned".to_owned();
                }),
                Trust::Signed,
                "it is not signed",
            ),
            (
                "by somebody unknown",
                by(&forger.mallory),
                Trust::Signed,
                "it is signed by ed25519:fd50b8e3b144ea244fbf7737f550bc8dd0c2650bbc1aada833ca17ff8dbf329b, who is not in the keyring",
            ),
            (
                "by somebody unknown, under a list",
                by(&forger.mallory),
                only("alice"),
                "who is not in the keyring",
            ),
            (
                "by somebody who was revoked",
                by(&forger.carol),
                Trust::Signed,
                "who was revoked",
            ),
            (
                "by somebody who was revoked, where anybody is believed",
                by(&forger.carol),
                Trust::Any,
                "who was revoked",
            ),
            (
                "by somebody who was revoked and still is on the list",
                by(&forger.carol),
                only("carol"),
                "who was revoked",
            ),
            (
                "by somebody who is not on the list",
                by(&forger.bob),
                only("alice"),
                "it is signed by `bob` (7422b988), who is not on the list of this remote",
            ),
            (
                "another's name over one's own signature",
                {
                    let line = String::from_utf8(by(&forger.mallory)).unwrap();
                    let writer = |key: &dag_cache::trust::WriterKey| {
                        key.writer().to_string().replace("ed25519:", "")
                    };
                    line.replacen(&writer(&forger.mallory), &writer(&forger.alice), 1)
                        .into_bytes()
                },
                Trust::Signed,
                does_not_fit,
            ),
            (
                "another's signature under one's own name",
                {
                    let line = String::from_utf8(by(&forger.alice)).unwrap();
                    let writer = |key: &dag_cache::trust::WriterKey| {
                        key.writer().to_string().replace("ed25519:", "")
                    };
                    line.replacen(&writer(&forger.alice), &writer(&forger.mallory), 1)
                        .into_bytes()
                },
                Trust::Any,
                does_not_fit,
            ),
            (
                "moved here from another key, body and all",
                seal(
                    Purpose::Record,
                    &other_key,
                    &forger.plain,
                    Some(&forger.alice),
                ),
                Trust::Signed,
                does_not_fit,
            ),
            (
                "moved here from another key, where anybody is believed",
                seal(
                    Purpose::Record,
                    &other_key,
                    &forger.plain,
                    Some(&forger.alice),
                ),
                Trust::Any,
                does_not_fit,
            ),
            (
                "the signature of another record of hers",
                forger.words(|words| words[5] = signature_of(&forger.edited("0.25", "0.5"))),
                Trust::Signed,
                does_not_fit,
            ),
            (
                "a signature of zeros",
                forger.words(|words| words[5] = "0".repeat(128)),
                Trust::Signed,
                does_not_fit,
            ),
            (
                "the same signature with S + L for S",
                forger.words(|words| words[5] = with_other_s(&words[5])),
                Trust::Signed,
                does_not_fit,
            ),
            (
                "a key under which everything is signed, where anybody is believed",
                forger.words(|words| {
                    words[4] = format!("01{}", "0".repeat(62));
                    words[5] = format!("01{}", "0".repeat(126));
                }),
                Trust::Any,
                "its writer is none: this public key is a weak one",
            ),
            (
                "a key of order eight",
                forger.words(|words| {
                    words[4] = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
                        .to_owned();
                }),
                Trust::Any,
                "its writer is none: this public key is a weak one",
            ),
            (
                "a key in its second spelling",
                forger.words(|words| words[4] = format!("f0{}7f", "f".repeat(60))),
                Trust::Any,
                "its writer is none: this public key is not written in its one canonical way",
            ),
            (
                "a key that is no point",
                forger.words(|words| words[4] = format!("02{}", "0".repeat(62))),
                Trust::Any,
                "its writer is none: these digits are no public key",
            ),
            (
                "a signature over the payload alone",
                otherwise(&forger.plain),
                Trust::Signed,
                does_not_fit,
            ),
            (
                "a signature over the payload's digest alone",
                otherwise(Digest::of(&forger.plain).as_bytes()),
                Trust::Signed,
                does_not_fit,
            ),
            (
                "a signature that leaves the name out",
                otherwise(&message(DOMAIN, "record", "", &forger.plain)),
                Trust::Signed,
                does_not_fit,
            ),
            (
                "a signature without the lengths",
                otherwise(
                    &[
                        b"dag seal v1record",
                        name().as_bytes(),
                        Digest::of(&forger.plain).as_bytes(),
                    ]
                    .concat(),
                ),
                Trust::Signed,
                does_not_fit,
            ),
            (
                "a signature of an older version",
                otherwise(&message("dag seal v0", "record", &name(), &forger.plain)),
                Trust::Signed,
                does_not_fit,
            ),
            (
                "an index of rows, signed, with the word changed",
                {
                    let rows = seal(Purpose::Rows, &name(), &forger.plain, Some(&forger.alice));
                    [
                        b"dag sealed v1 record ",
                        &rows[b"dag sealed v1 rows ".len()..],
                    ]
                    .concat()
                },
                Trust::Signed,
                does_not_fit,
            ),
            (
                "an index of rows in place of a record",
                seal(Purpose::Rows, &name(), &forger.plain, Some(&forger.alice)),
                Trust::Signed,
                "it is sealed as `rows`, not as `record`",
            ),
        ],
    );
}

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

/// Alice is believed and signs all of these: her program may be faulty, or her key be in other hands.
#[test]
fn a_trusted_writer_cannot_say_just_anything() {
    let forger = Forger::new();
    let says = |from: &str, to: &str| forger.alice_says(from, to);
    let signed = |body: &str| forger.by_alice(&as_record(body.as_bytes()));
    let json = forger.json();
    let output = |name: &str| {
        let start = json.find(r#""text":{"#).unwrap();
        let end = start + json[start..].find('}').unwrap() + 1;
        format!(r#""{name}"{},"#, &json[start + r#""text""#.len()..end])
    };
    let outputs = |names: &mut dyn Iterator<Item = String>| {
        let more: String = names.map(|name| output(&name)).collect();
        says(r#""outputs":{"#, &format!(r#""outputs":{{{more}"#))
    };
    let one = |name: &str| outputs(&mut std::iter::once(name.to_owned()));
    let size = |claim: &str| says(r#""size":6"#, &format!(r#""size":{claim}"#));
    let preimage = |value: &str| says(r#""n":1"#, &format!(r#""n":{value}"#));
    let largest = i64::MAX.to_string();
    let text = |text: &[u8]| {
        let at = json.find("someone").unwrap();
        forger.by_alice(&as_record(
            &[&json.as_bytes()[..at], text, &json.as_bytes()[at..]].concat(),
        ))
    };
    let rows: Vec<(&'static str, Vec<u8>, &'static str)> = vec![
        // another thing than a record
        (
            "nothing, signed",
            forger.by_alice(b""),
            "it does not begin like a record",
        ),
        (
            "a first line alone",
            forger.by_alice(b"dag record v1 "),
            "it ends within its first line",
        ),
        (
            "an older record",
            forger.by_alice(&[b"dag record v0 ", &forger.plain[14..]].concat()),
            "it does not begin like a record",
        ),
        (
            "a newer record",
            forger.by_alice(&[b"dag record v2 ", &forger.plain[14..]].concat()),
            "it does not begin like a record",
        ),
        (
            "a checksum that does not fit",
            forger.by_alice(&[&forger.plain[..], b" "].concat()),
            "its checksum does not fit",
        ),
        (
            "a checksum in capitals",
            forger.by_alice(&{
                let mut plain = forger.plain.clone();
                plain[14..78].make_ascii_uppercase();
                plain
            }),
            "its checksum does not fit",
        ),
        (
            "a line that ends with a carriage return",
            forger.by_alice(&[&forger.plain[..78], b"\r", &forger.plain[78..]].concat()),
            "its checksum does not fit",
        ),
        ("an empty body", signed(""), "EOF while parsing"),
        (
            "a list",
            signed("[]"),
            "invalid type: sequence, expected an object",
        ),
        ("an empty object", signed("{}"), "missing field `key`"),
        (
            "half a body",
            signed(&json[..json.len() / 2]),
            "EOF while parsing",
        ),
        ("two bodies", signed(&json.repeat(2)), "trailing characters"),
        (
            "a NUL after the body",
            signed(&format!("{json}\0")),
            "trailing characters",
        ),
        (
            "a byte order mark before the body",
            signed(&format!("\u{feff}{json}")),
            "expected value",
        ),
        (
            "a comment",
            signed(&format!("{json}// fine")),
            "trailing characters",
        ),
        (
            "bytes that are no text",
            text(b"\xff"),
            "invalid unicode code point",
        ),
        (
            "half a surrogate",
            text(br"\ud800"),
            "unexpected end of hex escape",
        ),
        // another key, no main output
        (
            "the record of another key",
            {
                let theirs = record(key("b"), Digest::of(b"result"), 6);
                says(&key("a").to_string(), &theirs.key.to_string())
            },
            "it is the record of",
        ),
        (
            "no main output",
            says(r#""main":"text""#, r#""main":"rows""#),
            "it has no output `rows`",
        ),
        (
            "a main output that climbs",
            says(r#""main":"text""#, r#""main":"../text""#),
            "it has no output `../text`",
        ),
        (
            "no output",
            {
                let all = output("text");
                says(all.trim_end_matches(','), "")
            },
            "it has no output `text`",
        ),
        // said twice
        (
            "the key twice",
            says(r#"{"key":"#, &format!(r#"{{"key":"{}","key":"#, key("b"))),
            "`key` stands there twice",
        ),
        (
            "the time twice",
            says(r#""seconds":0.5"#, r#""seconds":0.5,"seconds":9.0"#),
            "`seconds` stands there twice",
        ),
        (
            "the outputs twice",
            says(r#""outputs":{"#, r#""outputs":{},"outputs":{"#),
            "`outputs` stands there twice",
        ),
        ("an output twice", one("text"), "`text` stands there twice"),
        (
            "an output twice, once in disguise",
            one(r"\u0074ext"),
            "`text` stands there twice",
        ),
        (
            "a digest of an output twice",
            says(
                r#""size":6"#,
                &format!(r#""size":6,"bytes":"{}""#, Digest::of(b"poison")),
            ),
            "`bytes` stands there twice",
        ),
        (
            "a metric twice",
            says(r#""loss":0.25"#, r#""loss":0.25,"loss":0.0"#),
            "`loss` stands there twice",
        ),
        (
            "a count twice",
            says(r#""in":3"#, r#""in":3,"in":4"#),
            "`in` stands there twice",
        ),
        (
            "what it took, twice",
            says(r#""requests":1"#, r#""requests":1,"requests":0"#),
            "`requests` stands there twice",
        ),
        (
            "a setting of the preimage twice",
            says(r#""n":1"#, r#""n":1,"n":2"#),
            "`n` stands there twice",
        ),
        (
            "a setting twice, deep in the preimage",
            preimage(r#"[[{"a":{"b":1,"b":1}}]]"#),
            "`b` stands there twice",
        ),
        (
            "a setting twice in a map of pairs",
            preimage(r#"{"$map":[["a",1],["a",2]]}"#),
            "a name stands there twice",
        ),
        (
            "a column twice in a schema",
            says(r#""media""#, r#""schema":{"a":1,"a":2},"media""#),
            "`a` stands there twice",
        ),
        (
            "a field to be passed over, twice",
            says(r#"{"key""#, r#"{"x-a":1,"x-a":2,"key""#),
            "`x-a` stands there twice",
        ),
        // fields that nobody knows
        (
            "an unknown field",
            says(r#"{"key""#, r#"{"unfinishd":3,"key""#),
            "the field `unfinishd` is none of a record",
        ),
        (
            "a field in capitals",
            says(r#""metrics""#, r#""Metrics""#),
            "the field `Metrics` is none of a record",
        ),
        (
            "an unknown field that clears the screen",
            says(r#"{"key""#, r#"{"\u001b[2J":3,"key""#),
            r"the field `\u{1b}[2J` is none of a record",
        ),
        (
            "an unknown field of an output",
            says(r#""size":6"#, r#""size":6,"offset":6"#),
            "unknown field `offset`",
        ),
        (
            "an unknown field of what it took",
            says(r#""requests":1"#, r#""requests":1,"eur":6"#),
            "unknown field `eur`",
        ),
        (
            "a new kind of output",
            says(r#""document""#, r#""program""#),
            "unknown variant `program`",
        ),
        // outputs
        (
            "a thousand outputs",
            outputs(&mut (0..999).map(|n| format!("o{n}"))),
            "it has 1000 outputs; 64 are the most",
        ),
        (
            "one output too many",
            outputs(&mut (0..64).map(|n| format!("o{n}"))),
            "it has 65 outputs; 64 are the most",
        ),
        (
            "an output that climbs",
            one("../text"),
            "`../text` is no name of an output",
        ),
        (
            "an output that climbs within",
            one("a/../../text"),
            "`a/../../text` is no name of an output",
        ),
        (
            "an output named ..",
            one(".."),
            "`..` is no name of an output",
        ),
        (
            "an output that hides",
            one(".ssh"),
            "`.ssh` is no name of an output",
        ),
        (
            "an output at the root",
            one("/etc/passwd"),
            "`/etc/passwd` is no name of an output",
        ),
        (
            "an output in another system's folder",
            one(r"a\\b"),
            r"`a\b` is no name of an output",
        ),
        (
            "an output without a name",
            one(""),
            "`` is no name of an output",
        ),
        (
            "an output with a NUL",
            one(r"text\u0000"),
            r"`text\u{0}` is no name of an output",
        ),
        (
            "an output that looks like another",
            one("tеxt"),
            "`tеxt` is no name of an output",
        ),
        (
            "an output with an endless name",
            one(&"a".repeat(1 << 20)),
            "is no name of an output",
        ),
        // numbers
        (
            "a size beyond all",
            size("18446744073709551615"),
            "a size or count of 18446744073709551615 cannot be",
        ),
        (
            "a size just too large",
            size("9223372036854775808"),
            "a size or count of 9223372036854775808 cannot be",
        ),
        (
            "a size of 21 digits",
            size("100000000000000000000"),
            "invalid type: floating point",
        ),
        (
            "a size below nothing",
            size("-1"),
            "invalid value: integer `-1`",
        ),
        (
            "a size as a float",
            size("6.0"),
            "invalid type: floating point `6.0`",
        ),
        ("a size as a text", size(r#""6""#), "invalid type: string"),
        (
            "sizes that are too much together",
            {
                let large = output("other").replace(r#""size":6"#, &format!(r#""size":{largest}"#));
                says(r#""outputs":{"#, &format!(r#""outputs":{{{large}"#))
            },
            "a size or count of 9223372036854775813 cannot be",
        ),
        (
            "rows beyond all",
            says(r#""size":6"#, r#""size":6,"rows":18446744073709551615"#),
            "a size or count of 18446744073709551615 cannot be",
        ),
        (
            "a count beyond all",
            says(r#""in":3"#, r#""in":18446744073709551615"#),
            "a size or count of",
        ),
        (
            "tokens beyond all",
            says(
                r#""prompt_tokens":1"#,
                r#""prompt_tokens":18446744073709551615"#,
            ),
            "a size or count of",
        ),
        (
            "unfinished rows beyond all",
            says(r#"{"key""#, r#"{"unfinished":18446744073709551615,"key""#),
            "a size or count of",
        ),
        (
            "a metric beyond floats",
            says("0.25", "1e999"),
            "number out of range",
        ),
        (
            "a metric in words",
            says("0.25", r#""infinity""#),
            "a number, or `NaN`, `inf` or `-inf`",
        ),
        ("a bare NaN", says("0.25", "NaN"), "expected value"),
        (
            "a time below nothing",
            says(r#""seconds":0.5"#, r#""seconds":-0.5"#),
            "it took less than no time",
        ),
        (
            "a price below nothing",
            says(r#""usd":0.0"#, r#""usd":"-inf""#),
            "cost less than nothing",
        ),
        // what is shown
        (
            "a maker who clears the screen",
            text(br"\u001b[2J"),
            "`by` is longer than 1024 bytes or has control characters",
        ),
        (
            "a maker who turns the direction",
            text("\u{202e}".as_bytes()),
            "`by` is longer than 1024 bytes or has control characters",
        ),
        (
            "a maker of many words",
            text(&[b'a'; 2000]),
            "`by` is longer than 1024 bytes or has control characters",
        ),
        // small texts that grow
        (
            "lists, ten thousand deep",
            preimage(&("[".repeat(10_000) + &"]".repeat(10_000))),
            "recursion limit exceeded",
        ),
        (
            "objects, ten thousand deep",
            preimage(&(r#"{"a":"#.repeat(10_000) + "1" + &"}".repeat(10_000))),
            "recursion limit exceeded",
        ),
        (
            "a schema, ten thousand deep",
            says(
                r#""media""#,
                &format!(
                    r#""schema":{}{},"media""#,
                    "[".repeat(10_000),
                    "]".repeat(10_000)
                ),
            ),
            "recursion limit exceeded",
        ),
        (
            "lists that never end",
            preimage(&"[".repeat(100_000)),
            "recursion limit exceeded",
        ),
        (
            "a million values",
            preimage(&format!("[{}0]", "0,".repeat(1_000_000))),
            "there are more values than a record can have",
        ),
    ];
    // Her seal or none, what is said must hold.
    check(
        &forger,
        rows.iter()
            .map(|(what, bytes, reason)| (*what, bytes.clone(), Trust::Signed, *reason))
            .collect(),
    );
    check(
        &forger,
        rows.into_iter()
            .map(|(what, bytes, reason)| (what, bytes, Trust::Any, reason))
            .collect(),
    );
}

#[test]
fn a_record_of_more_than_16_mib_is_not_looked_into() {
    let forger = Forger::new();
    let long = format!(r#""notes":["{}"#, "a".repeat(16 << 20));
    let said = forger
        .received(&forger.alice_says(r#""notes":[""#, &long), &Trust::Signed)
        .unwrap_err();
    assert!(said.contains("is larger than 16777216 bytes"), "{said}");
}

#[test]
fn a_record_of_the_same_writer_moved_with_its_seal_is_refused_at_every_other_key() {
    let forger = Forger::new();
    let sealed = forger.by_alice(&forger.plain);
    let said = forger
        .received_as(&key("b"), &sealed, &Trust::Signed)
        .unwrap_err();
    assert!(said.starts_with("its signature does not fit"), "{said}");
    // And where nobody checks seals, the record still says whose it is.
    let said = forger
        .received_as(&key("b"), &forger.plain, &Trust::Any)
        .unwrap_err();
    assert!(said.contains("it is the record of"), "{said}");
}

#[test]
fn an_index_of_rows_stays_where_it_was_put() {
    let forger = Forger::new();
    let place = format!("sample/{}", name());
    let index = seal(Purpose::Rows, &place, b"index", Some(&forger.alice));
    assert_eq!(forger.received_rows(&place, &index), Ok(b"index".to_vec()));
    for (forgery, at, bytes, reason) in [
        (
            "in another namespace",
            format!("eval/{}", name()),
            index.clone(),
            "its signature does not fit",
        ),
        (
            "under another key",
            format!("sample/{}", key("b")),
            index.clone(),
            "its signature does not fit",
        ),
        (
            "without a namespace",
            name(),
            index.clone(),
            "its signature does not fit",
        ),
        (
            "a record in its place",
            place.clone(),
            seal(Purpose::Record, &place, b"index", Some(&forger.alice)),
            "it is sealed as `record`, not as `rows`",
        ),
        (
            "a record without a seal",
            place.clone(),
            forger.plain.clone(),
            "it does not begin like something sealed",
        ),
        (
            "unsigned",
            place.clone(),
            seal(Purpose::Rows, &place, b"index", None),
            "it is not signed",
        ),
        (
            "by somebody unknown",
            place.clone(),
            seal(Purpose::Rows, &place, b"index", Some(&forger.mallory)),
            "who is not in the keyring",
        ),
        (
            "by somebody who was revoked",
            place.clone(),
            seal(Purpose::Rows, &place, b"index", Some(&forger.carol)),
            "who was revoked",
        ),
    ] {
        let said = forger.received_rows(&at, &bytes).unwrap_err();
        assert!(said.contains(reason), "{forgery}: {said}");
    }
}

#[test]
fn a_sealed_record_cut_at_any_length_is_refused() {
    let forger = Forger::new();
    let sealed = forger.by_alice(&forger.plain);
    for length in 0..sealed.len() {
        for trust in [Trust::Signed, Trust::Any] {
            assert!(
                forger.received(&sealed[..length], &trust).is_err(),
                "length {length} under {trust}"
            );
        }
    }
    // Cut before it was sealed, with a checksum that fits.
    let json = forger.json();
    for length in 0..json.len() {
        let cut = forger.by_alice(&as_record(&json.as_bytes()[..length]));
        assert!(
            forger.received(&cut, &Trust::Signed).is_err(),
            "length {length}"
        );
    }
}

#[test]
fn any_one_bit_of_a_sealed_record_counts() {
    let forger = Forger::new();
    let sealed = forger.by_alice(&forger.plain);
    for bit in 0..8 * sealed.len() {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        for trust in [Trust::Signed, Trust::Any] {
            assert!(
                forger.received(&flipped, &trust).is_err(),
                "bit {bit} under {trust}"
            );
        }
    }
}

proptest! {
    #[test]
    fn any_change_of_what_was_sealed_is_refused(
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        name in "[a-z0-9/]{0,20}",
        other in "[a-z0-9/]{0,20}",
        at: prop::sample::Index,
        bit in 0_u8..8,
        more in proptest::collection::vec(any::<u8>(), 1..4),
    ) {
        let forger = Forger::new();
        let sealed = seal(Purpose::Rows, &name, &payload, Some(&forger.bob));
        prop_assert_eq!(forger.received_rows(&name, &sealed), Ok(payload));
        let mut flipped = sealed.clone();
        flipped[at.index(sealed.len())] ^= 1 << bit;
        prop_assert!(forger.received_rows(&name, &flipped).is_err());
        prop_assert!(forger.received_rows(&name, &sealed[..at.index(sealed.len())]).is_err());
        prop_assert!(forger.received_rows(&name, &[&sealed[..], &more].concat()).is_err());
        prop_assert!(forger.received_rows(&name, &[&more, &sealed[..]].concat()).is_err());
        prop_assert_eq!(forger.received_rows(&other, &sealed).is_ok(), name == other);
    }

    #[test]
    fn no_bytes_at_all_make_a_reader_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let forger = Forger::new();
        for beginning in ["", "dag sealed v1 record ", "dag sealed v1 rows ", "dag record v1 ", "dag sealed "] {
            let bytes = [beginning.as_bytes(), &bytes].concat();
            prop_assert!(forger.received(&bytes, &Trust::Signed).is_err());
            prop_assert!(forger.received(&bytes, &Trust::Any).is_err());
        }
    }
}
