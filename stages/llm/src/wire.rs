//! The format on the network: OpenAI's chat completions, as servers really speak it. Only what is read
//! has a name; every other field is kept as it came.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{FinishReason, LlmError, Message, Reply, Request};

/// The body of a request. There is no `n`: servers ignore it silently, so a replicate is a request.
#[derive(Debug, Serialize)]
pub struct ChatRequest<'a> {
    model: &'a str,
    messages: &'a [Message],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

impl<'a> From<&'a Request> for ChatRequest<'a> {
    fn from(request: &'a Request) -> Self {
        let Request {
            model,
            messages,
            temperature,
            top_p,
            top_k,
            max_tokens,
            seed,
            stop,
            extra,
        } = request;
        Self {
            model,
            messages,
            temperature: *temperature,
            top_p: *top_p,
            top_k: *top_k,
            max_tokens: *max_tokens,
            seed: *seed,
            stop,
            extra,
        }
    }
}

/// The body of a reply with status 200, which may be an error all the same.
#[derive(Debug, Deserialize)]
pub struct ChatReply {
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    message: ChoiceMessage,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ChoiceMessage {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
}

/// Fields of a reply that say nothing about the answer.
const ENVELOPE: [&str; 4] = ["id", "object", "created", "service_tier"];

impl ChatReply {
    /// Reads a body.
    ///
    /// # Errors
    /// [`LlmError::Malformed`] if it is no chat reply, [`LlmError::ServerFailed`] if it is an error in
    /// spite of its status, [`LlmError::Empty`] if it says nothing.
    pub fn read(body: &[u8], host: &str) -> Result<Reply, LlmError> {
        let malformed = |reason: String| LlmError::Malformed {
            host: host.to_owned(),
            reason,
        };
        let reply: Self =
            serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
        if let Some(error) = reply.error.filter(|error| !error.is_null()) {
            return Err(LlmError::ServerFailed {
                host: host.to_owned(),
                status: 200,
                message: error_text(&error),
            });
        }
        let choice = reply
            .choices
            .into_iter()
            .next()
            .ok_or_else(|| malformed("no choices".to_owned()))?;
        let ChoiceMessage {
            content,
            reasoning_content,
            reasoning,
            extra: message_extra,
        } = choice.message;
        let said = |text: &String| !text.is_empty();
        let text = content.unwrap_or_default();
        let reasoning = reasoning_content.filter(said).or(reasoning.filter(said));
        if text.is_empty() && reasoning.is_none() {
            return Err(LlmError::Empty {
                host: host.to_owned(),
            });
        }
        let mut extra = reply.extra;
        extra.retain(|name, _| !ENVELOPE.contains(&name.as_str()));
        extra.extend(
            message_extra
                .into_iter()
                .filter(|(name, value)| name != "role" && !value.is_null()),
        );
        Ok(Reply {
            text,
            reasoning,
            finish_reason: choice.finish_reason.as_deref().map(FinishReason::from),
            prompt_tokens: reply.usage.as_ref().and_then(|usage| usage.prompt_tokens),
            completion_tokens: reply
                .usage
                .as_ref()
                .and_then(|usage| usage.completion_tokens),
            model: reply.model.filter(said),
            attempts: 1,
            extra,
        })
    }
}

/// The longest error text that is passed on, in characters.
const LONGEST_TEXT: usize = 400;

/// The words of an error body, in whichever of the usual forms it comes.
#[must_use]
pub fn error_message(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(value) => error_text(
            value
                .get("error")
                .or_else(|| value.get("detail"))
                .unwrap_or(&value),
        ),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None if text.is_empty() => "no explanation".to_owned(),
        None => text,
    }
}

fn error_text(error: &Value) -> String {
    let message = error.get("message").unwrap_or(error);
    message
        .as_str()
        .map_or_else(|| message.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_only_what_it_sets() {
        let mut request = Request::new("m", vec![Message::user("hi")]);
        let bare = serde_json::to_string(&ChatRequest::from(&request)).unwrap();
        assert_eq!(
            bare,
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#
        );
        request.seed = Some(7);
        request.top_k = Some(20);
        request.extra.insert("min_p".to_owned(), 0.1.into());
        let full = serde_json::to_string(&ChatRequest::from(&request)).unwrap();
        assert!(
            full.ends_with(r#""top_k":20,"seed":7,"min_p":0.1}"#),
            "{full}"
        );
    }

    #[test]
    fn the_thought_and_unknown_fields_are_kept() {
        let body = br#"{"id":"x","model":"m","system_fingerprint":"f","choices":[{"message":
            {"role":"assistant","content":"4","reasoning":"2+2","annotations":[1],"refusal":null},
            "finish_reason":"stop"}]}"#;
        let reply = ChatReply::read(body, "h").unwrap();
        assert_eq!(
            (reply.text.as_str(), reply.reasoning.as_deref()),
            ("4", Some("2+2"))
        );
        assert_eq!(reply.finish_reason, Some(FinishReason::Stop));
        assert_eq!((reply.prompt_tokens, reply.completion_tokens), (None, None));
        assert_eq!(
            reply.extra.keys().collect::<Vec<_>>(),
            ["system_fingerprint", "annotations"]
        );
    }

    #[test]
    fn reasoning_content_goes_before_reasoning_and_null_content_is_no_fault() {
        let body =
            br#"{"choices":[{"message":{"content":null,"reasoning_content":"a","reasoning":"b"},
            "finish_reason":"length"}],"usage":{"prompt_tokens":3}}"#;
        let reply = ChatReply::read(body, "h").unwrap();
        assert_eq!(
            (reply.text.as_str(), reply.reasoning.as_deref()),
            ("", Some("a"))
        );
        assert_eq!(
            (reply.prompt_tokens, reply.completion_tokens),
            (Some(3), None)
        );
    }

    fn fails(body: &str) -> String {
        ChatReply::read(body.as_bytes(), "h")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        assert_eq!(
            fails(r#"{"choices":[]}"#),
            "h sent no chat reply: no choices"
        );
        assert_eq!(
            fails(r#"{"choices":[{"message":{"content":""}}]}"#),
            "h sent an empty reply"
        );
        assert_eq!(
            fails(r#"{"error":{"message":"oh"}}"#),
            "h failed (status 200): oh"
        );
        assert!(fails("<html>").starts_with("h sent no chat reply: "));
        assert!(fails(r#"{"choices":[{"mess"#).starts_with("h sent no chat reply: "));
    }

    #[test]
    fn error_bodies_come_in_many_forms() {
        for body in [
            r#"{"error":{"message":"no"}}"#,
            r#"{"error":"no"}"#,
            r#"{"detail":"no"}"#,
            "no",
            " no\n",
        ] {
            assert_eq!(error_message(body.as_bytes()), "no", "{body}");
        }
        assert_eq!(error_message(b""), "no explanation");
        assert_eq!(
            error_message("ü".repeat(1000).as_bytes()).chars().count(),
            LONGEST_TEXT + 1
        );
    }
}
