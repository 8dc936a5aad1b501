//! The steps a child takes between fork and exec, and nothing else: the one file with unsafe code.
//!
//! Everything is allocated before the fork. [`Confinement::enter`] runs in a copy of a process whose other
//! threads do not exist, so it makes system calls only: no allocation, no lock.

#![expect(
    unsafe_code,
    reason = "what happens between fork and exec has no safe interface"
)]

use std::ffi::{CStr, CString};
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
    /// The entrance of a control group to go into first.
    pub(super) group: Option<RawFd>,
    /// The texts of `uid_map` and `gid_map`.
    pub(super) maps: [Vec<u8>; 2],
    /// A root of its own. Needs a mount namespace.
    pub(super) root: Option<NewRoot>,
    /// Where the program starts.
    pub(super) folder: Option<CString>,
    /// A complete Landlock rule set, but for the box of a new root.
    pub(super) landlock: Option<OwnedFd>,
    /// Installed in this order.
    pub(super) filters: Vec<BpfProgram>,
    /// Resource and limit.
    pub(super) limits: Vec<(Resource, libc::rlim_t)>,
    /// Descriptors that the program keeps besides the standard three.
    pub(super) keep: Vec<OwnedFd>,
    /// Set for a warm worker, which confines the programs it forks itself.
    pub(super) worker: Option<WorkerParts>,
}

/// What a warm worker keeps that a program does not.
#[derive(Debug)]
pub(super) struct WorkerParts {
    /// One of the kept descriptors: it becomes one of the worker's own PID namespace.
    pub(super) pid_ns: RawFd,
    /// A kept rule set. The worker puts it on its children, not on itself.
    pub(super) landlock: RawFd,
}

/// A file system that holds what a program needs and nothing else. Made on top of `/proc`, which is a folder
/// everywhere; then it becomes the root.
#[derive(Debug)]
pub(super) struct NewRoot {
    /// In order, so that folders come before what they hold.
    pub(super) entries: Vec<Entry>,
    /// Mount options of the work folder.
    pub(super) work_options: CString,
}

/// Something in the new root. Paths of the new root begin with `/proc`.
#[derive(Debug)]
pub(super) enum Entry {
    /// An empty folder.
    Folder(CString),
    /// A symbolic link: its target, then its path.
    Link(CString, CString),
    /// A folder or file of the machine, read-only: its path there, its path here, whether it is a file.
    Bound {
        /// The path outside.
        from: CString,
        /// The path in the new root.
        to: CString,
        /// Otherwise it is a folder.
        file: bool,
    },
}

/// The folder in the new root that the rule set lets a program write below; `work` in it is the scratch folder.
pub(super) const BOX: &str = "/box";
/// Where programs start in the new root.
pub(super) const WORK: &str = "/box/work";

#[cfg(target_env = "gnu")]
pub(super) type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
pub(super) type Resource = libc::c_int;

/// As the kernel's `struct mount_attr`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_ns: u64,
}

/// As the kernel's `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneathRule {
    allowed: u64,
    parent: i32,
}

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
            if let Some(entrance) = self.group
                && libc::write(entrance, c"0".as_ptr().cast(), 1) < 0
            {
                return Err(io::Error::last_os_error());
            }
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
            // A worker outlives the thread that started it; it ends when its socket closes.
            if self.worker.is_none() {
                check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))?;
            }
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
                    mount(c"none", c"/", None, private, None)?;
                }
            }
            if self.namespaces & libc::CLONE_NEWPID != 0 {
                match libc::fork() {
                    -1 => return Err(io::Error::last_os_error()),
                    0 => check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))
                        .map(drop)?,
                    first => wait_and_follow(first),
                }
            }
            if let Some(parts) = &self.worker {
                let open = libc::O_RDONLY | libc::O_CLOEXEC;
                let space = check(libc::open(c"/proc/self/ns/pid".as_ptr(), open))?;
                check(libc::dup2(space, parts.pid_ns))?;
            }
            if let Some(root) = &self.root {
                root.enter()?;
                let rules = self.landlock.as_ref().map(AsRawFd::as_raw_fd);
                if let Some(rules) = rules.or(self.worker.as_ref().map(|parts| parts.landlock)) {
                    allow_box(rules)?;
                }
            }
            if let Some(folder) = &self.folder {
                check(libc::chdir(folder.as_ptr()))?;
            }
            for &(resource, value) in &self.limits {
                let limit = libc::rlimit {
                    rlim_cur: value,
                    rlim_max: value,
                };
                check(libc::setrlimit(resource, &raw const limit))?;
            }
            if self.landlock.is_some() || !self.filters.is_empty() || self.worker.is_some() {
                check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
            }
            if self.worker.is_some() {
                keep_mounting()?;
            } else if self.namespaces & libc::CLONE_NEWUSER != 0 {
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

impl NewRoot {
    /// # Safety
    /// Only between fork and exec, in a mount namespace of its own.
    unsafe fn enter(&self) -> io::Result<()> {
        let still = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        let options = Some(c"size=1m,nr_inodes=1024,mode=755");
        // SAFETY: all paths end in a zero and outlive the calls.
        unsafe {
            mount(c"tmpfs", c"/proc", Some(c"tmpfs"), still, options)?;
            for entry in &self.entries {
                match entry {
                    Entry::Folder(path) => {
                        check(libc::mkdir(path.as_ptr(), 0o755))?;
                    }
                    Entry::Link(target, path) => {
                        check(libc::symlink(target.as_ptr(), path.as_ptr()))?;
                    }
                    Entry::Bound { from, to, file } => {
                        if *file {
                            let open = libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC;
                            libc::close(check(libc::open(to.as_ptr(), open, 0o644))?);
                        } else {
                            check(libc::mkdir(to.as_ptr(), 0o755))?;
                        }
                        mount(from, to, None, libc::MS_BIND | libc::MS_REC, None)?;
                        // A device stays writable: that writes to the device, not to the file system.
                        if !*file {
                            read_only(to, true)?;
                        }
                    }
                }
            }
            let work = Some(self.work_options.as_c_str());
            mount(c"tmpfs", c"/proc/box/work", Some(c"tmpfs"), still, work)?;
            check(libc::chdir(c"/proc".as_ptr()))?;
            let here = c".".as_ptr();
            check_long(libc::syscall(libc::SYS_pivot_root, here, here))?;
            check(libc::umount2(here, libc::MNT_DETACH))?;
            check(libc::chdir(c"/".as_ptr()))?;
            read_only(c"/", false)
        }
    }
}

/// # Safety
/// Only between fork and exec.
unsafe fn mount(
    from: &CStr,
    to: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> io::Result<()> {
    let or_null = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: the texts end in a zero and outlive the call.
    check(unsafe {
        libc::mount(
            from.as_ptr(),
            to.as_ptr(),
            or_null(kind),
            flags,
            or_null(options).cast(),
        )
    })
    .map(drop)
}

/// Whatever else a mount forbids stays forbidden.
///
/// # Safety
/// Only between fork and exec.
unsafe fn read_only(path: &CStr, recursive: bool) -> io::Result<()> {
    const READ_ONLY: u64 = 1;
    const NO_SETUID: u64 = 2;
    let attributes = MountAttributes {
        set: READ_ONLY | NO_SETUID,
        clear: 0,
        propagation: 0,
        user_ns: 0,
    };
    let flags = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path ends in a zero; the structure is of the size that is said.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    })
}

/// Lets a rule set write below the box, which did not exist when the set was made.
///
/// # Safety
/// Only between fork and exec.
unsafe fn allow_box(rules: RawFd) -> io::Result<()> {
    const PATH_BENEATH: libc::c_int = 1;
    /// Everything about files that the first version of Landlock knows, but to execute.
    const FIRST: u64 = (1 << 13) - 1 - 1;
    // SAFETY: the path is a literal; the structure outlives the call.
    unsafe {
        let open = libc::O_PATH | libc::O_CLOEXEC;
        let parent = check(libc::open(c"/box".as_ptr(), open))?;
        let mut allowed = FIRST;
        // REFER and TRUNCATE came later: an older kernel does not handle them, and refuses what it does not handle.
        for later in [13, 14] {
            let more = PathBeneathRule {
                allowed: allowed | 1 << later,
                parent,
            };
            if add_rule(rules, PATH_BENEATH, &more).is_ok() {
                allowed |= 1 << later;
            }
        }
        add_rule(rules, PATH_BENEATH, &PathBeneathRule { allowed, parent })?;
        libc::close(parent);
    }
    Ok(())
}

/// # Safety
/// Only between fork and exec.
unsafe fn add_rule(rules: RawFd, kind: libc::c_int, rule: &PathBeneathRule) -> io::Result<()> {
    // SAFETY: the structure outlives the call.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            rules,
            kind,
            std::ptr::from_ref(rule),
            0,
        )
    })
}

/// Carries the right to mount, in the worker's own namespace, through exec.
///
/// # Safety
/// Only between fork and exec.
unsafe fn keep_mounting() -> io::Result<()> {
    const VERSION: u32 = 0x2008_0522;
    const ADMIN: u32 = 21;
    let header: [u32; 2] = [VERSION, 0];
    // Effective, permitted, inheritable; of the lower 32 capabilities, then of the upper ones.
    let sets: [u32; 6] = [1 << ADMIN, 1 << ADMIN, 1 << ADMIN, 0, 0, 0];
    // SAFETY: header and sets are laid out as the kernel's structures of this version.
    unsafe {
        check_long(libc::syscall(
            libc::SYS_capset,
            header.as_ptr(),
            sets.as_ptr(),
        ))?;
        check(libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE,
            libc::c_ulong::from(ADMIN),
            0,
            0,
        ))
        .map(drop)
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
pub(super) fn landlock_version() -> Option<u32> {
    // SAFETY: with no attributes and flag 1 the call only returns the version.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0usize,
            1u32,
        )
    };
    u32::try_from(version).ok().filter(|version| *version > 0)
}

/// Has something done when this process ends by itself. False where the system has no room for it.
pub(super) fn at_exit(act: extern "C" fn()) -> bool {
    // SAFETY: a function of this program outlives it.
    unsafe { libc::atexit(act) == 0 }
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
