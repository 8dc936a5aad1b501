//! Many questions, some at a time. The requests are drawn from an iterator as places fall free, so a
//! million questions take the memory of those in flight.

use std::ops::ControlFlow;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::{Client, LlmError, Reply, Request};

/// What the one who started the work wants now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Go on.
    Go,
    /// Start no new request; finish those in flight, which are paid for.
    Drain,
    /// Drop everything now.
    Stop,
}

/// How the work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every request has its reply or its error.
    Finished,
    /// Those in flight were finished; the others were not started.
    Drained,
    /// Those in flight were dropped.
    Stopped,
}

/// How often the signal is looked at while nothing else happens.
const LOOK: Duration = Duration::from_millis(50);

/// Asks every request, at most `concurrency` of the client's endpoint at a time, and hands over each
/// reply with its request's index as soon as it is there, in no order. Every index that was started and
/// not stopped is handed over exactly once.
///
/// `on_reply` may end the work: on [`ControlFlow::Break`] nothing new is started and what is in flight
/// is finished, as by [`Signal::Drain`]. It runs between replies, so it should be quick.
pub async fn sample_all(
    client: &Client,
    requests: impl IntoIterator<Item = (u64, Request)>,
    mut on_reply: impl FnMut(u64, Result<Reply, LlmError>) -> ControlFlow<()>,
    signal: impl Fn() -> Signal,
) -> Ended {
    let places = usize::try_from(client.endpoint().concurrency.max(1)).unwrap_or(usize::MAX);
    let mut requests = requests.into_iter();
    let mut in_flight = FuturesUnordered::new();
    let mut draining = false;
    let mut exhausted = false;
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        match signal() {
            Signal::Go => {}
            Signal::Drain => draining = true,
            Signal::Stop => return Ended::Stopped,
        }
        // One at a time, so that a slow iterator does not keep finished replies waiting.
        if !draining && !exhausted && in_flight.len() < places {
            match requests.next() {
                None => exhausted = true,
                Some((index, request)) => {
                    in_flight.push(async move { (index, client.chat(&request).await) });
                }
            }
        }
        let may_start = !draining && !exhausted && in_flight.len() < places;
        if in_flight.is_empty() && !may_start {
            return if draining && !exhausted {
                Ended::Drained
            } else {
                Ended::Finished
            };
        }
        let finished = if may_start {
            // Let the new request go out and take what has come in; then go on filling.
            tokio::task::yield_now().await;
            match futures::poll!(in_flight.next()) {
                std::task::Poll::Ready(finished) => finished,
                std::task::Poll::Pending => None,
            }
        } else {
            tokio::select! {
                finished = in_flight.next() => finished,
                _ = looks.tick() => None,
            }
        };
        if let Some((index, reply)) = finished
            && on_reply(index, reply).is_break()
        {
            draining = true;
        }
    }
}
