//! How fast a store is: one large file and many small ones, there and back.
//!
//! ```text
//! cargo run --release -p dag-cache --features cloud --example store_speed -- URL [MIB] [SMALL] [THREADS]
//! ```
//! Credentials come from the environment. What is stored is removed again. Prints a line a measurement:
//! what, seconds, and the rate; in the end the most memory that the process had.

#![expect(clippy::print_stdout, reason = "a program for a person")]

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use dag_cache::Digest;
use dag_cache::store::{Store, StoreOptions, open_store};

/// Bytes of a small file.
const SMALL: usize = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .ok_or("usage: store_speed URL [MIB] [SMALL] [THREADS]")?;
    let mut number = |default: usize| match arguments.next() {
        Some(text) => text.parse(),
        None => Ok(default),
    };
    let (mib, small, threads) = (number(1024)?, number(10_000)?, number(32)?);
    let options = StoreOptions {
        environment: std::env::vars().collect(),
        ..StoreOptions::default()
    };
    let store = &*open_store(&url, &options)?;
    let folder = tempfile::tempdir()?;
    if mib > 0 {
        large(store, mib, &folder.path().join("large"))?;
    }
    if small > 0 {
        many(store, small, threads)?;
    }
    println!("peak memory {} MiB", peak_mib()?);
    Ok(())
}

/// Bytes that no two seeds share and nothing compresses.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

fn large(store: &dyn Store, mib: usize, path: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = fs_err::File::create(path)?;
    for piece in 0..mib {
        file.write_all(&noise(piece as u64, 1 << 20))?;
    }
    let rate = |seconds: f64| mib as f64 / seconds;
    let start = Instant::now();
    store.put_file("speed/large", path, &mut |_| Ok(()))?;
    let took = start.elapsed().as_secs_f64();
    println!("put_file {mib} MiB: {took:.2} s, {:.0} MiB/s", rate(took));

    let mut back = Back(
        fs_err::File::create(path.with_extension("back"))?,
        blake3::Hasher::new(),
    );
    let start = Instant::now();
    let read = store.read_from("speed/large", 0, &mut back)?;
    let took = start.elapsed().as_secs_f64();
    println!("read_from {mib} MiB: {took:.2} s, {:.0} MiB/s", rate(took));
    let mut sent = blake3::Hasher::new();
    sent.update_reader(fs_err::File::open(path)?)?;
    if read != Some((mib as u64) << 20) || sent.finalize() != back.1.finalize() {
        return Err("what came back is not what was stored".into());
    }
    store.remove("speed/large")?;
    Ok(())
}

/// A file that is hashed while it is written, as a fetched blob is.
struct Back(fs_err::File, blake3::Hasher);

impl Write for Back {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.update(bytes);
        self.0.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn many(store: &dyn Store, count: usize, threads: usize) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let names: Vec<String> = (0..count)
        .map(|index| {
            let bytes = noise(index as u64 | 1 << 40, SMALL);
            let digest = Digest::of(&bytes).to_string();
            fs_err::write(folder.path().join(&digest), bytes)?;
            Ok(format!("speed/{}/{digest}", &digest[..2]))
        })
        .collect::<io::Result<_>>()?;
    let each = |what: &str, work: &(dyn Fn(&str) -> io::Result<()> + Sync)| {
        let (next, start) = (AtomicUsize::new(0), Instant::now());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                            work(name)?;
                        }
                        io::Result::Ok(())
                    })
                })
                .collect();
            workers.into_iter().try_for_each(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
            })
        })?;
        let took = start.elapsed().as_secs_f64();
        println!(
            "{what} {count} x 10 kB, {threads} threads: {took:.2} s, {:.0}/s",
            count as f64 / took
        );
        io::Result::Ok(())
    };
    let file = |name: &str| folder.path().join(name.rsplit('/').next().unwrap_or(name));
    each("size, absent,", &|name| match store.size(name)? {
        None => Ok(()),
        Some(_) => Err(io::Error::other("a name that should be absent is there")),
    })?;
    each("put_file", &|name| {
        store.put_file(name, &file(name), &mut |_| Ok(()))
    })?;
    each("read", &|name| {
        let bytes = store.read(name, 1 << 20)?.unwrap_or_default();
        if name.ends_with(&Digest::of(&bytes).to_string()) {
            fs_err::write(file(name), bytes)
        } else {
            Err(io::Error::other("what came back is not what was stored"))
        }
    })?;
    let (mut listed, start) = (0, Instant::now());
    store.list("speed", &mut |_, _| {
        listed += 1;
        Ok(())
    })?;
    println!(
        "list {listed} names: {:.2} s",
        start.elapsed().as_secs_f64()
    );
    each("remove", &|name| store.remove(name))?;
    Ok(())
}

fn peak_mib() -> io::Result<u64> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    Ok(kib.unwrap_or(0) / 1024)
}
