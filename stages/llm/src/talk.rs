//! What is said: the question as the caller puts it and the reply as the caller reads it, apart from
//! how either looks on the network (that is [`crate::wire`]).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The instructions.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A system message.
    #[must_use]
    pub fn system(content: impl Into<String>) -> Self {
        Self {
            role: Role::System,
            content: content.into(),
        }
    }

    /// A user message.
    #[must_use]
    pub fn user(content: impl Into<String>) -> Self {
        Self {
            role: Role::User,
            content: content.into(),
        }
    }

    /// An assistant message.
    #[must_use]
    pub fn assistant(content: impl Into<String>) -> Self {
        Self {
            role: Role::Assistant,
            content: content.into(),
        }
    }
}

/// One question. What is `None` or empty is left to the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The model's name, as the server knows it.
    pub model: String,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// 0 is greedy.
    pub temperature: Option<f64>,
    /// The mass of the most likely tokens to draw from, 0 to 1.
    pub top_p: Option<f64>,
    /// How many of the most likely tokens to draw from. No part of OpenAI's format; vLLM, SGLang and
    /// llama.cpp know it.
    pub top_k: Option<u32>,
    /// The longest reply, in tokens.
    pub max_tokens: Option<u32>,
    /// What the draws start from.
    pub seed: Option<u64>,
    /// The reply ends before the first of these.
    pub stop: Vec<String>,
    /// Fields of this one server, sent as they are (`min_p`, `chat_template_kwargs`).
    pub extra: Map<String, Value>,
}

impl Request {
    /// A question that leaves everything else to the server.
    #[must_use]
    pub fn new(model: impl Into<String>, messages: Vec<Message>) -> Self {
        Self {
            model: model.into(),
            messages,
            temperature: None,
            top_p: None,
            top_k: None,
            max_tokens: None,
            seed: None,
            stop: Vec::new(),
            extra: Map::new(),
        }
    }
}

/// Why a reply ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model ended it, or a stop string did.
    Stop,
    /// It ran into `max_tokens` or the context's end.
    Length,
    /// The server withheld (a part of) it.
    ContentFilter,
    /// Another word of the server's.
    Other(String),
}

impl FinishReason {
    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for FinishReason {
    fn from(word: &str) -> Self {
        match word {
            "stop" | "eos" | "end_turn" => Self::Stop,
            "length" | "max_tokens" => Self::Length,
            "content_filter" => Self::ContentFilter,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// One whole reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The answer, without the thought where the server keeps the two apart.
    pub text: String,
    /// The thought, where the server keeps it apart.
    pub reasoning: Option<String>,
    /// Why it ended; `None` if the server does not say.
    pub finish_reason: Option<FinishReason>,
    /// Tokens of the conversation; `None` if the server does not say.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the reply, thought included; `None` if the server does not say.
    pub completion_tokens: Option<u64>,
    /// The model that answered, in the server's words; `None` if it does not say.
    pub model: Option<String>,
    /// How many requests it took, 1 or more.
    pub attempts: u32,
    /// Fields of the reply and of its message that this crate has no name for.
    pub extra: Map<String, Value>,
}
