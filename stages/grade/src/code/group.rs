//! Control groups: one bound on what all processes of a program hold together, which the limits of single processes
//! cannot give: memory of the kernel's for pipes and tables, files in memory, the sum over many processes.
//!
//! What it promises: a group is gone when what ran in it has ended, and what would outlive it is killed. Whoever made
//! a group holds a lock on it until then. A group without a holder was left by a process that was killed; it is
//! removed by the next that looks for a place.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

/// How our groups are called. Nobody else's are touched.
const NAME: &str = "dag-run-";
/// What bounds a program.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];

/// A place where groups can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Groups {
    base: PathBuf,
}

/// What the processes in a group may hold together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Bytes, of which none are swapped out.
    pub(super) memory: u64,
    /// Processes and threads.
    pub(super) tasks: u64,
}

impl Groups {
    /// The place for this process, cleared of what others left. An error is the reason why there is none.
    pub(super) fn find() -> Result<Self, String> {
        let read = |path: &str| fs_err::read_to_string(path).map_err(|error| error.to_string());
        let (root, above) = mounted(&read("/proc/self/mountinfo")?)
            .ok_or("no control groups of version 2 are mounted")?;
        let own = own_group(&read("/proc/self/cgroup")?)
            .ok_or("this process is in no control group of version 2")?;
        let below = Path::new(&own).strip_prefix(&above);
        let own = root.join(below.map_err(|_| "this process's control group is not mounted")?);
        Self::near(&root, &own)
    }

    /// A group that holds processes cannot bound groups below it, unless it is the root of all. So the place is
    /// beside our own group, or in it where it is the root.
    fn near(root: &Path, own: &Path) -> Result<Self, String> {
        let base = match own.parent() {
            Some(parent) if own != root => parent,
            _ => own,
        };
        let list = |name: &str| -> Result<Vec<String>, String> {
            let text = fs_err::read_to_string(base.join(name)).map_err(|e| e.to_string())?;
            Ok(text.split_whitespace().map(str::to_owned).collect())
        };
        let lacks = |there: &[String]| {
            CONTROLLERS
                .iter()
                .find(|controller| !there.iter().any(|there| there == *controller))
        };
        if let Some(controller) = lacks(&list("cgroup.controllers")?) {
            return Err(format!(
                "the control groups in {} have no `{controller}` controller",
                base.display()
            ));
        }
        if lacks(&list("cgroup.subtree_control")?).is_some() {
            put(&base.join("cgroup.subtree_control"), "+memory +pids")
                .map_err(|e| e.to_string())?;
        }
        let groups = Self {
            base: base.to_owned(),
        };
        groups.clear().map_err(|error| error.to_string())?;
        Ok(groups)
    }

    /// Removes groups whose makers are gone.
    fn clear(&self) -> io::Result<()> {
        for entry in fs_err::read_dir(&self.base)? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with(NAME) {
                continue;
            }
            // Whoever cannot be opened was removed just now.
            let Ok(folder) = fs_err::File::open(entry.path()) else {
                continue;
            };
            if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
                remove(&entry.path());
            }
        }
        Ok(())
    }

    /// A new group with nothing in it.
    pub(super) fn make(&self, bounds: Bounds) -> io::Result<Group> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{NAME}{}-{number}", std::process::id());
            let path = self.base.join(name);
            match fs_err::create_dir(&path) {
                Ok(()) => {}
                // Somebody of another process namespace has our number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            let lock = fs_err::File::open(&path)?;
            // Between these steps it may have been taken for one that was left.
            let locked = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
            let same = fs_err::metadata(&path)
                .and_then(|there| Ok(there.ino() == lock.metadata()?.ino()))
                .unwrap_or(false);
            if !locked || !same {
                continue;
            }
            let procs = match fs_err::OpenOptions::new()
                .write(true)
                .open(path.join("cgroup.procs"))
            {
                Ok(procs) => procs.into_file().into(),
                Err(error) => {
                    remove(&path);
                    return Err(error);
                }
            };
            let group = Group {
                path,
                procs,
                _lock: lock,
            };
            group.bound(bounds)?;
            return Ok(group);
        }
    }
}

/// A group of ours. With it ends what is in it.
#[derive(Debug)]
pub(super) struct Group {
    path: PathBuf,
    procs: OwnedFd,
    _lock: fs_err::File,
}

impl Group {
    /// A process that writes `0` here is in the group from then on.
    pub(super) fn entrance(&self) -> RawFd {
        self.procs.as_raw_fd()
    }

    /// Sets what it may hold.
    pub(super) fn bound(&self, bounds: Bounds) -> io::Result<()> {
        put(&self.path.join("memory.max"), &bounds.memory.to_string())?;
        put(&self.path.join("pids.max"), &bounds.tasks.to_string())?;
        // A kernel that does not swap has no such file.
        match put(&self.path.join("memory.swap.max"), "0") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// How many of its processes were killed because it held too much memory.
    pub(super) fn killed_for_memory(&self) -> u64 {
        let events = fs_err::read_to_string(self.path.join("memory.events"));
        let count = |text: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
            line.and_then(|count| count.trim().parse().ok())
        };
        events.ok().as_deref().and_then(count).unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Kills what is in a group and removes it, as soon as what was killed is gone. What cannot be removed within a
/// second is left for the next who looks.
fn remove(path: &Path) {
    // Before Linux 5.14 there is no such file; then what is left was killed by other means or is waited for.
    drop(put(&path.join("cgroup.kill"), "1"));
    for wait in 0..50 {
        if fs_err::remove_dir(path).is_ok() || !path.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(wait));
    }
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    fs_err::OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(text.as_bytes())
}

/// Where the second version of control groups is mounted, and which group is there.
fn mounted(mountinfo: &str) -> Option<(PathBuf, String)> {
    mountinfo.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut fields = place.split(' ').skip(3);
        let (group, folder) = (fields.next()?, fields.next()?);
        kind.starts_with("cgroup2 ")
            .then(|| (PathBuf::from(folder), group.to_owned()))
    })
}

/// The group that a process says it is in.
fn own_group(cgroup: &str) -> Option<String> {
    let own = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(own.to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::confine::Confinement;
    use super::*;

    #[test]
    fn the_second_version_is_found_among_mounts_and_groups() {
        let mounts = "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      31 24 0:27 /a/b /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        let there = (PathBuf::from("/sys/fs/cgroup"), "/a/b".to_owned());
        assert_eq!(mounted(mounts), Some(there));
        assert_eq!(mounted("30 24 0:26 / / rw - ext4 /dev/vda rw"), None);
        let own = own_group("9:memory:/x\n0::/user.slice/run.scope\n");
        assert_eq!(own.as_deref(), Some("/user.slice/run.scope"));
        assert_eq!(own_group("9:memory:/x\n"), None);
    }

    /// Groups in an ordinary folder, which has the same files but does not act on them.
    fn folder(controllers: &str, active: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("cgroup.controllers", controllers),
            ("cgroup.subtree_control", active),
        ] {
            fs_err::write(folder.path().join(name), text).unwrap();
        }
        fs_err::create_dir(folder.path().join("own")).unwrap();
        folder
    }

    #[test]
    fn the_place_is_beside_our_own_group_and_must_have_what_bounds() {
        let check = |controllers, active, base: Result<&str, &str>| {
            let folder = folder(controllers, active);
            let found = Groups::near(folder.path(), &folder.path().join("own"));
            match (found, base) {
                (Ok(groups), Ok(base)) => assert_eq!(groups.base, folder.path().join(base)),
                (Err(found), Err(reason)) => assert!(found.contains(reason), "{found}"),
                (found, _) => panic!("{found:?}"),
            }
            fs_err::read_to_string(folder.path().join("cgroup.subtree_control")).unwrap()
        };
        check("cpu memory pids", "memory pids", Ok(""));
        assert_eq!(check("memory pids", "", Ok("")), "+memory +pids");
        check("hugetlb pids", "", Err("no `memory` controller"));
        check("", "", Err("no `memory` controller"));
        let root = folder("memory pids", "memory pids");
        let groups = Groups::near(root.path(), root.path()).unwrap();
        assert_eq!(groups.base, root.path());
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn what_is_in_a_group_is_bounded_together_and_ends_with_it() {
        let groups = match Groups::find() {
            Ok(groups) => groups,
            Err(reason) => return eprintln!("skipped: {reason}"),
        };
        let bounds = Bounds {
            memory: 24 << 20,
            tasks: 4,
        };
        let group = groups.make(bounds).unwrap();
        let start = |script: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]);
            let confinement = Confinement {
                group: Some(group.entrance()),
                ..Confinement::default()
            };
            confinement.apply(&mut command);
            command
        };
        // Without an end of line, `tail` keeps all of it.
        let big = start("head -c 100000000 /dev/zero | tail -n 1 | wc -c").output();
        assert_ne!(big.unwrap().stdout.trim_ascii(), b"100000000");
        assert!(group.killed_for_memory() > 0);
        let many = "for i in 1 2 3 4 5 6; do sleep 5 & done; wait";
        let many = start(many).output().unwrap();
        assert!(String::from_utf8_lossy(&many.stderr).contains("fork"));
        let mut stays = start("sleep 1000").spawn().unwrap();
        let path = group.path.clone();
        drop(group);
        assert!(!stays.wait().unwrap().success() && !path.exists());
    }

    #[test]
    fn only_groups_of_ours_that_nobody_holds_are_removed() {
        let folder = folder("memory pids", "memory pids");
        let at = |name: &str| folder.path().join(name);
        for name in ["dag-run-1-0", "dag-run-2-0", "other"] {
            fs_err::create_dir(at(name)).unwrap();
        }
        let held = fs_err::File::open(at("dag-run-2-0")).unwrap();
        flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
        Groups::near(folder.path(), &at("own")).unwrap();
        let left = ["dag-run-1-0", "dag-run-2-0", "other"].map(|name| at(name).exists());
        assert_eq!(left, [false, true, true]);
    }
}
