//! The quickstart's recipe without the engine: base, teacher, sampling, rejection, student, scores. For finding sizes
//! and steps: `cargo run --release -p dag-train --example miniature -- HIDDEN LAYERS BASE TEACHER STUDENT SLIPS RATE`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measuring stick, not a library"
)]

use dag_data::Problem;
use dag_data::generate::{GenerateSettings, Split, Style, problems};
use dag_model::{Generator, Message, Model, Request, Sampling, init};
use dag_train::{SftOptions, StepMetrics, TrainError, Watch, prepare, train};
use std::collections::BTreeMap;
use std::time::Instant;

struct Tell(&'static str, Instant, usize);

impl Watch for Tell {
    fn step(&mut self, metrics: &StepMetrics, total: usize, _: f64) {
        self.2 += metrics.tokens;
        if metrics.step.is_multiple_of(200) || metrics.step == total {
            let speed = self.2 as f64 / self.1.elapsed().as_secs_f64();
            println!(
                "{} {} loss {:.4} {:.1}s {speed:.0} tok/s",
                self.0,
                metrics.step,
                metrics.loss,
                self.1.elapsed().as_secs_f64()
            );
        }
    }

    fn epoch(&mut self, _: usize, _: &[f32]) -> Result<(), TrainError> {
        Ok(())
    }

    fn stopped(&self) -> bool {
        false
    }
}

fn talk(pairs: &[(String, String)]) -> Vec<Vec<Message>> {
    pairs
        .iter()
        .map(|(asked, said)| vec![Message::new("user", asked), Message::new("assistant", said)])
        .collect()
}

/// A number from the environment.
fn from_env(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn fit(
    name: &'static str,
    model: &Model,
    pairs: &[(String, String)],
    steps: usize,
    rate: f64,
    seed: u64,
) -> Model {
    let options = SftOptions {
        steps: Some(steps),
        learning_rate: rate,
        warmup_steps: 50,
        schedule: dag_train::Schedule::CosineWithMin,
        batch: from_env("BATCH", 64),
        micro_batch: from_env("BATCH", 64) / 2,
        weight_decay: 0.01,
        betas: (0.9, 0.99),
        seed,
        ..SftOptions::default()
    };
    let talks = talk(pairs);
    let rows = prepare(model, talks.iter().map(Vec::as_slice), &options).unwrap();
    let trained = train(
        model,
        &rows,
        &options,
        None,
        &mut Tell(name, Instant::now(), 0),
    )
    .unwrap();
    model.with_weights(trained.weights)
}

fn answers(model: &Model, problems: &[Problem], n: u64, temperature: f32) -> Vec<String> {
    let generator = Generator::new(model);
    let requests: Vec<Request> = problems
        .iter()
        .enumerate()
        .flat_map(|(index, problem)| {
            let prompt = model
                .prompt(&[Message::new("user", &problem.prompt)])
                .unwrap();
            (0..n).map(move |replicate| Request {
                prompt: prompt.clone(),
                seed: index as u64 * 64 + replicate,
                sampling: Sampling {
                    temperature,
                    ..Sampling::greedy(300)
                },
            })
        })
        .collect();
    generator
        .generate(&requests)
        .unwrap()
        .into_iter()
        .map(|answer| answer.text)
        .collect()
}

/// Maths by the last line; a program by its text, which is stricter than its tests.
fn right(problem: &Problem, text: &str) -> bool {
    match &problem.answer {
        Some(gold) if problem.domain != "code" => {
            text.rsplit("#### ").next().map(str::trim) == Some(gold.as_str())
        }
        _ => {
            let program = |text: &str| {
                text.rsplit("```")
                    .nth(1)
                    .map(|block| block.trim().to_owned())
            };
            program(text).is_some()
                && program(text) == problem.solution.as_deref().and_then(program)
        }
    }
}

fn score(name: &str, model: &Model, test: &[Problem]) {
    let begun = Instant::now();
    let mut table: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (problem, text) in test.iter().zip(answers(model, test, 1, 0.0)) {
        let entry = table.entry(&problem.family).or_default();
        entry.0 += usize::from(right(problem, &text));
        entry.1 += 1;
    }
    println!("{name}: {table:?} in {:.1}s", begun.elapsed().as_secs_f64());
}

fn main() {
    let arguments: Vec<f64> = std::env::args()
        .skip(1)
        .map(|text| text.parse().unwrap())
        .collect();
    let at = |index: usize, default: f64| arguments.get(index).copied().unwrap_or(default);
    let (hidden, layers) = (at(0, 64.0) as usize, at(1, 2.0) as usize);
    let (base_steps, teacher_steps, student_steps) = (
        at(2, 500.0) as usize,
        at(3, 700.0) as usize,
        at(4, 700.0) as usize,
    );
    let (slips, rate) = (at(5, 0.0), at(6, 3e-3));
    let numbered = at(7, 1.0) > 0.0;
    let total = Instant::now();
    let make = |count: u32,
                steps: [u32; 2],
                style: Style,
                slips: f64,
                split: Split,
                seed: u64,
                unique: bool|
     -> Vec<Problem> {
        let mut settings = GenerateSettings {
            steps,
            style,
            slips,
            split,
            unique,
            numbered,
            ..GenerateSettings::new(count)
        };
        if let Ok(families) = std::env::var("FAMILIES") {
            settings.families = families
                .split(',')
                .map(|name| serde_json::from_value(serde_json::json!(name)).unwrap())
                .collect();
        }
        problems(&settings, seed).map(Result::unwrap).collect()
    };
    let pairs = |problems: &[Problem]| -> Vec<(String, String)> {
        problems
            .iter()
            .map(|problem| (problem.prompt.clone(), problem.solution.clone().unwrap()))
            .collect()
    };
    let test = make(100, [4, 7], Style::Worked, 0.0, Split::Test, 1, true);
    let sample = make(400, [4, 7], Style::Worked, 0.0, Split::Train, 2, true);
    for problem in test.iter().take(4) {
        println!(
            "--- {}\n{}\n>>> {}",
            problem.family,
            problem.prompt,
            problem.solution.as_deref().unwrap()
        );
    }
    let spec = init::Spec {
        layers,
        hidden,
        heads: hidden / 32,
        kv_heads: hidden / 32,
        intermediate: hidden * 3,
        positions: 512,
        tied: false,
    };
    if std::env::var_os("TEACHER_ONLY").is_some() {
        let lessons = make(4000, [1, 7], Style::Worked, slips, Split::Train, 4, false);
        let teacher = fit(
            "teacher",
            &init::from_scratch(&spec, 8).unwrap(),
            &pairs(&lessons),
            teacher_steps,
            rate,
            2,
        );
        return score("teacher", &teacher, &test);
    }
    let base = make(4000, [1, 7], Style::Mixed, 0.0, Split::Train, 3, false);
    let base = fit(
        "base",
        &init::from_scratch(&spec, 7).unwrap(),
        &pairs(&base),
        base_steps,
        rate,
        1,
    );
    score("base", &base, &test);
    let lessons = make(4000, [1, 7], Style::Worked, slips, Split::Train, 4, false);
    let teacher = fit(
        "teacher",
        &init::from_scratch(&spec, 8).unwrap(),
        &pairs(&lessons),
        teacher_steps,
        rate,
        2,
    );
    score("teacher", &teacher, &test);
    println!("after {:.1}s", total.elapsed().as_secs_f64());
    let begun = Instant::now();
    let texts = answers(&teacher, &sample, 4, 0.7);
    let kept: Vec<(String, String)> = texts
        .iter()
        .enumerate()
        .filter(|(index, text)| right(&sample[index / 4], text))
        .map(|(index, text)| (sample[index / 4].prompt.clone(), text.clone()))
        .collect();
    println!(
        "sampled {} kept {} in {:.1}s",
        texts.len(),
        kept.len(),
        begun.elapsed().as_secs_f64()
    );
    let student = fit("student", &base, &kept, student_steps, rate, 3);
    score("student", &student, &test);
    println!("total {:.1}s", total.elapsed().as_secs_f64());
}
