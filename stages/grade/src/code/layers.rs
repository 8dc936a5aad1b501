//! What this machine offers to isolate a program, found by really starting one with each layer.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use seccompiler::BpfProgram;

use super::confine::{Confinement, Resource, WORK, WorkerParts};
use super::filters::{Around, filters};
use super::group::{Bounds, Group, Groups};
use super::language::Interpreter;
use super::rules::{SYSTEM, new_root, rules};
use super::worker;
use super::{Language, Limits, SandboxError};

mod probe;

/// The user that programs run as where the tool runs as root.
const NOBODY: u32 = 65_534;

/// The sandbox of this machine.
#[derive(Debug)]
pub struct Sandbox;

impl Sandbox {
    /// The layers that work here. Tried once in a process, which takes some tens of milliseconds.
    pub fn probe() -> &'static Layers {
        static LAYERS: OnceLock<Layers> = OnceLock::new();
        LAYERS.get_or_init(Layers::probe)
    }
}

/// What isolates a program, and what runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    /// User namespaces: the program is nobody, whoever we are.
    pub user_ns: bool,
    /// PID namespaces: nothing it starts outlives it.
    pub pid_ns: bool,
    /// Mount namespaces: it sees a root of its own, where its folder is in memory and bounded.
    pub mount_ns: bool,
    /// Network namespaces: there is no network to reach.
    pub net_ns: bool,
    /// IPC namespaces: no shared memory or queues of others.
    pub ipc_ns: bool,
    /// Landlock, with its version: no files but those named.
    pub landlock: Option<u32>,
    /// System call filters.
    pub seccomp: bool,
    /// Where control groups can be made, or why they cannot: bounds on all processes of a program together.
    groups: Result<Groups, String>,
    /// Warm workers: Python programs start from an interpreter that is there already. It isolates nothing; without
    /// it a run takes longer.
    pub warm: bool,
    /// What runs programs, one entry for each language whose interpreter was found.
    interpreters: Vec<(Language, Interpreter)>,
    /// Whether we are root and can become nobody.
    drops: bool,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerReport {
    /// What it is called.
    pub name: &'static str,
    /// Whether it works here.
    pub active: bool,
    /// What would make it work, where it does not.
    pub remedy: Option<String>,
}

impl Layers {
    /// One line for each layer and interpreter.
    pub fn report(&self) -> Vec<LayerReport> {
        let userns = "allow user namespaces: `sysctl user.max_user_namespaces=10000`, and on Ubuntu also \
                      `sysctl kernel.apparmor_restrict_unprivileged_userns=0`";
        let delegate = format!(
            "{}; start `dag` where control groups of version 2 are delegated to you: \
             `systemd-run --user --scope dag …`",
            self.groups.as_ref().err().map_or("", String::as_str)
        );
        let line = |name, active: bool, remedy: &str| LayerReport {
            name,
            active,
            remedy: (!active).then(|| remedy.to_owned()),
        };
        let mut lines = vec![
            line("user namespace", self.user_ns, userns),
            line(
                "pid namespace",
                self.pid_ns,
                "allow user namespaces, and `sysctl user.max_pid_namespaces=10000`",
            ),
            line(
                "mount namespace",
                self.mount_ns,
                "allow user namespaces, and `sysctl user.max_mnt_namespaces=10000`",
            ),
            line(
                "network namespace",
                self.net_ns,
                "allow user namespaces, and `sysctl user.max_net_namespaces=10000`",
            ),
            line(
                "ipc namespace",
                self.ipc_ns,
                "allow user namespaces, and `sysctl user.max_ipc_namespaces=10000`",
            ),
            line(
                "landlock",
                self.landlock.is_some(),
                "use Linux 5.13 or later with `landlock` among the `lsm=` modules",
            ),
            line(
                "seccomp",
                self.seccomp,
                "use a kernel with CONFIG_SECCOMP_FILTER, on x86-64 or aarch64",
            ),
            line("control group", self.groups.is_ok(), &delegate),
            line(
                "warm workers",
                self.warm,
                "allow user, PID and mount namespaces, and use a Python that has `ctypes`",
            ),
        ];
        lines.extend(Language::all().map(|language| {
            let there = self.interpreter(language).is_ok();
            line(language.as_str(), there, language.row().remedy)
        }));
        lines
    }

    /// Names of the isolating layers that are missing here.
    pub fn missing_layers(&self) -> Vec<&'static str> {
        self.report()
            .iter()
            .take_while(|line| line.name != "warm workers")
            .filter(|line| !line.active)
            .map(|line| line.name)
            .collect()
    }

    /// Whether programs have no network and no files of the user: the least that running them asks for.
    pub fn isolates(&self) -> bool {
        self.landlock.is_some() && self.seccomp
    }

    /// The layers without which programs of a language are not run.
    fn needed(language: Language) -> &'static [&'static str] {
        if language.row().processes {
            &["landlock", "seccomp", "user namespace", "pid namespace"]
        } else {
            &["landlock", "seccomp"]
        }
    }

    /// Whether everything is there that programs of this language need.
    pub fn isolates_language(&self, language: Language) -> bool {
        self.missing(language).is_empty()
    }

    fn missing(&self, language: Language) -> Vec<LayerReport> {
        let needed = Self::needed(language);
        self.report()
            .into_iter()
            .filter(|layer| !layer.active && needed.contains(&layer.name))
            .collect()
    }

    pub(super) fn refusal(&self, language: Language) -> SandboxError {
        let missing = self.missing(language);
        SandboxError::NotIsolated {
            missing: missing
                .iter()
                .map(|layer| format!("no {}", layer.name))
                .collect::<Vec<_>>()
                .join(", "),
            hint: missing
                .into_iter()
                .filter_map(|layer| layer.remedy)
                .collect::<Vec<_>>()
                .join("; "),
        }
    }

    /// The interpreter of a language: its real path.
    pub fn interpreter(&self, language: Language) -> Result<&Path, SandboxError> {
        self.interpreters
            .iter()
            .find(|(of, _)| *of == language)
            .map(|(_, interpreter)| interpreter.path.as_path())
            .ok_or(SandboxError::NoInterpreter(language))
    }

    fn spaces(&self, flags: libc::c_int) -> Confinement {
        let drop_to = self.drops.then_some(NOBODY);
        let user = drop_to.unwrap_or_else(|| rustix::process::geteuid().as_raw());
        let group = drop_to.unwrap_or_else(|| rustix::process::getegid().as_raw());
        Confinement {
            drop_to,
            namespaces: flags,
            maps: [
                format!("{user} {user} 1").into_bytes(),
                format!("{group} {group} 1").into_bytes(),
            ],
            ..Confinement::default()
        }
    }

    fn all_spaces(&self) -> Confinement {
        let mut flags = 0;
        for (there, flag) in [
            (self.user_ns, libc::CLONE_NEWUSER),
            (self.pid_ns, libc::CLONE_NEWPID),
            (self.mount_ns, libc::CLONE_NEWNS),
            (self.net_ns, libc::CLONE_NEWNET),
            (self.ipc_ns, libc::CLONE_NEWIPC | libc::CLONE_NEWUTS),
        ] {
            if there {
                flags |= flag;
            }
        }
        self.spaces(flags)
    }

    /// The user and group that a program's folder should belong to, where it is not ours.
    pub(super) fn owner(&self) -> Option<u32> {
        self.drops.then_some(NOBODY)
    }

    /// The filters that programs run behind here.
    pub(super) fn filters(&self, alone: bool) -> Vec<BpfProgram> {
        // Landlock keeps signals and nameless sockets inside from its sixth version on.
        let scoped = self.landlock.is_some_and(|version| version >= 6);
        filters(Around {
            alone,
            own_sockets: self.mount_ns && (self.net_ns || scoped),
            own_processes: self.pid_ns || scoped,
        })
        .unwrap_or_default()
    }

    /// A control group for one program or worker, where there are any.
    pub(super) fn group(&self, limits: &Limits) -> Result<Option<Group>, SandboxError> {
        let Ok(groups) = &self.groups else {
            return Ok(None);
        };
        let group = groups.make(group_bounds(limits));
        group
            .map(Some)
            .map_err(|error| setup("making a control group", error))
    }

    fn folders(&self, language: Language) -> &[PathBuf] {
        self.interpreters
            .iter()
            .find(|(of, _)| *of == language)
            .map_or(&[], |(_, interpreter)| interpreter.folders.as_slice())
    }

    fn rules(
        &self,
        language: Language,
        writable: Option<&Path>,
    ) -> Result<Option<OwnedFd>, SandboxError> {
        let Some(version) = self.landlock else {
            return Ok(None);
        };
        let mut readable: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        readable.extend_from_slice(self.folders(language));
        rules(version, &readable, writable)
            .map(Some)
            .map_err(|error| setup("writing the file rules", io::Error::other(error)))
    }

    /// Everything this machine offers, for one process. Without a mount namespace, `folder` holds `work`, where it
    /// may write and starts.
    pub(super) fn confine(
        &self,
        language: Language,
        limits: &Limits,
        folder: Option<&Path>,
    ) -> Result<Confinement, SandboxError> {
        let alone = !language.row().processes;
        let unsayable = || setup("naming the folder", io::ErrorKind::InvalidInput.into());
        let root = if self.mount_ns {
            let root = new_root(self.folders(language), scratch_bytes(limits));
            Some(root.ok_or_else(unsayable)?)
        } else {
            None
        };
        let start = match folder {
            _ if self.mount_ns => Some(PathBuf::from(WORK)),
            Some(folder) => Some(folder.join("work")),
            None => None,
        };
        let filters = if self.seccomp {
            self.filters(alone)
        } else {
            Vec::new()
        };
        Ok(Confinement {
            root,
            folder: start
                .map(|start| CString::new(start.as_os_str().as_bytes()).map_err(|_| unsayable()))
                .transpose()?,
            landlock: self.rules(language, folder.filter(|_| !self.mount_ns))?,
            filters,
            limits: self.bounds(language, limits),
            ..self.all_spaces()
        })
    }

    /// For a worker: in the same spaces, but with the rule set only kept, and the right to mount.
    pub(super) fn confine_worker(
        &self,
        control: OwnedFd,
        pid_ns: OwnedFd,
        group: Option<&Group>,
    ) -> Result<Confinement, SandboxError> {
        let absent = |step| setup(step, io::ErrorKind::NotFound.into());
        let rules = self
            .rules(Language::Python, None)?
            .ok_or_else(|| absent("writing the file rules"))?;
        let root = new_root(self.folders(Language::Python), worker::IDLE_SCRATCH)
            .ok_or_else(|| absent("naming the folder"))?;
        Ok(Confinement {
            group: group.map(Group::entrance),
            root: Some(root),
            folder: CString::new(WORK).ok(),
            worker: Some(WorkerParts {
                pid_ns: pid_ns.as_raw_fd(),
                landlock: rules.as_raw_fd(),
            }),
            keep: vec![control, pid_ns, rules],
            ..self.all_spaces()
        })
    }

    /// Resources and their limits.
    pub(super) fn bounds(
        &self,
        language: Language,
        limits: &Limits,
    ) -> Vec<(Resource, libc::rlim_t)> {
        let alone = !language.row().processes;
        let share = if alone {
            1
        } else {
            u64::from(limits.processes.max(1))
        };
        let memory = limits.memory_mb.max(1).saturating_mul(1 << 20) / share;
        let mut bounds = vec![
            (libc::RLIMIT_CPU, whole_seconds(limits.cpu_s)),
            (libc::RLIMIT_AS, memory.max(16 << 20)),
            (libc::RLIMIT_FSIZE, limits.output_bytes.max(4096)),
            (libc::RLIMIT_NOFILE, 256),
            (libc::RLIMIT_CORE, 0),
            (libc::RLIMIT_MEMLOCK, 0),
            (libc::RLIMIT_MSGQUEUE, 0),
        ];
        if self.user_ns {
            // Counts the processes and threads of this namespace only. The first one there is ours.
            bounds.push((libc::RLIMIT_NPROC, u64::from(limits.processes.max(1)) + 1));
        }
        bounds
    }
}

fn setup(step: &'static str, source: io::Error) -> SandboxError {
    SandboxError::Setup { step, source }
}

/// The most that a program's folder holds.
pub(super) fn scratch_bytes(limits: &Limits) -> u64 {
    limits.output_bytes.max(1 << 20).saturating_mul(4)
}

/// What all processes of a program may hold together: their memory, their folder, and what the kernel and a warm
/// worker need beside. The limits of each process are reached before, unless many processes or the kernel's own memory
/// are used against it; so a machine without control groups gives the same verdicts on everyday programs.
pub(super) fn group_bounds(limits: &Limits) -> Bounds {
    const BESIDE: u64 = 64 << 20;
    let memory = limits.memory_mb.max(1).saturating_mul(1 << 20);
    Bounds {
        memory: memory
            .saturating_add(scratch_bytes(limits))
            .saturating_add(BESIDE),
        // A worker is two processes; a program's first one may be two.
        tasks: u64::from(limits.processes.max(1)) + 4,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a range that fits"
)]
/// Where the kernel stops a program: up to a second after its limit, see `trouble` in the judge.
fn whole_seconds(seconds: f64) -> u64 {
    seconds.clamp(0.0, 86_400.0).floor() as u64 + 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::Command;

    use seccompiler::{SeccompAction, SeccompFilter, TargetArch};

    use super::*;

    /// Set, to the layer that is missing, in a process that lacks one.
    const LACKS: &str = "DAG_TEST_LACKS";

    /// The same test in a process for which a system call does not exist.
    fn where_a_call_is_absent(call: libc::c_long, layer: &str, test: &str) {
        let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
        let absent = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
        let rules = BTreeMap::from([(call, Vec::new())]);
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, absent, arch).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "--nocapture", test])
            .env(LACKS, layer);
        let confinement = Confinement {
            filters: vec![filter.try_into().unwrap()],
            ..Confinement::default()
        };
        confinement.apply(&mut command);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("1 passed"), "{output:?}");
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn without_landlock_or_filters_nothing_runs_unless_the_caller_says_so() {
        let Ok(layer) = std::env::var(LACKS) else {
            let here = Layers::probe();
            if !here.isolates() || here.interpreter(Language::Python).is_err() {
                return eprintln!("skipped: no isolation or no python here");
            }
            let test = "code::layers::tests::without_landlock_or_filters_nothing_runs_unless_the_caller_says_so";
            where_a_call_is_absent(libc::SYS_landlock_create_ruleset, "landlock", test);
            where_a_call_is_absent(libc::SYS_seccomp, "seccomp", test);
            return;
        };
        let tests =
            r#"{"kind":"stdio","language":"python","cases":[{"stdin":"","stdout":"done"}]}"#;
        let tests = crate::code::Tests::parse(tests).unwrap();
        let run =
            |unsafe_ok| crate::code::run(&tests, "print('done')", &Limits::default(), unsafe_ok);
        let refused = run(false).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("programs cannot be isolated here: no {layer}")
        );
        assert!(refused.hint().is_some());
        let judged = run(true).unwrap();
        assert!(judged.verdict.is_pass(), "{judged:?}");
        assert!(judged.missing_layers.contains(&layer.as_str()));
    }

    #[test]
    fn what_is_missing_is_named_with_its_remedy() {
        let bare = Layers {
            landlock: None,
            user_ns: false,
            seccomp: true,
            ..Layers::probe()
        };
        assert!(!bare.isolates());
        let SandboxError::NotIsolated { missing, hint } = bare.refusal(Language::Python) else {
            panic!("another error");
        };
        assert_eq!(missing, "no landlock");
        assert!(hint.contains("Linux 5.13"));
        let namespaces = Layers {
            landlock: Some(4),
            pid_ns: true,
            ..bare
        };
        assert!(namespaces.isolates_language(Language::Python));
        assert!(!namespaces.isolates_language(Language::Sh));
        let line = namespaces
            .report()
            .into_iter()
            .find(|line| line.name == "user namespace")
            .unwrap();
        assert!(line.remedy.unwrap().contains("max_user_namespaces"));
    }
}
