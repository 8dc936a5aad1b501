//! What of the machine's files a program sees: as Landlock rules, and as a root of its own.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, Scope, path_beneath_rules,
};

use super::confine::{BOX, Entry, NewRoot, WORK};

/// What a program may read and execute, beside its interpreter.
pub(super) const SYSTEM: &[&str] = &[
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/etc/ld.so.cache",
    "/etc/alternatives",
];
/// What every user of a shell expects.
const DEVICES: &[&str] = &["/dev/zero", "/dev/urandom", "/dev/random"];
/// The one device that can be written.
const SINK: &str = "/dev/null";

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
pub(super) fn rules(
    version: u32,
    readable: &[PathBuf],
    writable: Option<&Path>,
) -> Result<OwnedFd, RulesError> {
    let abi = ABI::from(i32::try_from(version).unwrap_or(i32::MAX));
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
        .add_rules(path_beneath_rules(readable, AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(
            DEVICES,
            BitFlags::from(AccessFs::ReadFile),
        ))?
        .add_rules(path_beneath_rules(
            [SINK],
            AccessFs::ReadFile | AccessFs::WriteFile,
        ))?;
    if let Some(folder) = writable {
        let write: BitFlags<AccessFs> = AccessFs::from_all(abi) & !AccessFs::Execute;
        rules = rules.add_rule(PathBeneath::new(PathFd::new(folder)?, write))?;
    }
    Option::<OwnedFd>::from(rules).ok_or(RulesError::Absent)
}

/// A root with the system's programs and libraries, these folders, some devices, and a scratch folder of so
/// many bytes. None where a path cannot be said to the kernel.
pub(super) fn new_root(folders: &[PathBuf], scratch_bytes: u64) -> Option<NewRoot> {
    let inside = |path: &Path| {
        CString::new([b"/proc".as_slice(), path.as_os_str().as_bytes()].concat()).ok()
    };
    let outside = |path: &Path| CString::new(path.as_os_str().as_bytes()).ok();
    let mut entries = Vec::new();
    let mut made: Vec<PathBuf> = Vec::new();
    let paths = SYSTEM.iter().chain(DEVICES).chain([&SINK]).map(Path::new);
    for path in paths.chain(folders.iter().map(PathBuf::as_path)) {
        let Ok(metadata) = fs_err::symlink_metadata(path) else {
            continue;
        };
        if made.iter().any(|there| there == path) {
            continue;
        }
        let above: Vec<&Path> = path.ancestors().skip(1).collect();
        for parent in above.into_iter().rev().filter(|p| p.parent().is_some()) {
            if !made.iter().any(|there| there == parent) {
                made.push(parent.to_owned());
                entries.push(Entry::Folder(inside(parent)?));
            }
        }
        made.push(path.to_owned());
        entries.push(if metadata.is_symlink() {
            Entry::Link(outside(&fs_err::read_link(path).ok()?)?, inside(path)?)
        } else {
            Entry::Bound {
                from: outside(path)?,
                to: inside(path)?,
                file: !metadata.is_dir(),
            }
        });
    }
    for folder in [BOX, WORK] {
        entries.push(Entry::Folder(inside(Path::new(folder))?));
    }
    Some(NewRoot {
        entries,
        work_options: scratch_options(scratch_bytes)?,
    })
}

/// Mount options of a scratch folder.
pub(super) fn scratch_options(bytes: u64) -> Option<CString> {
    CString::new(format!("size={bytes},nr_inodes=4096,mode=700")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_what_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        fs_err::create_dir_all(&deep).unwrap();
        let root = new_root(&[deep.clone(), deep.clone()], 1 << 20).unwrap();
        let mut seen = vec!["/proc".to_owned()];
        for entry in &root.entries {
            let path = match entry {
                Entry::Folder(path) | Entry::Link(_, path) => path,
                Entry::Bound { to, .. } => to,
            };
            let path = path.to_str().unwrap().to_owned();
            let (parent, _) = path.rsplit_once('/').unwrap();
            assert!(seen.iter().any(|there| there == parent), "{path}");
            assert!(!seen.contains(&path), "{path} twice");
            seen.push(path);
        }
        assert!(seen.contains(&format!("/proc{}", deep.display())));
    }
}
