//! Control groups, on machines that let us make them: what they bound beyond the limits of each process, and that none
//! is left. On others the tests say that they are skipped.

use std::path::PathBuf;

use dag_grade::code::{Detail, Language, Limits, Sandbox, Tests, run, run_cold};

use crate::attacks::Runner;
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
fn memory_that_no_limit_of_a_process_counts_is_bounded() {
    if !grouped() || !ready(Language::Python) {
        return;
    }
    // What lies in sockets is the kernel's memory.
    let program = "import socket\nkept = []\nwhile True:\n    pair = socket.socketpair()\n    kept.append(pair)\n    for end in pair:\n        end.setblocking(False)\n        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30)\n        try:\n            while True: end.send(b'x' * 65536)\n        except BlockingIOError: pass\n    if len(kept) == 100: break\nprint('done')";
    let tight = Limits {
        memory_mb: 40,
        ..limits()
    };
    let tests = Tests::parse(SILENT).unwrap();
    for (how, runner) in [("warm", run as Runner), ("cold", run_cold)] {
        let judged = runner(&tests, program, &tight, false).unwrap();
        assert!(
            !matches!(judged.detail, Detail::Timeout { .. }),
            "{how}: {judged:?}"
        );
        let judged = runner(&tests, "print('done')", &tight, false).unwrap();
        assert!(judged.verdict.is_pass(), "{how}, after it: {judged:?}");
    }
}

#[test]
fn processes_of_a_shell_program_share_one_bound() {
    if !grouped() || !ready(Language::Sh) {
        return;
    }
    let tests = r#"{"kind":"stdio","language":"sh","cases":[{"stdin":"","stdout":"done"}]}"#;
    let tests = Tests::parse(tests).unwrap();
    // Each pipe holds a part; files in memory are bounded by the folder.
    let program = "for i in 1 2 3 4 5 6; do dd if=/dev/zero of=f$i bs=64k count=16 2> /dev/null; done; echo done";
    let judged = run(&tests, program, &limits(), false).unwrap();
    assert!(
        matches!(judged.detail, Detail::Passed | Detail::OutputLimit),
        "{judged:?}"
    );
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
