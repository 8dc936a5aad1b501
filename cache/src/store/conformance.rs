//! What every store must do, as one check that each implementation runs.

use std::io::{self, Write as _};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Created, Store};

/// More than any name of this check holds.
const LIMIT: u64 = 1 << 24;

/// Runs the promises of [`Store`] against an empty store.
///
/// # Errors
/// The first promise that was broken, in words, or an error of the store itself.
pub fn check(store: &dyn Store) -> io::Result<()> {
    absent_names_are_absent(store)?;
    what_is_put_is_read(store)?;
    create_keeps_the_first(store)?;
    create_has_one_winner(store)?;
    listing_is_complete(store)?;
    names_cannot_climb(store)
}

fn ensure(holds: bool, promise: &str) -> io::Result<()> {
    if holds {
        Ok(())
    } else {
        Err(io::Error::other(format!("broken promise: {promise}")))
    }
}

fn absent_names_are_absent(store: &dyn Store) -> io::Result<()> {
    ensure(
        store.size("check/nothing")?.is_none(),
        "an absent name has no size",
    )?;
    ensure(
        store.read("check/nothing", LIMIT)?.is_none(),
        "an absent name has no bytes",
    )?;
    store.remove("check/nothing")
}

fn what_is_put_is_read(store: &dyn Store) -> io::Result<()> {
    for bytes in [&b""[..], b"first", &[0xff; 100_000]] {
        store.put("check/a/b", bytes)?;
        ensure(
            store.read("check/a/b", LIMIT)?.as_deref() == Some(bytes),
            "put, then read",
        )?;
        ensure(
            store.size("check/a/b")? == Some(bytes.len() as u64),
            "put, then size",
        )?;
    }
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(b"from a file")?;
    let path = file.into_temp_path();
    let mut stored = 0;
    store.put_file("check/file", &path, &mut |bytes| {
        stored += bytes;
        Ok(())
    })?;
    ensure(stored == 11, "put_file tells of every byte once")?;
    drop(path.close());
    ensure(
        store.read("check/file", LIMIT)?.as_deref() == Some(b"from a file"),
        "put_file, then read",
    )?;
    reading_goes_on_from_an_offset(store)?;
    store.remove("check/file")?;
    store.remove("check/a/b")?;
    ensure(
        store.read("check/a/b", LIMIT)?.is_none(),
        "remove, then read",
    )
}

fn reading_goes_on_from_an_offset(store: &dyn Store) -> io::Result<()> {
    for (offset, rest) in [(0, "from a file"), (5, "a file"), (11, ""), (99, "")] {
        let mut bytes = Vec::new();
        let written = store.read_from("check/file", offset, &mut bytes)?;
        ensure(
            bytes == rest.as_bytes() && written == Some(rest.len() as u64),
            "read_from gives what comes after the offset",
        )?;
    }
    ensure(
        store
            .read_from("check/nothing", 0, &mut Vec::new())?
            .is_none(),
        "an absent name has no bytes to go on with",
    )?;
    let refused = store.read("check/file", 10);
    ensure(
        refused.is_err_and(|error| error.kind() == io::ErrorKind::FileTooLarge),
        "more bytes than were asked for are refused",
    )?;
    ensure(
        store.read("check/file", 11)?.is_some(),
        "as many bytes as were asked for are read",
    )
}

fn create_keeps_the_first(store: &dyn Store) -> io::Result<()> {
    ensure(
        store.create("check/c", b"one")? == Created::New,
        "create of an absent name is new",
    )?;
    ensure(
        store.create("check/c", b"two")? == Created::Exists,
        "a second create is told so",
    )?;
    ensure(
        store.read("check/c", LIMIT)?.as_deref() == Some(b"one"),
        "a second create changes nothing",
    )?;
    store.remove("check/c")
}

fn create_has_one_winner(store: &dyn Store) -> io::Result<()> {
    for round in 0..20 {
        let name = format!("check/race{round}");
        let winners = AtomicUsize::new(0);
        let start = Barrier::new(4);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer: u8| {
                    let (name, winners, start) = (&name, &winners, &start);
                    scope.spawn(move || {
                        start.wait();
                        if store.create(name, &[writer; 64])? == Created::New {
                            winners.fetch_add(1, Ordering::Relaxed);
                        }
                        io::Result::Ok(())
                    })
                })
                .collect();
            writers.into_iter().try_for_each(|writer| {
                writer
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("a writer panicked")))
            })
        })?;
        ensure(winners.into_inner() == 1, "create has exactly one winner")?;
        let bytes = store.read(&name, LIMIT)?.unwrap_or_default();
        ensure(
            bytes.len() == 64 && bytes.windows(2).all(|pair| pair[0] == pair[1]),
            "the winner's bytes are whole",
        )?;
        store.remove(&name)?;
    }
    Ok(())
}

fn listing_is_complete(store: &dyn Store) -> io::Result<()> {
    let names = ["check/l/a", "check/l/b/c", "check/l/b/d"];
    for name in names {
        store.put(name, name.as_bytes())?;
    }
    store.put("check/later", b"x")?;
    let mut found = Vec::new();
    store.list("check/l", &mut |name, size| {
        found.push((name.to_owned(), size));
        Ok(())
    })?;
    found.sort();
    let expected: Vec<_> = names
        .iter()
        .map(|name| ((*name).to_owned(), name.len() as u64))
        .collect();
    ensure(
        found == expected,
        "list finds every name below the folder and no other",
    )?;
    for name in names.into_iter().chain(["check/later"]) {
        store.remove(name)?;
    }
    store.list("check/none", &mut |_, _| Ok(()))
}

fn names_cannot_climb(store: &dyn Store) -> io::Result<()> {
    for name in [
        "",
        "/etc/passwd",
        "../up",
        "check/../../up",
        "check/.hidden",
        "a//b",
        "a b",
        "a\\b",
        "a\0",
    ] {
        ensure(
            store.put(name, b"x").is_err(),
            "a name that climbs, hides or is odd is refused",
        )?;
        ensure(
            store.read(name, LIMIT).is_err(),
            "a name that climbs, hides or is odd is refused",
        )?;
    }
    Ok(())
}
