//! System calls: no sockets but those of the internet, since what listens on this machine for this user takes whoever
//! connects for that user, and no programs. A refused call fails as one without the permission does: what asks another
//! program for an address asks DNS then.

use std::{collections::BTreeMap, env::consts::ARCH};

use nix::libc::{self, EACCES, c_long};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// The kinds of sockets that are opened.
const FAMILIES: [i32; 2] = [libc::AF_INET, libc::AF_INET6];

/// The bit that distinguishes the kinds of sockets that send to others, once they are made as a pair, from those that
/// only ever send to each other.
const SENDS_TO_OTHERS: u64 = 2;

/// The bit that numbers of x32 have, which filters take for those of the same architecture.
#[cfg(target_arch = "x86_64")]
const X32: c_long = 0x4000_0000;
/// The same calls by these numbers (asm/unistd_x32.h).
#[cfg(target_arch = "x86_64")]
const BY_X32: &[c_long] = &[X32 + 41, X32 + 53, X32 + 425, X32 + 520, X32 + 545];
#[cfg(not(target_arch = "x86_64"))]
const BY_X32: &[c_long] = &[];

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

/// Refuses the calls to this thread, and those that it starts, for good.
pub(super) fn give_up_calls() -> Result<(), SeccompError> {
    let arch = TargetArch::try_from(ARCH).map_err(|_| SeccompError::Architecture)?;
    let refusal = SeccompAction::Errno(EACCES.cast_unsigned());
    let filter: BpfProgram =
        SeccompFilter::new(refused()?, SeccompAction::Allow, refusal, arch)?.try_into()?;
    Ok(apply_filter(&filter)?)
}

fn refused() -> Result<BTreeMap<c_long, Vec<SeccompRule>>, BackendError> {
    let other = |family: i32| argument(0, SeccompCmpOp::Ne, family.cast_unsigned().into());
    let others = FAMILIES.map(other).into_iter().collect::<Result<_, _>>()?;
    let of_messages = argument(1, SeccompCmpOp::MaskedEq(SENDS_TO_OTHERS), SENDS_TO_OTHERS)?;
    // The ring makes sockets that no filter sees.
    let whole = [libc::SYS_io_uring_setup, libc::SYS_execve, libc::SYS_execveat];
    let mut rules: BTreeMap<_, _> = whole.iter().chain(BY_X32).map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(others)?]);
    rules.insert(libc::SYS_socketpair, vec![SeccompRule::new(vec![of_messages])?]);
    Ok(rules)
}

fn argument(index: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)
}
