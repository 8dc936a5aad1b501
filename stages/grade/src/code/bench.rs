//! One program, ready to be run: how a process of it is started, and why it did not end well.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create, seek};

use super::group::Group;
use super::process::{Finished, Watch, watch, watch_warm};
use super::roles::{ENVIRONMENT, Role};
use super::worker::Worker;
use super::{Detail, Language, Layers, Limits, SandboxError, compare};

pub(super) fn setup(step: &'static str) -> impl Fn(io::Error) -> SandboxError {
    move |source| SandboxError::Setup { step, source }
}

/// The most bytes of a program that is passed as an argument, as the kernel counts them.
pub(super) const LONGEST_ARGUMENT: usize = (128 << 10) - 1;

/// Where a program stands before it runs.
enum Text {
    /// In memory that nobody can change any more. Nothing on disk.
    Memory(OwnedFd),
    /// As an argument.
    Argument(String),
}

/// One program and what it may use.
pub(super) struct Bench<'a> {
    text: Text,
    /// Holds `work`, where there is no mount namespace.
    folder: Option<tempfile::TempDir>,
    language: Language,
    limits: &'a Limits,
    layers: &'a Layers,
    warm: bool,
}

impl<'a> Bench<'a> {
    /// `warm`: use a warm worker where there is one.
    pub(super) fn new(
        program: &str,
        language: Language,
        limits: &'a Limits,
        layers: &'a Layers,
        warm: bool,
    ) -> Result<Self, SandboxError> {
        let text = if language.row().functions {
            Text::Memory(in_memory(program).map_err(setup("keeping the program"))?)
        } else {
            Text::Argument(program.to_owned())
        };
        let folder = if layers.mount_ns {
            None
        } else {
            let folder = tempfile::Builder::new().prefix("dag-run-").tempdir();
            Some(folder.map_err(setup("making a folder"))?)
        };
        Ok(Self {
            text,
            folder,
            language,
            limits,
            layers,
            warm: warm && layers.warm && language.row().functions,
        })
    }

    /// Another text with the same language, limits and layers.
    pub(super) fn beside(&self, text: &str) -> Result<Self, SandboxError> {
        Self::new(text, self.language, self.limits, self.layers, self.warm)
    }

    /// Whether it runs in warm workers.
    pub(super) fn is_warm(&self) -> bool {
        self.warm
    }

    /// The same without a warm worker.
    pub(super) fn cold(&self, program: &str) -> Result<Self, SandboxError> {
        Self::new(program, self.language, self.limits, self.layers, false)
    }

    /// Without a mount namespace each run finds an empty folder on disk.
    fn clean(&self) -> Result<(), SandboxError> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let work = folder.path().join("work");
        if fs_err::symlink_metadata(&work).is_ok() {
            fs_err::remove_dir_all(&work).map_err(setup("emptying the folder"))?;
        }
        fs_err::create_dir(&work).map_err(setup("making a folder"))?;
        if let Some(owner) = self.layers.owner() {
            for path in [folder.path(), &work] {
                std::os::unix::fs::chown(path, Some(owner), Some(owner))
                    .map_err(setup("handing over the folder"))?;
            }
        }
        Ok(())
    }

    /// Runs a process to its end. `keep` are the descriptors it has besides the standard three and its text;
    /// `report` is our end of one of them.
    pub(super) fn run(
        &self,
        role: Role,
        input: &[u8],
        mut keep: Vec<OwnedFd>,
        report: Option<OwnedFd>,
    ) -> Result<Finished, SandboxError> {
        self.clean()?;
        let watched = Watch {
            input,
            report,
            wall: self.limits.wall(),
            most: usize::try_from(self.limits.output_bytes).unwrap_or(usize::MAX),
        };
        let mut command = Command::new(self.layers.interpreter(self.language)?);
        command
            .env_clear()
            .envs(ENVIRONMENT.iter().copied())
            .args(self.language.row().arguments);
        match &self.text {
            Text::Memory(text) => {
                seek(text, rustix::fs::SeekFrom::Start(0))
                    .map_err(|error| setup("keeping the program")(error.into()))?;
                keep.insert(0, text.try_clone().map_err(setup("keeping the program"))?);
                command.args(["-c", role.source()]);
                command.args(keep.iter().map(|fd| fd.as_raw_fd().to_string()));
            }
            Text::Argument(program) => {
                command.arg(program);
            }
        }
        if self.warm {
            let mut worker = Worker::take(self.layers)?;
            let killed = worker.killed_for_memory();
            let begin = |worker: &mut Worker, fds: &[std::os::fd::BorrowedFd<'_>]| {
                worker.begin(self.layers, role, self.limits, fds)
            };
            let mut finished = watch_warm(&mut worker, begin, keep, watched)
                .map_err(setup("running the program in a worker"))?;
            finished.ended.too_much_memory = worker.killed_for_memory() > killed;
            worker.give_back();
            return Ok(finished);
        }
        let folder = self.folder.as_ref().map(tempfile::TempDir::path);
        let group = self.layers.group(self.limits)?;
        let mut confinement = self.layers.confine(self.language, self.limits, folder)?;
        confinement.group = group.as_ref().map(Group::entrance);
        confinement.keep = keep;
        confinement.apply(&mut command);
        let mut finished = watch(command, watched).map_err(setup("starting the program"))?;
        finished.ended.too_much_memory = group.is_some_and(|group| group.killed_for_memory() > 0);
        Ok(finished)
    }

    /// Why a process did not end well. None where it did.
    pub(super) fn trouble(&self, done: &Finished) -> Option<(Detail, String)> {
        if done.flood {
            return Some((
                Detail::OutputLimit,
                format!("wrote more than {} bytes", self.limits.output_bytes),
            ));
        }
        if done.late {
            return Some((
                Detail::Timeout { cpu: false },
                format!("took longer than {} s", self.limits.wall_s),
            ));
        }
        if done.ended.too_much_memory && !done.ended.status.success() {
            let most = self.limits.memory_mb;
            return Some((
                Detail::Memory,
                format!("held more than {most} MiB of memory"),
            ));
        }
        // The kernel kills by its own clock ticks, which may run ahead of the time it reports: it is given up to
        // a second more than the limit, and the limit is held here.
        let cpu = done.ended.cpu.as_secs_f64();
        let killed =
            done.ended.status.signal() == Some(libc::SIGKILL) && cpu > self.limits.cpu_s / 2.0;
        if cpu > self.limits.cpu_s || killed {
            return Some((
                Detail::Timeout { cpu: true },
                format!("took more than {} s of processor time", self.limits.cpu_s),
            ));
        }
        if done.ended.status.success() {
            return None;
        }
        if done.ended.status.signal() == Some(libc::SIGSYS) {
            return Some((
                Detail::RuntimeError,
                "stopped for a forbidden system call".to_owned(),
            ));
        }
        let stderr = String::from_utf8_lossy(&done.stderr);
        let last = stderr.trim_end().lines().last().unwrap_or("").trim();
        let detail = self.language.row().error(last);
        let how = match (done.ended.status.code(), done.ended.status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => "no exit status".to_owned(),
        };
        Some((
            detail,
            if last.is_empty() {
                how
            } else {
                format!("{how}: {}", compare::shown(last))
            },
        ))
    }
}

fn in_memory(text: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = memfd_create(c"program", flags)?;
    let mut file = std::fs::File::from(memory);
    file.write_all(text.as_bytes())?;
    let memory = OwnedFd::from(file);
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&memory, seals)?;
    Ok(memory)
}
