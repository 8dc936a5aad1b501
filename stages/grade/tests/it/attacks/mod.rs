//! Programs that attack: what they try to reach, what they try to use up, and how they try to pass.
//!
//! The whole suite runs in a process of its own, once as whoever runs the tests and, if that is root, once more as an
//! ordinary user. That process then looks for what was left behind.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use dag_grade::Verdict;
use dag_grade::code::{
    CodeVerdict, Detail, Language, Limits, Sandbox, SandboxError, Tests, run, run_cold,
};
use rayon::prelude::*;

mod programs;

use programs::{ANSWERS, CHEATS, EXHAUST, LEAVE, REACH, SEE, TIME};

use crate::code::{ASSERT, CALL, DOUBLE, SILENT, limits, ready};

/// How the suite is run where the machine has no user namespaces: in one that allows no further ones.
const WITHOUT_SPACES: &str = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" \"$@\"";

/// Set in the process that the suite runs in.
const INSIDE: &str = "DAG_ATTACK_SUITE";
const NOBODY: u32 = 65_534;

/// As `DOUBLE`, where a number may be a little off.
const CLOSE: &str = r#"{"kind":"stdio","language":"python","tolerance":0.000001,"cases":[{"stdin":"2\n","stdout":"4\n"}]}"#;
/// Assertions that loop over what comes back: what stops a loop must not hide that nothing came.
const LOOPS: &str = r#"{"kind":"assert","language":"python","code":"assert callable(f)\nfor n, double in zip([2, 5], map(f, [2, 5])):\n    assert double == 2 * n\n"}"#;

/// Where time is all that can end a program, there is little of it.
fn brief() -> Limits {
    Limits {
        cpu_s: 0.3,
        wall_s: 1.0,
        ..limits()
    }
}

fn filled(program: &str, world: &World) -> String {
    program
        .replace("{secret}", &format!("{}/secret", world.folder))
        .replace("{open}", &format!("{}/open", world.folder))
        .replace("{port}", &world.port.to_string())
        .replace("{abstract}", &world.abstract_name)
}

struct World {
    folder: String,
    port: u16,
    abstract_name: String,
}

pub(crate) type Runner = fn(&Tests, &str, &Limits, bool) -> Result<CodeVerdict, SandboxError>;
const RUNNERS: [(&str, Runner); 2] = [("warm", run), ("cold", run_cold)];

fn judged(runner: Runner, tests: &str, program: &str, limits: &Limits) -> CodeVerdict {
    runner(&Tests::parse(tests).unwrap(), program, limits, false).unwrap()
}

/// What was wrong, a line each.
fn python_attacks(world: &World) -> Vec<String> {
    let rooted = Sandbox::probe().mount_ns;
    let see = SEE.iter().filter(|_| rooted);
    let reach: Vec<_> = REACH.iter().chain(see).collect();
    let reached = reach.par_iter().flat_map_iter(|(name, attempt)| {
        let attempt = filled(attempt, world);
        let body: String = attempt
            .replace("; ", "\n")
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect();
        let program = format!(
            "try:\n{body}except BaseException as e: print('stopped', type(e).__name__)\nelse: print('done')"
        );
        RUNNERS.into_iter().filter_map(move |(how, runner)| {
            let judged = judged(runner, SILENT, &program, &limits());
            let stopped = judged.detail == Detail::WrongAnswer
                && judged.reason.contains("got `stopped")
                && !["SyntaxError", "NameError", "IndentationError", "ImportError"]
                    .iter()
                    .any(|own_fault| judged.reason.contains(own_fault))
                || judged.detail == Detail::RuntimeError
                    && judged.reason == "stopped for a forbidden system call";
            (!stopped).then(|| format!("{name} ({how}): {judged:?}"))
        })
    });
    let exhausted = EXHAUST.par_iter().filter_map(|(name, program, allowed)| {
        let limits = if *allowed == TIME { brief() } else { limits() };
        let judged = judged(run, SILENT, program, &limits);
        (!allowed.contains(&judged.detail)).then(|| format!("{name}: {judged:?}"))
    });
    let everywhere = [DOUBLE, CALL, ASSERT];
    let cheats = CHEATS
        .iter()
        .chain(ANSWERS)
        .map(|cheat| (cheat, everywhere.as_slice()));
    let answers = ANSWERS
        .iter()
        .map(|cheat| (cheat, [CLOSE, LOOPS].as_slice()));
    let cheats: Vec<_> = cheats.chain(answers).collect();
    let passed = cheats.par_iter().flat_map_iter(|(cheat, tests)| {
        tests.iter().filter_map(move |tests| {
            let judged = judged(run, tests, cheat, &brief());
            // Nor may what it gives swell the reason.
            (judged.verdict.is_pass() || judged.reason.len() > 1000)
                .then(|| format!("{cheat}\n{tests}: {judged:?}"))
        })
    });
    reached.chain(exhausted).chain(passed).collect()
}

fn shell_attacks() -> Vec<String> {
    let tests = r#"{"kind":"stdio","language":"sh","cases":[{"stdin":"","stdout":"done"}]}"#;
    let judged = LEAVE
        .par_iter()
        .map(|program| (program, judged(run, tests, program, &brief())));
    judged
        .filter(|(_, judged)| !matches!(judged.verdict, Verdict::Fail | Verdict::Timeout))
        .map(|(program, judged)| format!("{program}: {judged:?}"))
        .collect()
}

/// Every process below this one, with how deep it stands.
pub(crate) fn descendants() -> Vec<(u32, usize)> {
    let mut parents = Vec::new();
    for entry in fs_err::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(stat) = fs_err::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // The name in parentheses may hold anything.
        let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
        let mut words = after.split(' ');
        if words.next() == Some("Z") {
            continue;
        }
        let parent: u32 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        parents.push((pid, parent));
    }
    let mut found = vec![(std::process::id(), 0)];
    let mut next = 0;
    while let Some((pid, depth)) = found.get(next).copied() {
        found.extend(
            parents
                .iter()
                .filter(|(_, p)| *p == pid)
                .map(|(p, _)| (*p, depth + 1)),
        );
        next += 1;
    }
    found.split_off(1)
}

pub(crate) fn mounts() -> usize {
    fs_err::read_to_string("/proc/self/mountinfo")
        .unwrap()
        .lines()
        .count()
}

/// A worker is two processes: the one we started, and the first one of its namespace.
const WORKER_DEPTH: usize = 2;

/// Runs in a process of its own.
#[expect(
    clippy::print_stdout,
    reason = "read by the process that started this one"
)]
fn inside() {
    // What loses its parent becomes a child of this process, and is seen.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs_err::set_permissions(at, PermissionsExt::from_mode(0o777)).unwrap();
    fs_err::write(at.join("secret"), "secret").unwrap();
    fs_err::set_permissions(at.join("secret"), PermissionsExt::from_mode(0o666)).unwrap();
    fs_err::create_dir(at.join("open")).unwrap();
    fs_err::set_permissions(at.join("open"), PermissionsExt::from_mode(0o777)).unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let abstract_name = format!("dag-attack-{}", std::process::id());
    let address =
        <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(
            &abstract_name,
        );
    let local = std::os::unix::net::UnixListener::bind_addr(&address.unwrap()).unwrap();
    let path_socket = at.join("open/socket");
    let stream = std::os::unix::net::UnixListener::bind(&path_socket).unwrap();
    let messages = std::os::unix::net::UnixDatagram::bind(at.join("open/messages")).unwrap();
    for socket in ["open/socket", "open/messages"] {
        fs_err::set_permissions(at.join(socket), PermissionsExt::from_mode(0o777)).unwrap();
    }
    let world = World {
        folder: at.to_str().unwrap().to_owned(),
        port: tcp.local_addr().unwrap().port(),
        abstract_name,
    };
    let layers = Sandbox::probe();
    for layer in layers.report() {
        println!(
            "layer {}: {}",
            layer.name,
            if layer.active { "active" } else { "missing" }
        );
    }
    let mounts_before = mounts();
    let mut wrong = python_attacks(&world);
    if ready(Language::Sh) {
        wrong.extend(shell_attacks());
    }
    tcp.set_nonblocking(true).unwrap();
    local.set_nonblocking(true).unwrap();
    stream.set_nonblocking(true).unwrap();
    messages.set_nonblocking(true).unwrap();
    let message = messages.recv(&mut [0]);
    if tcp.accept().is_ok() || local.accept().is_ok() || stream.accept().is_ok() || message.is_ok()
    {
        wrong.push("somebody connected".to_owned());
    }
    if fs_err::read_to_string(at.join("secret")).unwrap() != "secret"
        || fs_err::read_dir(at).unwrap().count() != 2
        || fs_err::read_dir(at.join("open")).unwrap().count() != 2
    {
        wrong.push("a file was written".to_owned());
    }
    if mounts() != mounts_before {
        wrong.push("a mount was left".to_owned());
    }
    drop(folder);
    let left_files = fs_err::read_dir(std::env::temp_dir()).unwrap().count();
    if left_files != 0 {
        wrong.push(format!("{left_files} files were left"));
    }
    // A worker that found nothing to do for now is ours and stays; below it, and beside it, there is nothing.
    let below: Vec<_> = descendants();
    let workers = below.iter().filter(|(_, depth)| *depth == 1).count();
    if below.iter().any(|(_, depth)| *depth > WORKER_DEPTH) || below.len() > WORKER_DEPTH * workers
    {
        wrong.push(format!("processes were left: {below:?}"));
    }
    for line in &wrong {
        println!("wrong {line}");
    }
    for (pid, _) in below {
        println!("worker {pid}");
    }
    let attacks =
        REACH.len() + SEE.len() + EXHAUST.len() + CHEATS.len() + ANSWERS.len() + LEAVE.len();
    println!("suite of {attacks} ended with {} wrong", wrong.len());
}

/// Who runs the suite, and where.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    Us,
    Nobody,
    /// Us, where there are no user namespaces to be had.
    WithoutSpaces,
}

/// The suite in a process of its own.
#[expect(clippy::print_stderr, reason = "the layers are listed")]
fn suite_as(who: Who) {
    let user = (who == Who::Nobody).then_some(NOBODY);
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs_err::set_permissions(at, PermissionsExt::from_mode(0o755)).unwrap();
    // The folder of the build may be nobody else's to enter.
    let program = at.join("suite");
    fs_err::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs_err::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let scratch = at.join("tmp");
    fs_err::create_dir(&scratch).unwrap();
    let mut command = if who == Who::WithoutSpaces {
        let mut command = Command::new("unshare");
        command.args(["-U", "-r", "/bin/sh", "-c", WITHOUT_SPACES]);
        command.arg(&program);
        command
    } else {
        Command::new(&program)
    };
    command
        .args([
            "--exact",
            "attacks::attacks_reach_nothing_and_pass_nothing",
            "--nocapture",
        ])
        .env(INSIDE, "1")
        .env("TMPDIR", &scratch)
        .current_dir("/");
    if let Some(user) = user {
        std::os::unix::fs::chown(&scratch, Some(user), Some(user)).unwrap();
        command.uid(user).gid(user);
    }
    // While another thread of this process forks, the copy may count as open for writing.
    let output = loop {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            output => break output.unwrap(),
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let name = match who {
        Who::Us => "this user",
        Who::Nobody => "nobody",
        Who::WithoutSpaces => "without user namespaces",
    };
    assert!(
        output.status.success(),
        "{name}: {text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = |start: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.strip_prefix(start))
            .map(str::to_owned)
            .collect()
    };
    assert!(text.contains(" ended with 0 wrong"), "{name}: {text}");
    eprintln!("{name}: {}", lines("layer ").join(", "));
    // With the process that owned them, the workers end too.
    let alive = || -> Vec<String> {
        lines("worker ")
            .into_iter()
            .filter(|pid| {
                fs_err::read(Path::new("/proc").join(pid).join("cmdline"))
                    .is_ok_and(|line| line.windows(2).any(|pair| pair == b"-S"))
            })
            .collect()
    };
    let started = std::time::Instant::now();
    while !alive().is_empty() && started.elapsed().as_secs() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(
        alive().is_empty(),
        "{name}: workers outlived their owner: {:?}",
        alive()
    );
}

#[test]
fn attacks_reach_nothing_and_pass_nothing() {
    if !ready(Language::Python) {
        return;
    }
    if std::env::var_os(INSIDE).is_some() {
        inside();
        return;
    }
    std::thread::scope(|scope| {
        if rustix::process::geteuid().is_root() {
            scope.spawn(|| suite_as(Who::Nobody));
        }
        suite_as(Who::Us);
    });
}

/// Whether we can take user namespaces away from a process.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn spaces_can_be_taken_away() -> bool {
    let tried = Command::new("unshare")
        .args(["-U", "-r", "/bin/sh", "-c", WITHOUT_SPACES, "/bin/true"])
        .output();
    let can = tried.is_ok_and(|tried| tried.status.success());
    if !can {
        eprintln!("skipped: `unshare` does not work here");
    }
    can
}

#[test]
fn without_user_namespaces_what_is_left_still_holds() {
    if ready(Language::Python) && spaces_can_be_taken_away() {
        suite_as(Who::WithoutSpaces);
    }
}

/// Runs in a process that can have no user namespaces: what is missing is named, what cannot be held is refused, and
/// what the caller takes upon himself runs.
#[test]
fn without_user_namespaces_layers_are_named_and_shell_programs_refused() {
    if std::env::var_os(INSIDE).is_none() {
        if !ready(Language::Sh) || !ready(Language::Python) || !spaces_can_be_taken_away() {
            return;
        }
        let output = Command::new("unshare")
            .args(["-U", "-r", "/bin/sh", "-c", WITHOUT_SPACES])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("attacks::without_user_namespaces_layers_are_named_and_shell_programs_refused")
            .env(INSIDE, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("1 passed"), "{output:?}");
        return;
    }
    let layers = Sandbox::probe();
    for missing in [
        "user namespace",
        "pid namespace",
        "mount namespace",
        "network namespace",
        "ipc namespace",
    ] {
        assert!(layers.missing_layers().contains(&missing), "{missing}");
    }
    assert!(!layers.warm && layers.isolates());
    let python = judged(run, SILENT, "print('done')", &limits());
    assert!(python.verdict.is_pass(), "{python:?}");
    assert_eq!(python.missing_layers, layers.missing_layers());
    let shell = r#"{"kind":"stdio","language":"sh","cases":[{"stdin":"","stdout":"done"}]}"#;
    let shell = Tests::parse(shell).unwrap();
    let refused = run(&shell, "echo done", &limits(), false).unwrap_err();
    let said = refused.to_string();
    assert!(
        said.contains("no user namespace, no pid namespace"),
        "{said}"
    );
    assert!(refused.hint().unwrap().contains("max_user_namespaces"));
    let allowed = run(&shell, "echo done", &limits(), true).unwrap();
    assert!(allowed.verdict.is_pass(), "{allowed:?}");
    assert!(allowed.missing_layers.contains(&"pid namespace"));
}
