//! Warm workers: Python interpreters that are there already, inside the sandbox, and fork for each program.
//!
//! A worker stands in namespaces and a root of its own and runs no program's code itself. Each fork gets a PID
//! namespace and an empty scratch folder, puts on the file rules, limits and filters, and drops what rights are
//! left; only then does the program begin. A worker runs one program at a time. It ends when its socket closes,
//! so it does not outlive us, however we end.

use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};

use super::filters::bytes;
use super::group::Group;
use super::layers::{Layers, group_bounds, scratch_bytes};
use super::process::Ended;
use super::roles::{Role, WORKER};
use super::rules::scratch_options;
use super::{Language, Limits, SandboxError, confine};

/// Bytes of the scratch folder of a worker that has no program.
pub(super) const IDLE_SCRATCH: u64 = 1 << 20;
/// How long a worker may take for what takes it milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// Workers that wait for a program. More are ended.
const IDLE_AT_MOST: usize = 64;

static IDLE: Mutex<Vec<Worker>> = Mutex::new(Vec::new());

/// One warm interpreter.
#[derive(Debug)]
pub(super) struct Worker {
    process: Child,
    control: UnixStream,
    /// Its own control group, in which the programs it forks are too. Dropped when the process is gone.
    group: Option<Group>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        confine::kill_session(self.process.id());
        // The process was killed just now, so this does not wait long; how it ended is of no interest.
        drop(self.process.wait());
    }
}

/// Ends the workers that wait. Whoever holds the lock at the very end keeps theirs, to be cleared by the next.
extern "C" fn end_idle() {
    if let Ok(mut idle) = IDLE.try_lock() {
        idle.clear();
    }
}

fn setup(source: io::Error) -> SandboxError {
    SandboxError::Setup {
        step: "starting a worker",
        source,
    }
}

impl Worker {
    /// An idle worker, or a new one.
    pub(super) fn take(layers: &Layers) -> Result<Self, SandboxError> {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(worker) => Ok(worker),
            None => Self::start(layers),
        }
    }

    /// Gives a worker back that is waiting for orders again.
    pub(super) fn give_back(self) {
        static AT_EXIT: Once = Once::new();
        // Nothing is dropped at the end of a process; without this, empty groups would stay.
        AT_EXIT.call_once(|| {
            confine::at_exit(end_idle);
        });
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_AT_MOST {
            idle.push(self);
        }
    }

    pub(super) fn start(layers: &Layers) -> Result<Self, SandboxError> {
        let (ours, theirs) = UnixStream::pair().map_err(setup)?;
        // Any descriptor will do: it is replaced by one of the namespace that the worker will stand in.
        let pid_ns: OwnedFd = fs_err::File::open("/dev/null")
            .map_err(setup)?
            .into_file()
            .into();
        let group = layers.group(&Limits::default())?;
        let confinement = layers.confine_worker(theirs.into(), pid_ns, group.as_ref())?;
        let numbers: Vec<String> = confinement
            .keep
            .iter()
            .map(|fd| std::os::fd::AsRawFd::as_raw_fd(fd).to_string())
            .collect();
        let mut command = Command::new(layers.interpreter(Language::Python)?);
        command
            .env_clear()
            .envs(super::roles::ENVIRONMENT.iter().copied())
            .args(Language::Python.row().arguments)
            .args(["-c", WORKER])
            .args(numbers)
            // Pipes, so that what Python finds out about them holds for those of the forks.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        confinement.apply(&mut command);
        let process = command.spawn().map_err(setup)?;
        drop(command);
        let mut worker = Self {
            process,
            control: ours,
            group,
        };
        worker
            .control
            .set_read_timeout(Some(PATIENCE))
            .map_err(setup)?;
        let roles: serde_json::Map<String, Value> = Role::ALL
            .into_iter()
            .map(|role| (role.name().to_owned(), role.source().into()))
            .collect();
        let filters: Vec<String> = layers
            .filters(true)
            .iter()
            .map(|filter| bytes(filter).iter().map(|b| format!("{b:02x}")).collect())
            .collect();
        worker
            .order(
                &json!({ "roles": roles, "filters": filters, "seccomp": libc::SYS_seccomp }),
                &[],
            )
            .map_err(setup)?;
        match worker.line() {
            Ok(line) if line == "ready" => {}
            Ok(line) => return Err(setup(io::Error::other(line))),
            Err(error) => return Err(setup(worker.last_words().unwrap_or(error))),
        }
        // Nothing is written to these any more.
        worker.process.stdin = None;
        worker.process.stdout = None;
        worker.process.stderr = None;
        Ok(worker)
    }

    /// What a worker that ended wrote on standard error.
    fn last_words(&mut self) -> Option<io::Error> {
        confine::kill_session(self.process.id());
        let mut text = String::new();
        let stderr = self.process.stderr.take()?;
        stderr.take(1 << 16).read_to_string(&mut text).ok()?;
        let line = text.trim_end().lines().last()?.to_owned();
        Some(io::Error::other(line))
    }

    fn order(&mut self, order: &Value, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let text = order.to_string();
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // The descriptors travel with this byte.
        sendmsg(
            &self.control,
            &[IoSlice::new(b"r")],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?;
        self.control.write_all(&length.to_be_bytes())?;
        self.control.write_all(text.as_bytes())
    }

    /// Starts a program. `fds` are its standard three and then those that its role asks for.
    pub(super) fn begin(
        &mut self,
        layers: &Layers,
        role: Role,
        limits: &Limits,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let bounds: Vec<(i64, u64)> = layers
            .bounds(Language::Python, limits)
            .into_iter()
            .map(|(resource, value)| (i64::from(resource), value))
            .collect();
        if let Some(group) = &self.group {
            group.bound(group_bounds(limits))?;
        }
        let scratch = scratch_options(scratch_bytes(limits)).ok_or(io::ErrorKind::InvalidInput)?;
        let order = json!({
            "role": role.name(),
            "limits": bounds,
            "scratch": scratch.to_string_lossy(),
        });
        self.order(&order, fds)
    }

    /// Readable when the program has ended.
    pub(super) fn end(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// How many processes of its group were killed for memory, since it began.
    pub(super) fn killed_for_memory(&self) -> u64 {
        self.group.as_ref().map_or(0, Group::killed_for_memory)
    }

    /// Kills the program if it still runs, and says how it ended.
    pub(super) fn finish(&mut self) -> io::Result<Ended> {
        self.control.write_all(b"k")?;
        let line = self.line()?;
        let reply: Value = serde_json::from_str(&line)?;
        if let Some(failed) = reply.get("failed").and_then(Value::as_str) {
            return Err(io::Error::other(failed.to_owned()));
        }
        let number = |name: &str| reply.get(name).and_then(Value::as_f64);
        let status = reply.get("status").and_then(Value::as_i64);
        match (status.and_then(|s| i32::try_from(s).ok()), number("cpu")) {
            (Some(status), Some(cpu)) => Ok(Ended {
                status: ExitStatus::from_raw(status),
                cpu: Duration::try_from_secs_f64(cpu).unwrap_or_default(),
                too_much_memory: false,
            }),
            _ => Err(io::Error::other("the worker's reply is none")),
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut byte = [0u8];
        loop {
            match self.control.read(&mut byte) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) if byte == *b"\n" => break,
                Ok(_) => line.extend_from_slice(&byte),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        String::from_utf8(line).map_err(io::Error::other)
    }
}
