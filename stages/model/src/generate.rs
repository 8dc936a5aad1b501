//! Generation: many prompts at once, each as if it were alone.
//!
//! Every request has its own random stream, and no arithmetic mixes rows, so a text depends on its prompt, its
//! sampling and its seed, never on its neighbours or the number of threads. A sequence that ends makes room for
//! the next one waiting.

use crate::cpu;
use crate::error::ModelError;
use crate::folder::Model;
use crate::runner::{Past, Runner};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How the next token is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest token; above, logits are divided by it.
    pub temperature: f32,
    /// Only the likeliest tokens that together have this probability; 1 takes all.
    pub top_p: f32,
    /// Only this many of the likeliest tokens; 0 takes all.
    pub top_k: usize,
    /// Most tokens to generate.
    pub max_tokens: usize,
    /// Texts that end the answer; they are not part of it.
    pub stop: Vec<String>,
}

impl Sampling {
    /// Always the likeliest token.
    pub fn greedy(max_tokens: usize) -> Self {
        Self {
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            max_tokens,
            stop: Vec::new(),
        }
    }
}

/// A prompt to continue.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The prompt's tokens; see [`Model::prompt`].
    pub prompt: Vec<u32>,
    /// Decides every draw of this request.
    pub seed: u64,
    /// How tokens are drawn.
    pub sampling: Sampling,
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// By the model's own end token, or a stop text.
    Stop,
    /// By `max_tokens`, or the longest sequence the model knows.
    Length,
}

impl FinishReason {
    /// `stop` or `length`, as servers call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// A finished text.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The text, without end token and stop text.
    pub text: String,
    /// Its tokens, an end token included.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
}

/// Answers prompts with a model.
pub struct Generator<'a> {
    model: &'a Model,
    runner: Runner,
    threads: usize,
    slots: usize,
}

impl<'a> Generator<'a> {
    /// A generator on all cores, 64 sequences at once on each.
    pub fn new(model: &'a Model) -> Self {
        let positions = model.config.max_position_embeddings;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            model,
            runner: Runner::new(&model.config, &model.weights, positions),
            threads,
            slots: 64,
        }
    }

    /// Sets the number of threads and of sequences each works on at once. Operational: no text depends on it.
    #[must_use]
    pub fn with_threads(self, threads: usize, slots: usize) -> Self {
        Self {
            threads: threads.max(1),
            slots: slots.max(1),
            ..self
        }
    }

    /// Answers all requests, in their order.
    ///
    /// # Errors
    /// When a prompt is empty or longer than the model's positions.
    pub fn generate(&self, requests: &[Request]) -> Result<Vec<Completion>, ModelError> {
        let answers = Mutex::new(vec![None; requests.len()]);
        self.run(
            requests,
            &|index, answer| lock(&answers)[index] = Some(answer),
            &|| false,
        )?;
        let answers = answers
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(answers.into_iter().flatten().collect())
    }

    /// Answers requests and hands each answer over as it is finished, from any thread. Between two tokens `stop` is
    /// asked; once it says so, what is unfinished is dropped.
    ///
    /// # Errors
    /// When a prompt is empty or longer than the model's positions; no answer was handed over then.
    pub fn run(
        &self,
        requests: &[Request],
        done: &(dyn Fn(usize, Completion) + Sync),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), ModelError> {
        let positions = self.model.config.max_position_embeddings;
        for (index, request) in requests.iter().enumerate() {
            if request.prompt.is_empty() || request.prompt.len() >= positions {
                let message = format!(
                    "prompt {index} has {} tokens; the model takes 1 to {}",
                    request.prompt.len(),
                    positions - 1
                );
                return Err(ModelError::Request { message });
            }
        }
        let next = AtomicUsize::new(0);
        let stopped = AtomicBool::new(false);
        let fault = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..self.threads.min(requests.len()) {
                scope.spawn(|| {
                    if let Err(error) = self.work(requests, &next, done, &|| {
                        stopped.load(Ordering::Relaxed) || stop()
                    }) {
                        stopped.store(true, Ordering::Relaxed);
                        *lock(&fault) = Some(error);
                    }
                });
            }
        });
        match fault
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
        {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn work(
        &self,
        requests: &[Request],
        next: &AtomicUsize,
        done: &(dyn Fn(usize, Completion) + Sync),
        stop: &dyn Fn() -> bool,
    ) -> Result<(), ModelError> {
        let mut seated: Vec<Sequence<'_>> = Vec::new();
        let seats = self.slots.min(requests.len().div_ceil(self.threads)).max(1);
        loop {
            while seated.len() < seats {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(request) = requests.get(index) else {
                    break;
                };
                seated.push(self.seat(index, request));
            }
            if seated.is_empty() || stop() {
                return Ok(());
            }
            let mut steps: Vec<_> = seated
                .iter_mut()
                .map(|sequence| (&mut sequence.past, sequence.fresh.as_slice()))
                .collect();
            let logits = self.runner.extend(&mut steps, false);
            let mut left = Vec::with_capacity(seated.len());
            for (mut sequence, logits) in seated
                .into_iter()
                .zip(logits.chunks_exact(self.runner.vocabulary()))
            {
                match self.advance(&mut sequence, logits)? {
                    Some(answer) => done(sequence.index, answer),
                    None => left.push(sequence),
                }
            }
            seated = left;
        }
    }

    fn seat<'r>(&self, index: usize, request: &'r Request) -> Sequence<'r> {
        let room = self.model.config.max_position_embeddings - request.prompt.len();
        let limit = request.sampling.max_tokens.min(room);
        Sequence {
            index,
            request,
            past: self.runner.past(request.prompt.len() + limit),
            fresh: request.prompt.clone(),
            tokens: Vec::new(),
            limit,
            rng: ChaCha8Rng::seed_from_u64(request.seed),
        }
    }

    /// Takes one more token; gives the answer when the text has ended.
    fn advance(
        &self,
        sequence: &mut Sequence<'_>,
        logits: &[f32],
    ) -> Result<Option<Completion>, ModelError> {
        let sampling = &sequence.request.sampling;
        let ended = |text: String, tokens: Vec<u32>, finish_reason| {
            Ok(Some(Completion {
                text,
                tokens,
                finish_reason,
                prompt_tokens: sequence.request.prompt.len(),
            }))
        };
        if sequence.limit == 0 {
            return ended(String::new(), Vec::new(), FinishReason::Length);
        }
        let known = self.model.tokenizer.vocabulary();
        let token = draw(
            &logits[..known.min(logits.len())],
            sampling,
            &mut sequence.rng,
        );
        sequence.tokens.push(token);
        sequence.fresh = vec![token];
        if self.model.ends().contains(&token) {
            let text = self
                .model
                .tokenizer
                .decode(&sequence.tokens[..sequence.tokens.len() - 1])?;
            return ended(
                text,
                std::mem::take(&mut sequence.tokens),
                FinishReason::Stop,
            );
        }
        if !sampling.stop.is_empty() {
            let text = self.model.tokenizer.decode(&sequence.tokens)?;
            if let Some(at) = sampling
                .stop
                .iter()
                .filter_map(|stop| text.find(stop.as_str()))
                .min()
            {
                return ended(
                    text[..at].to_owned(),
                    std::mem::take(&mut sequence.tokens),
                    FinishReason::Stop,
                );
            }
        }
        if sequence.tokens.len() >= sequence.limit {
            let text = self.model.tokenizer.decode(&sequence.tokens)?;
            return ended(
                text,
                std::mem::take(&mut sequence.tokens),
                FinishReason::Length,
            );
        }
        Ok(None)
    }

    /// The mean negative log-likelihood of a text's tokens after the first, in nats.
    ///
    /// # Errors
    /// When there are fewer than two tokens, or more than the model's positions.
    pub fn score(&self, tokens: &[u32]) -> Result<f64, ModelError> {
        if tokens.len() < 2 || tokens.len() > self.model.config.max_position_embeddings {
            return Err(ModelError::Request {
                message: format!("{} tokens cannot be scored", tokens.len()),
            });
        }
        let mut past = self.runner.past(tokens.len());
        let logits = self.runner.extend(&mut [(&mut past, tokens)], true);
        let width = self.runner.vocabulary();
        let losses = logits
            .chunks_exact(width)
            .zip(&tokens[1..])
            .map(|(row, &next)| {
                f64::from(cpu::softmax_minus_target(
                    &mut row.to_vec(),
                    next as usize,
                    1.0,
                ))
            });
        Ok(losses.sum::<f64>() / (tokens.len() - 1) as f64)
    }

    /// The logits after every token, `[tokens, vocabulary]`.
    ///
    /// # Panics
    /// When the text is empty or longer than the model's positions.
    pub fn logits(&self, tokens: &[u32]) -> Vec<f32> {
        let mut past = self.runner.past(tokens.len());
        self.runner.extend(&mut [(&mut past, tokens)], true)
    }
}

struct Sequence<'r> {
    index: usize,
    request: &'r Request,
    past: Past,
    /// Tokens the decoder has not seen yet.
    fresh: Vec<u32>,
    tokens: Vec<u32>,
    limit: usize,
    rng: ChaCha8Rng,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn draw(logits: &[f32], sampling: &Sampling, rng: &mut ChaCha8Rng) -> u32 {
    let mut order: Vec<u32> = (0..).take(logits.len()).collect();
    let logit = |token: u32| logits[token as usize];
    // the smaller id first among equals, so that the choice is the same everywhere
    let by_likelihood = |a: &u32, b: &u32| logit(*b).total_cmp(&logit(*a)).then(a.cmp(b));
    if sampling.temperature <= 0.0 {
        return order.into_iter().min_by(by_likelihood).unwrap_or(0);
    }
    if sampling.top_k > 0 || sampling.top_p < 1.0 {
        order.sort_unstable_by(by_likelihood);
        if sampling.top_k > 0 {
            order.truncate(sampling.top_k);
        }
    }
    let largest = order
        .iter()
        .map(|&token| logit(token))
        .fold(f32::MIN, f32::max);
    let mut shares: Vec<f64> = order
        .iter()
        .map(|&token| f64::from(cpu::exp((logit(token) - largest) / sampling.temperature)))
        .collect();
    if sampling.top_p < 1.0 {
        let wanted = shares.iter().sum::<f64>() * f64::from(sampling.top_p);
        let mut sum = 0.0;
        let kept = shares
            .iter()
            .take_while(|&&share| {
                let below = sum < wanted;
                sum += share;
                below
            })
            .count();
        shares.truncate(kept.max(1));
    }
    let unit = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let mut point = unit * shares.iter().sum::<f64>();
    for (token, share) in order.iter().zip(&shares) {
        if point < *share {
            return *token;
        }
        point -= share;
    }
    order[shares.len() - 1]
}
