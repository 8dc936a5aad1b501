//! Which layers work, found by starting a process with each.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::super::bench::Bench;
use super::super::confine::{Confinement, landlock_version};
use super::super::filters::{Around, filters};
use super::super::group::Groups;
use super::super::language::Interpreter;
use super::super::roles::Role;
use super::super::rules::{new_root, rules};
use super::super::{Language, Limits};
use super::{Layers, NOBODY, group_bounds};

impl Layers {
    /// Takes some tens of milliseconds.
    pub(super) fn probe() -> Self {
        let none = Self {
            user_ns: false,
            pid_ns: false,
            mount_ns: false,
            net_ns: false,
            ipc_ns: false,
            landlock: None,
            seccomp: false,
            groups: Err(String::new()),
            warm: false,
            interpreters: Vec::new(),
            drops: false,
        };
        let drops = rustix::process::geteuid().is_root()
            && starts(Confinement {
                drop_to: Some(NOBODY),
                ..Confinement::default()
            });
        let base = Self { drops, ..none };
        let works = |flags| starts(base.spaces(libc::CLONE_NEWUSER | flags));
        let user_ns = works(0);
        let landlock = landlock_version().filter(|version| {
            rules(*version, &[PathBuf::from("/")], None).is_ok_and(|rules| {
                starts(Confinement {
                    landlock: Some(rules),
                    ..Confinement::default()
                })
            })
        });
        let around = Around {
            alone: false,
            own_sockets: true,
            own_processes: true,
        };
        let seccomp = filters(around).is_some_and(|filters| {
            starts(Confinement {
                filters,
                ..Confinement::default()
            })
        });
        let groups = Groups::find().and_then(|groups| {
            // The place is one only if a process can really be put there.
            let trial = groups.make(group_bounds(&Limits::default()));
            let trial = trial.map_err(|error| error.to_string())?;
            if starts(Confinement {
                group: Some(trial.entrance()),
                ..Confinement::default()
            }) {
                Ok(groups)
            } else {
                Err("no process can be put into a control group".to_owned())
            }
        });
        let rooted = || {
            new_root(&[], 1 << 20).is_some_and(|root| {
                starts(Confinement {
                    root: Some(root),
                    ..base.spaces(libc::CLONE_NEWUSER | libc::CLONE_NEWNS)
                })
            })
        };
        let mut layers = Self {
            user_ns,
            pid_ns: user_ns && works(libc::CLONE_NEWPID),
            mount_ns: user_ns && rooted(),
            net_ns: user_ns && works(libc::CLONE_NEWNET),
            ipc_ns: user_ns && works(libc::CLONE_NEWIPC | libc::CLONE_NEWUTS),
            landlock,
            seccomp,
            groups,
            warm: false,
            interpreters: Language::all()
                .filter_map(|language| Some((language, Interpreter::find(language)?)))
                .collect(),
            drops,
        };
        let spaces = layers.pid_ns && layers.mount_ns && layers.net_ns && layers.ipc_ns;
        layers.warm = spaces && layers.isolates() && layers.interpreter(Language::Python).is_ok();
        layers.warm = layers.warm && runs_warm(&layers);
        layers
    }
}

/// Whether a program that does nothing starts and ends well.
fn starts(confinement: Confinement) -> bool {
    let mut command = Command::new("/bin/true");
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    confinement.apply(&mut command);
    command.status().is_ok_and(|status| status.success())
}

/// Whether a worker starts, and runs a program to its end. One that fails would not be missed: programs would run
/// without it, at many times the cost.
fn runs_warm(layers: &Layers) -> bool {
    let limits = Limits::default();
    Bench::new("pass", Language::Python, &limits, layers, true)
        .and_then(|bench| bench.run(Role::Start, b"", Vec::new(), None))
        .is_ok_and(|done| done.ended.status.success())
}
