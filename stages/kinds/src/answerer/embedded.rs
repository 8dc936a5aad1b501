//! A model in this process: its weights are loaded when the first question needs them.
//!
//! Questions go to the generator in groups. Each has its own seed and the arithmetic mixes no rows, so
//! an answer does not depend on its group.

use std::path::Path;
use std::sync::Mutex;

use dag_cache::{Usage, canon};
use dag_engine::{ModelBinding, ModelPlace, StageError};
use dag_model::{Completion, Generator, Model, Request, Sampling};

use super::{Answer, Answerer, Ask, Unanswered};
use crate::model_folder::model_folder;

/// Questions that are given to the generator at once.
const GROUP: usize = 512;

/// An embedded model.
pub(super) struct Embedded {
    slot: String,
    binding: ModelBinding,
}

impl Embedded {
    pub(super) fn new(slot: &str, binding: &ModelBinding) -> Self {
        Self {
            slot: slot.to_owned(),
            binding: binding.clone(),
        }
    }

    /// Answers until the asks end. Gives how many were answered and how many failed.
    pub(super) fn ask_all(
        &self,
        answerer: &Answerer<'_>,
        asks: &mut dyn Iterator<Item = Ask>,
    ) -> Result<(u64, u64), StageError> {
        let cx = answerer.cx;
        let folder = model_folder(cx, &self.slot, &self.binding)?;
        let model = dag_model::load(&folder).map_err(|error| broken(&error))?;
        let threads = usize::try_from(cx.cpus()).unwrap_or(1);
        let generator = Generator::new(&model).with_threads(threads, 64);
        let name = self.name(&folder);
        let (mut answered, mut failed) = (0, 0);
        loop {
            let group: Vec<Ask> = (&mut *asks).take(GROUP).collect();
            if group.is_empty() {
                return Ok((answered, failed));
            }
            let (mut sent, mut requests) = (Vec::new(), Vec::new());
            for ask in group {
                match request(&model, &ask, ask.seed(&answerer.identity))? {
                    Ok(request) => {
                        requests.push(request);
                        sent.push(ask);
                    }
                    Err(reason) => {
                        failed += 1;
                        if answerer.failed(
                            &ask,
                            Unanswered {
                                reason: reason.clone(),
                            },
                        ) {
                            let message = format!("{reason}; {}", super::too_many(failed));
                            return Err(StageError::failed(message));
                        }
                    }
                }
            }
            let trouble = Mutex::new(None);
            let count = std::sync::atomic::AtomicU64::new(0);
            let done = |place: usize, completion: Completion| {
                let Some(ask) = sent.get(place) else { return };
                match keep(answerer, ask, completion, &name) {
                    Ok(()) => {
                        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                    Err(error) => {
                        trouble
                            .lock()
                            .unwrap_or_else(std::sync::PoisonError::into_inner)
                            .get_or_insert(error);
                    }
                }
            };
            generator
                .run(&requests, &done, &|| cx.cancel().stopping())
                .map_err(|error| broken(&error))?;
            if let Some(error) = trouble
                .into_inner()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
            {
                return Err(error);
            }
            answered += count.into_inner();
            if cx.cancel().stopping() {
                return Err(StageError::Interrupted);
            }
        }
    }

    /// What the column `model` says: the name that the settings give, the hub id, or a digest. Never a
    /// folder's name, which may change while its content does not.
    fn name(&self, folder: &Path) -> String {
        let spec = self.binding.spec.as_ref();
        let told = spec.and_then(|spec| spec.name.clone().or_else(|| spec.hf.clone()));
        told.unwrap_or_else(|| match &self.binding.place {
            // The cache names a model's folder by the digest of what is inside.
            ModelPlace::Artifact(_) => folder
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            _ => canon::digest("dag model name v1", &self.binding.identity).to_string(),
        })
    }
}

/// The question in the model's tokens; the inner error is one row's own fault.
fn request(model: &Model, ask: &Ask, seed: u64) -> Result<Result<Request, String>, StageError> {
    let messages: Vec<dag_model::Message> = ask
        .messages
        .iter()
        .map(|message| dag_model::Message::new(message.role.as_str(), message.content.as_str()))
        .collect();
    let prompt = model.prompt(&messages).map_err(|error| broken(&error))?;
    let positions = model.config.max_position_embeddings;
    if prompt.is_empty() || prompt.len() >= positions {
        let reason = format!(
            "the prompt has {} tokens; the model takes 1 to {}",
            prompt.len(),
            positions - 1
        );
        return Ok(Err(reason));
    }
    let sampling = &ask.sampling;
    #[expect(clippy::cast_possible_truncation, reason = "the model draws in f32")]
    let sampling = Sampling {
        temperature: sampling.temperature as f32,
        top_p: sampling.top_p as f32,
        top_k: sampling
            .top_k
            .map_or(0, |k| usize::try_from(k).unwrap_or(usize::MAX)),
        max_tokens: usize::try_from(sampling.max_tokens).unwrap_or(usize::MAX),
        stop: sampling.stop.clone(),
    };
    Ok(Ok(Request {
        prompt,
        seed,
        sampling,
    }))
}

fn keep(
    answerer: &Answerer<'_>,
    ask: &Ask,
    completion: Completion,
    model: &str,
) -> Result<(), StageError> {
    let prompt_tokens = completion.prompt_tokens as u64;
    let completion_tokens = completion.tokens.len() as u64;
    // No request left the machine and nothing was paid.
    answerer.cx.usage(Usage {
        prompt_tokens,
        completion_tokens,
        requests: 0,
        usd: 0.0,
    });
    let answer = Answer {
        index: ask.index,
        text: completion.text,
        reasoning: None,
        finish_reason: Some(completion.finish_reason.as_str().to_owned()),
        prompt_tokens: Some(prompt_tokens),
        completion_tokens: Some(completion_tokens),
        model: model.to_owned(),
        from_memo: false,
    };
    answerer.answered(ask, &answer)
}

fn broken(error: &dag_model::ModelError) -> StageError {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        message.push_str(&format!(": {source}"));
        cause = source.source();
    }
    StageError::failed(message)
}
