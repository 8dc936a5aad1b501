//! The client against a teacher on loopback that fails in every way we know of.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dag_llm::{
    Actor, ApiKey, Client, Ended, Endpoint, FinishReason, LlmError, Message, Reply, Request,
    Signal, sample_all,
};
use dag_testing::{FakeTeacher, Fault, Question, Said};

fn echo() -> FakeTeacher {
    FakeTeacher::start(|question: &Question| format!("you said {}", question.prompt()))
}

/// Waits short enough for a test; everything else as a user has it.
fn endpoint(teacher: &FakeTeacher) -> Endpoint {
    Endpoint {
        first_wait: Duration::from_millis(2),
        longest_wait: Duration::from_millis(20),
        retries: 2,
        ..Endpoint::at(teacher.url())
    }
}

fn request(prompt: &str) -> Request {
    Request::new(
        "qwq",
        vec![Message::system("be kind"), Message::user(prompt)],
    )
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs nothing")
        .block_on(future)
}

fn ask(endpoint: Endpoint) -> Result<Reply, LlmError> {
    block_on(async { Client::new(endpoint)?.chat(&request("hello")).await })
}

/// One question under these faults: the reply, and how many requests it took.
fn under(faults: impl IntoIterator<Item = Fault>) -> (Result<Reply, LlmError>, usize) {
    let teacher = echo();
    teacher.script(faults);
    let reply = ask(endpoint(&teacher));
    (reply, teacher.requests())
}

#[test]
fn a_plain_reply_has_text_reason_tokens_and_model() {
    let (reply, requests) = under([]);
    let reply = reply.unwrap();
    assert_eq!(reply.text, "you said hello");
    assert_eq!(reply.finish_reason, Some(FinishReason::Stop));
    assert_eq!(
        (reply.prompt_tokens, reply.completion_tokens),
        (Some(3), Some(3))
    );
    assert_eq!(
        (reply.model.as_deref(), reply.attempts, requests),
        (Some("qwq"), 1, 1)
    );
}

#[test]
fn what_may_pass_is_tried_again() {
    let passing = [
        Fault::too_many_requests(0),
        Fault::status(500, "oh"),
        Fault::status(503, "oh"),
        Fault::status(408, "oh"),
        Fault::CutConnection,
        Fault::MalformedJson,
        Fault::NoChoices,
        Fault::EmptyContent,
        Fault::ErrorInBody("overloaded".to_owned()),
    ];
    for fault in passing {
        let name = format!("{fault:?}");
        let (reply, requests) = under([fault]);
        let reply = reply.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (reply.text.as_str(), reply.attempts, requests),
            ("you said hello", 2, 2),
            "{name}"
        );
    }
}

#[test]
fn what_does_not_pass_ends_with_its_own_error_after_the_retries() {
    let check = |fault: Fault, is: fn(&LlmError) -> bool| {
        let name = format!("{fault:?}");
        let (reply, requests) = under([fault.clone(), fault.clone(), fault]);
        let error = reply.unwrap_err();
        assert!(is(&error), "{name}: {error:?}");
        assert_eq!(requests, 3, "{name}");
    };
    check(Fault::too_many_requests(0), |e| {
        matches!(e, LlmError::Busy { status: 429, .. })
    });
    check(Fault::status(500, "oh"), |e| {
        matches!(e, LlmError::ServerFailed { status: 500, .. })
    });
    check(Fault::CutConnection, |e| {
        matches!(e, LlmError::BrokeOff { .. })
    });
    check(Fault::MalformedJson, |e| {
        matches!(e, LlmError::Malformed { .. })
    });
    check(Fault::EmptyContent, |e| matches!(e, LlmError::Empty { .. }));
}

#[test]
fn what_cannot_pass_is_asked_once_and_says_who_must_act() {
    let check = |fault: Fault, actor: Actor| {
        let name = format!("{fault:?}");
        let (reply, requests) = under([fault]);
        assert_eq!(reply.unwrap_err().actor(), actor, "{name}");
        assert_eq!(requests, 1, "{name}");
    };
    check(
        Fault::status(400, "maximum context length is 2048 tokens"),
        Actor::Question,
    );
    check(Fault::status(422, "top_k"), Actor::Question);
    check(Fault::status(401, "who are you"), Actor::Setup);
    check(Fault::status(404, "no such model"), Actor::Setup);
    check(Fault::status(307, "elsewhere"), Actor::Setup);
    check(Fault::WrongModel("other".to_owned()), Actor::Setup);
}

#[test]
fn errors_read_as_sentences() {
    let (reply, _) = under([Fault::status(400, "maximum context length is 2048 tokens")]);
    let message = reply.unwrap_err().to_string();
    assert!(message.starts_with("127.0.0.1:"), "{message}");
    assert!(
        message.ends_with(
            " does not take this question (status 400): maximum context length is 2048 tokens"
        ),
        "{message}"
    );
    let (reply, _) = under([Fault::WrongModel("llama".to_owned())]);
    assert_eq!(
        reply.unwrap_err().to_string(),
        "asked `qwq`, but `llama` answered"
    );
}

#[test]
fn retry_after_is_obeyed_by_every_request() {
    let teacher = echo();
    teacher.script([Fault::too_many_requests(1)]);
    let endpoint = Endpoint {
        longest_wait: Duration::from_millis(300),
        ..endpoint(&teacher)
    };
    let client = Client::new(endpoint).unwrap();
    let began = Instant::now();
    block_on(async {
        client.chat(&request("first")).await.unwrap();
    });
    // A second was asked for; the endpoint allows three tenths; its own first wait is 2 ms.
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
    assert!(waited < Duration::from_millis(900), "{waited:?}");
}

#[test]
fn a_slow_reply_times_out() {
    let teacher = echo();
    teacher.script([Fault::Slow(Duration::from_secs(20))]);
    let patient = Endpoint {
        timeout: Duration::from_millis(200),
        ..endpoint(&teacher)
    };
    let hasty = Endpoint {
        retries: 0,
        ..patient.clone()
    };
    assert!(matches!(ask(hasty), Err(LlmError::TimedOut { .. })));
    teacher.script([Fault::Slow(Duration::from_secs(20))]);
    assert_eq!(ask(patient).unwrap().attempts, 2);
}

#[test]
fn nobody_at_home_is_said_with_host_and_hint() {
    let teacher = echo();
    let endpoint = Endpoint {
        retries: 0,
        ..endpoint(&teacher)
    };
    drop(teacher);
    let error = ask(endpoint).unwrap_err();
    assert!(matches!(error, LlmError::Unreachable { .. }), "{error:?}");
    assert!(
        error.to_string().starts_with("no connection to 127.0.0.1:"),
        "{error}"
    );
    assert!(error.hint().is_some());
}

#[test]
fn missing_token_counts_are_unknown_and_not_zero() {
    let (reply, _) = under([Fault::MissingUsage]);
    let reply = reply.unwrap();
    assert_eq!((reply.prompt_tokens, reply.completion_tokens), (None, None));
}

#[test]
fn a_cut_reply_says_length() {
    let (reply, _) = under([Fault::Length]);
    assert_eq!(reply.unwrap().finish_reason, Some(FinishReason::Length));
    let teacher = echo();
    let short = Request {
        max_tokens: Some(2),
        ..request("hello")
    };
    let reply = block_on(Client::new(endpoint(&teacher)).unwrap().chat(&short)).unwrap();
    assert_eq!(
        (reply.text.as_str(), reply.finish_reason),
        ("you said", Some(FinishReason::Length))
    );
}

#[test]
fn the_thought_is_kept() {
    let teacher = FakeTeacher::start(|_: &Question| Said {
        text: "42".to_owned(),
        reasoning: Some("six sevens".to_owned()),
    });
    let reply = ask(endpoint(&teacher)).unwrap();
    assert_eq!(
        (reply.text.as_str(), reply.reasoning.as_deref()),
        ("42", Some("six sevens"))
    );
}

#[test]
fn n_is_never_sent() {
    let teacher = echo();
    ask(endpoint(&teacher)).unwrap();
    assert!(
        teacher
            .questions()
            .iter()
            .all(|question| question.body.get("n").is_none())
    );
}

#[test]
fn the_key_is_sent_and_never_shown() {
    let teacher = echo();
    teacher.script([Fault::status(
        401,
        "incorrect API key provided: sk-very-secret",
    )]);
    let endpoint = Endpoint {
        api_key: Some(ApiKey::new("sk-very-secret")),
        ..endpoint(&teacher)
    };
    let error = ask(endpoint.clone()).unwrap_err();
    assert_eq!(
        teacher.questions()[0].authorization.as_deref(),
        Some("Bearer sk-very-secret")
    );
    for shown in [
        format!("{error}"),
        format!("{error:?}"),
        format!("{endpoint:?}"),
    ] {
        assert!(!shown.contains("sk-very-secret"), "{shown}");
    }
}

#[test]
fn a_missing_key_is_named_by_its_variable() {
    let error = ApiKey::from_env("DAG_TEST_NO_SUCH_KEY").unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment variable DAG_TEST_NO_SUCH_KEY holds no API key"
    );
    assert_eq!(error.actor(), Actor::Setup);
}

#[test]
fn a_wait_for_the_next_try_says_why_until_a_request_succeeds() {
    let teacher = echo();
    teacher.script([Fault::status(503, "loading the model")]);
    let client = Client::new(Endpoint {
        first_wait: Duration::from_millis(200),
        longest_wait: Duration::from_millis(200),
        ..endpoint(&teacher)
    })
    .unwrap();
    let seen = std::cell::RefCell::new(Vec::new());
    block_on(sample_all(
        &client,
        numbered(1),
        |_, _| ControlFlow::Continue(()),
        || {
            seen.borrow_mut().extend(client.trouble());
            Signal::Go
        },
    ));
    assert!(
        seen.borrow()
            .iter()
            .any(|why| why.contains("loading the model")),
        "{seen:?}"
    );
    assert_eq!(client.trouble(), None);
    assert_eq!(teacher.answered(), 1);
}

#[test]
fn requests_per_minute_spaces_the_requests() {
    let teacher = echo();
    let client = Client::new(Endpoint {
        requests_per_minute: Some(600),
        ..endpoint(&teacher)
    })
    .unwrap();
    let began = Instant::now();
    block_on(sample_all(
        &client,
        numbered(4),
        |_, _| ControlFlow::Continue(()),
        || Signal::Go,
    ));
    assert!(
        began.elapsed() >= Duration::from_millis(300),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(teacher.answered(), 4);
}

#[test]
fn tokens_per_minute_are_paid_back_by_waiting() {
    let teacher = echo();
    // Six tokens a question: a fifth of a second at 1,800 a minute.
    let endpoint = Endpoint {
        tokens_per_minute: Some(1_800),
        concurrency: 1,
        ..endpoint(&teacher)
    };
    let client = Client::new(endpoint).unwrap();
    let began = Instant::now();
    block_on(sample_all(
        &client,
        numbered(3),
        |_, _| ControlFlow::Continue(()),
        || Signal::Go,
    ));
    assert!(
        began.elapsed() >= Duration::from_millis(400),
        "{:?}",
        began.elapsed()
    );
}

fn numbered(count: u64) -> impl Iterator<Item = (u64, Request)> {
    (0..count).map(|index| (index, request(&index.to_string())))
}

#[test]
fn every_request_gets_its_own_reply_at_most_concurrency_at_a_time() {
    let teacher = echo();
    teacher.delay(Duration::from_millis(3));
    let client = Client::new(Endpoint {
        concurrency: 5,
        ..endpoint(&teacher)
    })
    .unwrap();
    let mut replies = BTreeMap::new();
    let ended = block_on(sample_all(
        &client,
        numbered(100),
        |index, reply| {
            assert!(
                replies.insert(index, reply.unwrap().text).is_none(),
                "{index} came twice"
            );
            ControlFlow::Continue(())
        },
        || Signal::Go,
    ));
    assert_eq!(ended, Ended::Finished);
    assert_eq!(replies.len(), 100);
    assert!(
        replies
            .iter()
            .all(|(index, text)| *text == format!("you said {index}"))
    );
    assert!(
        (2..=5).contains(&teacher.most_in_flight()),
        "{}",
        teacher.most_in_flight()
    );
}

#[test]
fn requests_are_drawn_as_places_fall_free() {
    let teacher = echo();
    let client = Client::new(Endpoint {
        concurrency: 3,
        ..endpoint(&teacher)
    })
    .unwrap();
    let (drawn, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let requests = numbered(50).inspect(|_| {
        let open = drawn.fetch_add(1, Ordering::SeqCst) + 1 - done.load(Ordering::SeqCst);
        assert!(open <= 3, "{open} drawn and not answered");
    });
    let on_reply = |_, _| {
        done.fetch_add(1, Ordering::SeqCst);
        ControlFlow::Continue(())
    };
    block_on(sample_all(&client, requests, on_reply, || Signal::Go));
    assert_eq!(done.load(Ordering::SeqCst), 50);
}

#[test]
fn draining_finishes_what_is_in_flight_and_starts_nothing() {
    let teacher = echo();
    teacher.delay(Duration::from_millis(20));
    let client = Client::new(Endpoint {
        concurrency: 4,
        ..endpoint(&teacher)
    })
    .unwrap();
    let answered = AtomicUsize::new(0);
    let signal = || {
        if answered.load(Ordering::SeqCst) >= 6 {
            Signal::Drain
        } else {
            Signal::Go
        }
    };
    let on_reply = |_, reply: Result<Reply, LlmError>| {
        assert!(reply.is_ok());
        answered.fetch_add(1, Ordering::SeqCst);
        ControlFlow::Continue(())
    };
    let ended = block_on(sample_all(&client, numbered(1000), on_reply, signal));
    assert_eq!(ended, Ended::Drained);
    // Nothing that was asked is thrown away.
    assert_eq!(teacher.requests(), answered.load(Ordering::SeqCst));
    assert!(teacher.requests() < 20, "{}", teacher.requests());
}

#[test]
fn stopping_drops_what_is_in_flight() {
    let teacher = echo();
    teacher.delay(Duration::from_secs(30));
    let client = Client::new(endpoint(&teacher)).unwrap();
    let began = Instant::now();
    let signal = || {
        if began.elapsed() > Duration::from_millis(100) {
            Signal::Stop
        } else {
            Signal::Go
        }
    };
    let ended = block_on(sample_all(
        &client,
        numbered(8),
        |_, _| panic!("no reply is due"),
        signal,
    ));
    assert_eq!(ended, Ended::Stopped);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_caller_may_end_the_work() {
    let teacher = echo();
    let client = Client::new(Endpoint {
        concurrency: 2,
        ..endpoint(&teacher)
    })
    .unwrap();
    let ended = block_on(sample_all(
        &client,
        numbered(1000),
        |_, _| ControlFlow::Break(()),
        || Signal::Go,
    ));
    assert_eq!(ended, Ended::Drained);
    assert!(teacher.requests() <= 3, "{}", teacher.requests());
}

#[test]
fn no_requests_end_at_once() {
    let teacher = echo();
    let client = Client::new(endpoint(&teacher)).unwrap();
    let ended = block_on(sample_all(
        &client,
        [],
        |_, _| ControlFlow::Break(()),
        || Signal::Go,
    ));
    assert_eq!((ended, teacher.requests()), (Ended::Finished, 0));
}
