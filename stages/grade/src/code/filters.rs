//! The filters of system calls that programs run behind.
//!
//! Several lie one behind the other, and the strictest answer counts: the first ends whoever makes a deadly call;
//! some answer as programs expect it, that a call is absent or that there are no more processes; the last allows
//! what is on the list and nothing else. It comes last because it also forbids further filters.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::calls::{ALLOWED, ALLOWED_HERE, AS_IF_ABSENT, DEADLY, IOCTL, NEWEST, PRCTL};

/// For each call the rules of which one must fit; without rules every call of it does.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The filters, in the order to install them. `alone`: the program starts no process. None on machines whose calls
/// we do not know.
pub(super) fn filters(alone: bool) -> Option<Vec<BpfProgram>> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).ok()?;
    let compile = |rules, fits: SeccompAction, otherwise: SeccompAction| -> Option<BpfProgram> {
        let filter = SeccompFilter::new(rules, otherwise, fits, arch).ok()?;
        filter.try_into().ok()
    };
    let refuse = |errno: i32| SeccompAction::Errno(errno.cast_unsigned());
    let refused = |rules, errno: i32| compile(rules, refuse(errno), SeccompAction::Allow);

    let mut all = vec![
        compile(deadly()?, SeccompAction::KillProcess, SeccompAction::Allow)?,
        refused(every(AS_IF_ABSENT), libc::ENOSYS)?,
        refused(
            BTreeMap::from([(libc::SYS_ioctl, vec![other_ioctls()?])]),
            libc::ENOTTY,
        )?,
    ];
    if alone {
        // What a process count at its limit says, so that a program is told the same by either.
        all.push(refused(processes()?, libc::EAGAIN)?);
    }
    let mut list = compile(allowed()?, SeccompAction::Allow, refuse(libc::EPERM))?;
    list.splice(0..0, absent_from(NEWEST + 1));
    all.push(list);
    Some(all)
}

fn every(calls: &[libc::c_long]) -> Rules {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

fn when(conditions: Vec<(u8, SeccompCmpArgLen, SeccompCmpOp, u64)>) -> Option<SeccompRule> {
    let conditions: Result<Vec<_>, _> = conditions
        .into_iter()
        .map(|(argument, length, operator, value)| {
            SeccompCondition::new(argument, length, operator, value)
        })
        .collect();
    SeccompRule::new(conditions.ok()?).ok()
}

/// As much of an argument as the kernel looks at, where that is 32 bits.
fn is(argument: u8, value: u32) -> Option<SeccompRule> {
    when(vec![(
        argument,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        u64::from(value),
    )])
}

fn allowed() -> Option<Rules> {
    let mut rules = every(ALLOWED);
    rules.extend(every(ALLOWED_HERE));
    // Of two filters that refuse a call, the later one's error is seen.
    rules.extend(every(AS_IF_ABSENT));
    let local = libc::AF_UNIX.cast_unsigned();
    rules.insert(libc::SYS_socket, vec![is(0, local)?]);
    rules.insert(libc::SYS_socketpair, vec![is(0, local)?]);
    // Its own limits, not those of another process.
    rules.insert(libc::SYS_prlimit64, vec![is(0, 0)?]);
    let prctl: Option<Vec<_>> = PRCTL
        .iter()
        .map(|option| is(0, option.cast_unsigned()))
        .collect();
    rules.insert(libc::SYS_prctl, prctl?);
    Some(rules)
}

fn deadly() -> Option<Rules> {
    let mut rules = every(DEADLY);
    let spaces = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ]
    .map(|flag| {
        let flag = u64::from(flag.cast_unsigned());
        when(vec![(
            0,
            SeccompCmpArgLen::Qword,
            SeccompCmpOp::MaskedEq(flag),
            flag,
        )])
    });
    rules.insert(
        libc::SYS_clone,
        spaces.into_iter().collect::<Option<Vec<_>>>()?,
    );
    Some(rules)
}

/// What makes a process and not a thread.
fn processes() -> Option<Rules> {
    let thread = u64::from(libc::CLONE_THREAD.cast_unsigned());
    let no_thread = when(vec![(
        0,
        SeccompCmpArgLen::Qword,
        SeccompCmpOp::MaskedEq(thread),
        0,
    )])?;
    #[cfg(target_arch = "x86_64")]
    let mut rules = every(&[libc::SYS_fork, libc::SYS_vfork]);
    #[cfg(not(target_arch = "x86_64"))]
    let mut rules = Rules::new();
    rules.insert(libc::SYS_clone, vec![no_thread]);
    Some(rules)
}

/// Requests of `ioctl` that are none of those allowed. The kernel looks at 32 bits of a request.
fn other_ioctls() -> Option<SeccompRule> {
    let none_of = IOCTL.iter().map(|request| {
        let request = u64::try_from(*request).ok()?;
        Some((1, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, request))
    });
    when(none_of.collect::<Option<Vec<_>>>()?)
}

/// A filter as the kernel reads it.
pub(super) fn bytes(filter: &BpfProgram) -> Vec<u8> {
    filter
        .iter()
        .flat_map(|step| {
            let [a, b] = step.code.to_ne_bytes();
            let [c, d, e, f] = step.k.to_ne_bytes();
            [a, b, step.jt, step.jf, c, d, e, f]
        })
        .collect()
}

/// Calls from this number on do not exist. On x86-64 this also takes in the other numbering of the same calls, which
/// begins far above.
fn absent_from(number: u32) -> [sock_filter; 3] {
    const LOAD_NUMBER: u16 = 0x20;
    const AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const ERRNO: u32 = 0x0005_0000;
    [
        sock_filter {
            code: LOAD_NUMBER,
            jt: 0,
            jf: 0,
            k: 0,
        },
        sock_filter {
            code: AT_LEAST,
            jt: 0,
            jf: 1,
            k: number,
        },
        sock_filter {
            code: RETURN,
            jt: 0,
            jf: 0,
            k: ERRNO | libc::ENOSYS.cast_unsigned(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_is_both_allowed_and_deadly() {
        for call in DEADLY {
            assert!(
                !ALLOWED.contains(call) && !ALLOWED_HERE.contains(call),
                "{call}"
            );
        }
        let mut all = [ALLOWED, ALLOWED_HERE].concat();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count, "a call is listed twice");
        assert!(all.iter().all(|call| *call <= i64::from(NEWEST)));
    }

    #[test]
    fn filters_fit_into_what_the_kernel_takes() {
        for alone in [false, true] {
            let filters = filters(alone).unwrap();
            assert!(filters.iter().all(|filter| filter.len() <= 4096));
        }
    }
}
