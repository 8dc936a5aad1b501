//! The system calls that programs are refused.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

/// The system calls no program needs. `alone`: it starts no process either. None on machines whose calls we
/// do not know.
pub(super) fn filters(alone: bool) -> Option<Vec<BpfProgram>> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).ok()?;
    let when = |operator, value| {
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, operator, value).ok()?;
        SeccompRule::new(vec![condition]).ok()
    };
    let mut denied: BTreeMap<i64, Vec<SeccompRule>> = [
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_kcmp,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        libc::SYS_kexec_load,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_acct,
        libc::SYS_quotactl,
        libc::SYS_memfd_create,
        libc::SYS_memfd_secret,
        libc::SYS_shmget,
        libc::SYS_shmat,
        libc::SYS_semget,
        libc::SYS_msgget,
        libc::SYS_mq_open,
        libc::SYS_open_by_handle_at,
        libc::SYS_name_to_handle_at,
        libc::SYS_personality,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_syslog,
        libc::SYS_pidfd_getfd,
        libc::SYS_fanotify_init,
        libc::SYS_setpriority,
        libc::SYS_lookup_dcookie,
        libc::SYS_vhangup,
    ]
    .into_iter()
    .map(|call| (call, Vec::new()))
    .collect();
    let local = u64::try_from(libc::AF_UNIX).ok()?;
    denied.insert(libc::SYS_socket, vec![when(SeccompCmpOp::Ne, local)?]);
    // What a process count at its limit says, so that a program is told the same by either.
    let mut full = BTreeMap::new();
    if alone {
        let thread = u64::try_from(libc::CLONE_THREAD).ok()?;
        full.insert(
            libc::SYS_clone,
            vec![when(SeccompCmpOp::MaskedEq(thread), 0)?],
        );
        #[cfg(target_arch = "x86_64")]
        full.extend([(libc::SYS_fork, Vec::new()), (libc::SYS_vfork, Vec::new())]);
    } else {
        let mut spaces = Vec::new();
        for flag in [
            libc::CLONE_NEWUSER,
            libc::CLONE_NEWNS,
            libc::CLONE_NEWNET,
            libc::CLONE_NEWPID,
            libc::CLONE_NEWIPC,
            libc::CLONE_NEWUTS,
            libc::CLONE_NEWCGROUP,
        ] {
            let flag = u64::from(flag.cast_unsigned());
            spaces.push(when(SeccompCmpOp::MaskedEq(flag), flag)?);
        }
        denied.insert(libc::SYS_clone, spaces);
    }
    let compile = |rules, errno: i32| -> Option<BpfProgram> {
        let errno = SeccompAction::Errno(errno.cast_unsigned());
        SeccompFilter::new(rules, SeccompAction::Allow, errno, arch)
            .ok()?
            .try_into()
            .ok()
    };
    let mut first = compile(denied, libc::EPERM)?;
    if cfg!(target_arch = "x86_64") {
        first.splice(0..0, refuse_x32());
    }
    // The flags of clone3 lie in memory, where a filter cannot look: C libraries fall back to clone.
    let mut all = vec![
        first,
        compile(
            BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
            libc::ENOSYS,
        )?,
    ];
    if alone {
        all.push(compile(full, libc::EAGAIN)?);
    }
    Some(all)
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

/// The other numbering of the same calls, which the filter would not know.
fn refuse_x32() -> [sock_filter; 3] {
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
            k: 0x4000_0000,
        },
        sock_filter {
            code: RETURN,
            jt: 0,
            jf: 0,
            k: ERRNO | libc::ENOSYS.cast_unsigned(),
        },
    ]
}
