//! How often and how long something is tried. The crates below make one attempt each; every retry is here.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::failure::{Cause, Failure};

/// Bytes a second that each of several transfers may be expected to move at least.
const SLOWEST: u64 = 64 << 10;

/// Attempts at most: with the pauses between them, 2 s against a server that says at once that it cannot.
const ATTEMPTS: u32 = 4;

/// Attempts at most where nobody listens: once more, for a server that is just starting again.
const ATTEMPTS_UNREACHABLE: u32 = 2;

/// The first pause; each later one is four times as long.
const PAUSE: Duration = Duration::from_millis(100);

/// How patient a store is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A small operation, retries included.
    pub(super) small: Duration,
    /// A transfer without a byte.
    pub(super) silence: Duration,
}

/// The time that moving so many bytes may take beside.
pub(super) fn moving(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / SLOWEST)
}

/// Tries until it succeeds, or cannot, or `whole` is over. One attempt has half of it, so that one that
/// hears nothing leaves time for another.
pub(super) async fn within<T, F>(
    whole: Duration,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let end = Instant::now() + whole;
    let mut pause = PAUSE;
    let mut made = 0;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let most = if made == 0 { whole / 2 } else { left };
        let failure = match timeout(most, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::slow(most),
        };
        made += 1;
        let attempts = match failure.cause {
            Cause::Unreachable(_) => ATTEMPTS_UNREACHABLE,
            _ => ATTEMPTS,
        };
        let wait = jittered(pause);
        if !failure.may_pass() || made >= attempts || Instant::now() + wait >= end {
            return Err(failure);
        }
        sleep(wait).await;
        pause *= 4;
    }
}

/// Between half and all of it, so that many who failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness the pause is as long as it can be, and nothing else is lost.
    let share = getrandom::fill(&mut byte).map_or(256, |()| u32::from(byte[0]));
    pause * (256 + share) / 512
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn paused<T>(future: impl Future<Output = T>) -> (T, Duration) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let start = std::time::Instant::now();
        (runtime.block_on(future), start.elapsed())
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_cannot_is_not() {
        for (cause, attempts) in [
            (Cause::Busy, 4),
            (Cause::Cut, 4),
            (Cause::Unreachable(std::io::ErrorKind::ConnectionRefused), 2),
            (Cause::Denied, 1),
            (Cause::Unsupported, 1),
        ] {
            let made = Cell::new(0);
            let (result, _) = paused(within(Duration::from_secs(5), || {
                made.set(made.get() + 1);
                async { Err::<(), _>(Failure::new(cause, "")) }
            }));
            assert_eq!(result.unwrap_err().cause, cause);
            assert_eq!(made.get(), attempts, "{cause:?}");
        }
    }

    #[test]
    fn silence_ends_in_time() {
        let (result, took) = paused(within(Duration::from_millis(300), || async {
            sleep(Duration::from_secs(60)).await;
            Ok(())
        }));
        assert_eq!(result.unwrap_err().cause, Cause::Slow);
        assert!(took < Duration::from_millis(600), "{took:?}");
    }

    #[test]
    fn a_later_success_is_a_success() {
        let made = Cell::new(0);
        let (result, _) = paused(within(Duration::from_secs(5), || {
            made.set(made.get() + 1);
            let made = made.get();
            async move {
                if made < 3 {
                    Err(Failure::new(Cause::Busy, ""))
                } else {
                    Ok(made)
                }
            }
        }));
        assert_eq!(result.unwrap(), 3);
    }
}
