//! `eval`: asks models the problems of benchmarks, judges their answers, and says how good they are and how surely.
//!
//! A benchmark is a table of problems, or a data set known by name (`math500`, `aime24`, `amc23`, `livecodebench`,
//! `gpqa-diamond`, `gsm8k`). Two tables come out. `main` has a row for each model, benchmark, family and k:
//!
//! | model | benchmark | family | problems | samples | k | rate | low | high | … | difference | difference_low | difference_high | p |
//! |---|---|---|---|---|---|---|---|---|---|---|---|---|---|
//! | base | test | all | 200 | 200 | 1 | 0.21 | 0.16 | 0.27 | | | | | |
//! | student | test | all | 200 | 200 | 1 | 0.87 | 0.82 | 0.91 | | 0.66 | 0.59 | 0.73 | 1e-30 |
//! | student | test | sums | 50 | 50 | 1 | 0.90 | 0.79 | 0.96 | | 0.70 | 0.56 | 0.82 | 1e-9 |
//!
//! and `samples` has a row for each answer with its verdict. Answers that were cut count as they are judged, and the
//! share of them is said; an answer that never came counts as wrong, and is said as well.

mod benchmarks;
mod scoring;
mod settings;
mod tables;

use dag_data::{Problem, ProblemRows};
use dag_engine::event::Level;
use dag_engine::{
    Declaration, Estimate, EstimateContext, Fault, HubRepo, Inputs, OutputDecl, StageContext,
    StageError, StageKind, canon,
};
use dag_grade::Verdict;
use rayon::prelude::*;

use crate::answerer::{self, Answer, Answerer, Ask, AskEstimate, Message, Sampling, Unanswered};
use crate::benchmark;
use crate::grading::{Gold, Graded, Grader, GradingOptions};
use crate::template::Template;
use benchmarks::Benchmark;
use scoring::{Answered, Outcome, Score};
pub use settings::{Benchmarks, EvalSettings, PromptSettings};
use tables::{samples, samples_schema, score_rows, scores_schema};

/// The kind `eval`.
pub struct Eval;

impl StageKind for Eval {
    type Settings = EvalSettings;

    const NAME: &'static str = "eval";
    const VERSION: u32 = 3;
    const SUMMARY: &'static str =
        "score models on benchmarks, with intervals and a paired test against a base";
    const VERB: &'static str = "Evaluated";

    fn declare(settings: &EvalSettings) -> Declaration {
        let EvalSettings {
            from,
            benchmarks,
            models,
            base: _, // through `base()`, which fills the default in
            n,
            k,
            temperature,
            top_p,
            max_tokens,
            stop,
            system,
            template,
            prompts,
            grading,
            max_failed: _, // operational
        } = settings;
        let json = |value: serde_json::Result<serde_json::Value>| {
            canon::Value::from(value.unwrap_or_default())
        };
        let mut declaration =
            Declaration::new()
                .models("models", models)
                .with_memo()
                .key(canon::Value::map([
                    // names stand in the tables
                    ("from", json(serde_json::to_value(from))),
                    ("benchmarks", json(serde_json::to_value(benchmarks))),
                    (
                        "models",
                        canon::Value::List(
                            models.keys().map(|name| name.as_str().into()).collect(),
                        ),
                    ),
                    (
                        "base",
                        settings
                            .base()
                            .map_or(canon::Value::Null, canon::Value::from),
                    ),
                    ("n", (*n).into()),
                    (
                        "k",
                        canon::Value::List(k.iter().map(|k| (*k).into()).collect()),
                    ),
                    ("temperature", (*temperature).into()),
                    ("top_p", (*top_p).into()),
                    ("max_tokens", (*max_tokens).into()),
                    ("stop", json(serde_json::to_value(stop))),
                    (
                        "system",
                        system
                            .as_deref()
                            .map_or(canon::Value::Null, canon::Value::from),
                    ),
                    ("template", template.as_str().into()),
                    ("prompts", json(serde_json::to_value(prompts))),
                    ("grading", json(serde_json::to_value(grading))),
                ]));
        if !from.is_empty() {
            declaration = declaration.input("from", from);
        }
        for (name, stage) in benchmarks.tables() {
            declaration = declaration.input(&format!("benchmarks.{name}"), stage);
        }
        for known in benchmarks.known().filter_map(|name| benchmark::known(name)) {
            declaration = declaration.hub(
                &format!("benchmarks.{}", known.name),
                HubRepo::Dataset,
                known.id,
                None,
            );
        }
        declaration
    }

    fn outputs(_: &EvalSettings, inputs: &Inputs) -> Result<Vec<OutputDecl>, Vec<Fault>> {
        let faults: Vec<Fault> = inputs
            .slots()
            .filter_map(|(slot, _)| inputs.need(slot, &["id", "prompt"]).err())
            .collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(vec![
            OutputDecl::table("main", scores_schema()),
            OutputDecl::table("samples", samples_schema()),
        ])
    }

    fn check(settings: &EvalSettings) -> Vec<Fault> {
        let s = settings;
        let mut faults = Vec::new();
        let mut refuse = |wrong: bool, field: &str, message: String| {
            if wrong {
                faults.push(Fault::field(field, message));
            }
        };
        refuse(
            s.from.is_empty() && s.benchmarks.is_empty(),
            "from",
            "neither `from` nor `benchmarks` names a benchmark".into(),
        );
        refuse(
            s.models.is_empty(),
            "models",
            "`models` names no model".into(),
        );
        refuse(
            s.n == 0,
            "n",
            "`n` is 0: no answer would be asked for".into(),
        );
        refuse(
            s.k.is_empty(),
            "k",
            "`k` is empty: there would be no score".into(),
        );
        for k in s.k.iter().filter(|k| **k == 0 || **k > s.n) {
            refuse(
                true,
                "k",
                format!(
                    "`k` holds {k}, and pass@k needs between 1 and `n` ({}) answers",
                    s.n
                ),
            );
        }
        refuse(
            !(0.0..=100.0).contains(&s.temperature),
            "temperature",
            "`temperature` lies between 0 and 100".into(),
        );
        refuse(
            !(s.top_p > 0.0 && s.top_p <= 1.0),
            "top_p",
            "`top_p` lies above 0 and up to 1".into(),
        );
        refuse(
            s.max_tokens == 0,
            "max_tokens",
            "`max_tokens` is 0: every answer would be empty".into(),
        );
        refuse(
            s.stop.iter().any(String::is_empty),
            "stop",
            "`stop` holds an empty text, which ends every answer at once".into(),
        );
        refuse(
            !(0.0..=1.0).contains(&s.max_failed),
            "max_failed",
            "`max_failed` is a share between 0 and 1".into(),
        );
        refuse(
            s.n > 1 && s.temperature == 0.0,
            "n",
            format!(
                "`n` is {} at temperature 0, where all answers are the same",
                s.n
            ),
        );
        if let Some(base) = s.base.as_ref().filter(|base| !s.models.contains_key(*base)) {
            refuse(
                true,
                "base",
                format!("`base` is `{base}`, which is not one of `models`"),
            );
        }
        for name in s
            .prompts
            .keys()
            .filter(|name| !s.models.contains_key(*name))
        {
            refuse(
                true,
                "prompts",
                format!("`prompts` speaks of `{name}`, which is not one of `models`"),
            );
        }
        for name in s
            .benchmarks
            .known()
            .filter(|name| benchmark::known(name).is_none())
        {
            faults.extend(benchmark::fault("benchmarks", name).map(|fault| {
                fault.hint(format!(
                    "a table of the pipeline is named as `benchmarks = {{ {name} = \"stage\" }}`"
                ))
            }));
        }
        for model in s.models.keys() {
            let field = if s.prompts.get(model).is_some_and(|p| p.template.is_some()) {
                format!("prompts.{model}.template")
            } else {
                "template".into()
            };
            match Template::of_setting(&field, s.template(model)) {
                Err(fault) => faults.push(fault),
                Ok(template) => {
                    let schema = dag_data::schema();
                    if let Some(column) = template
                        .columns()
                        .iter()
                        .find(|column| schema.column_with_name(column).is_none())
                    {
                        faults.push(Fault::field(
                            &field,
                            format!("`{field}` names `{column}`, which is no column of a problem"),
                        ));
                    }
                }
            }
        }
        faults.dedup();
        faults
    }

    fn estimate(settings: &EvalSettings, cx: &EstimateContext<'_>) -> Estimate {
        // known only where every benchmark is a table of the pipeline
        let named = settings.benchmarks.known().next().is_none();
        let mut problems = named.then_some(0_u64);
        let slots = settings
            .benchmarks
            .tables()
            .map(|(name, _)| format!("benchmarks.{name}"));
        for slot in slots.chain((!settings.from.is_empty()).then(|| "from".to_owned())) {
            problems = problems.zip(cx.rows_in(&slot)).map(|(a, b)| a + b);
        }
        let asks = problems.map(|problems| problems * u64::from(settings.n));
        // One model after another: what is not known of one is not known of all.
        let mut all: Option<Estimate> = None;
        for name in settings.models.keys() {
            let slot = format!("models.{name}");
            let asked = AskEstimate {
                known: None,
                asks,
                max_tokens: settings.max_tokens(name),
            };
            let served = cx
                .model(&slot)
                .and_then(|model| model.spec.as_ref())
                .is_some_and(|spec| spec.server.is_some());
            if served {
                let one = answerer::estimate(cx, &slot, asked);
                all = Some(match all {
                    None => one,
                    Some(all) => together(&all, &one),
                });
            }
        }
        let mut all = all.unwrap_or_else(|| Estimate {
            requests: Some(0),
            ..Estimate::default()
        });
        all.rows = None;
        all.rows_known = None;
        all.rows_to_do = asks.map(|asks| asks * settings.models.len() as u64);
        all
    }

    fn run(settings: &EvalSettings, cx: &mut StageContext) -> Result<(), StageError> {
        let cx = &*cx;
        let benchmarks = benchmarks::read(settings, cx)?;
        let asks: usize = benchmarks
            .iter()
            .map(|benchmark| benchmark.problems.len())
            .sum();
        cx.progress()
            .set_total(asks as u64 * u64::from(settings.n) * settings.models.len() as u64);
        let options = GradingOptions {
            policy: settings.grading.clone(),
            ..GradingOptions::default()
        };
        let grader = Grader::new(&options, Some(cx.memo()?));
        let mut writer = cx.table_writer("samples", samples_schema())?;
        let mut answered = Vec::new();
        for model in settings.model_names() {
            for benchmark in &benchmarks {
                let rows = ask(settings, cx, model, benchmark)?;
                let judged = judge(settings, benchmark, &rows, &grader)?;
                writer.write(&samples(settings, model, benchmark, &rows, &judged)?)?;
                answered.push(outcomes(settings, model, benchmark, &rows, &judged));
                tell(cx, model, benchmark, &rows);
            }
        }
        writer.finish()?;
        for note in grader.notes() {
            cx.note(&note);
        }
        let scores = scoring::scores(&answered, &settings.k, settings.base(), cx.seed());
        summarise(settings, cx, &scores, benchmarks.len() > 1);
        let mut writer = cx.table_writer("main", scores_schema())?;
        writer.write(&score_rows(&scores, settings.base())?)?;
        writer.finish()?;
        Ok(())
    }
}

/// Requests, tokens and money of two models together.
fn together(a: &Estimate, b: &Estimate) -> Estimate {
    let sum = |of: fn(&Estimate) -> Option<u64>| of(a).zip(of(b)).map(|(a, b)| a + b);
    let sum_usd = |of: fn(&Estimate) -> Option<f64>| match (of(a), of(b)) {
        (Some(a), Some(b)) => Some(a + b),
        // a model without a price costs nothing here
        (one, other) => one.or(other),
    };
    Estimate {
        requests: sum(|estimate| estimate.requests),
        prompt_tokens: sum(|estimate| estimate.prompt_tokens),
        completion_tokens: sum(|estimate| estimate.completion_tokens),
        usd: sum_usd(|estimate| estimate.usd),
        completion_tokens_at_most: sum(|estimate| estimate.completion_tokens_at_most),
        usd_at_most: sum_usd(|estimate| estimate.usd_at_most),
        ..Estimate::default()
    }
}

type Row = Result<Answer, Unanswered>;

/// Asks a model all problems of a benchmark, `n` times each; the answers come in the order of problems and replicates.
fn ask(
    settings: &EvalSettings,
    cx: &StageContext,
    model: &str,
    benchmark: &Benchmark,
) -> Result<Vec<Row>, StageError> {
    let template = Template::parse(settings.template(model)).map_err(StageError::failed)?;
    let mut rows = ProblemRows::default();
    let mut prompts = Vec::with_capacity(benchmark.problems.len());
    for problem in &benchmark.problems {
        rows.push(problem);
        if rows.is_full() {
            prompts.extend(template.render(&rows.take()?)?);
        }
    }
    prompts.extend(template.render(&rows.take()?)?);
    let mut asks = Vec::with_capacity(prompts.len() * settings.n as usize);
    for prompt in &prompts {
        for replicate in 0..settings.n {
            let system = settings.system(model).map(Message::system);
            asks.push(Ask {
                index: asks.len() as u64,
                messages: system
                    .into_iter()
                    .chain([Message::user(prompt.as_str())])
                    .collect(),
                sampling: Sampling {
                    temperature: settings.temperature,
                    top_p: settings.top_p,
                    top_k: None,
                    max_tokens: settings.max_tokens(model),
                    seed: cx.seed(),
                    stop: settings.stop.clone(),
                    replicate,
                },
            });
        }
    }
    cx.progress()
        .set_message(format!("{model} on {}", benchmark.name));
    let most = crate::sample::share(settings.max_failed, asks.len() as u64);
    Answerer::open(cx, &format!("models.{model}"))?
        .tolerating(most)
        .answers(&asks)
}

/// The verdicts, in the order of the answers. An answer that never came is an error.
fn judge(
    settings: &EvalSettings,
    benchmark: &Benchmark,
    rows: &[Row],
    grader: &Grader<'_>,
) -> Result<Vec<Graded>, StageError> {
    let n = settings.n as usize;
    rows.par_iter()
        .enumerate()
        .map(|(at, row)| match (row, benchmark.problems.get(at / n)) {
            (Ok(answer), Some(problem)) => {
                let gold = Gold {
                    domain: &problem.domain,
                    answer: problem.answer.as_deref(),
                    tests: problem.tests.as_deref(),
                };
                grader.grade(&gold, &answer.text)
            }
            (Err(unanswered), _) => Ok(Graded {
                verdict: Verdict::Error,
                rule: "unanswered".to_owned(),
                reason: unanswered.reason.clone(),
                extracted: None,
            }),
            (Ok(_), None) => Err(StageError::bug("an answer without a problem")),
        })
        .collect()
}

fn is_cut(row: &Row) -> bool {
    row.as_ref()
        .is_ok_and(|answer| answer.finish_reason.as_deref() == Some("length"))
}

/// Says what the reader of a score must know.
fn tell(cx: &StageContext, model: &str, benchmark: &Benchmark, rows: &[Row]) {
    let cut = rows.iter().filter(|row| is_cut(row)).count();
    if cut > 0 {
        cx.note(&format!(
            "{cut} of {} answers of `{model}` on `{}` were cut at the limit of tokens",
            rows.len(),
            benchmark.name
        ));
    }
    let none = rows.iter().filter(|row| row.is_err()).count();
    if none > 0 {
        cx.note(&format!(
            "{none} of {} answers of `{model}` on `{}` never came and count as wrong",
            rows.len(),
            benchmark.name
        ));
    }
    cx.unfinished(none as u64);
    cx.count("answers", rows.len() as u64);
}

fn outcomes(
    settings: &EvalSettings,
    model: &str,
    benchmark: &Benchmark,
    rows: &[Row],
    judged: &[Graded],
) -> Answered {
    let n = settings.n as usize;
    let outcome = |(problem, (rows, judged)): (&Problem, (&[Row], &[Graded]))| Outcome {
        family: problem.family.clone(),
        samples: rows.len() as u64,
        passed: judged
            .iter()
            .filter(|judged| judged.verdict == Verdict::Pass)
            .count() as u64,
        truncated: rows.iter().filter(|row| is_cut(row)).count() as u64,
        tokens: rows
            .iter()
            .flatten()
            .filter_map(|answer| answer.completion_tokens)
            .map(|tokens| tokens as f64)
            .collect(),
        // two programs are never the same answer
        votes: (problem.domain != "code").then(|| {
            judged
                .iter()
                .filter_map(|judged| {
                    Some((judged.extracted.clone()?, judged.verdict == Verdict::Pass))
                })
                .collect()
        }),
    };
    Answered {
        model: model.to_owned(),
        benchmark: benchmark.name.clone(),
        outcomes: benchmark
            .problems
            .iter()
            .zip(rows.chunks(n).zip(judged.chunks(n)))
            .map(outcome)
            .collect(),
    }
}

/// Metrics for the summary, and a sentence for the log.
fn summarise(settings: &EvalSettings, cx: &StageContext, scores: &[Score], several: bool) {
    for score in scores.iter().filter(|score| score.family == scoring::ALL) {
        let mut name = if several {
            format!("{}.{}", score.benchmark, score.model)
        } else {
            score.model.clone()
        };
        if score.k != 1 {
            name.push_str(&format!(".pass@{}", score.k));
        }
        cx.metric(&name, score.rate);
        cx.metric(&format!("{name}.low"), score.interval.low);
        cx.metric(&format!("{name}.high"), score.interval.high);
        if let Some(difference) = &score.difference {
            cx.metric(&format!("{name}.difference"), difference.difference);
            cx.metric(&format!("{name}.difference.low"), difference.interval.low);
            cx.metric(&format!("{name}.difference.high"), difference.interval.high);
        }
        let base = scores.iter().find(|other| {
            Some(other.model.as_str()) == settings.base()
                && (&other.benchmark, &other.family, other.k)
                    == (&score.benchmark, &score.family, score.k)
        });
        cx.log(
            Level::Info,
            &format!("{name}: {}", scoring::sentence(score, base)),
        );
    }
}
