//! `dag doctor`: what this machine offers, what it lacks, and what to do about it.

use clap::Args;
use serde_json::json;

use super::CommandResult;
use super::workspace::open_cache;
use crate::render::{Output, Tone};
use crate::{exit_codes, places};

/// Say what this machine offers and what it lacks.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {}

struct Finding {
    name: &'static str,
    tone: Tone,
    text: String,
    remedy: Option<String>,
}

pub(crate) fn run(_: &DoctorArgs, output: &Output) -> CommandResult {
    let mut findings = vec![program(), cpu(), gpu(), cache()];
    findings.extend(sandbox());
    findings.push(hub());
    if output.is_json() {
        let list: Vec<_> = findings
            .iter()
            .map(|finding| {
                json!({
                    "name": finding.name,
                    "state": match finding.tone { Tone::Good => "ok", Tone::Warn => "warn", Tone::Bad => "fail" },
                    "text": finding.text,
                    "remedy": finding.remedy,
                })
            })
            .collect();
        output.document(&json!({ "findings": list }));
    } else {
        for finding in &findings {
            let remedy = finding
                .remedy
                .as_ref()
                .map_or_else(String::new, |remedy| format!("\n{:13}{remedy}", ""));
            output.result(&crate::render::verb_line(
                finding.tone,
                finding.name,
                &format!("{}{remedy}", finding.text),
            ));
        }
    }
    let failed = findings.iter().any(|finding| finding.tone == Tone::Bad);
    Ok(if failed {
        exit_codes::ENVIRONMENT
    } else {
        exit_codes::OK
    })
}

fn program() -> Finding {
    let mut features = Vec::new();
    if cfg!(feature = "cuda") {
        features.push("cuda");
    }
    if cfg!(feature = "polars") {
        features.push("polars");
    }
    let features = if features.is_empty() {
        "none".to_owned()
    } else {
        features.join(", ")
    };
    Finding {
        name: "program",
        tone: Tone::Good,
        text: format!(
            "dag {} · optional features: {features}",
            env!("CARGO_PKG_VERSION")
        ),
        remedy: None,
    }
}

fn cpu() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Finding {
        name: "cpu",
        tone: Tone::Good,
        text: crate::render::plural(cores as u64, "core"),
        remedy: None,
    }
}

/// GPUs that the driver shows; `CUDA_VISIBLE_DEVICES` is honoured.
pub(crate) fn gpus() -> u32 {
    if !cfg!(feature = "cuda") {
        return 0;
    }
    let there = fs_err::read_dir("/proc/driver/nvidia/gpus").map_or(0, Iterator::count);
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok().map(|list| {
        list.split(',')
            .filter(|id| !id.trim().is_empty() && id.trim() != "-1")
            .count()
    });
    u32::try_from(visible.map_or(there, |visible| visible.min(there))).unwrap_or(0)
}

fn gpu() -> Finding {
    let driver = std::path::Path::new("/proc/driver/nvidia/version").exists();
    match (driver, gpus()) {
        (true, 0) if !cfg!(feature = "cuda") => Finding {
            name: "gpu",
            tone: Tone::Warn,
            text: "an NVIDIA driver, but this program was built without `cuda`".to_owned(),
            remedy: Some("build it with `cargo build --release --features cuda`".to_owned()),
        },
        (_, 0) => Finding {
            name: "gpu",
            tone: Tone::Warn,
            text: "none; models train and answer on the CPU".to_owned(),
            remedy: None,
        },
        (_, gpus) => Finding {
            name: "gpu",
            tone: Tone::Good,
            text: crate::render::plural(u64::from(gpus), "device"),
            remedy: None,
        },
    }
}

fn cache() -> Finding {
    match open_cache() {
        Ok(cache) => Finding {
            name: "cache",
            tone: Tone::Good,
            text: cache.root().display().to_string(),
            remedy: None,
        },
        Err(_) => Finding {
            name: "cache",
            tone: Tone::Bad,
            text: places::cache_root().map_or_else(
                |error| error,
                |root| format!("{} cannot be written", root.display()),
            ),
            remedy: Some("set DAG_CACHE_DIR to a folder that can be written".to_owned()),
        },
    }
}

fn sandbox() -> Vec<Finding> {
    dag_grade::code::Sandbox::probe()
        .report()
        .into_iter()
        .map(|layer| Finding {
            name: "sandbox",
            tone: if layer.active { Tone::Good } else { Tone::Warn },
            text: format!(
                "{}: {}",
                layer.name,
                if layer.active {
                    "active"
                } else {
                    "not available"
                }
            ),
            remedy: layer.remedy,
        })
        .collect()
}

fn hub() -> Finding {
    let offline = places::offline();
    Finding {
        name: "hub",
        tone: Tone::Good,
        text: if offline {
            "offline, as the environment asks".to_owned()
        } else {
            "asked only by `dag run`".to_owned()
        },
        remedy: None,
    }
}
