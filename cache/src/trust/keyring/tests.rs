//! What a keyring promises.

use super::*;
use crate::trust::WriterKey;

fn writer(last: u8) -> Writer {
    WriterKey::from_text(&format!("dag-writer-key-v1:{last:064x}"))
        .unwrap()
        .writer()
}

#[test]
fn a_name_has_one_writer_and_the_error_says_what_to_do() {
    let mut keyring = Keyring::default();
    keyring.trust("alice", writer(1)).unwrap();
    keyring.trust("alice", writer(1)).unwrap();
    let before = keyring.clone();
    let error = keyring.trust("alice", writer(2)).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "`alice` is {} already; if that key is not to be believed any more, revoke it first, otherwise give {} another name",
            writer(1),
            writer(2)
        )
    );
    assert_eq!(keyring, before);
}

#[test]
fn a_writer_has_one_name() {
    let mut keyring = Keyring::default();
    keyring.trust("alice", writer(1)).unwrap();
    assert!(matches!(
        keyring.trust("bob", writer(1)),
        Err(KeyringError::Known { known, .. }) if known == "alice"
    ));
    assert_eq!(keyring.name_of(&writer(1)), Some("alice"));
    assert_eq!(keyring.writer("bob"), None);
}

#[test]
fn who_was_revoked_stays_so_and_leaves_the_name_to_a_new_key() {
    let mut keyring = Keyring::default();
    keyring.trust("alice", writer(1)).unwrap();
    keyring.revoke(writer(1), "2026-01-01T00:00:00Z");
    keyring.revoke(writer(1), "2026-02-02T00:00:00Z");
    assert_eq!(keyring.name_of(&writer(1)), None);
    assert!(keyring.is_revoked(&writer(1)));
    assert!(matches!(
        keyring.trust("alice", writer(1)),
        Err(KeyringError::Revoked { at, .. }) if at == "2026-01-01T00:00:00Z"
    ));
    keyring.trust("alice", writer(2)).unwrap();
    // somebody who was never trusted
    keyring.revoke(writer(3), "2026-03-03T00:00:00Z");
    let revoked: Vec<_> = keyring
        .revoked()
        .map(|(who, entry)| (who, entry.name.as_deref()))
        .collect();
    assert_eq!(revoked.len(), 2);
    assert!(revoked.contains(&(writer(1), Some("alice"))));
    assert!(revoked.contains(&(writer(3), None)));
}

#[test]
fn names_that_could_be_taken_for_something_else_are_refused() {
    let mut keyring = Keyring::default();
    let long = "a".repeat(65);
    for name in [
        "", ".alice", "-alice", "Alice", "al ice", "alice\n", "a/b", "älice", "any", "signed",
        "unsigned", "a,b", &long,
    ] {
        assert!(
            matches!(keyring.trust(name, writer(1)), Err(KeyringError::Name(_))),
            "{name:?}"
        );
    }
    for (n, name) in ["a", "alice.2", "build_bot-7", "0"].iter().enumerate() {
        keyring
            .trust(name, writer(10 + u8::try_from(n).unwrap()))
            .unwrap();
    }
}

#[test]
fn a_keyring_comes_back_as_it_was() {
    let mut keyring = Keyring::default();
    keyring.trust("alice", writer(1)).unwrap();
    keyring.trust("bob", writer(2)).unwrap();
    keyring.revoke(writer(2), "2026-01-01T00:00:00Z");
    keyring.revoke(writer(3), "2026-01-01T00:00:00Z");
    let json = serde_json::to_string(&keyring).unwrap();
    assert_eq!(serde_json::from_str::<Keyring>(&json).unwrap(), keyring);
    assert_eq!(
        serde_json::from_str::<Keyring>("{}").unwrap(),
        Keyring::default()
    );
}

#[test]
fn a_stored_keyring_that_contradicts_itself_is_refused() {
    let [a, b] = [writer(1), writer(2)];
    for (json, reason) in [
        (
            format!(r#"{{"writers":{{"alice":"{a}","alice":"{b}"}}}}"#),
            "`alice` stands there twice",
        ),
        (
            format!(r#"{{"writers":{{"alice":"{a}","bob":"{a}"}}}}"#),
            "a writer has one name",
        ),
        (
            format!(r#"{{"writers":{{"alice":"{a}"}},"revoked":{{"{a}":{{"at":"then"}}}}}}"#),
            "was revoked at then and stays so",
        ),
        (
            format!(r#"{{"revoked":{{"{a}":{{"at":"then"}},"{a}":{{"at":"now"}}}}}}"#),
            "stands there twice",
        ),
        (
            format!(r#"{{"writer":{{"alice":"{a}"}}}}"#),
            "unknown field `writer`",
        ),
        (
            format!(r#"{{"writers":{{"Alice":"{a}"}}}}"#),
            "cannot be a writer's name",
        ),
        (
            r#"{"writers":{"alice":"ed25519:00"}}"#.to_owned(),
            "a writer is written",
        ),
        (
            format!(r#"{{"writers":{{"alice":"ed25519:{:064}"}}}}"#, 0),
            "a weak one",
        ),
    ] {
        let error = serde_json::from_str::<Keyring>(&json)
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{json}: {error}");
    }
}

#[test]
fn a_policy_is_a_word_or_a_list() {
    for (json, text, policy) in [
        (r#""any""#, "any", Trust::Any),
        (r#""signed""#, "signed", Trust::Signed),
        (
            r#"["alice","bob"]"#,
            "alice,bob",
            Trust::Writers(vec!["alice".to_owned(), "bob".to_owned()]),
        ),
    ] {
        assert_eq!(serde_json::from_str::<Trust>(json).unwrap(), policy);
        assert_eq!(serde_json::to_string(&policy).unwrap(), json);
        assert_eq!(text.parse::<Trust>().unwrap(), policy);
        assert_eq!(policy.to_string(), text);
    }
    assert_eq!(Trust::default(), Trust::Signed);
    for json in [
        r#""sined""#,
        r#""alice""#,
        "[]",
        r#"["any"]"#,
        r#"["Alice"]"#,
        "true",
        r#"{"any":1}"#,
    ] {
        assert!(serde_json::from_str::<Trust>(json).is_err(), "{json}");
    }
    for text in ["", ",", "Signed", "alice,,bob", "alice,any"] {
        assert!(text.parse::<Trust>().is_err(), "{text:?}");
    }
}
