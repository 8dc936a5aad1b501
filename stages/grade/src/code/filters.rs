//! The filters of system calls that programs run behind.
//!
//! Several lie one behind the other, and the strictest answer counts: the first ends whoever makes a deadly call;
//! some look at arguments, or answer as programs expect it, that a call is absent or that there are no more
//! processes; the last allows the calls on the list and nothing else. It comes last because it also forbids further
//! filters, and it is short, since a program pays for it at its start and with each call.

use std::collections::{BTreeMap, BTreeSet};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::calls::{ALLOWED, ALLOWED_HERE, AS_IF_ABSENT, DEADLY, IOCTL, NEWEST, PRCTL};

/// For each call the rules of which one must fit; without rules every call of it does.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// What is around a program, so that the filters need not keep it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Around {
    /// It starts no process.
    pub(super) alone: bool,
    /// Sockets of others are out of its reach. Landlock does not keep those away that have a path.
    pub(super) own_sockets: bool,
    /// So are processes of others: signals go to its own only.
    pub(super) own_processes: bool,
}

/// The filters, in the order to install them. None on machines whose calls we do not know.
pub(super) fn filters(around: Around) -> Option<Vec<BpfProgram>> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).ok()?;
    let compile = |rules, fits: SeccompAction| -> Option<BpfProgram> {
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, fits, arch).ok()?;
        filter.try_into().ok()
    };
    let refused = |rules, errno: i32| compile(rules, SeccompAction::Errno(errno.cast_unsigned()));
    let ioctl = Rules::from([(libc::SYS_ioctl, vec![none_of(1, IOCTL)?])]);
    let mut all = vec![
        compile(deadly()?, SeccompAction::KillProcess)?,
        refused(misdirected(around)?, libc::EPERM)?,
        refused(every(AS_IF_ABSENT), libc::ENOSYS)?,
        refused(ioctl, libc::ENOTTY)?,
    ];
    if around.alone {
        // What a process count at its limit says, so that a program is told the same by either.
        all.push(refused(processes()?, libc::EAGAIN)?);
    }
    // Of two filters that refuse a call, the later one's error is seen: what another filter answers is let through.
    all.push(list(&[ALLOWED, ALLOWED_HERE, AS_IF_ABSENT].concat())?);
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

/// An argument, of which the kernel looks at 32 bits, is none of these.
fn none_of(argument: u8, values: &[u32]) -> Option<SeccompRule> {
    when(
        values
            .iter()
            .map(|value| {
                (
                    argument,
                    SeccompCmpArgLen::Dword,
                    SeccompCmpOp::Ne,
                    u64::from(*value),
                )
            })
            .collect(),
    )
}

/// Calls on the list with other arguments than a program needs.
fn misdirected(around: Around) -> Option<Rules> {
    let local = libc::AF_UNIX.cast_unsigned();
    let mut rules = Rules::from([
        (libc::SYS_socket, vec![none_of(0, &[local])?]),
        (libc::SYS_socketpair, vec![none_of(0, &[local])?]),
        // Its own limits, not those of another process.
        (libc::SYS_prlimit64, vec![none_of(0, &[0])?]),
        (libc::SYS_prctl, vec![none_of(0, PRCTL)?]),
    ]);
    if !around.own_sockets {
        rules.extend(every(&[libc::SYS_socket]));
        // A connected stream takes no address; of other pairs each message may.
        let stream = u64::from(libc::SOCK_STREAM.cast_unsigned());
        let datagrams = (1..16).filter(|kind| *kind != stream).map(|kind| {
            when(vec![(
                1,
                SeccompCmpArgLen::Dword,
                SeccompCmpOp::MaskedEq(15),
                kind,
            )])
        });
        rules
            .entry(libc::SYS_socketpair)
            .or_default()
            .extend(datagrams.collect::<Option<Vec<_>>>()?);
    }
    if !around.own_processes {
        rules.extend(every(&[
            libc::SYS_kill,
            libc::SYS_tkill,
            libc::SYS_tgkill,
            libc::SYS_pidfd_send_signal,
        ]));
    }
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

/// Allows these calls. The others are not permitted, or, past the newest we know, absent; that takes in x86-64's other
/// numbering of the same calls, which begins far above. That the numbers are this machine's own is seen to by the
/// filters before.
fn list(calls: &[libc::c_long]) -> Option<BpfProgram> {
    const LOAD: u16 = 0x20;
    const AT_LEAST: u16 = 0x35;
    const ABOVE: u16 = 0x25;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    let step = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    let mut program = vec![step(LOAD, 0, 0, 0)];
    for (first, last) in ranges(calls)? {
        program.extend([
            step(AT_LEAST, first, 0, 2),
            step(ABOVE, last, 1, 0),
            step(RETURN, ALLOW, 0, 0),
        ]);
    }
    program.extend([
        step(ABOVE, NEWEST, 0, 1),
        step(RETURN, ERRNO | libc::ENOSYS.cast_unsigned(), 0, 0),
        step(RETURN, ERRNO | libc::EPERM.cast_unsigned(), 0, 0),
    ]);
    Some(program)
}

/// First and last of each run of numbers that follow each other.
fn ranges(calls: &[libc::c_long]) -> Option<Vec<(u32, u32)>> {
    let numbers: Result<BTreeSet<u32>, _> = calls.iter().map(|call| u32::try_from(*call)).collect();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers.ok()? {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    Some(ranges)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::super::confine::Confinement;
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
    fn runs_of_numbers_become_ranges() {
        let ranges = ranges(&[7, 1, 2, 3, 9, 2]).unwrap();
        assert_eq!(ranges, [(1, 3), (7, 7), (9, 9)]);
    }

    #[test]
    fn what_other_layers_do_not_keep_away_the_filters_do() {
        let ends_well = |around: Around, script: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]).stderr(Stdio::null());
            let confinement = Confinement {
                filters: filters(around).unwrap(),
                ..Confinement::default()
            };
            confinement.apply(&mut command);
            command.status().unwrap().success()
        };
        let all = Around {
            alone: false,
            own_sockets: true,
            own_processes: true,
        };
        assert!(ends_well(all, "kill -0 $$ && (exit 0)"));
        let lonely = Around {
            own_processes: false,
            ..all
        };
        assert!(ends_well(lonely, "(exit 0)"));
        assert!(!ends_well(lonely, "kill -0 $$"));
        let alone = Around { alone: true, ..all };
        assert!(ends_well(alone, "kill -0 $$"));
        assert!(!ends_well(alone, "(exit 0)"));
    }

    #[test]
    fn filters_fit_into_what_the_kernel_takes() {
        for open in [false, true] {
            let filters = filters(Around {
                alone: !open,
                own_sockets: open,
                own_processes: open,
            });
            let filters = filters.unwrap();
            assert!(filters.iter().all(|filter| filter.len() <= 1024));
        }
    }
}
