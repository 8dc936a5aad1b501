//! Who signed: nobody, somebody unknown, revoked or unlisted; and signatures that are of something else.

use dag_cache::Digest;
use dag_cache::trust::{Purpose, Trust, WriterKey, seal};

use super::forger::{DOMAIN, Forger, message, name, signed_otherwise, with_other_s};
use super::{check, only};
use crate::world::key;

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
                    let writer = |key: &WriterKey| key.writer().to_string().replace("ed25519:", "");
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
                    let writer = |key: &WriterKey| key.writer().to_string().replace("ed25519:", "");
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
