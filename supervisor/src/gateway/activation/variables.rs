//! systemd's way: the number of descriptors from 3 on is in `LISTEN_FDS`, whom they are for in `LISTEN_PID`, and what
//! they are called in `LISTEN_FDNAMES`.

use std::{
    env,
    os::fd::{BorrowedFd, FromRawFd, OwnedFd},
};

use nix::fcntl::{FcntlArg, fcntl};

use super::{ActivationError, Descriptor, Fault};

/// The first descriptor that is passed.
const FIRST: i32 = 3;

const NAMES: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// The one descriptor that was passed to this process, if any was.
pub(super) fn passed() -> Result<Option<(Descriptor, OwnedFd)>, ActivationError> {
    let [pid, count, names] = NAMES.map(|name| env::var(name).ok());
    for name in NAMES {
        // SAFETY: nothing reads or writes the environment meanwhile, since this is called while the process has one
        // thread.
        unsafe { env::remove_var(name) };
    }
    let Some(descriptor) = descriptor(std::process::id(), pid, count, names)? else { return Ok(None) };
    // SAFETY: borrowed for this one call, which answers `EBADF` where the number is not open.
    let number = unsafe { BorrowedFd::borrow_raw(descriptor.number) };
    if fcntl(number, FcntlArg::F_GETFD).is_err() {
        return Err(ActivationError::Unfit { descriptor, fault: Fault::Closed });
    }
    // SAFETY: the number is open, and who started this process says that it is for this process, which has not had the
    // occasion to open it.
    let passed = unsafe { OwnedFd::from_raw_fd(descriptor.number) };
    Ok(Some((descriptor, passed)))
}

/// What the variables say to the process `own`.
pub(super) fn descriptor(
    own: u32,
    pid: Option<String>,
    count: Option<String>,
    names: Option<String>,
) -> Result<Option<Descriptor>, ActivationError> {
    // Without a process id, or with another's, they were meant for somebody else.
    let (Some(pid), Some(count)) = (pid, count) else { return Ok(None) };
    if pid.parse() != Ok(own) {
        return Ok(None);
    }
    match count.parse::<i32>() {
        Ok(0) => Ok(None),
        Ok(1) => Ok(Some(Descriptor { number: FIRST, name: names })),
        Ok(count) if count > 0 => Err(ActivationError::Several { count, names }),
        _ => Err(ActivationError::Count(count)),
    }
}
