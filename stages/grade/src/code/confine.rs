//! The steps a child takes between fork and exec, and nothing else: the one file with unsafe code.
//!
//! Everything is allocated before the fork. [`Confinement::enter`] runs in a copy of a process whose other
//! threads do not exist, so it makes system calls only: no allocation, no lock.

#![expect(
    unsafe_code,
    reason = "what happens between fork and exec has no safe interface"
)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use seccompiler::BpfProgram;

/// What a child gives up before it becomes the program. The default gives up nothing.
#[derive(Debug, Default)]
pub(super) struct Confinement {
    /// The user to become first, where we are root.
    pub(super) drop_to: Option<u32>,
    /// `CLONE_NEW…` flags; zero unshares nothing.
    pub(super) namespaces: libc::c_int,
    /// The texts of `uid_map` and `gid_map`.
    pub(super) maps: [Vec<u8>; 2],
    /// A folder that becomes an empty file system in memory, and its mount options. Needs a mount namespace.
    pub(super) tmpfs: Option<(CString, CString)>,
    /// Where the program starts.
    pub(super) folder: Option<CString>,
    /// A complete Landlock rule set.
    pub(super) landlock: Option<OwnedFd>,
    /// Installed in this order.
    pub(super) filters: Vec<BpfProgram>,
    /// Resource and limit.
    pub(super) limits: Vec<(Resource, libc::rlim_t)>,
    /// Descriptors that the program keeps besides the standard three.
    pub(super) keep: Vec<OwnedFd>,
}

#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;

impl Confinement {
    /// Makes the command take these steps.
    pub(super) fn apply(self, command: &mut Command) {
        // SAFETY: `enter` makes only async-signal-safe system calls on memory that was allocated before.
        unsafe {
            command.pre_exec(move || self.enter());
        }
    }

    fn enter(&self) -> io::Result<()> {
        // SAFETY: each call gets plain numbers, or pointers into memory that `self` owns and that outlives it.
        unsafe {
            check(libc::setsid())?;
            // Whatever the parent forgot to mark is closed at exec.
            check_long(libc::syscall(
                libc::SYS_close_range,
                3,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            ))?;
            for kept in &self.keep {
                check(libc::fcntl(kept.as_raw_fd(), libc::F_SETFD, 0))?;
            }
            if let Some(user) = self.drop_to {
                check(libc::setgroups(0, std::ptr::null()))?;
                check(libc::setresgid(user, user, user))?;
                check(libc::setresuid(user, user, user))?;
                // Otherwise our own /proc/self/uid_map would belong to root.
                check(libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0))?;
            }
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))?;
            if self.namespaces != 0 {
                check(libc::unshare(self.namespaces))?;
                if self.namespaces & libc::CLONE_NEWUSER != 0 {
                    // Without `setgroups` the kernel lets an ordinary user map one group.
                    write_file(c"/proc/self/setgroups", b"deny")?;
                    write_file(c"/proc/self/uid_map", &self.maps[0])?;
                    write_file(c"/proc/self/gid_map", &self.maps[1])?;
                }
                if self.namespaces & libc::CLONE_NEWNS != 0 {
                    let private = libc::MS_REC | libc::MS_PRIVATE;
                    check(libc::mount(
                        std::ptr::null(),
                        c"/".as_ptr(),
                        std::ptr::null(),
                        private,
                        std::ptr::null(),
                    ))?;
                }
            }
            if let Some((target, options)) = &self.tmpfs {
                let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
                let kind = c"tmpfs".as_ptr();
                check(libc::mount(
                    kind,
                    target.as_ptr(),
                    kind,
                    flags,
                    options.as_ptr().cast(),
                ))?;
            }
            if let Some(folder) = &self.folder {
                check(libc::chdir(folder.as_ptr()))?;
            }
            if self.namespaces & libc::CLONE_NEWPID != 0 {
                match libc::fork() {
                    -1 => return Err(io::Error::last_os_error()),
                    0 => check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))
                        .map(drop)?,
                    first => wait_and_follow(first),
                }
            }
            for &(resource, value) in &self.limits {
                let limit = libc::rlimit {
                    rlim_cur: value,
                    rlim_max: value,
                };
                check(libc::setrlimit(resource, &raw const limit))?;
            }
            if self.landlock.is_some() || !self.filters.is_empty() {
                check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
            }
            if self.namespaces & libc::CLONE_NEWUSER != 0 {
                // Root of its own namespace must not come out of exec with capabilities. EINVAL: past the last.
                let mut capability = 0;
                while libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) == 0 {
                    capability += 1;
                }
            }
            if let Some(rules) = &self.landlock {
                check_long(libc::syscall(
                    libc::SYS_landlock_restrict_self,
                    rules.as_raw_fd(),
                    0,
                ))?;
            }
        }
        for filter in &self.filters {
            seccompiler::apply_filter(filter)
                .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
        }
        Ok(())
    }
}

/// What is left of the process that made the PID namespace: it ends as the first process in there ends.
///
/// # Safety
/// Only after fork, for a child that exists.
unsafe fn wait_and_follow(first: libc::pid_t) -> ! {
    // SAFETY: closing what this process owns; nothing runs in it but these lines.
    unsafe {
        libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0);
        let mut status = 0;
        while libc::waitpid(first, &raw mut status, 0) == -1
            && *libc::__errno_location() == libc::EINTR
        {}
        if libc::WIFSIGNALED(status) {
            let none = libc::rlimit {
                rlim_cur: 0,
                rlim_max: 0,
            };
            libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
            libc::signal(libc::WTERMSIG(status), libc::SIG_DFL);
            libc::kill(libc::getpid(), libc::WTERMSIG(status));
        }
        libc::_exit(libc::WEXITSTATUS(status))
    }
}

/// # Safety
/// Between fork and exec any file may be written; elsewhere this would be an ordinary write.
unsafe fn write_file(path: &std::ffi::CStr, text: &[u8]) -> io::Result<()> {
    // SAFETY: the path ends in a zero, the text is `text.len()` bytes long, the descriptor is ours.
    unsafe {
        let file = check(libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC))?;
        let written = libc::write(file, text.as_ptr().cast(), text.len());
        let result = if written < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        };
        libc::close(file);
        result
    }
}

fn check(result: libc::c_int) -> io::Result<RawFd> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn check_long(result: libc::c_long) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// The version of Landlock the kernel offers.
pub(super) fn landlock_version() -> Option<i32> {
    // SAFETY: with no attributes and flag 1 the call only returns the version.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0usize,
            1u32,
        )
    };
    i32::try_from(version).ok().filter(|version| *version > 0)
}

/// Kills the session that a confined child leads.
pub(super) fn kill_session(pid: u32) {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return;
    };
    // SAFETY: sends a signal; the child was not reaped, so its number is still its own.
    unsafe {
        libc::kill(-pid, libc::SIGKILL);
        libc::kill(pid, libc::SIGKILL);
    }
}

/// Waits for a child that is not reaped yet: its wait status, and the processor time it and its own took.
pub(super) fn reap(pid: u32) -> io::Result<(i32, Duration)> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ECHILD))?;
    loop {
        let mut status = 0;
        // SAFETY: all-zero is a valid rusage.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to locals that outlive the call.
        if unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } >= 0 {
            let time = |t: libc::timeval| {
                Duration::from_secs(u64::try_from(t.tv_sec).unwrap_or(0))
                    + Duration::from_micros(u64::try_from(t.tv_usec).unwrap_or(0))
            };
            return Ok((status, time(usage.ru_utime) + time(usage.ru_stime)));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
