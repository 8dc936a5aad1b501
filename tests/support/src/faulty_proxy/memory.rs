//! The answers that passed, kept to be given once more at the wrong time.

use std::collections::{BTreeMap, VecDeque};

use axum::body::Bytes;

use super::wire::{Framing, Head};

/// A body that is longer is not kept, in bytes.
pub(crate) const LONGEST_KEPT: usize = 1 << 20;

/// All bodies together, in bytes; beyond it the oldest answer goes.
const MOST_KEPT: usize = 64 << 20;

/// What an answer was an answer to: what must be the same for it to be an older one of the same thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) range: Option<String>,
}

/// An answer, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Bytes,
}

#[derive(Default)]
pub(crate) struct Memory {
    answers: BTreeMap<Key, VecDeque<Answer>>,
    order: VecDeque<Key>,
    bytes: usize,
}

impl Key {
    /// Of a request that only reads; others are not kept.
    pub(crate) fn of(method: &str, target: &str, head: &Head) -> Option<Self> {
        matches!(method, "GET" | "HEAD").then(|| Self {
            method: method.to_owned(),
            target: target.to_owned(),
            range: head.field("range").map(str::to_owned),
        })
    }
}

impl Answer {
    pub(crate) fn new(head: &Head, framing: Framing, body: Vec<u8>) -> Self {
        let mut head = head.clone();
        head.without("connection");
        if framing != Framing::Empty {
            head.set_length(body.len() as u64);
        }
        Self {
            head,
            body: body.into(),
        }
    }

    /// Whether a client could not tell the two apart, but by their dates.
    fn same(&self, other: &Self) -> bool {
        let field = |name| self.head.field(name) == other.head.field(name);
        self.head.status() == other.head.status()
            && field("etag")
            && field("content-length")
            && self.body == other.body
    }
}

impl Memory {
    /// Keeps an answer, unless it is a server's trouble or known already.
    pub(crate) fn keep(&mut self, key: Key, answer: Answer) {
        let trouble = answer.head.status().is_none_or(|status| status >= 500);
        let known = self.answers.entry(key.clone()).or_default();
        if trouble || answer.body.len() > LONGEST_KEPT || known.iter().any(|one| one.same(&answer))
        {
            return;
        }
        self.bytes += answer.body.len();
        known.push_back(answer);
        self.order.push_back(key);
        while self.bytes > MOST_KEPT {
            let Some(key) = self.order.pop_front() else {
                break;
            };
            if let Some(oldest) = self.answers.get_mut(&key).and_then(VecDeque::pop_front) {
                self.bytes -= oldest.body.len();
            }
        }
    }

    /// An earlier answer to the same request that is not like the present one, which is `None` if it is
    /// too long to be kept.
    pub(crate) fn older(&self, key: &Key, present: Option<&Answer>, lot: u64) -> Option<Answer> {
        let differs = |one: &&Answer| present.is_none_or(|present| !one.same(present));
        let older: Vec<_> = self.answers.get(key)?.iter().filter(differs).collect();
        picked(&older, lot)
    }

    /// An earlier answer with a body to another request of the same method.
    pub(crate) fn other(&self, key: &Key, present: Option<&Answer>, lot: u64) -> Option<Answer> {
        let good = |one: &&Answer| {
            matches!(one.head.status(), Some(200 | 206))
                && present.is_none_or(|present| !one.same(present))
        };
        let others: Vec<_> = self
            .answers
            .iter()
            .filter(|(other, _)| other.method == key.method && other.target != key.target)
            .flat_map(|(_, answers)| answers.iter().filter(good))
            .collect();
        picked(&others, lot)
    }
}

fn picked(answers: &[&Answer], lot: u64) -> Option<Answer> {
    let place = lot.checked_rem(answers.len() as u64)?;
    let place = usize::try_from(place).ok()?;
    answers.get(place).map(|answer| (*answer).clone())
}
