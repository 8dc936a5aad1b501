//! No credential stands in what a person or a log may see.

use std::collections::BTreeMap;
use std::error::Error;

use dag_cache::store::{Store, StoreOptions, open_store};

use super::loopback::{Answering, Then, dead_port};

/// None of these may be shown.
const SECRETS: [&str; 6] = [
    "hunter2",
    "SecretKey9",
    "Token9",
    "c2VjcmV0LWtleQ",
    "SasSig9",
    "Bearer9",
];

fn options() -> StoreOptions {
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIASOMEONE"),
        ("AWS_SECRET_ACCESS_KEY", "SecretKey9"),
        ("AWS_SESSION_TOKEN", "Token9"),
        ("AZURE_STORAGE_ACCOUNT", "someone"),
        ("AZURE_STORAGE_SAS_TOKEN", "sv=2021&sig=SasSig9"),
        ("GOOGLE_BEARER_TOKEN", "Bearer9"),
    ];
    StoreOptions {
        environment: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..StoreOptions::default()
    }
}

fn shows_nothing(what: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} shows {secret}: {text}");
    }
}

/// The whole chain, in both ways of showing it.
fn error_shows_nothing(what: &str, error: &(dyn Error + 'static)) {
    let mut at = Some(error);
    while let Some(error) = at {
        shows_nothing(what, &error.to_string());
        shows_nothing(what, &format!("{error:?}"));
        at = error.source();
    }
}

fn operations_show_nothing(store: &dyn Store) {
    let results = [
        ("size", store.size("a/b").map(drop)),
        ("read", store.read("a/b", 10).map(drop)),
        (
            "read_from",
            store.read_from("a/b", 5, &mut Vec::new()).map(drop),
        ),
        ("put", store.put("a/b", b"x")),
        ("create", store.create("a/b", b"x").map(drop)),
        ("remove", store.remove("a/b")),
        ("list", store.list("a", &mut |_, _| Ok(()))),
    ];
    for (what, result) in results {
        error_shows_nothing(what, &result.expect_err(what));
    }
}

#[test]
fn errors_of_operations_hold_no_credential() {
    let echo = "<Error><Code>AccessDenied</Code><Key>SecretKey9 hunter2 SasSig9</Key></Error>";
    let len = echo.len();
    let denied = format!(
        "HTTP/1.1 403 Forbidden\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{echo}"
    );
    let ports = [
        dead_port(),
        Answering::with(&denied, Then::Close).port,
        Answering::with(&denied.replace("403 Forbidden", "400 Bad Request"), Then::Close).port,
        Answering::with(
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/?sig=SasSig9&p=hunter2\r\ncontent-length: 0\r\n\r\n",
            Then::Close,
        )
        .port,
    ];
    for port in ports {
        for url in [
            format!("s3://bucket/c?endpoint=http://127.0.0.1:{port}"),
            format!("az://container/c?endpoint=http://127.0.0.1:{port}/someone"),
            format!("gs://bucket/c?endpoint=http://127.0.0.1:{port}"),
            format!("http://me:hunter2@127.0.0.1:{port}/c"),
        ] {
            operations_show_nothing(&*open_store(&url, &options()).unwrap());
        }
    }
}

#[test]
fn debug_shows_names_of_variables_and_no_values() {
    let text = format!("{:?}", options());
    assert!(text.contains("AWS_SECRET_ACCESS_KEY"), "{text}");
    shows_nothing("StoreOptions", &text);
}

#[test]
fn errors_of_opening_hold_no_credential() {
    for url in [
        "s3://AKIA:hunter2@bucket/c",
        "s3://bucket/c?secret=hunter2",
        "s3://bucket/c?hunter2",
        "s3://bucket/c#hunter2",
        "s3://bucket/c?endpoint=http://u:hunter2@host",
        "s3://bucket/c?endpoint=hunter2",
        "az://container/c?sv=2021&sig=SasSig9",
        "https://host/c?X-Amz-Signature=hunter2",
        "https://me:hunter2@host/c?x=y",
        "ftp://me:hunter2@host/c",
        "gs://me:hunter2@bucket",
        "me:hunter2@host",
    ] {
        let error = open_store(url, &options()).err().unwrap();
        error_shows_nothing(url, &error);
    }
    // A key that is none, which the client below complains about.
    for (name, value) in [
        ("AZURE_STORAGE_KEY", "hunter2!not base64"),
        (
            "GOOGLE_SERVICE_ACCOUNT_KEY",
            "{\"private_key\": \"hunter2\"}",
        ),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
    ] {
        let options = StoreOptions {
            environment: BTreeMap::from([
                (name.to_owned(), value.to_owned()),
                ("AZURE_STORAGE_ACCOUNT".to_owned(), "someone".to_owned()),
            ]),
            ..StoreOptions::default()
        };
        let scheme = name.split('_').next().unwrap();
        let url = match scheme {
            "AZURE" => "az://container/c",
            "GOOGLE" => "gs://bucket/c",
            _ => "s3://bucket/c",
        };
        let error = open_store(url, &options).err().unwrap();
        error_shows_nothing(url, &error);
        assert!(error.to_string().contains("environment"), "{error}");
    }
}
