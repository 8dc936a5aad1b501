//! Runs over a bad line: between a person and the bucket of the team stands a proxy that cuts, delays,
//! refuses, shortens, alters and replays, by a seed. Whatever it does, no number is ever wrong, nothing that
//! is half stays in the cache or the bucket, and what cannot be had is said.
//!
//! Twenty runs by default. All of them:
//!
//! ```text
//! DAG_LINES=1000 cargo test -p dag-engine --test it -- lines --nocapture
//! ```
//!
//! One that failed says its seed: `DAG_LINES_FROM=417 DAG_LINES=1` has it again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use dag_cache::remote::{AuditOptions, Listener, Notice, Push, RemoteSpec, Remotes, audit};
use dag_cache::store::{Store, StoreOptions, open_store};
use dag_cache::trust::{Keyring, Trust, WriterKey};
use dag_engine::{Cache, StageOutcome};
use dag_testing::{FakeBucket, FaultyProxy, Rule, WireFault};

use crate::kind::NumbersSettings;
use crate::world::{Ran, Stages, World, after, source};

/// Runs that go on at the same time. They mostly wait.
const AT_ONCE: u64 = 12;

/// A delay of the line is shorter than this.
const DELAY: Duration = Duration::from_millis(60);

/// What damages a single request. A black hole comes extra, since it costs a whole time-out.
const FAULTS: [WireFault; 9] = [
    WireFault::CutBefore,
    WireFault::CutDuring,
    WireFault::CutAfter,
    WireFault::Unavailable,
    WireFault::Truncate,
    WireFault::TruncateQuietly,
    WireFault::Flip,
    WireFault::ReplayOlder,
    WireFault::ReplayOther,
];

/// The key that everybody in the team signs with and trusts.
static TEAM: LazyLock<String> =
    LazyLock::new(|| WriterKey::generate().unwrap().to_text().to_string());

/// Keeps what it hears.
#[derive(Default)]
pub(crate) struct Ear(Mutex<Vec<Notice>>);

impl Listener for Ear {
    fn hear(&self, notice: &Notice) {
        self.0.lock().unwrap().push(notice.clone());
    }
}

impl Ear {
    fn count(&self, wanted: impl Fn(&Notice) -> bool) -> u64 {
        let heard = self.0.lock().unwrap();
        heard.iter().filter(|notice| wanted(notice)).count() as u64
    }

    pub(crate) fn downs(&self) -> u64 {
        self.count(|notice| matches!(notice, Notice::Down { .. }))
    }

    fn refusals(&self) -> u64 {
        self.count(|notice| matches!(notice, Notice::Refused { .. }))
    }

    fn bad(&self) -> u64 {
        self.count(|notice| matches!(notice, Notice::Bad { .. }))
    }
}

/// How patient a store is on a bad line: so little that a thousand runs end in minutes.
fn impatient() -> StoreOptions {
    StoreOptions {
        connect: Duration::from_millis(300),
        small: Duration::from_millis(800),
        silence: Duration::from_millis(700),
        ..StoreOptions::default()
    }
}

fn opened(url: &str, options: StoreOptions) -> Arc<dyn Store> {
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let options = StoreOptions {
        environment: keys.map(|key| (key.to_owned(), "some".to_owned())).into(),
        ..options
    };
    open_store(url, &options).unwrap()
}

/// Connects a cache with the bucket, as another process would.
pub(crate) fn connect(cache: &Cache, url: &str, options: StoreOptions, push: Push) -> Arc<Ear> {
    let key = WriterKey::from_text(&TEAM).unwrap();
    let mut keyring = Keyring::default();
    keyring.trust("team", key.writer()).unwrap();
    let spec = RemoteSpec {
        name: "team".to_owned(),
        store: opened(url, options),
        trust: Trust::Signed,
        push,
    };
    let ear = Arc::new(Ear::default());
    let listener = Arc::clone(&ear) as _;
    cache.connect(Remotes::new(vec![spec], keyring, Some(key), listener));
    ear
}

/// `SplitMix64` (Steele, Lea and Flood, 2014).
struct Lots(u64);

impl Lots {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.next() % all.len() as u64).unwrap()]
    }
}

/// What the team has, and what the person does with it. The same for every line of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Work {
    /// Numbers are rows of the memo.
    memo: bool,
    /// The middle of the chain was paid for.
    paid: bool,
    /// Tables of tens of kilobytes instead of a few.
    large: bool,
}

impl Work {
    fn numbers(self) -> (Vec<i64>, i64) {
        let mut lots = Lots(7);
        let mut number = || i64::try_from(lots.next() >> 1).unwrap();
        if self.large {
            ((0..4000).map(|_| number()).collect(), i64::MAX / 10 * 9)
        } else {
            ((0..300).map(|_| number() % 100_000).collect(), 50_000)
        }
    }

    /// `a → b → c`, as the colleague ran it.
    fn of_the_colleague(self) -> Stages {
        let (numbers, max) = self.numbers();
        let b = NumbersSettings {
            max: Some(max),
            usd: u32::from(self.paid) * 3,
            ..after(&["a"])
        };
        let mut stages = vec![("a", source(&numbers)), ("b", b), ("c", after(&["b"]))];
        for (_, settings) in &mut stages {
            settings.memo = self.memo;
        }
        stages
    }

    /// The same with a stage of the person's own, which reads `b`, and pays for one row that nobody has.
    fn of_the_person(self) -> Stages {
        let mut stages = self.of_the_colleague();
        let mine = NumbersSettings {
            values: vec![-7],
            memo: self.memo,
            ..after(&["b"])
        };
        stages.push(("mine", mine));
        stages
    }

    /// What must come out.
    fn right(self) -> BTreeMap<&'static str, Vec<i64>> {
        let (numbers, max) = self.numbers();
        let kept: Vec<i64> = numbers.iter().copied().filter(|n| *n <= max).collect();
        let mut mine = kept.clone();
        mine.push(-7);
        [
            ("a", numbers),
            ("b", kept.clone()),
            ("c", kept),
            ("mine", mine),
        ]
        .into()
    }

    /// What the colleague pushed, by key of the bucket.
    fn stock(self) -> Arc<BTreeMap<String, Vec<u8>>> {
        type Stocks = BTreeMap<Work, Arc<BTreeMap<String, Vec<u8>>>>;
        static STOCKS: Mutex<Stocks> = Mutex::new(BTreeMap::new());
        let mut stocks = STOCKS.lock().unwrap();
        let stock = stocks.entry(self).or_insert_with(|| {
            let bucket = FakeBucket::start();
            let colleague = World::with(self.of_the_colleague());
            let options = StoreOptions::default();
            let ear = connect(
                &colleague.cache,
                &bucket.store_url(),
                options,
                Push::OnSuccess,
            );
            assert_eq!(colleague.run().sorted_calls(), ["a", "b", "c"]);
            assert_eq!((ear.downs(), ear.refusals()), (0, 0));
            let keys = bucket.keys("").into_iter();
            let keys = keys.filter(|key| !key.starts_with("leases-v1"));
            Arc::new(
                keys.map(|key| (key.clone(), bucket.read(&key).unwrap()))
                    .collect(),
            )
        });
        assert_eq!(
            stock
                .keys()
                .filter(|key| key.starts_with("records-v1"))
                .count(),
            3
        );
        assert_eq!(
            stock.keys().any(|key| key.starts_with("rows-v1")),
            self.memo
        );
        Arc::clone(stock)
    }
}

/// What goes wrong: in three of four lines a bit of everything, else one thing, and often.
fn rules(seed: u64, lots: &mut Lots) -> Vec<Rule> {
    let mut rules = vec![WireFault::Delay(DELAY).with(0.2)];
    if seed % 4 == 3 {
        rules.push(lots.of(&FAULTS).with(0.5));
    } else {
        let all = lots.of(&[0.1, 0.25, 0.45]);
        rules.push(WireFault::BlackHole.with(0.01));
        rules.extend(FAULTS.map(|fault| fault.with(all / FAULTS.len() as f64)));
    }
    rules
}

/// What many lines came to.
#[derive(Debug, Default)]
struct Tally {
    lines: u64,
    requests: u64,
    happened: BTreeMap<String, usize>,
    /// Everything came out, and right.
    right: u64,
    /// A stage failed, or its file could not be had, and it was said why.
    clear_errors: u64,
    /// Stages that were run, of those a colleague had.
    made_again: u64,
    /// Runs that heard that the remote is down, that something was refused, that a blob was bad.
    down: u64,
    refused: u64,
    bad: u64,
    pushing: u64,
    /// Records of the colleague that another took the place of.
    replaced: u64,
    /// Blobs that a record at the bucket names and that are not there.
    lost: u64,
    slowest: Duration,
}

/// Says how a line can be had again, and what was done on it, when its test has failed.
struct Told<'a> {
    seed: u64,
    work: Work,
    proxy: &'a FaultyProxy,
}

#[expect(clippy::print_stderr, reason = "a failure must be repeatable")]
impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log: Vec<String> = self.proxy.log().iter().map(ToString::to_string).collect();
            eprintln!("seed {}, {:?}:\n{}", self.seed, self.work, log.join("\n"));
        }
    }
}

/// An error that a person can do something with names the remote, or what is missing.
fn assert_clear(error: &str) {
    assert!(
        error.contains("`team`") || error.contains("is not in the cache"),
        "not clear: {error}"
    );
}

/// Compares whatever a run gave. Says whether all of it was there.
fn all_right(ran: &Ran, right: &BTreeMap<&'static str, Vec<i64>>) -> bool {
    let mut all = true;
    for report in &ran.summary.stages {
        match report.outcome {
            StageOutcome::Ran | StageOutcome::Cached => {}
            StageOutcome::Failed => {
                let failure = report.failure.as_ref().unwrap();
                assert_clear(&format!(
                    "{}: {}",
                    failure.message,
                    failure.causes.join(": ")
                ));
                all = false;
            }
            StageOutcome::Skipped => assert!(!ran.summary.ended(StageOutcome::Failed).is_empty()),
            other => panic!("{} is {other:?}", report.stage),
        }
    }
    for (stage, right) in right {
        if ran.summary.records.contains_key(*stage) {
            match ran.try_numbers(stage) {
                Ok(numbers) => assert_eq!(numbers, *right, "{stage}"),
                Err(error) => {
                    assert_clear(&error.to_string());
                    all = false;
                }
            }
        } else {
            assert!(!all, "{stage} has neither a result nor an error");
        }
    }
    all
}

fn assert_clean(cache: &Cache) {
    let report = dag_cache::verify(cache, |_| ()).unwrap();
    assert!(report.is_clean(), "{report:?}");
}

/// Asks over the line for all that the team will have, before it is there: those are the old answers that may
/// come again.
fn seen_empty(url: &str, stock: &BTreeMap<String, Vec<u8>>) {
    let store = opened(url, StoreOptions::default());
    for name in stock.keys() {
        assert_eq!(store.size(name).unwrap(), None);
        let nothing = match name.starts_with("blobs-v1") {
            true => store.read_from(name, 0, &mut std::io::sink()).unwrap(),
            false => store.read(name, 1).unwrap().map(|_| 1),
        };
        assert_eq!(nothing, None);
    }
    let none = &mut |name: &str, _| panic!("{name} is there");
    store.list("rows-v1/numbers", none).unwrap();
}

/// One run over a bad line, and what comes after it.
fn line(seed: u64, tally: &Mutex<Tally>) {
    let began = Instant::now();
    let mut lots = Lots(seed);
    let work = Work {
        memo: lots.of(&[true, false]),
        paid: lots.of(&[true, false, false]),
        large: lots.of(&[true, false, false]),
    };
    let work = Work {
        large: work.large && !work.memo,
        ..work
    };
    let push = lots.of(&[Push::Never, Push::OnSuccess]);
    let bucket = FakeBucket::start();
    let proxy = FaultyProxy::start(&bucket.url(), seed);
    let bad_line = bucket.store_url_at(&proxy.url());
    let stock = work.stock();
    seen_empty(&bad_line, &stock);
    for (key, bytes) in stock.iter() {
        bucket.replace(key, bytes);
    }
    proxy.reseed(seed);
    proxy.rules(rules(seed, &mut lots));
    let _told = Told {
        seed,
        work,
        proxy: &proxy,
    };

    let mut person = World::with(work.of_the_person());
    let ear = connect(&person.cache, &bad_line, impatient(), push);
    let ran = person.run();
    let right = work.right();
    let all = all_right(&ran, &right);
    assert_clean(&person.cache);
    let made_again = ran.calls.iter().filter(|call| *call != "mine").count() as u64;
    let (requests, happened) = (proxy.log().len() as u64, proxy.happened());
    drop(ran);

    // What the run left behind is enough for another process to go on with.
    proxy.calm();
    person.cache = Cache::open(person.cache.root()).unwrap();
    let calm = connect(&person.cache, &bad_line, StoreOptions::default(), push);
    let again = person.run();
    assert!(all_right(&again, &right), "{:?}", again.summary.stages);
    let heard = (calm.downs(), calm.refusals(), calm.bad());
    assert_eq!(heard, (0, 0, 0), "{calm:?}");
    assert_clean(&person.cache);

    // And what it pushed is as good as what was there.
    let third = World::with(work.of_the_person());
    let options = StoreOptions::default();
    let heard = connect(&third.cache, &bucket.store_url(), options, Push::Never);
    let ran = third.run();
    assert!(all_right(&ran, &right), "{:?}", ran.summary.stages);
    assert_eq!((heard.downs(), heard.refusals(), heard.bad()), (0, 0, 0));
    let all_of_it = AuditOptions {
        sample: 1.0,
        repair: false,
    };
    let report = audit(&third.cache, "team", &all_of_it, |_| ()).unwrap();
    assert!(
        report.refused.is_empty() && report.damaged.is_empty(),
        "{report:?}"
    );
    let mut replaced = 0;
    for (key, bytes) in stock.iter() {
        let there = bucket.read(key);
        if key.starts_with("records-v1") {
            replaced += u64::from(there.as_ref() != Some(bytes));
        } else if key.starts_with("blobs-v1") {
            assert_eq!(there.as_ref(), Some(bytes), "{key}");
        }
    }

    let mut tally = tally.lock().unwrap();
    tally.lines += 1;
    tally.requests += requests;
    for (fault, times) in happened {
        *tally.happened.entry(fault).or_default() += times;
    }
    *if all {
        &mut tally.right
    } else {
        &mut tally.clear_errors
    } += 1;
    tally.made_again += made_again;
    tally.down += u64::from(ear.downs() > 0);
    tally.refused += u64::from(ear.refusals() > 0);
    tally.bad += u64::from(ear.bad() > 0);
    tally.pushing += u64::from(push == Push::OnSuccess);
    tally.replaced += replaced;
    tally.lost += report.missing.len() as u64;
    tally.slowest = tally.slowest.max(began.elapsed());
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.lock().unwrap().fmt(f)
    }
}

fn asked_for(variable: &str, default: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| value.parse().unwrap())
}

#[test]
#[expect(clippy::print_stderr, reason = "a long test says what it came to")]
fn a_bad_line_never_gives_a_wrong_result() {
    let (from, lines) = (asked_for("DAG_LINES_FROM", 0), asked_for("DAG_LINES", 20));
    let began = Instant::now();
    let next = AtomicU64::new(from);
    let tally = Mutex::new(Tally::default());
    let failed: Vec<u64> = std::thread::scope(|scope| {
        let runners: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    let mut failed = Vec::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= from + lines {
                            return failed;
                        }
                        // Its panic has said why.
                        let run = std::panic::AssertUnwindSafe(|| line(seed, &tally));
                        if std::panic::catch_unwind(run).is_err() {
                            failed.push(seed);
                        }
                    }
                })
            })
            .collect();
        runners
            .into_iter()
            .flat_map(|runner| runner.join().unwrap())
            .collect()
    });
    let tally = tally.into_inner().unwrap();
    eprintln!("{tally:#?}\n{:.1?} in all", began.elapsed());
    assert_eq!(failed, [0; 0], "these seeds failed");
    assert_eq!(tally.right + tally.clear_errors, lines);
}
