//! `dag cache stats`: how large the cache is, what for, and what it saved.

use std::collections::BTreeMap;

use dag_cache::{Cache, Made, Share, Space, StageKey, Stats};
use dag_engine::History;
use dag_engine::event::StageOutcome;

use super::environment;
use crate::commands::CommandResult;
use crate::exit_codes;
use crate::render::{Output, bytes, count, duration, plural, table, tokens, usd};

pub(super) fn stats(cache: &Cache, output: &Output) -> CommandResult {
    let stats =
        dag_cache::stats(cache, &made(&History::of(cache))).map_err(|error| environment(&error))?;
    if output.is_json() {
        output.document(&serde_json::to_value(&stats).unwrap_or_default());
    } else {
        output.result(&format!("{}\n{}", cache.root().display(), drawn(&stats)));
    }
    Ok(exit_codes::OK)
}

/// Which stage made or used a key, by the latest run that says so, and in how many runs it was a hit.
fn made(history: &History) -> BTreeMap<StageKey, Made> {
    let mut made: BTreeMap<StageKey, Made> = BTreeMap::new();
    for run in history.runs(None) {
        for stage in run.stages {
            let Some(key) = stage.key else {
                continue;
            };
            let entry = made.entry(key).or_insert_with(|| Made {
                pipeline: run.pipeline.clone(),
                stage: stage.stage,
                kind: stage.kind,
                hits: 0,
            });
            entry.hits += u64::from(stage.outcome == StageOutcome::Cached);
        }
    }
    made
}

fn drawn(stats: &Stats) -> String {
    let mut text = format!(
        "{} · {} in {}",
        plural(stats.records, "record"),
        bytes(stats.blob_bytes),
        plural(stats.blobs, "blob"),
    );
    let saved = &stats.saved;
    if saved.hits > 0 {
        text.push_str(&format!(
            "\nsaved by {}: {}, {}, {}",
            plural(saved.hits, "hit"),
            duration(saved.seconds),
            tokens(saved.usage.prompt_tokens + saved.usage.completion_tokens),
            usd(saved.usage.usd),
        ));
    }
    text.push('\n');
    let mut rows = Vec::new();
    let mut part = |sort: &str, name: &str, share: &Share| {
        rows.push(vec![
            sort.to_owned(),
            name.to_owned(),
            count(share.records),
            count(share.blobs),
            bytes(share.bytes),
        ]);
    };
    for (name, share) in &stats.pipelines {
        part("pipeline", name, share);
    }
    if stats.unrecorded.records > 0 {
        part("pipeline", "(no recorded run)", &stats.unrecorded);
    }
    for (name, share) in &stats.kinds {
        part("kind", name, share);
    }
    for (name, share) in &stats.artifacts {
        part("outputs", name, share);
    }
    if !rows.is_empty() {
        text.push_str(&table(&["", "", ">records", ">blobs", ">size"], rows));
        text.push('\n');
    }
    let mut beside = Vec::new();
    let mut space = |space: &Space, one: &str, what: &str| {
        if space.count > 0 {
            let told = format!(
                "{} in {} {what}",
                bytes(space.bytes),
                plural(space.count, one)
            );
            beside.push(told.trim_end().to_owned());
        }
    };
    space(
        &stats.shared,
        "blob",
        "that more than one record names: once in the total, in every row that names them",
    );
    space(
        &stats.orphans,
        "blob",
        "that no record names: gc takes them",
    );
    for (name, segments) in &stats.memo {
        space(
            segments,
            "segment",
            &format!("of finished rows of `{name}`"),
        );
    }
    space(&stats.scratch, "work folder", "of unfinished stages");
    space(
        &stats.trash,
        "trash folder",
        "that `dag cache restore` can bring back",
    );
    space(&stats.quarantine, "thing", "set aside as damaged");
    if stats.incomplete > 0 {
        let lack = plural(stats.incomplete, "record");
        beside.push(format!("{lack} without all blobs: `dag cache verify --repair` fetches them, or the next run makes them again"));
    }
    if stats.pins > 0 {
        beside.push(plural(stats.pins, "pin"));
    }
    text.push_str(&beside.join("\n"));
    text.trim_end().to_owned()
}
