//! gc racing publishers and readers, in processes of their own that are killed at any moment: nothing in
//! use is lost, and the cache is whole afterwards.
//!
//! Six rounds by default. The long form:
//!
//! ```text
//! DAG_KILLS=200 cargo test -p dag-cache --test it race -- --nocapture
//! ```

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use dag_cache::{Cache, GcOptions, Lookup, Published, Record, StageKey, gc, trash, verify};

use crate::world::{World, key, record};

/// Contents and keys are few, so that everybody meets on them.
const CONTENTS: u64 = 40;
const KEYS: u64 = 64;
/// What is older than the grace period, and what gc is told to take.
const OLD: Duration = Duration::from_secs(2 * 3600);
const FOLDER: &str = "DAG_RACE_FOLDER";
const ROLE: &str = "DAG_RACE_ROLE";

/// A number below `below` from a seed: SplitMix64, so that a failure can be repeated.
fn draw(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % below
}

/// What a key gives: two contents that other keys have as well.
fn result(cache: &Cache, number: u64) -> Record {
    let contents = [number % CONTENTS, (number * 7 + 3) % CONTENTS].map(|content| {
        let bytes = format!("content {content} ").repeat(50);
        (
            cache.put_bytes(bytes.as_bytes()).unwrap(),
            bytes.len() as u64,
        )
    });
    let mut made = record(key(&number.to_string()), contents[0].0, contents[0].1);
    let mut second = made.outputs["text"].clone();
    second.bytes = contents[1].0;
    second.content = contents[1].0;
    made.outputs.insert("second".to_owned(), second);
    // some are synced, some are not
    made.seconds = if number.is_multiple_of(4) { 2.0 } else { 0.1 };
    made
}

/// Uses one key as a run would: a hit, or the work and its publication. Everything it names is then read.
fn use_key(cache: &Cache, number: u64) -> StageKey {
    let key = key(&number.to_string());
    if !matches!(cache.lookup(&key), Lookup::Hit(_)) {
        let made = result(cache, number);
        match cache.publish(&made).unwrap() {
            Published::New | Published::Same => {}
            Published::Kept(kept) => panic!("{kept:?}"),
        }
    }
    read_all(cache, &key);
    key
}

/// Somebody has used the key: its record is there with all it names.
fn read_all(cache: &Cache, key: &StageKey) {
    let Lookup::Hit(record) = cache.peek(key) else {
        // Taken aside for a moment, to be looked at; it comes back or is gone and nobody's.
        return;
    };
    for output in record.outputs.values() {
        cache.blob_path(&output.bytes).unwrap();
        cache.read_blob(&output.bytes).unwrap();
    }
}

fn collect(cache: &Cache, purge: bool) {
    let options = GcOptions {
        older_than: Duration::ZERO,
        purge,
        now: SystemTime::now(),
        ..GcOptions::default()
    };
    gc(cache, &options).unwrap();
}

/// What one process does until it is killed: `use SEED` says which keys it has used, one a line.
fn work(cache: &Cache, role: &str, rounds: usize, mut told: impl FnMut(u64)) {
    let (what, seed) = role.split_once(' ').unwrap();
    let mut seed: u64 = seed.parse().unwrap();
    for _ in 0..rounds {
        match what {
            "use" => {
                let number = draw(&mut seed, KEYS);
                use_key(cache, number);
                told(number);
                // So that a gc comes by before everything is young.
                std::thread::sleep(Duration::from_micros(draw(&mut seed, 1500)));
            }
            "gc" => collect(cache, false),
            "purge" => collect(cache, true),
            other => panic!("{other}"),
        }
    }
}

/// The processes of the race are this very test, told by the environment where to work. Without that it
/// goes once through every role.
#[test]
fn one_of_each_alone_does_its_work() {
    if let (Ok(folder), Ok(role)) = (std::env::var(FOLDER), std::env::var(ROLE)) {
        let cache = Cache::open(Path::new(&folder)).unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "ready").unwrap();
        std::io::stdin().read_line(&mut String::new()).unwrap();
        work(&cache, &role, usize::MAX, |number| {
            writeln!(out, "used {number}").unwrap();
            out.flush().unwrap();
        });
        return;
    }
    let world = World::new();
    let mut used = BTreeSet::new();
    work(&world.cache, "use 1", 500, |number| {
        used.insert(number);
    });
    assert_eq!(used.len() as u64, KEYS, "it meets every key");
    work(&world.cache, "gc 1", 1, |_| {});
    assert_eq!(
        world.cache.keys().unwrap().len() as u64,
        KEYS,
        "all are young"
    );
    world.age(OLD);
    work(&world.cache, "gc 1", 1, |_| {});
    assert_eq!(world.cache.keys().unwrap().len(), 0);
    assert_eq!(trash(&world.cache).unwrap().len(), 1);
    work(&world.cache, "purge 1", 1, |_| {});
    assert!(trash(&world.cache).unwrap().is_empty());
}

struct Racer {
    child: Child,
    used: std::thread::JoinHandle<BTreeSet<u64>>,
}

fn start(folder: &Path, role: &str) -> Racer {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "race::one_of_each_alone_does_its_work",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FOLDER, folder)
        .env(ROLE, role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.by_ref() {
        if line.unwrap().ends_with("ready") {
            break;
        }
    }
    let used = std::thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("used ")?.parse().ok())
            .collect()
    });
    Racer { child, used }
}

/// Kills a process, which must not have ended by itself; gives the keys it had used.
fn kill(racer: Racer) -> BTreeSet<u64> {
    let Racer { mut child, used } = racer;
    child.kill().unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(
        ended.status.code(),
        None,
        "it ended by itself: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
    used.join().unwrap()
}

#[test]
#[expect(clippy::print_stderr, reason = "a long test says how far it came")]
fn nothing_in_use_is_lost_when_gc_and_runs_race_and_are_killed() {
    let rounds: usize = std::env::var("DAG_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(6);
    let began = Instant::now();
    let world = World::new();
    let mut seed = 5;
    let (mut uses, mut back) = (0, 0);
    for round in 0..rounds {
        // Everything there is may go; whoever uses something from now on relies on it.
        for number in 0..KEYS {
            if draw(&mut seed, 3) > 0 {
                use_key(&world.cache, number);
            }
        }
        world.age(OLD);
        let other = if draw(&mut seed, 3) == 0 {
            "purge"
        } else {
            "gc"
        };
        let roles = ["use", "use", "gc", other];
        let racers: Vec<Racer> = roles
            .iter()
            .map(|role| {
                let role = format!("{role} {}", draw(&mut seed, 1 << 40));
                start(world.root(), &role)
            })
            .collect();
        let mut racers = racers;
        // They wait for a line, so that all begin at once.
        for racer in &mut racers {
            racer.child.stdin.take().unwrap().write_all(b"\n").unwrap();
        }
        // Killed one after the other, in any order: the last may be a gc or a run.
        let mut used = BTreeSet::new();
        std::thread::sleep(Duration::from_millis(draw(&mut seed, 40)));
        while !racers.is_empty() {
            let at = usize::try_from(draw(&mut seed, racers.len() as u64)).unwrap();
            used.extend(kill(racers.swap_remove(at)));
            std::thread::sleep(Duration::from_millis(draw(&mut seed, 15)));
        }
        uses += used.len();
        let cache = world.reopened();
        for number in &used {
            let key = key(&number.to_string());
            assert!(
                matches!(cache.peek(&key), Lookup::Hit(_)) || came_back(&cache, &key, &mut back),
                "round {round}: key {number} was used and is gone"
            );
            read_all(&cache, &key);
        }
        let found = verify(&cache, |_| {}).unwrap();
        assert!(found.is_clean(), "round {round}: {:?}", found.damaged);
        assert!(found.incomplete.is_empty(), "round {round}: {found:?}");
        // A gc that nobody disturbs leaves all of it.
        collect(&cache, true);
        for number in &used {
            let key = key(&number.to_string());
            assert!(matches!(cache.peek(&key), Lookup::Hit(_)), "round {round}");
        }
    }
    eprintln!(
        "{rounds} rounds of 4 killed processes, {uses} keys used, {back} put back by the next gc, {:.0?}",
        began.elapsed()
    );
    assert!(uses > 0, "nobody got to use anything");
}

/// Whether a record that a killed gc had just taken aside is put back by the next one.
fn came_back(cache: &Cache, key: &StageKey, back: &mut usize) -> bool {
    collect(cache, false);
    *back += 1;
    matches!(cache.peek(key), Lookup::Hit(_))
}
