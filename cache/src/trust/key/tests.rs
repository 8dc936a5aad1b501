//! What keys of writers promise.

use proptest::prelude::*;

use super::*;

#[test]
fn a_key_comes_back_from_its_text_and_signs_the_same() {
    let key = WriterKey::generate().unwrap();
    let text = key.to_text();
    let again = WriterKey::from_text(&format!("{}\n", text.as_str())).unwrap();
    assert_eq!(again.writer(), key.writer());
    assert_eq!(again.sign(b"message"), key.sign(b"message"));
    assert_ne!(WriterKey::generate().unwrap().writer(), key.writer());
}

/// RFC 8032, 7.1, test 1.
#[test]
fn the_public_half_and_the_signature_are_those_of_the_standard() {
    let key = WriterKey::from_text(
        "dag-writer-key-v1:9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    )
    .unwrap();
    assert_eq!(
        key.writer().to_string(),
        "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    );
    assert_eq!(key.writer().short(), "d75a9801");
    let mut signature = String::new();
    push_hex(&mut signature, &key.sign(b""));
    assert_eq!(
        signature,
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    );
}

#[test]
fn neither_debug_nor_an_error_shows_the_secret() {
    let key = WriterKey::generate().unwrap();
    let text = key.to_text();
    let digits = &text[SECRET.len()..];
    let mut said = vec![format!("{key:?}"), format!("{:?}", Some(&key))];
    // nearly right, or right in the wrong place
    for near in [
        format!("{}0", text.as_str()),
        text.to_uppercase(),
        digits.to_owned(),
        format!("ed25519:{digits}"),
    ] {
        said.push(format!("{:#?}", WriterKey::from_text(&near).map(drop)));
        said.push(WriterKey::from_text(&near).unwrap_err().to_string());
    }
    let error = text.parse::<Writer>().unwrap_err();
    assert_eq!(error, NotAWriter::Secret);
    said.push(format!("{error} {error:?}"));
    for words in said {
        assert!(!words.contains(&digits[..16]), "{words}");
        assert!(!words.contains(&digits[48..]), "{words}");
    }
}

#[test]
fn a_text_that_is_no_key_is_refused_with_the_reason() {
    let digits = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    for (text, error) in [
        (String::new(), BadKey::NoKey),
        (digits.to_owned(), BadKey::NoKey),
        (format!("dag-writer-key-v2:{digits}"), BadKey::NoKey),
        (format!("ed25519:{digits}"), BadKey::Public),
        (format!("{SECRET}{}", &digits[1..]), BadKey::Digits),
        (format!("{SECRET}{digits}00"), BadKey::Digits),
        (format!("{SECRET} {digits}"), BadKey::Digits),
        (format!("{SECRET}{}", digits.to_uppercase()), BadKey::Digits),
        (format!("{SECRET}{}é", &digits[2..]), BadKey::Digits),
    ] {
        assert_eq!(WriterKey::from_text(&text).unwrap_err(), error, "{text}");
    }
}

#[test]
fn a_public_key_that_is_none_or_anybodys_is_refused_with_the_reason() {
    let point = |low: u8, rest: u8, high: u8| {
        let mut bytes = [rest; 32];
        (bytes[0], bytes[31]) = (low, high);
        Writer::from_bytes(bytes)
    };
    // the eight points of small order include 0, 1 and -1; the last has the coordinate 2^255 - 20
    assert_eq!(point(0, 0, 0), Err(NotAWriter::Weak));
    assert_eq!(point(1, 0, 0), Err(NotAWriter::Weak));
    assert_eq!(point(0xec, 0xff, 0x7f), Err(NotAWriter::Weak));
    // 2^255 - 19 + 3 is another spelling of 3, which is a point
    assert!(point(3, 0, 0).is_ok());
    assert_eq!(point(0xed + 3, 0xff, 0x7f), Err(NotAWriter::Spelling));
    // 2 is no point
    assert_eq!(point(2, 0, 0), Err(NotAWriter::NoPoint));
    let digits = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    for text in [
        digits.to_owned(),
        format!("ED25519:{digits}"),
        format!("ed25519:{}", digits.to_uppercase()),
        format!("ed25519:{digits}\n"),
        format!("ed25519:{}", &digits[..63]),
        "ed25519:".to_owned(),
    ] {
        assert_eq!(text.parse::<Writer>(), Err(NotAWriter::Text), "{text:?}");
    }
}

proptest! {
    #[test]
    fn hex_comes_back_as_itself(bytes: [u8; 32]) {
        let mut text = String::new();
        push_hex(&mut text, &bytes);
        prop_assert_eq!(from_hex::<32>(&text), Some(bytes));
        prop_assert_eq!(from_hex::<64>(&text), None);
    }

    #[test]
    fn whatever_parses_as_a_writer_is_written_the_same(text in "(ed25519:)?[0-9a-fA-F]{62,66}") {
        if let Ok(writer) = text.parse::<Writer>() {
            prop_assert_eq!(writer.to_string(), text);
        }
    }
}
