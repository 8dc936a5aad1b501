//! The pace at which requests start. Three things slow it down: the requests a minute that are
//! allowed, the tokens a minute, and a server that asks for patience. One clock for all requests of a
//! client, so that a server's 429 stops them all and not only the one that met it.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

/// When the next request may start.
pub(crate) struct Pace {
    between_requests: Duration,
    per_token: Duration,
    next: Mutex<Next>,
}

struct Next {
    /// The earliest start by requests per minute.
    request: Instant,
    /// The earliest start by tokens per minute.
    token: Instant,
    /// The earliest start by the server's wish.
    server: Instant,
}

impl Pace {
    pub(crate) fn new(requests_per_minute: Option<u32>, tokens_per_minute: Option<u32>) -> Self {
        let minute = Duration::from_secs(60);
        let share =
            |limit: Option<u32>| limit.map_or(Duration::ZERO, |limit| minute / limit.max(1));
        let now = Instant::now();
        Self {
            between_requests: share(requests_per_minute),
            per_token: share(tokens_per_minute),
            next: Mutex::new(Next {
                request: now,
                token: now,
                server: now,
            }),
        }
    }

    /// Waits until a request may start.
    pub(crate) async fn turn(&self) {
        loop {
            let now = Instant::now();
            let start = {
                let mut next = self.next();
                let start = next.request.max(next.token).max(next.server);
                if start <= now {
                    next.request = now + self.between_requests;
                    return;
                }
                start
            };
            tokio::time::sleep_until(start).await;
        }
    }

    /// Takes note of tokens that were read and written.
    pub(crate) fn spent(&self, tokens: u64) {
        if self.per_token.is_zero() {
            return;
        }
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        let mut next = self.next();
        next.token = next.token.max(Instant::now()) + self.per_token.saturating_mul(tokens);
    }

    /// Nothing starts for so long.
    pub(crate) fn hold(&self, wait: Duration) {
        let mut next = self.next();
        next.server = next.server.max(Instant::now() + wait);
    }

    fn next(&self) -> MutexGuard<'_, Next> {
        self.next
            .lock()
            .expect("nothing panics while it holds the clock")
    }
}
