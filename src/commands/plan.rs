//! `dag plan`: what would run, why, and what it takes. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use dag_engine::checked::{CheckedStage, ModelSource};
use dag_engine::plan::{PlannedStage, Scope, Status, UnknownStage};
use dag_engine::{CacheLookups, Estimate, Graph, HubRepo, Pipeline, Plan};
use serde_json::json;

use super::workspace::{capacity, open_cache_for, with_pipeline};
use super::{CommandResult, Failure, PipelineArgs};
use crate::exit_codes;
use crate::render::{Output, count, duration, plural, short_key, table, tokens, usd};

/// Say what would run, why, and what it takes.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Plan only this stage and what it needs (can be given more than once)
    #[arg(long = "until", value_name = "STAGE")]
    until: Vec<String>,
    /// End with code 8 if there is work to do
    #[arg(long)]
    exit_code: bool,
}

pub(crate) fn run(args: &PlanArgs, output: &Output) -> CommandResult {
    with_pipeline(&args.pipeline, output, |pipeline| {
        let cache = open_cache_for(&pipeline, output)?;
        let scope = Scope {
            targets: args.until.clone(),
            ..Scope::all()
        };
        let plan = make(&pipeline, &scope, &CacheLookups::new(&cache))?;
        let to_do = plan
            .stages
            .iter()
            .filter(|stage| !stage.status.is_there())
            .count();
        if output.is_json() {
            output.document(&json!({
                "pipeline": pipeline.name,
                "stages": plan.stages,
                "total": plan.total(),
                "budget_usd": pipeline.budget,
                "needs": needs(&pipeline, &plan)
                    .into_iter()
                    .map(|((sort, name), stages)| json!({ "sort": sort, "name": name, "stages": stages }))
                    .collect::<Vec<_>>(),
            }));
        } else {
            output.result(&text(&pipeline, &plan));
        }
        let code = if args.exit_code && to_do > 0 {
            exit_codes::WORK_TO_DO
        } else {
            exit_codes::OK
        };
        Ok(code)
    })
}

/// Plans a run of a pipeline.
pub(crate) fn make(
    pipeline: &Pipeline,
    scope: &Scope,
    lookups: &CacheLookups,
) -> Result<Plan, Failure> {
    let graph = Graph::of(pipeline)
        .map_err(|error| Failure::new(exit_codes::PIPELINE, error.to_string()))?;
    let capacity = capacity(None).with_limits_of(pipeline);
    Plan::of(pipeline, &graph, scope, &capacity, lookups).map_err(|error| unknown_stage(&error))
}

/// A stage was asked for that is not there.
pub(crate) fn unknown_stage(error: &UnknownStage) -> Failure {
    let failure = Failure::new(exit_codes::USAGE, error.to_string());
    match &error.nearest {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure,
    }
}

/// A stage's name without the values of a sweep.
pub(crate) fn family(stage: &str) -> &str {
    stage.split_once('[').map_or(stage, |(family, _)| family)
}

/// What the stages that are to run need from outside: sort, name, the stages. Variants of one stage
/// count once.
fn needs(pipeline: &Pipeline, plan: &Plan) -> BTreeMap<(&'static str, String), Vec<String>> {
    let mut needs: BTreeMap<_, Vec<String>> = BTreeMap::new();
    // `Pipeline::stage` searches; once for each of 100,000 stages that is over a minute.
    let by_name: BTreeMap<&str, &CheckedStage> = pipeline
        .stages
        .iter()
        .map(|stage| (stage.name.as_str(), stage))
        .collect();
    for planned in plan.stages.iter().filter(|stage| !stage.status.is_there()) {
        let Some(stage) = by_name.get(planned.stage.as_str()) else {
            continue;
        };
        let mut asked = BTreeSet::new();
        for hub in &stage.declaration.hub {
            let sort = match hub.repo {
                HubRepo::Dataset => "data set",
                HubRepo::Model => "model",
            };
            asked.insert((sort, hub.id.clone()));
        }
        for model in &stage.models {
            let ModelSource::Spec(spec) = &model.source else {
                continue;
            };
            match (&spec.server, &spec.hf) {
                (Some(server), _) => asked.insert(("server", server.url.clone())),
                (None, Some(id)) => asked.insert(("model", id.clone())),
                (None, None) => false,
            };
        }
        let gpus = stage.declaration.resources.gpus;
        if gpus > 0 {
            asked.insert(("gpu", plural(u64::from(gpus), "device")));
        }
        for need in asked {
            let stages = needs.entry(need).or_default();
            let family = family(&planned.stage);
            if stages.last().is_none_or(|last| last != family) {
                stages.push(family.to_owned());
            }
        }
    }
    needs
}

fn text(pipeline: &Pipeline, plan: &Plan) -> String {
    let mut rows = Vec::new();
    for stage in &plan.stages {
        rows.push(vec![
            stage.stage.clone(),
            state(&stage.status).to_owned(),
            reason(stage),
            stage.rows.map_or_else(String::new, count),
            cost(&stage.estimate),
            stage.estimate.seconds.map_or_else(String::new, duration),
        ]);
    }
    let drawn = table(&["stage", "state", "why", ">rows", ">cost", ">time"], rows);
    let needs: Vec<Vec<String>> = needs(pipeline, plan)
        .into_iter()
        .map(|((sort, name), stages)| vec![sort.to_owned(), name, stages_in_short(&stages)])
        .collect();
    let needed = if needs.is_empty() {
        String::new()
    } else {
        format!("{}\n\n", table(&["needs", "", "for"], needs))
    };
    format!(
        "{} · {}\n\n{drawn}\n\n{needed}{}",
        pipeline.name,
        plural(plan.stages.len() as u64, "stage"),
        summary(pipeline, plan)
    )
}

/// The first few stages, and how many more.
fn stages_in_short(stages: &[String]) -> String {
    match stages.split_at_checked(4) {
        Some((first, rest)) if !rest.is_empty() => {
            format!("{} and {} more", first.join(", "), rest.len())
        }
        _ => stages.join(", "),
    }
}

fn state(status: &Status) -> &'static str {
    match status {
        Status::Cached => "cached",
        Status::Remote { .. } => "remote",
        Status::Run => "run",
        Status::Resume { .. } => "resume",
        Status::Unknown { .. } => "after",
        Status::Blocked { .. } => "blocked",
    }
}

fn reason(stage: &PlannedStage) -> String {
    match &stage.status {
        Status::Cached => stage.key.as_ref().map_or_else(String::new, short_key),
        Status::Remote { remote, bytes } => {
            format!("`{remote}` has it · {}", crate::render::bytes(*bytes))
        }
        Status::Resume {
            rows: Some(rows), ..
        } => format!("{} there already", plural(*rows, "row")),
        Status::Resume { .. } => "goes on from its checkpoint".to_owned(),
        Status::Unknown { waits_for } => {
            let mut names: Vec<_> = waits_for.iter().map(|name| family(name)).collect();
            names.dedup();
            names.join(", ")
        }
        Status::Blocked { needs } => needs
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; "),
        Status::Run => {
            let mut reasons = stage.reasons.iter().map(|change| match change.line() {
                Some(line) => format!("{change} ({}:{})", line.file, line.line),
                None => change.to_string(),
            });
            let first = reasons.next().unwrap_or_default();
            match reasons.count() {
                0 => first,
                more => format!("{first} (and {more} more)"),
            }
        }
    }
}

fn cost(estimate: &Estimate) -> String {
    let tokens_in_all = match (estimate.prompt_tokens, estimate.completion_tokens) {
        (None, None) => None,
        (prompt, completion) => Some(prompt.unwrap_or(0) + completion.unwrap_or(0)),
    };
    let mut parts = Vec::new();
    parts.extend(
        estimate
            .requests
            .filter(|requests| *requests > 0)
            .map(|n| plural(n, "request")),
    );
    parts.extend(tokens_in_all.filter(|tokens| *tokens > 0).map(tokens));
    parts.extend(estimate.usd.filter(|usd| *usd > 0.0).map(usd));
    let mut most = Vec::new();
    let tokens_at_most = estimate.completion_tokens_at_most;
    most.extend(tokens_at_most.filter(|tokens| *tokens > 0).map(tokens));
    most.extend(estimate.usd_at_most.filter(|usd| *usd > 0.0).map(usd));
    if !most.is_empty() {
        parts.push(format!("at most {}", most.join(", ")));
    }
    parts.join(" · ")
}

/// What a plan takes from remotes, and what that saves.
#[derive(Default)]
struct Remote {
    stages: usize,
    bytes: u64,
    tokens: u64,
    usd: f64,
    seconds: f64,
}

impl Remote {
    fn of(plan: &Plan) -> Self {
        let mut all = Self::default();
        for stage in &plan.stages {
            let Status::Remote { bytes, .. } = &stage.status else {
                continue;
            };
            all.stages += 1;
            all.bytes += bytes;
            if let Some(record) = stage.record() {
                all.tokens += record.usage.prompt_tokens + record.usage.completion_tokens;
                all.usd += record.usage.usd;
                all.seconds += record.seconds;
            }
        }
        all
    }

    /// `3 remote (at most 1.2 MiB to fetch; saves 2.1M tok, $3.10 and 4 h)`
    fn told(&self) -> Option<String> {
        if self.stages == 0 {
            return None;
        }
        let mut saves = Vec::new();
        if self.tokens > 0 {
            saves.push(tokens(self.tokens));
        }
        if self.usd > 0.0 {
            saves.push(usd(self.usd));
        }
        saves.push(duration(self.seconds));
        Some(format!(
            "{} remote (at most {} to fetch; saves {})",
            self.stages,
            crate::render::bytes(self.bytes),
            saves.join(", ")
        ))
    }
}

fn summary(pipeline: &Pipeline, plan: &Plan) -> String {
    let cached = plan
        .stages
        .iter()
        .filter(|stage| stage.status == Status::Cached)
        .count();
    let remote = Remote::of(plan);
    let blocked = plan
        .stages
        .iter()
        .filter(|stage| matches!(stage.status, Status::Blocked { .. }))
        .count();
    let total = plan.total();
    let mut parts = vec![format!(
        "{} to run, {cached} cached",
        plan.stages.len() - cached - remote.stages - blocked
    )];
    parts.extend(remote.told());
    if blocked > 0 {
        parts.push(format!("{blocked} blocked"));
    }
    if let Some(seconds) = total.seconds.filter(|seconds| *seconds > 0.0) {
        parts.push(format!("about {}", duration(seconds)));
    }
    let money = cost(&total);
    if !money.is_empty() {
        parts.push(format!("about {money}"));
    }
    if let Some(budget) = pipeline.budget {
        parts.push(format!("budget {}", usd(budget)));
    }
    parts.join(" · ")
}
