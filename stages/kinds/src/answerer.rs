//! Asking a model, wherever it runs: behind a server or in this process. `sample`, `reformat` and
//! `eval` ask through here.
//!
//! Answers are paid for, so every finished one is in the row memo before anybody reads it, and none
//! that the memo has is asked for again. That makes two steps of it: [`Answerer::ask_all`] completes
//! the memo, in whatever order answers come; [`Answerer::recall`] then gives them in the order of the
//! rows. Neither holds more than what is in flight, and a run that is killed in between loses only
//! that. Failures are never stored: a later run asks again.
//!
//! What makes two asks the same is their content ([`Ask::key`]): model, messages, sampling, seed and
//! replicate. A row's place in its table plays no part. Two rows that are the same share one answer.

mod ask;
mod embedded;
mod served;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dag_cache::{RowKey, RowMemo, canon};
use dag_engine::{EstimateContext, ModelBinding, StageContext, StageError};

pub use ask::{Answer, Ask, Sampling, Unanswered};
pub use dag_llm::{Message, Role};

use embedded::Embedded;
use served::Served;

/// What the failure of one row too many says after its cause.
fn too_many(failed: u64) -> String {
    if failed == 1 {
        "1 row without an answer is more than `max_failed` allows".to_owned()
    } else {
        format!("{failed} rows without an answer are more than `max_failed` allows")
    }
}

/// One model, open for questions, with the row memo of the stage's kind behind it.
pub struct Answerer<'a> {
    cx: &'a StageContext,
    memo: &'a RowMemo,
    identity: canon::Value,
    place: Place,
    /// The most asks that may fail for good before the rest is not worth its price.
    tolerated: u64,
    book: Mutex<Book>,
}

/// Where the model is.
enum Place {
    Served(Box<Served>),
    Embedded(Box<Embedded>),
}

/// What happened in this run.
#[derive(Default)]
struct Book {
    /// Asked in this run: not from the memo, and not to be asked twice.
    asked: HashSet<RowKey>,
    failed: HashMap<RowKey, Unanswered>,
}

/// What [`Answerer::ask_all`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Asks that the memo answered, or that are the same as an earlier one.
    pub reused: u64,
    /// Asks that the model answered now.
    pub answered: u64,
    /// Asks that failed for good.
    pub failed: u64,
}

impl<'a> Answerer<'a> {
    /// Opens the model that the stage declared as `slot`. Connects to nothing and loads nothing yet:
    /// if the memo has every answer, neither server nor weights are needed.
    ///
    /// # Errors
    /// The model has neither a server nor weights, or its address or key is unusable.
    pub fn open(cx: &'a StageContext, slot: &str) -> Result<Self, StageError> {
        let binding = cx.model(slot)?;
        let place = match binding.spec.as_ref().and_then(|spec| spec.server.as_ref()) {
            Some(server) => Place::Served(Box::new(Served::open(slot, binding, server)?)),
            None => Place::Embedded(Box::new(Embedded::new(slot, binding))),
        };
        Ok(Self {
            cx,
            memo: cx.memo()?,
            identity: binding.identity.clone(),
            place,
            tolerated: u64::MAX,
            book: Mutex::default(),
        })
    }

    /// Gives up once more than so many asks have failed for good. Without it every failure is
    /// tolerated.
    #[must_use]
    pub fn tolerating(mut self, failures: u64) -> Self {
        self.tolerated = failures;
        self
    }

    /// What the model is, as it enters row keys.
    #[must_use]
    pub fn identity(&self) -> &canon::Value {
        &self.identity
    }

    /// Asks whatever the memo does not answer already, and puts every answer there as it comes. An
    /// ask that fails for good is remembered with its reason until this value is dropped. Counts
    /// tokens and money, and advances the stage's progress by one for every ask.
    ///
    /// # Errors
    /// [`StageError::Interrupted`] if the run was cancelled, the server cannot be used at all, more
    /// asks failed than are tolerated, or the memo or an ask cannot be read. What was answered until
    /// then is in the memo.
    pub fn ask_all(
        &self,
        asks: impl IntoIterator<Item = Result<Ask, StageError>>,
    ) -> Result<Asked, StageError> {
        let mut asked = Asked::default();
        let mut trouble = None;
        // Fused: it is asked once more below, after its end.
        let mut asks = asks.into_iter().fuse();
        // Ends early at trouble and at a cancellation, which the drivers below see by themselves.
        let missing = std::iter::from_fn(|| {
            loop {
                if trouble.is_some() || self.cx.cancel().draining() {
                    return None;
                }
                match asks
                    .next()?
                    .and_then(|ask| Ok((self.is_answered(&ask)?, ask)))
                {
                    Ok((true, _)) => {
                        asked.reused += 1;
                        self.cx.progress().advance(1);
                    }
                    Ok((false, ask)) => return Some(ask),
                    Err(error) => trouble = Some(error),
                }
            }
        });
        let done = {
            let mut missing = missing.peekable();
            match &self.place {
                // Everything is in the memo: no weights, no runtime, no connection.
                _ if missing.peek().is_none() => Ok((0, 0)),
                Place::Served(served) => served.ask_all(self, &mut missing),
                Place::Embedded(embedded) => embedded.ask_all(self, &mut missing),
            }
        };
        // Whatever happened: what is paid for is on disk before anything else is said.
        self.memo.flush()?;
        let (answered, failed) = done?;
        if let Some(error) = trouble {
            return Err(error);
        }
        // Cancelled before the last ask was drawn; if none was left, the work is done all the same.
        if self.cx.cancel().draining() && asks.next().is_some() {
            return Err(StageError::Interrupted);
        }
        Ok(Asked {
            answered,
            failed,
            ..asked
        })
    }

    /// The answer to an ask that [`Answerer::ask_all`] has seen, or why there is none.
    ///
    /// # Errors
    /// [`StageError::Interrupted`] if a cancellation came before the ask; the memo cannot be read, or
    /// the ask was never asked.
    pub fn recall(&self, ask: &Ask) -> Result<Result<Answer, Unanswered>, StageError> {
        let key = ask.key(&self.identity);
        if let Some(answer) = ask::recall(self.memo, &self.identity, ask)? {
            let from_memo = !self.book().asked.contains(&key);
            return Ok(Ok(Answer {
                from_memo,
                ..answer
            }));
        }
        match self.book().failed.get(&key) {
            Some(unanswered) => Ok(Err(unanswered.clone())),
            // Whatever ended the asking, a cancelled run owes nobody the rest.
            None if self.cx.cancel().draining() => Err(StageError::Interrupted),
            None => Err(StageError::bug(format!(
                "row {} was never asked",
                ask.index
            ))),
        }
    }

    /// Asks all of them and gives the answers in the order of the asks. For as many as fit in memory.
    ///
    /// # Errors
    /// See [`Answerer::ask_all`].
    pub fn answers(&self, asks: &[Ask]) -> Result<Vec<Result<Answer, Unanswered>>, StageError> {
        self.ask_all(asks.iter().cloned().map(Ok))?;
        asks.iter().map(|ask| self.recall(ask)).collect()
    }

    /// Whether nothing needs to be asked. Marks an ask that does as being asked.
    fn is_answered(&self, ask: &Ask) -> Result<bool, StageError> {
        if ask::recall(self.memo, &self.identity, ask)?.is_some() {
            return Ok(true);
        }
        Ok(!self.book().asked.insert(ask.key(&self.identity)))
    }

    /// Puts an answer into the memo and onto the bill.
    fn answered(&self, ask: &Ask, answer: &Answer) -> Result<(), StageError> {
        ask::remember(self.memo, &self.identity, ask, answer)?;
        self.cx.progress().advance(1);
        Ok(())
    }

    /// Remembers a failure. True if it was one too many.
    fn failed(&self, ask: &Ask, unanswered: Unanswered) -> bool {
        let mut book = self.book();
        book.failed.insert(ask.key(&self.identity), unanswered);
        self.cx.progress().advance(1);
        book.failed.len() as u64 > self.tolerated
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What asking would take, from what is known before a run.
pub struct AskEstimate {
    /// Asks that the memo answers; `None` if it cannot be told yet.
    pub known: Option<u64>,
    /// Asks in all; `None` if the rows are not known.
    pub asks: Option<u64>,
    /// The longest answer, in tokens.
    pub max_tokens: u32,
}

/// The most asks that a plan looks up one by one.
pub const MOST_LOOKED_UP: u64 = 100_000;

/// Counts the asks that the memo answers already. `None` if the model is not known yet or an ask
/// cannot be made; those are the run's errors to tell.
#[must_use]
pub fn known_answers(
    cx: &EstimateContext<'_>,
    slot: &str,
    asks: impl IntoIterator<Item = Result<Ask, StageError>>,
) -> Option<u64> {
    let identity = &cx.model(slot)?.identity;
    let memo = cx.memo()?;
    let mut known = 0;
    for ask in asks {
        let found = ask::recall(memo, identity, &ask.ok()?).ok()?;
        known += u64::from(found.is_some());
    }
    Some(known)
}

/// The tokens, money and time of so many asks, by the means of the latest run of the stage. Without one, only what the
/// longest answers would come to is known, and few replies are that long.
#[must_use]
pub fn estimate(cx: &EstimateContext<'_>, slot: &str, asks: AskEstimate) -> dag_engine::Estimate {
    let AskEstimate {
        known,
        asks,
        max_tokens,
    } = asks;
    let to_do = asks.map(|asks| asks.saturating_sub(known.unwrap_or(0)));
    let model: Option<&ModelBinding> = cx.model(slot);
    let server = model
        .and_then(|model| model.spec.as_ref())
        .and_then(|spec| spec.server.as_ref());
    let past = cx.past().filter(|past| past.usage.requests > 0);
    let mean = |tokens: u64| -> Option<u64> {
        let requests = past?.usage.requests;
        let share = u128::from(tokens) * u128::from(to_do?) / u128::from(requests);
        u64::try_from(share).ok()
    };
    let prompt_tokens = past.and_then(|past| mean(past.usage.prompt_tokens));
    let completion_tokens = past.and_then(|past| mean(past.usage.completion_tokens));
    let price = server.and_then(|server| server.price);
    let usd = price
        .zip(prompt_tokens.zip(completion_tokens))
        .map(|(price, (prompt, completion))| price.usd(prompt, completion));
    let at_most = match completion_tokens {
        None => server
            .and(to_do)
            .and_then(|asks| asks.checked_mul(max_tokens.into())),
        Some(_) => None,
    };
    dag_engine::Estimate {
        rows: asks,
        rows_to_do: to_do,
        rows_known: known,
        requests: server.and(to_do),
        prompt_tokens,
        completion_tokens,
        usd,
        completion_tokens_at_most: at_most,
        usd_at_most: price
            .zip(at_most)
            .map(|(price, tokens)| price.usd(0, tokens)),
        seconds: None,
    }
}
