//! What somebody who can write to a remote may put there, and why none of it is believed.
//!
//! Each row is a forgery, the bytes that a remote would give for the record of `a`, the policy, and the reason that a
//! person is told.

mod claims;
mod forger;
mod seals;
mod signers;

use dag_cache::trust::{Purpose, Trust, seal};
use proptest::prelude::*;

use crate::world::key;
use forger::{DOMAIN, Forger, as_record, message, name, signed_otherwise};

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
