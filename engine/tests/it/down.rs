//! A remote that is gone: it costs a few seconds and one warning, and the run goes on with what is here.
//!
//! ```text
//! cargo test -p dag-engine --test it -- down --nocapture
//! ```
//!
//! says how many seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dag_cache::remote::Push;
use dag_cache::store::StoreOptions;
use dag_engine::Cache;
use dag_testing::{Ask, FakeBucket, FaultyProxy, WireFault};

use crate::kind::NumbersSettings;
use crate::lines::connect;
use crate::world::{Ran, World, after, chain};

/// A bucket of the team behind a line that can go dead: it takes everything, and nothing ever comes.
struct Line {
    bucket: FakeBucket,
    proxy: FaultyProxy,
    dead: Arc<AtomicBool>,
}

impl Line {
    fn new() -> Self {
        let bucket = FakeBucket::start();
        let proxy = FaultyProxy::start(&bucket.url(), 1);
        let dead = Arc::new(AtomicBool::new(false));
        let is_dead = Arc::clone(&dead);
        let when = move |_: &Ask| is_dead.load(Ordering::Relaxed);
        proxy.rules([WireFault::BlackHole.always().when(when)]);
        Self {
            bucket,
            proxy,
            dead,
        }
    }

    fn goes_dead(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    fn url(&self) -> String {
        self.bucket.store_url_at(&self.proxy.url())
    }

    /// A colleague ran the chain and pushed it.
    fn with_a_result(self) -> Self {
        let colleague = World::with(chain());
        let options = StoreOptions::default();
        let ear = connect(&colleague.cache, &self.url(), options, Push::OnSuccess);
        colleague.run();
        assert_eq!(ear.downs(), 0);
        self
    }
}

fn took(run: impl FnOnce() -> Ran) -> (Ran, Duration) {
    let began = Instant::now();
    let ran = run();
    (ran, began.elapsed())
}

/// Says what a remote cost that was gone, compared with the same run without one.
#[expect(
    clippy::print_stderr,
    reason = "the seconds are what one wants to know"
)]
fn tell(what: &str, with: Duration) {
    let (ran, without) = took(|| World::with(chain()).run());
    assert_eq!(ran.calls.len(), 3);
    let more = with.saturating_sub(without).as_secs_f64();
    eprintln!("{what}: {more:.2} s more than without a remote");
}

/// Three stages, with a remote that is never there.
fn alone(what: &str, url: &str, push: Push) {
    let person = World::with(chain());
    let ear = connect(&person.cache, url, StoreOptions::default(), push);
    let (ran, seconds) = took(|| person.run());
    assert_eq!(ran.sorted_calls(), ["a", "b", "c"]);
    assert_eq!(ran.numbers("c"), [1, 2, 3]);
    assert_eq!(ear.downs(), 1, "{ear:?}");
    tell(what, seconds);
}

#[test]
fn a_server_that_refuses_costs_one_warning() {
    let bucket = FakeBucket::start();
    bucket.stop();
    let url = bucket.store_url();
    alone("nobody listens", &url, Push::Never);
    alone("nobody listens, pushing", &url, Push::OnSuccess);
}

#[test]
fn a_server_that_is_silent_costs_one_warning() {
    let line = Line::new();
    line.goes_dead();
    alone("silence", &line.url(), Push::Never);
}

#[test]
fn a_server_that_is_silent_costs_one_warning_where_results_are_pushed() {
    let line = Line::new();
    line.goes_dead();
    alone("silence, pushing", &line.url(), Push::OnSuccess);
}

#[test]
fn a_server_that_is_silent_when_the_first_file_is_fetched_costs_one_warning() {
    let line = Line::new().with_a_result();
    let mut person = World::with(chain());
    let options = StoreOptions::default();
    connect(&person.cache, &line.url(), options.clone(), Push::Never);
    assert_eq!(person.run().calls, [""; 0], "records came, and no file");

    line.goes_dead();
    person.cache = Cache::open(person.cache.root()).unwrap();
    let ear = connect(&person.cache, &line.url(), options, Push::Never);
    let mine = NumbersSettings {
        memo: true,
        values: vec![7],
        ..after(&["b"])
    };
    person.stages.push(("mine", mine));
    let (ran, seconds) = took(|| person.run());
    assert_eq!(ran.numbers("mine"), [1, 2, 3, 7]);
    assert_eq!(ear.downs(), 1, "{ear:?}");
    tell("silence after the records came", seconds);
}

#[test]
fn a_server_that_falls_silent_during_a_transfer_costs_one_warning() {
    let line = Line::new();
    let dead = Arc::clone(&line.dead);
    let from_now_on = move |ask: &Ask| {
        let begins = ask.method == "PUT" && ask.target.contains("blobs-v1");
        begins && !dead.swap(true, Ordering::Relaxed) || dead.load(Ordering::Relaxed)
    };
    line.proxy
        .rules([WireFault::BlackHole.always().when(from_now_on)]);
    let person = World::with(chain());
    let options = StoreOptions::default();
    let ear = connect(&person.cache, &line.url(), options, Push::OnSuccess);
    let (ran, seconds) = took(|| person.run());
    assert_eq!(ran.numbers("c"), [1, 2, 3]);
    assert_eq!(ear.downs(), 1, "{ear:?}");
    tell("silence in the middle of the first push", seconds);
}

#[test]
fn a_server_that_falls_silent_during_a_run_costs_one_warning() {
    let line = Line::new();
    let mut person = World::with(chain());
    person.stage("b").sleep_ms = 300;
    let ear = connect(
        &person.cache,
        &line.url(),
        StoreOptions::default(),
        Push::OnSuccess,
    );
    let (ran, seconds) = std::thread::scope(|scope| {
        let run = scope.spawn(|| took(|| person.run()));
        while line.bucket.keys("records-v1").is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        line.goes_dead();
        run.join().unwrap()
    });
    assert_eq!(ran.numbers("c"), [1, 2, 3]);
    assert_eq!(ear.downs(), 1, "{ear:?}");
    tell(
        "silence after the first push",
        seconds.saturating_sub(Duration::from_millis(300)),
    );
}
