//! What every store must do, as one check that each implementation runs.

use std::io::{self, Seek as _, Write as _};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use super::{Created, Store};

/// More than any name of this check holds that is read at once.
const LIMIT: u64 = 1 << 24;

/// Bytes of a file that no store takes or gives in one piece, and of which no piece is a whole number.
const LARGE: usize = (21 << 20) + 4321;

/// Writers that race for one name, and how often.
const WRITERS: u8 = 12;
const ROUNDS: usize = 10;

/// Runs the promises of [`Store`] against an empty store.
///
/// # Errors
/// The first promise that was broken, in words, or an error of the store itself.
pub fn check(store: &dyn Store) -> io::Result<()> {
    absent_names_are_absent(store)?;
    what_is_put_is_read(store)?;
    large_files_come_back(store)?;
    names_have_many_parts(store)?;
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

/// A file of bytes that tell where they stand.
fn large_file() -> io::Result<(tempfile::NamedTempFile, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(LARGE);
    let mut state = 1_u32;
    while bytes.len() < LARGE {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(LARGE);
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(&bytes)?;
    file.rewind()?;
    Ok((file, bytes))
}

fn large_files_come_back(store: &dyn Store) -> io::Result<()> {
    let (file, bytes) = large_file()?;
    let name = "check/large";
    let mut stored = 0;
    store.put_file(name, file.path(), &mut |moved| {
        stored += moved;
        Ok(())
    })?;
    ensure(
        stored == LARGE as u64,
        "put_file tells of every byte of a large file once",
    )?;
    ensure(
        store.size(name)? == Some(LARGE as u64),
        "a large file has all its bytes",
    )?;
    for offset in [0, 1, (8 << 20) - 1, 12 << 20, LARGE - 1, LARGE, LARGE + 1] {
        let mut read = Vec::new();
        let written = store.read_from(name, offset as u64, &mut read)?;
        let rest = bytes.get(offset..).unwrap_or_default();
        ensure(
            read == rest && written == Some(rest.len() as u64),
            "read_from gives what comes after any offset of a large file",
        )?;
    }
    let mut little = Little(Vec::new());
    ensure(
        store.read_from(name, 0, &mut little).is_err() && bytes.starts_with(&little.0),
        "a writer that fails has the beginning of the bytes",
    )?;
    ensure(
        store.read(name, 1 << 20).is_err(),
        "a large file is not read where a small one was expected",
    )?;
    // The same file again, and a caller that has enough in the middle of it.
    store.put(name, b"as it was")?;
    let stopped = store.put_file(name, file.path(), &mut |_| Err(io::Error::other("enough")));
    ensure(stopped.is_err(), "what `moved` returns ends put_file")?;
    ensure(
        store.read(name, LIMIT)?.as_deref() == Some(b"as it was"),
        "a put_file that was ended leaves the name as it was",
    )?;
    store.put_file(name, file.path(), &mut |_| Ok(()))?;
    ensure(
        store.size(name)? == Some(LARGE as u64),
        "put_file goes over what was there",
    )?;
    store.remove(name)
}

/// A writer that takes a few mebibytes, then fails.
struct Little(Vec<u8>);

impl io::Write for Little {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() > 5 << 20 {
            return Err(io::Error::other("full"));
        }
        let taken = &bytes[..bytes.len().min(1 << 20)];
        self.0.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn names_have_many_parts(store: &dyn Store) -> io::Result<()> {
    let long = "x".repeat(100);
    let names = [
        "check/1/2/3/4/5/6/7/8/9/10".to_owned(),
        "check/A-Z_a-z.0-9/v1.2..".to_owned(),
        format!("check/{long}/{long}/{long}"),
    ];
    for name in &names {
        ensure(
            store.create(name, name.as_bytes())? == Created::New,
            "a name of many parts is new",
        )?;
        ensure(
            store.read(name, LIMIT)?.as_deref() == Some(name.as_bytes()),
            "a name of many parts is read",
        )?;
    }
    let mut found = Vec::new();
    store.list("check", &mut |name, _| {
        found.push(name.to_owned());
        Ok(())
    })?;
    found.sort();
    let mut expected = names.to_vec();
    expected.sort();
    ensure(found == expected, "names of many parts are listed")?;
    let stopped = store.list("check", &mut |_, _| Err(io::Error::other("enough")));
    ensure(stopped.is_err(), "what `each` returns ends list")?;
    for name in &names {
        store.remove(name)?;
    }
    Ok(())
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
    for round in 0..ROUNDS {
        let name = format!("check/races/{round}");
        let winners = AtomicUsize::new(0);
        let winner = AtomicU8::new(0);
        let start = Barrier::new(usize::from(WRITERS));
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (name, winners, winner, start) = (&name, &winners, &winner, &start);
                    scope.spawn(move || {
                        start.wait();
                        if store.create(name, &[writer; 64])? == Created::New {
                            winners.fetch_add(1, Ordering::Relaxed);
                            winner.store(writer, Ordering::Relaxed);
                        }
                        let read = store.read(name, LIMIT)?.unwrap_or_default();
                        ensure(
                            read.len() == 64,
                            "who has created a name, or lost, reads whole bytes",
                        )?;
                        io::Result::Ok(read)
                    })
                })
                .collect();
            let mut reads = Vec::new();
            for writer in writers {
                let read = writer
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("a writer panicked")));
                reads.push(read?);
            }
            ensure(
                reads.windows(2).all(|pair| pair[0] == pair[1]),
                "all writers read the same bytes",
            )
        })?;
        ensure(winners.into_inner() == 1, "create has exactly one winner")?;
        let bytes = store.read(&name, LIMIT)?.unwrap_or_default();
        ensure(
            bytes == [winner.into_inner(); 64],
            "what is read is what the winner wrote",
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
