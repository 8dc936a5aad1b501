//! A model behind a server: the questions go out through `dag-llm`, many at a time.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use dag_cache::Usage;
use dag_engine::{ModelBinding, ModelPlace, ServerSpec, StageError};
use dag_llm::{
    Actor, ApiKey, Client, Ended, Endpoint, LlmError, Reply, Request, Signal, sample_all,
};

use super::{Answer, Answerer, Ask, Unanswered};

/// A served model.
pub(super) struct Served {
    client: Client,
    /// The name the server knows the model by.
    model: String,
    server: ServerSpec,
}

impl Served {
    pub(super) fn open(
        slot: &str,
        binding: &ModelBinding,
        server: &ServerSpec,
    ) -> Result<Self, StageError> {
        let ServerSpec {
            url,
            concurrency,
            api_key_env,
            timeout_s,
            retries,
            price: _,
            requests_per_minute,
            tokens_per_minute,
        } = server;
        let api_key = api_key_env
            .as_deref()
            .map(ApiKey::from_env)
            .transpose()
            .map_err(setup)?;
        let endpoint = Endpoint {
            concurrency: *concurrency,
            timeout: Duration::from_secs(*timeout_s),
            retries: *retries,
            requests_per_minute: *requests_per_minute,
            tokens_per_minute: *tokens_per_minute,
            api_key,
            ..Endpoint::at(url.as_str())
        };
        Ok(Self {
            client: Client::new(endpoint).map_err(setup)?,
            model: served_name(slot, binding)?,
            server: server.clone(),
        })
    }

    /// Asks until the asks or the patience end. Gives how many were answered and how many failed.
    pub(super) fn ask_all(
        &self,
        answerer: &Answerer<'_>,
        asks: &mut dyn Iterator<Item = Ask>,
    ) -> Result<(u64, u64), StageError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let cancel = answerer.cx.cancel();
        let told = std::cell::RefCell::new(None);
        let signal = || {
            // A silent wait looks like a hang.
            let trouble = self.client.trouble();
            if *told.borrow() != trouble {
                let message = match &trouble {
                    Some(trouble) => format!("trying again: {trouble}"),
                    None => String::new(),
                };
                answerer.cx.progress().set_message(message);
                told.replace(trouble);
            }
            if cancel.stopping() {
                Signal::Stop
            } else if cancel.draining() {
                Signal::Drain
            } else {
                Signal::Go
            }
        };
        let open = std::cell::RefCell::new(HashMap::new());
        let requests = asks.enumerate().map(|(number, ask)| {
            let number = number as u64;
            let request = self.request(&ask, ask.seed(&answerer.identity));
            open.borrow_mut().insert(number, ask);
            (number, request)
        });
        let mut ledger = Ledger::new(self, answerer);
        let ended = runtime.block_on(sample_all(
            &self.client,
            requests,
            |number, reply| {
                let ask = open.borrow_mut().remove(&number);
                match ask {
                    Some(ask) => ledger.enter(&ask, reply),
                    None => ControlFlow::Continue(()),
                }
            },
            signal,
        ));
        let Ledger {
            answered,
            failed,
            fatal,
            ..
        } = ledger;
        if let Some(error) = fatal {
            return Err(error);
        }
        match ended {
            Ended::Finished => Ok((answered, failed)),
            Ended::Drained | Ended::Stopped => Err(StageError::Interrupted),
        }
    }

    fn request(&self, ask: &Ask, seed: u64) -> Request {
        let sampling = &ask.sampling;
        Request {
            temperature: Some(sampling.temperature),
            top_p: Some(sampling.top_p),
            top_k: sampling.top_k,
            max_tokens: Some(sampling.max_tokens),
            seed: Some(seed),
            stop: sampling.stop.clone(),
            ..Request::new(self.model.as_str(), ask.messages.clone())
        }
    }
}

/// The name to ask for: what the settings say, else what the model is called where it comes from.
fn served_name(slot: &str, binding: &ModelBinding) -> Result<String, StageError> {
    if let Some(name) = binding.spec.as_ref().and_then(|spec| spec.name.clone()) {
        return Ok(name);
    }
    match &binding.place {
        ModelPlace::Served { name } => Ok(name.clone()),
        ModelPlace::Hub { id, .. } => Ok(id.clone()),
        ModelPlace::Folder(_) | ModelPlace::Artifact(_) => Err(StageError::failed(format!(
            "model `{slot}` has a server, but no name that the server knows"
        ))
        .with_hint("add `name = \"…\"` beside `server`")),
    }
}

/// What came back so far, and whether it is worth going on.
struct Ledger<'a> {
    served: &'a Served,
    answerer: &'a Answerer<'a>,
    answered: u64,
    failed: u64,
    /// Failures that nobody but time can mend, since the last answer.
    in_a_row: u64,
    fatal: Option<StageError>,
}

impl<'a> Ledger<'a> {
    fn new(served: &'a Served, answerer: &'a Answerer<'a>) -> Self {
        Self {
            served,
            answerer,
            answered: 0,
            failed: 0,
            in_a_row: 0,
            fatal: None,
        }
    }

    fn enter(&mut self, ask: &Ask, reply: Result<Reply, LlmError>) -> ControlFlow<()> {
        let error = match reply {
            Ok(reply) => match self.keep(ask, reply) {
                Ok(()) => return ControlFlow::Continue(()),
                Err(error) => error,
            },
            Err(error) => match self.set_aside(ask, &error) {
                Ok(()) => return ControlFlow::Continue(()),
                Err(error) => error,
            },
        };
        // The first one counts: those in flight may well fail for the same reason.
        self.fatal.get_or_insert(error);
        ControlFlow::Break(())
    }

    fn keep(&mut self, ask: &Ask, reply: Reply) -> Result<(), StageError> {
        let cx = self.answerer.cx;
        if reply.prompt_tokens.is_none() || reply.completion_tokens.is_none() {
            cx.note("the server left out token counts: tokens and money are higher than shown");
        }
        if reply.model.is_none() {
            cx.note("the server does not say which model answered");
        }
        let prompt_tokens = reply.prompt_tokens.unwrap_or(0);
        let completion_tokens = reply.completion_tokens.unwrap_or(0);
        let price = self.served.server.price.unwrap_or_default();
        cx.usage(Usage {
            prompt_tokens,
            completion_tokens,
            requests: u64::from(reply.attempts),
            usd: price.usd(prompt_tokens, completion_tokens),
        });
        let answer = Answer {
            index: ask.index,
            text: reply.text,
            reasoning: reply.reasoning,
            finish_reason: reply.finish_reason.map(|reason| reason.as_str().to_owned()),
            prompt_tokens: reply.prompt_tokens,
            completion_tokens: reply.completion_tokens,
            model: reply.model.unwrap_or_else(|| self.served.model.clone()),
            from_memo: false,
        };
        self.answerer.answered(ask, &answer)?;
        self.answered += 1;
        self.in_a_row = 0;
        Ok(())
    }

    fn set_aside(&mut self, ask: &Ask, error: &LlmError) -> Result<(), StageError> {
        match error.actor() {
            Actor::Setup => return Err(setup(error.clone())),
            Actor::Time => self.in_a_row += 1,
            Actor::Question => {}
        }
        self.failed += 1;
        let one_too_many = self.answerer.failed(
            ask,
            Unanswered {
                reason: error.to_string(),
            },
        );
        let attempts = u64::from(self.served.server.retries) + 1;
        let hint = || {
            error
                .hint()
                .unwrap_or_else(|| "run again: answered rows are kept".to_owned())
        };
        if one_too_many {
            let message = format!("{error}; {}", super::too_many(self.failed));
            return Err(StageError::environment(message).with_hint(hint()));
        }
        let patience = u64::from(self.served.server.concurrency)
            .saturating_mul(2)
            .max(8);
        if self.in_a_row >= patience {
            let message = format!(
                "{error}; so ended {} rows in a row, {attempts} tries each",
                self.in_a_row
            );
            return Err(StageError::environment(message).with_hint(hint()));
        }
        Ok(())
    }
}

fn setup(error: LlmError) -> StageError {
    let hint = error.hint();
    let error = StageError::environment(error.to_string());
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}
