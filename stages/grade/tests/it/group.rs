//! Control groups, on machines that let us make them: none is left. On others the tests say that they are skipped.

use std::path::PathBuf;

use dag_grade::code::{Language, Limits, Sandbox, Tests, run_cold};

use crate::code::{SILENT, ready};

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn grouped() -> bool {
    let report = Sandbox::probe().report();
    let line = report.iter().find(|line| line.name == "control group");
    let line = line.unwrap();
    if let Some(remedy) = &line.remedy {
        eprintln!("skipped: no control groups here: {remedy}");
    }
    line.active
}

fn limits() -> Limits {
    Limits {
        cpu_s: 5.0,
        wall_s: 20.0,
        memory_mb: 64,
        output_bytes: 1 << 20,
        processes: 8,
    }
}

/// Groups of this process, wherever the second version is mounted.
fn ours() -> Vec<PathBuf> {
    let name = format!("dag-run-{}-", std::process::id());
    let mut found = Vec::new();
    let mut todo = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = todo.pop() {
        for entry in fs_err::read_dir(folder).unwrap().filter_map(Result::ok) {
            if entry.file_name().to_string_lossy().starts_with(&name) {
                found.push(entry.path());
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                todo.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn a_missing_control_group_is_named_with_its_reason() {
    let layers = Sandbox::probe();
    let report = layers.report();
    let line = report.iter().find(|line| line.name == "control group");
    let line = line.unwrap();
    assert_eq!(
        layers.missing_layers().contains(&"control group"),
        !line.active
    );
    let reason = line.remedy.clone().unwrap_or_default();
    assert!(line.active || !reason.starts_with(';'), "{reason}");
    // It is never what a run is refused for.
    assert!(!ready(Language::Python) || layers.isolates());
}

#[test]
fn a_cold_run_leaves_no_group() {
    if !grouped() || !ready(Language::Python) {
        return;
    }
    let before = ours();
    let tests = Tests::parse(SILENT).unwrap();
    for _ in 0..5 {
        let judged = run_cold(&tests, "print('done')", &limits(), false).unwrap();
        assert!(judged.verdict.is_pass(), "{judged:?}");
    }
    // Other tests of this process make groups beside these, so only a growing number would be ours.
    assert!(ours().len() < before.len() + 5, "{before:?} {:?}", ours());
}
