//! systemd's way: the number of descriptors from 3 on is in `LISTEN_FDS`, whom they are for in `LISTEN_PID`, and what
//! they are called in `LISTEN_FDNAMES`.

use std::{
    env,
    os::fd::{BorrowedFd, FromRawFd, OwnedFd},
};

use impetus_config::Entrance;
use nix::fcntl::{FcntlArg, fcntl};

use super::{ActivationError, Descriptor, Fault, Passed};

/// The first descriptor that is passed.
const FIRST: i32 = 3;

const NAMES: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// What was passed to this process.
pub(super) fn passed() -> Result<Vec<Passed>, ActivationError> {
    let [pid, count, names] = NAMES.map(|name| env::var(name).ok());
    for name in NAMES {
        // SAFETY: nothing reads or writes the environment meanwhile, since this is called while the process has one
        // thread.
        unsafe { env::remove_var(name) };
    }
    let told = descriptors(std::process::id(), pid, count, names.as_deref())?;
    // All of them, before one is refused: this process owns them.
    let taken: Vec<_> = told.into_iter().map(take).collect();
    taken.into_iter().collect()
}

fn take((entrance, descriptor): (Entrance, Descriptor)) -> Result<Passed, ActivationError> {
    // SAFETY: borrowed for this one call, which answers `EBADF` where the number is not open.
    let number = unsafe { BorrowedFd::borrow_raw(descriptor.number) };
    if fcntl(number, FcntlArg::F_GETFD).is_err() {
        return Err(ActivationError::Unfit { descriptor, fault: Fault::Closed });
    }
    // SAFETY: the number is open, and who started this process says that it is for this process, which has not had the
    // occasion to open it.
    let passed = unsafe { OwnedFd::from_raw_fd(descriptor.number) };
    Ok((entrance, descriptor, passed))
}

/// What the variables say to the process `own`.
pub(super) fn descriptors(
    own: u32,
    pid: Option<String>,
    count: Option<String>,
    names: Option<&str>,
) -> Result<Vec<(Entrance, Descriptor)>, ActivationError> {
    // Without a process id, or with another's, they were meant for somebody else.
    let (Some(pid), Some(count)) = (pid, count) else { return Ok(Vec::new()) };
    if pid.parse() != Ok(own) {
        return Ok(Vec::new());
    }
    let Ok(n_passed) = count.parse::<u16>() else { return Err(ActivationError::Count(count)) };
    let mut names = names.into_iter().flat_map(|names| names.split(':')).map(ToOwned::to_owned);
    (0..n_passed)
        .map(|idx| known(n_passed, Descriptor { number: FIRST + i32::from(idx), name: names.next() }))
        .collect()
}

/// Which entrance it is for. One that comes alone may be called anything: systemd names it after its unit.
fn known(n_passed: u16, descriptor: Descriptor) -> Result<(Entrance, Descriptor), ActivationError> {
    match descriptor.name.as_deref().and_then(Entrance::named) {
        Some(entrance) => Ok((entrance, descriptor)),
        None if n_passed == 1 => Ok((Entrance::Gateway, descriptor)),
        None => Err(ActivationError::Nameless { count: n_passed.into(), descriptor }),
    }
}
