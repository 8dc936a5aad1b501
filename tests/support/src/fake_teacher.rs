//! A teacher that is a function: the reply to a prompt is computed by a closure, so a test knows what
//! must come back. It speaks the OpenAI chat format, counts and remembers what it was asked, and
//! fails in every way that servers fail, on demand.
//!
//! As some real servers do, it ignores `n` (one choice comes back, always) and it cuts a reply after
//! `max_tokens` words with the finish reason `length`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::routing::{get, post};
use futures::stream;
use serde_json::{Value, json};

use crate::loopback::Loopback;

/// What the teacher was asked, as it stood on the wire.
#[derive(Clone, Debug)]
pub struct Question {
    /// The model's name.
    pub model: String,
    /// `(role, content)`, in order.
    pub messages: Vec<(String, String)>,
    /// The whole body.
    pub body: Value,
    /// The `Authorization` header.
    pub authorization: Option<String>,
}

impl Question {
    /// The content of the last message.
    #[must_use]
    pub fn prompt(&self) -> &str {
        self.messages
            .last()
            .map_or("", |(_, content)| content.as_str())
    }

    /// The seed that came with it.
    #[must_use]
    pub fn seed(&self) -> Option<i64> {
        self.body.get("seed")?.as_i64()
    }

    fn parse(body: Value, authorization: Option<String>) -> Self {
        let text = |value: &Value, key: &str| {
            value
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let messages = body
            .get("messages")
            .and_then(Value::as_array)
            .map(|messages| {
                messages
                    .iter()
                    .map(|m| (text(m, "role"), text(m, "content")))
                    .collect()
            })
            .unwrap_or_default();
        Self {
            model: text(&body, "model"),
            messages,
            authorization,
            body,
        }
    }
}

/// What the teacher says.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The answer.
    pub text: String,
    /// The thought, sent as `reasoning_content`.
    pub reasoning: Option<String>,
}

impl From<String> for Said {
    fn from(text: String) -> Self {
        Self {
            text,
            reasoning: None,
        }
    }
}

impl From<&str> for Said {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// One way for one request to go wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status with an error body in OpenAI's form, and perhaps a `Retry-After` of so many seconds.
    Status {
        /// The HTTP status.
        code: u16,
        /// Seconds for the `Retry-After` header.
        retry_after: Option<u64>,
        /// The error's text.
        message: String,
    },
    /// Status 200 with an error object for a body.
    ErrorInBody(String),
    /// Half of the body, then a closed connection.
    CutConnection,
    /// The right reply, after a wait.
    Slow(Duration),
    /// A body that is no JSON.
    MalformedJson,
    /// The right reply without token counts.
    MissingUsage,
    /// The right reply under another model's name.
    WrongModel(String),
    /// A reply whose content is empty.
    EmptyContent,
    /// A reply without choices.
    NoChoices,
    /// The right reply, cut and marked `length`.
    Length,
}

impl Fault {
    /// Status 429 with `Retry-After`.
    #[must_use]
    pub fn too_many_requests(retry_after: u64) -> Self {
        Self::Status {
            code: 429,
            retry_after: Some(retry_after),
            message: "slow down".to_owned(),
        }
    }

    /// A bare status.
    #[must_use]
    pub fn status(code: u16, message: &str) -> Self {
        Self::Status {
            code,
            retry_after: None,
            message: message.to_owned(),
        }
    }
}

type Handler = dyn Fn(&Question) -> Said + Send + Sync;
type Chooser = dyn Fn(&Question) -> Option<Fault> + Send + Sync;

struct Classroom {
    handler: Box<Handler>,
    register: Mutex<Register>,
}

#[derive(Default)]
struct Register {
    questions: Vec<Question>,
    answered: usize,
    in_flight: usize,
    most_in_flight: usize,
    script: VecDeque<Fault>,
    chooser: Option<Arc<Chooser>>,
    delay: Duration,
}

/// An OpenAI-compatible server on loopback.
pub struct FakeTeacher {
    classroom: Arc<Classroom>,
    server: Loopback,
}

impl FakeTeacher {
    /// A teacher that answers every question by `handler`.
    pub fn start<S: Into<Said>>(handler: impl Fn(&Question) -> S + Send + Sync + 'static) -> Self {
        let classroom = Arc::new(Classroom {
            handler: Box::new(move |question| handler(question).into()),
            register: Mutex::default(),
        });
        let router = Router::new()
            .route("/v1/chat/completions", post(chat))
            .route("/v1/models", get(models))
            .with_state(Arc::clone(&classroom));
        Self {
            server: Loopback::start(router),
            classroom,
        }
    }

    /// The base address, `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/v1", self.server.url())
    }

    /// The next requests take these faults, one each, in order.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.register().script.extend(faults);
    }

    /// Requests that the script leaves alone ask this function for their fault.
    pub fn fault_when(&self, chooser: impl Fn(&Question) -> Option<Fault> + Send + Sync + 'static) {
        self.register().chooser = Some(Arc::new(chooser));
    }

    /// Every reply takes at least this long.
    pub fn delay(&self, delay: Duration) {
        self.register().delay = delay;
    }

    /// How many requests have arrived.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.register().questions.len()
    }

    /// How many were answered in full and in order (status 200, no fault but [`Fault::Slow`],
    /// [`Fault::MissingUsage`] or [`Fault::Length`]).
    #[must_use]
    pub fn answered(&self) -> usize {
        self.register().answered
    }

    /// The most requests that were open at one time.
    #[must_use]
    pub fn most_in_flight(&self) -> usize {
        self.register().most_in_flight
    }

    /// Everything that was asked, in order of arrival.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        self.register().questions.clone()
    }

    /// The last message of every request, in order of arrival.
    #[must_use]
    pub fn prompts(&self) -> Vec<String> {
        self.register()
            .questions
            .iter()
            .map(|question| question.prompt().to_owned())
            .collect()
    }

    /// Forgets the requests so far; script and faults stay.
    pub fn forget(&self) {
        let mut register = self.register();
        register.questions.clear();
        register.answered = 0;
        register.most_in_flight = 0;
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        self.classroom.register()
    }
}

impl Classroom {
    fn register(&self) -> MutexGuard<'_, Register> {
        self.register
            .lock()
            .expect("no request panics while it holds the register")
    }
}

/// Counts a request as open until it is dropped, however it ends.
struct Seat(Arc<Classroom>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.register().in_flight -= 1;
    }
}

async fn models() -> Response<Body> {
    respond(
        StatusCode::OK,
        None,
        json!({"object": "list", "data": []}).to_string(),
    )
}

async fn chat(
    State(classroom): State<Arc<Classroom>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return respond(
            StatusCode::BAD_REQUEST,
            None,
            error_body("the body is no JSON"),
        );
    };
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned);
    let question = Question::parse(body, authorization);
    let (scripted, chooser, delay) = {
        let mut register = classroom.register();
        register.questions.push(question.clone());
        register.in_flight += 1;
        register.most_in_flight = register.most_in_flight.max(register.in_flight);
        (
            register.script.pop_front(),
            register.chooser.clone(),
            register.delay,
        )
    };
    let seat = Seat(Arc::clone(&classroom));
    let fault = scripted.or_else(|| chooser.and_then(|chooser| chooser(&question)));
    tokio::time::sleep(delay).await;
    let said = (classroom.handler)(&question);
    let reply = Reply::compose(&question, said);
    let answer = match fault {
        None => reply.sent(&classroom),
        Some(Fault::Status {
            code,
            retry_after,
            message,
        }) => {
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            respond(status, retry_after, error_body(&message))
        }
        Some(Fault::ErrorInBody(message)) => respond(StatusCode::OK, None, error_body(&message)),
        Some(Fault::CutConnection) => cut(&reply.body().to_string()),
        Some(Fault::Slow(wait)) => {
            tokio::time::sleep(wait).await;
            reply.sent(&classroom)
        }
        Some(Fault::MalformedJson) => {
            let text = reply.body().to_string();
            respond(
                StatusCode::OK,
                None,
                text.chars().take(text.chars().count() / 2).collect(),
            )
        }
        Some(Fault::MissingUsage) => Reply {
            usage: false,
            ..reply
        }
        .sent(&classroom),
        Some(Fault::WrongModel(model)) => respond(
            StatusCode::OK,
            None,
            Reply { model, ..reply }.body().to_string(),
        ),
        Some(Fault::EmptyContent) => {
            let said = Said::default();
            respond(
                StatusCode::OK,
                None,
                Reply { said, ..reply }.body().to_string(),
            )
        }
        Some(Fault::NoChoices) => {
            let mut body = reply.body();
            body["choices"] = json!([]);
            respond(StatusCode::OK, None, body.to_string())
        }
        Some(Fault::Length) => {
            let half = reply.said.text.chars().count() / 2;
            let text = reply.said.text.chars().take(half.max(1)).collect();
            let said = Said {
                text,
                reasoning: reply.said.reasoning.clone(),
            };
            Reply {
                said,
                finish_reason: "length",
                ..reply
            }
            .sent(&classroom)
        }
    };
    drop(seat);
    answer
}

/// A reply before it is put on the wire.
struct Reply {
    model: String,
    said: Said,
    finish_reason: &'static str,
    prompt_tokens: usize,
    usage: bool,
}

impl Reply {
    /// Words count as tokens.
    fn compose(question: &Question, said: Said) -> Self {
        let limit = question.body.get("max_tokens").and_then(Value::as_u64);
        let words = said.text.split_whitespace().count();
        let (said, finish_reason) = match limit.and_then(|limit| usize::try_from(limit).ok()) {
            Some(limit) if words > limit => {
                let text = said
                    .text
                    .split_inclusive(char::is_whitespace)
                    .take(limit)
                    .collect::<String>();
                (
                    Said {
                        text: text.trim_end().to_owned(),
                        ..said
                    },
                    "length",
                )
            }
            _ => (said, "stop"),
        };
        let prompt_tokens = question
            .messages
            .iter()
            .map(|(_, c)| c.split_whitespace().count())
            .sum();
        Self {
            model: question.model.clone(),
            said,
            finish_reason,
            prompt_tokens,
            usage: true,
        }
    }

    fn body(&self) -> Value {
        let completion = self.said.text.split_whitespace().count()
            + self
                .said
                .reasoning
                .as_deref()
                .map_or(0, |thought| thought.split_whitespace().count());
        let mut body = json!({
            "id": "chatcmpl-fake",
            "object": "chat.completion",
            "created": 0,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": self.said.text},
                "finish_reason": self.finish_reason,
            }],
        });
        if let Some(reasoning) = &self.said.reasoning {
            body["choices"][0]["message"]["reasoning_content"] = json!(reasoning);
        }
        if self.usage {
            body["usage"] = json!({
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": completion,
                "total_tokens": self.prompt_tokens + completion,
            });
        }
        body
    }

    fn sent(&self, classroom: &Classroom) -> Response<Body> {
        classroom.register().answered += 1;
        respond(StatusCode::OK, None, self.body().to_string())
    }
}

fn error_body(message: &str) -> String {
    json!({"error": {"message": message, "type": "fake"}}).to_string()
}

/// The length of the whole is announced, half of it comes.
fn cut(text: &str) -> Response<Body> {
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let body = Body::from_stream(stream::iter([
        Ok(half),
        Err(std::io::Error::other("cut on purpose")),
    ]));
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, text.len())
        .body(body)
        .expect("the headers above are valid")
}

fn respond(status: StatusCode, retry_after: Option<u64>, body: String) -> Response<Body> {
    let mut answer = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(seconds) = retry_after {
        answer = answer.header(header::RETRY_AFTER, seconds);
    }
    answer
        .body(Body::from(body))
        .expect("the headers above are valid")
}
