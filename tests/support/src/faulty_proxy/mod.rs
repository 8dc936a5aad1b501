//! A proxy on loopback between a client and any HTTP/1.1 server, through which things go wrong: by rules,
//! with probabilities, decided by a seed. The same seed and the same order of requests give the same
//! faults; [`FaultyProxy::log`] says what was done to which request. Without rules everything passes
//! unchanged, heads letter by letter, so that signatures hold.
//!
//! ```
//! use std::time::Duration;
//! use dag_testing::{FakeBucket, FaultyProxy, WireFault};
//!
//! let bucket = FakeBucket::start();
//! let proxy = FaultyProxy::start(&bucket.url(), 42);
//! proxy.rules([
//!     WireFault::Delay(Duration::from_millis(100)).with(0.2),
//!     WireFault::CutAfter.with(0.1).when(|ask| ask.method == "PUT"),
//!     WireFault::ReplayOlder.with(0.1),
//!     WireFault::Unavailable.always().times(1),
//! ]);
//! let endpoint = proxy.url(); // for the client, in place of the bucket's
//! # assert!(endpoint.starts_with("http://127.0.0.1:"));
//! // … and when a test has failed:
//! for exchange in proxy.log() {
//!     println!("{exchange}"); // #3 PUT /bucket/k: cut after, server said 200
//! }
//! proxy.calm();
//! ```

mod answered;
mod exchange;
mod faults;
mod memory;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::TcpListener;

pub use faults::{Ask, Rule, WireFault};

use crate::loopback::Loopback;
use faults::{Decision, decide};
use memory::{Answer, Key, Memory};

/// A proxy on loopback that damages what passes.
pub struct FaultyProxy {
    proxy: Arc<Proxy>,
    server: Loopback,
}

/// What the connections share.
struct Proxy {
    /// `host:port`.
    upstream: String,
    from_clients: Arc<AtomicU64>,
    to_clients: Arc<AtomicU64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seed: u64,
    next: u64,
    rules: Vec<Rule>,
    log: BTreeMap<u64, Exchange>,
    memory: Memory,
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The request.
    pub ask: Ask,
    /// How long it was held back.
    pub delay: Duration,
    /// The fault that happened.
    pub fault: Option<WireFault>,
    /// The fault that was drawn and found nothing to damage: no body, no older answer.
    pub spared: Option<WireFault>,
    /// The server had the whole request, and answered it.
    pub reached: bool,
    /// The status of the server's own answer, whatever the client was told.
    pub status: Option<u16>,
    /// For faults in a body: which byte, from 0. The flipped one; the first one missing.
    pub at: Option<u64>,
}

/// Bytes on the wire between clients and the proxy, heads included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// What clients sent.
    pub from_clients: u64,
    /// What they were sent.
    pub to_clients: u64,
}

impl FaultyProxy {
    /// A proxy in front of the server at `upstream`, `http://HOST:PORT`, at first without rules.
    ///
    /// # Panics
    /// `upstream` is not of that form.
    #[must_use]
    pub fn start(upstream: &str, seed: u64) -> Self {
        let upstream = upstream
            .strip_prefix("http://")
            .expect("the server's address begins with http://")
            .trim_end_matches('/');
        let proxy = Arc::new(Proxy {
            upstream: upstream.to_owned(),
            from_clients: Arc::default(),
            to_clients: Arc::default(),
            state: Mutex::new(State {
                seed,
                ..State::default()
            }),
        });
        let shared = Arc::clone(&proxy);
        let server =
            Loopback::serving(move |listener| Box::pin(accept(listener, Arc::clone(&shared))));
        Self { proxy, server }
    }

    /// `http://127.0.0.1:PORT`: what a client takes for the server.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// From the next request on these rules hold, and no others. Of several faults the first rule's
    /// happens.
    pub fn rules(&self, rules: impl IntoIterator<Item = Rule>) {
        self.proxy.state().rules = rules.into_iter().collect();
    }

    /// From the next request on everything passes.
    pub fn calm(&self) {
        self.rules([]);
    }

    /// Begins anew with another seed: requests count from 0, the log is empty. Rules stay, and so do the
    /// answers that may be replayed.
    pub fn reseed(&self, seed: u64) {
        let mut state = self.proxy.state();
        (state.seed, state.next) = (seed, 0);
        state.log.clear();
    }

    /// Every request so far, in the order in which their heads arrived, those under way included.
    #[must_use]
    pub fn log(&self) -> Vec<Exchange> {
        self.proxy.state().log.values().cloned().collect()
    }

    /// How often each fault happened, by its name.
    #[must_use]
    pub fn happened(&self) -> BTreeMap<String, usize> {
        let mut happened = BTreeMap::new();
        for fault in self.proxy.state().log.values().filter_map(|one| one.fault) {
            *happened.entry(fault.to_string()).or_default() += 1;
        }
        happened
    }

    /// Bytes moved since the start.
    #[must_use]
    pub fn moved(&self) -> Moved {
        Moved {
            from_clients: self.proxy.from_clients.load(Ordering::Relaxed),
            to_clients: self.proxy.to_clients.load(Ordering::Relaxed),
        }
    }

    /// Closes every connection and refuses new ones.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Listens again, on the same port.
    pub fn resume(&self) {
        self.server.resume();
    }
}

async fn accept(listener: TcpListener, proxy: Arc<Proxy>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(exchange::serve(Arc::clone(&proxy), stream));
            }
            // Out of descriptors, or a client that is gone already: the next may do.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

impl Proxy {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no request panics while it holds the state, nor may a rule's condition")
    }

    fn decide(&self, method: &str, target: &str) -> (Ask, Decision) {
        let mut state = self.state();
        let ask = Ask {
            number: state.next,
            method: method.to_owned(),
            target: target.to_owned(),
        };
        state.next += 1;
        let seed = state.seed;
        let decision = decide(seed, &ask, &mut state.rules);
        let exchange = Exchange {
            ask: ask.clone(),
            delay: decision.delay,
            fault: None,
            spared: None,
            reached: false,
            status: None,
            at: None,
        };
        state.log.insert(ask.number, exchange);
        (ask, decision)
    }

    /// Adds to what the log says of a request, unless the log began anew meanwhile.
    fn note(&self, ask: &Ask, change: &dyn Fn(&mut Exchange)) {
        let mut state = self.state();
        let noted = state.log.get_mut(&ask.number);
        if let Some(exchange) = noted.filter(|exchange| exchange.ask == *ask) {
            change(exchange);
        }
    }

    fn keep(&self, key: Key, answer: Answer) {
        self.state().memory.keep(key, answer);
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ask {
            number,
            method,
            target,
        } = &self.ask;
        write!(f, "#{number} {method} {target}: ")?;
        match (self.fault, self.spared) {
            (Some(fault), _) => write!(f, "{fault}")?,
            (None, Some(spared)) => write!(f, "passed (nothing to damage for: {spared})")?,
            (None, None) => f.write_str("passed")?,
        }
        if let Some(at) = self.at {
            write!(f, " at byte {at}")?;
        }
        if !self.delay.is_zero() {
            write!(f, ", held back {} ms", self.delay.as_millis())?;
        }
        match self.status {
            Some(status) => write!(f, ", server said {status}"),
            None => f.write_str(", server did not answer"),
        }
    }
}
