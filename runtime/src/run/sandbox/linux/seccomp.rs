//! System calls that a worker has no use for once it serves: a list of what is refused, because what engine libraries
//! and drivers call cannot be listed. A refused call fails as one without the permission does, so that a library which
//! only tries survives it.

mod calls;

use std::{collections::BTreeMap, env::consts::ARCH};

use nix::{
    libc::{CLONE_THREAD, ENOSYS, EPERM, SYS_clone, SYS_clone3, SYS_kill, SYS_prlimit64, SYS_tgkill, c_long},
    unistd::getpid,
};
#[cfg(target_arch = "x86_64")]
use seccompiler::sock_filter;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};

use calls::REFUSED;

/// Why no system call is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum SeccompError {
    #[error("no list of system calls is known for {ARCH}")]
    Architecture,
    #[error(transparent)]
    Filter(#[from] BackendError),
    #[error(transparent)]
    Kernel(#[from] seccompiler::Error),
}

/// Refuses the calls to all threads of this process for good.
pub(super) fn give_up_calls() -> Result<(), SeccompError> {
    let arch = TargetArch::try_from(ARCH).map_err(|_| SeccompError::Architecture)?;
    let refused = refused()?;
    // Its arguments are in memory, where no filter sees them; libraries that know it also know `clone`.
    let unknown = BTreeMap::from([(SYS_clone3, Vec::new())]);
    for (rules, answer) in [(unknown, ENOSYS), (refused, EPERM)] {
        let answer = SeccompAction::Errno(answer as u32);
        let filter: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, answer, arch)?.try_into()?;
        apply_filter_all_threads(&before(filter))?;
    }
    Ok(())
}

fn refused() -> Result<BTreeMap<c_long, Vec<SeccompRule>>, BackendError> {
    let own = u64::from(getpid().as_raw().cast_unsigned());
    let thread = CLONE_THREAD.cast_unsigned().into();
    let mut rules: BTreeMap<_, _> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(SYS_clone, vec![rule(&[(0, SeccompCmpOp::MaskedEq(thread), 0)])?]);
    // Other processes of this user; here 0 is the group for signals and this process for limits.
    for call in [SYS_kill, SYS_tgkill] {
        rules.insert(call, vec![rule(&[(0, SeccompCmpOp::Ne, own)])?]);
    }
    rules.insert(SYS_prlimit64, vec![rule(&[(0, SeccompCmpOp::Ne, own), (0, SeccompCmpOp::Ne, 0)])?]);
    Ok(rules)
}

/// A rule for calls whose arguments meet all conditions: the argument's index, an operator, a value of 32 bits.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, BackendError> {
    let condition = |(index, operator, value): &(u8, SeccompCmpOp, u64)| {
        SeccompCondition::new(*index, SeccompCmpArgLen::Dword, operator.clone(), *value)
    };
    SeccompRule::new(conditions.iter().map(condition).collect::<Result<_, _>>()?)
}

/// Refuses what is called by the numbers of x32, which the table does not know, before anything else is asked.
#[cfg(target_arch = "x86_64")]
fn before(filter: BpfProgram) -> BpfProgram {
    /// The bit that these numbers have.
    const X32: u32 = 0x4000_0000;
    /// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JGE | BPF_K` and `BPF_RET | BPF_K` of linux/bpf_common.h.
    const LOAD: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    /// `SECCOMP_RET_ERRNO` of linux/seccomp.h.
    const ERRNO: u32 = 0x0005_0000;
    let prelude = [
        // The number is the first field of `struct seccomp_data`.
        sock_filter { code: LOAD, jt: 0, jf: 0, k: 0 },
        sock_filter { code: JUMP_IF_AT_LEAST, jt: 0, jf: 1, k: X32 },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: ERRNO | EPERM as u32 },
    ];
    prelude.into_iter().chain(filter).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn before(filter: BpfProgram) -> BpfProgram {
    filter
}
