//! One ask and its answer: what makes two asks the same, and how an answer lies in the row memo.
//!
//! The limit on a reply's length is no part of an ask's key, because an answer that ended by itself is
//! the same under any limit it fits. So a finished answer lies under the ask's key, and one that was
//! cut by the limit under the key and that limit: a higher limit asks again, the old one still finds
//! its row. Nothing is ever overwritten, so stages with different limits do not take each other's rows
//! away.

use dag_cache::{RowKey, RowMemo, canon};
use dag_engine::StageError;
use dag_llm::Message;
use serde::{Deserialize, Serialize};

/// The domain of row keys. A change of what is in them is a new domain.
const DOMAIN: &str = "dag row v1";

/// How an answer is drawn. All of it is part of the row key but `max_tokens`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f64,
    /// The mass of the most likely tokens to draw from; 1 is all.
    pub top_p: f64,
    /// How many of the most likely tokens to draw from; `None` is all.
    pub top_k: Option<u32>,
    /// The longest answer, in tokens.
    pub max_tokens: u32,
    /// The seed of the stage; each row draws from its own, made of this and of what is asked.
    pub seed: u64,
    /// The answer ends before the first of these.
    pub stop: Vec<String>,
    /// Which of several answers to the same question this is, from 0.
    pub replicate: u32,
}

/// One question.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// The caller's number for it; for messages only.
    pub index: u64,
    /// The conversation.
    pub messages: Vec<Message>,
    /// How the answer is drawn.
    pub sampling: Sampling,
}

/// A finished answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The index of its ask.
    pub index: u64,
    /// The answer, without the thought where the model's server keeps the two apart.
    pub text: String,
    /// The thought, where the server keeps it apart.
    pub reasoning: Option<String>,
    /// `stop`, `length`, or the server's word; `None` if it does not say.
    pub finish_reason: Option<String>,
    /// Tokens of the conversation, if known.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, thought included, if known.
    pub completion_tokens: Option<u64>,
    /// The name under which the model answered.
    pub model: String,
    /// It was there before this run.
    pub from_memo: bool,
}

/// Why an ask has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The last error, in words.
    pub reason: String,
}

impl Ask {
    /// The identity of the ask: by content, not by place.
    #[must_use]
    pub fn key(&self, model: &canon::Value) -> RowKey {
        self.key_with(model, None)
    }

    /// The seed of this ask's own draws. Smaller than 2^31, because some servers read no more.
    #[must_use]
    pub fn seed(&self, model: &canon::Value) -> u64 {
        let digest = canon::digest("dag row seed v1", &canon::Value::Digest(self.key(model).0));
        let hex = digest.to_string();
        u64::from_str_radix(&hex[..8], 16).expect("a digest prints as hex digits") >> 1
    }

    fn key_with(&self, model: &canon::Value, limit: Option<u32>) -> RowKey {
        let Self {
            index: _,
            messages,
            sampling,
        } = self;
        let Sampling {
            temperature,
            top_p,
            top_k,
            max_tokens: _,
            seed,
            stop,
            replicate,
        } = sampling;
        let message = |message: &Message| {
            canon::Value::List(vec![
                message.role.as_str().into(),
                message.content.as_str().into(),
            ])
        };
        let value = canon::Value::map([
            ("model", model.clone()),
            (
                "messages",
                canon::Value::List(messages.iter().map(message).collect()),
            ),
            ("temperature", (*temperature).into()),
            ("top_p", (*top_p).into()),
            ("top_k", optional(*top_k)),
            // As text: seeds may be larger than any signed integer.
            ("seed", seed.to_string().as_str().into()),
            (
                "stop",
                canon::Value::List(stop.iter().map(|stop| stop.as_str().into()).collect()),
            ),
            ("replicate", (*replicate).into()),
            ("limit", optional(limit)),
        ]);
        RowKey(canon::digest(DOMAIN, &value))
    }
}

fn optional(number: Option<u32>) -> canon::Value {
    number.map_or(canon::Value::Null, canon::Value::from)
}

/// An answer as it lies in the memo.
#[derive(Serialize, Deserialize)]
struct Stored {
    text: String,
    reasoning: Option<String>,
    finish_reason: Option<String>,
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    model: String,
    /// The limit it was made under.
    max_tokens: u32,
}

impl Stored {
    fn was_cut(&self) -> bool {
        self.finish_reason.as_deref() == Some("length")
    }

    /// Whether the same answer would have come under `limit`.
    fn fits(&self, limit: u32) -> bool {
        let fits = |tokens: u64| tokens <= u64::from(limit);
        self.max_tokens <= limit || self.completion_tokens.is_some_and(fits)
    }

    fn into_answer(self, index: u64) -> Answer {
        Answer {
            index,
            text: self.text,
            reasoning: self.reasoning,
            finish_reason: self.finish_reason,
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            model: self.model,
            from_memo: true,
        }
    }
}

/// The answer that the memo has for this ask under its limit.
pub(super) fn recall(
    memo: &RowMemo,
    model: &canon::Value,
    ask: &Ask,
) -> Result<Option<Answer>, StageError> {
    let limit = ask.sampling.max_tokens;
    if let Some(stored) = read(memo, &ask.key(model))?
        && !stored.was_cut()
        && stored.fits(limit)
    {
        return Ok(Some(stored.into_answer(ask.index)));
    }
    let cut = read(memo, &ask.key_with(model, Some(limit)))?;
    Ok(cut.map(|stored| stored.into_answer(ask.index)))
}

/// Puts an answer where [`recall`] finds it.
pub(super) fn remember(
    memo: &RowMemo,
    model: &canon::Value,
    ask: &Ask,
    answer: &Answer,
) -> Result<(), StageError> {
    let Answer {
        index: _,
        text,
        reasoning,
        finish_reason,
        prompt_tokens,
        completion_tokens,
        model: name,
        from_memo: _,
    } = answer.clone();
    let limit = ask.sampling.max_tokens;
    let stored = Stored {
        text,
        reasoning,
        finish_reason,
        prompt_tokens,
        completion_tokens,
        model: name,
        max_tokens: limit,
    };
    let whole = ask.key(model);
    // A finished answer that is there already stays, though it may be too long for this ask.
    let key = if stored.was_cut() || read(memo, &whole)?.is_some() {
        ask.key_with(model, Some(limit))
    } else {
        whole
    };
    let bytes = serde_json::to_vec(&stored).map_err(|error| StageError::bug(error.to_string()))?;
    Ok(memo.put(key, &bytes)?)
}

/// What cannot be read as an answer is none: the row is asked again.
fn read(memo: &RowMemo, key: &RowKey) -> Result<Option<Stored>, StageError> {
    Ok(memo
        .get(key)?
        .and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}
