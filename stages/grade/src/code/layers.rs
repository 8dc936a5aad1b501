//! What this machine offers to isolate a program, found by really starting one with each layer.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, Scope, path_beneath_rules,
};

use super::confine::{Confinement, landlock_version};
use super::filters::filters;
use super::{Language, Limits, SandboxError};

/// The user that programs run as where the tool runs as root.
const NOBODY: u32 = 65_534;
/// What a program may read and execute, beside its interpreter.
const SYSTEM: &[&str] = &["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache"];
/// What every user of a shell expects.
const DEVICES: &[&str] = &["/dev/zero", "/dev/urandom", "/dev/random"];

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
    /// Mount namespaces: its folder is in memory and bounded.
    pub mount_ns: bool,
    /// Network namespaces: there is no network to reach.
    pub net_ns: bool,
    /// IPC namespaces: no shared memory or queues of others.
    pub ipc_ns: bool,
    /// Landlock, with its version: no files but those named.
    pub landlock: Option<u32>,
    /// System call filters.
    pub seccomp: bool,
    /// The Python interpreter, its real path.
    pub python: Option<PathBuf>,
    /// The shell.
    pub sh: Option<PathBuf>,
    /// Folders outside the system's that the Python interpreter needs.
    prefixes: Vec<PathBuf>,
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
        let line = |name, active: bool, remedy: &str| LayerReport {
            name,
            active,
            remedy: (!active).then(|| remedy.to_owned()),
        };
        vec![
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
            line(
                "python",
                self.python.is_some(),
                "install python3, or put it into PATH",
            ),
            line("sh", self.sh.is_some(), "install a POSIX shell as /bin/sh"),
        ]
    }

    /// Whether programs have no network and no files of the user: the least that running them asks for.
    pub fn isolates(&self) -> bool {
        self.landlock.is_some() && self.seccomp
    }

    /// The layers without which programs of a language are not run.
    fn needed(language: Language) -> &'static [&'static str] {
        match language {
            Language::Python => &["landlock", "seccomp"],
            // Its commands are processes, which only namespaces count and end.
            Language::Sh => &["landlock", "seccomp", "user namespace", "pid namespace"],
        }
    }

    /// Whether everything is there that programs of this language need.
    pub(super) fn isolates_language(&self, language: Language) -> bool {
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

    /// The interpreter of a language.
    pub(super) fn interpreter(&self, language: Language) -> Result<&Path, SandboxError> {
        match language {
            Language::Python => self.python.as_deref(),
            Language::Sh => self.sh.as_deref(),
        }
        .ok_or(SandboxError::NoInterpreter(language))
    }

    fn probe() -> Self {
        let none = Self {
            user_ns: false,
            pid_ns: false,
            mount_ns: false,
            net_ns: false,
            ipc_ns: false,
            landlock: None,
            seccomp: false,
            python: None,
            sh: None,
            prefixes: Vec::new(),
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
            let read =
                || -> Result<OwnedFd, RulesError> { rules(*version, &[PathBuf::from("/")], None) };
            read().is_ok_and(|rules| {
                starts(Confinement {
                    landlock: Some(rules),
                    ..Confinement::default()
                })
            })
        });
        let seccomp = filters(false).is_some_and(|filters| {
            starts(Confinement {
                filters,
                ..Confinement::default()
            })
        });
        let (python, prefixes) = python().map_or((None, Vec::new()), |(path, prefixes)| {
            (Some(path), prefixes)
        });
        Self {
            user_ns,
            pid_ns: user_ns && works(libc::CLONE_NEWPID),
            mount_ns: user_ns && works(libc::CLONE_NEWNS),
            net_ns: user_ns && works(libc::CLONE_NEWNET),
            ipc_ns: user_ns && works(libc::CLONE_NEWIPC | libc::CLONE_NEWUTS),
            landlock: landlock.and_then(|version| u32::try_from(version).ok()),
            seccomp,
            python,
            sh: ["/usr/bin/dash", "/bin/sh", "/usr/bin/sh"]
                .iter()
                .find_map(|path| fs_err::canonicalize(path).ok()),
            prefixes,
            drops,
        }
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

    /// The user and group that a program's folder should belong to, where it is not ours.
    pub(super) fn owner(&self) -> Option<u32> {
        self.drops.then_some(NOBODY)
    }

    /// Everything this machine offers, for one process. `box_folder` holds `work`, where it may write and
    /// starts; it may read `read`.
    pub(super) fn confine(
        &self,
        language: Language,
        limits: &Limits,
        box_folder: &Path,
        read: &Path,
    ) -> Result<Confinement, SandboxError> {
        let setup = |step, source| SandboxError::Setup { step, source };
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
        let work = CString::new(box_folder.join("work").as_os_str().as_bytes())
            .map_err(|error| setup("naming the folder", error.into()))?;
        let options = CString::new(format!(
            "size={},nr_inodes=4096,mode=700",
            limits.output_bytes.max(1 << 20) * 4
        ))
        .map_err(|error| setup("naming the folder", error.into()))?;
        let landlock = match self.landlock {
            Some(version) => {
                let mut readable: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
                readable.push(read.to_owned());
                if language == Language::Python {
                    readable.extend(self.prefixes.iter().cloned());
                }
                let version = i32::try_from(version).unwrap_or(i32::MAX);
                Some(
                    rules(version, &readable, Some(box_folder))
                        .map_err(|e| setup("writing the file rules", io::Error::other(e)))?,
                )
            }
            None => None,
        };
        let alone = language == Language::Python;
        let filters = if self.seccomp {
            filters(alone).unwrap_or_default()
        } else {
            Vec::new()
        };
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
        if self.user_ns && !alone {
            // Counts the processes of this namespace only. The first one there is ours.
            bounds.push((libc::RLIMIT_NPROC, u64::from(limits.processes.max(1)) + 1));
        }
        Ok(Confinement {
            tmpfs: self.mount_ns.then(|| (work.clone(), options)),
            folder: Some(work),
            landlock,
            filters,
            limits: bounds,
            ..self.spaces(flags)
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a range that fits"
)]
/// Where the kernel stops a program: a second after its limit, see `Bench::trouble`.
fn whole_seconds(seconds: f64) -> u64 {
    seconds.clamp(0.0, 86_400.0).ceil() as u64 + 1
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

#[derive(Debug, thiserror::Error)]
pub(super) enum RulesError {
    #[error(transparent)]
    Ruleset(#[from] landlock::RulesetError),
    #[error(transparent)]
    Path(#[from] landlock::PathFdError),
    #[error("the kernel made no rule set")]
    Absent,
}

/// A rule set of everything that this version of Landlock can forbid: what the kernel cannot is an error,
/// never a silent gap.
fn rules(
    version: i32,
    readable: &[PathBuf],
    writable: Option<&Path>,
) -> Result<OwnedFd, RulesError> {
    let abi = ABI::from(version);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))?;
    if !AccessNet::from_all(abi).is_empty() {
        rules = rules.handle_access(AccessNet::from_all(abi))?;
    }
    if !Scope::from_all(abi).is_empty() {
        rules = rules.scope(Scope::from_all(abi))?;
    }
    let mut rules = rules
        .create()?
        .add_rules(path_beneath_rules(readable, AccessFs::from_read(abi)))?;
    if let Some(folder) = writable {
        let write: BitFlags<AccessFs> = AccessFs::from_all(abi) & !AccessFs::Execute;
        rules = rules
            .add_rule(PathBeneath::new(PathFd::new(folder)?, write))?
            .add_rules(path_beneath_rules(
                DEVICES,
                BitFlags::from(AccessFs::ReadFile),
            ))?
            .add_rules(path_beneath_rules(
                ["/dev/null"],
                AccessFs::ReadFile | AccessFs::WriteFile,
            ))?;
    }
    Option::<OwnedFd>::from(rules).ok_or(RulesError::Absent)
}

/// The interpreter's real path and the folders it needs. A version manager's shim costs more than a program
/// does, so it is asked once.
fn python() -> Option<(PathBuf, Vec<PathBuf>)> {
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("python3"));
    let candidates = std::iter::once(PathBuf::from("/usr/bin/python3")).chain(on_path);
    candidates.filter(|path| path.is_file()).find_map(|path| {
        let asked = Command::new(&path)
            .args(["-I", "-S", "-c", "import sys; print(sys.executable); print(sys.base_prefix); print(sys.base_exec_prefix)"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        let text = String::from_utf8(asked.stdout).ok()?;
        let mut lines = text.lines().map(PathBuf::from);
        let executable = fs_err::canonicalize(lines.next()?).ok()?;
        let prefixes = lines.filter(|prefix| prefix.is_absolute() && !prefix.starts_with("/usr") && prefix.parent().is_some());
        Some((executable, prefixes.collect()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
