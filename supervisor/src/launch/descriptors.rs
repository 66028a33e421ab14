//! The descriptors of a child: 0 reads nothing, 1 and 2 are captured, 3 is the channel, those that came with the
//! launch follow, and everything else is closed by `exec`.

use std::{
    fs::File,
    io,
    os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
};

use impetus_proto::channel::CHANNEL_FD;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
    unistd::{dup2_raw, dup2_stdin},
};

/// Numbers from here up are free for the moves in [`arrange`].
const ASIDE: RawFd = 64;

/// Puts `channel` at 3 and `passed` at 4 and up, makes 0 read nothing, and marks all others to be closed by `exec`.
/// Only for the shim: it overwrites whatever those numbers were before.
pub fn arrange(channel: OwnedFd, passed: Vec<OwnedFd>) -> io::Result<()> {
    let aside = std::iter::once(&channel).chain(&passed).map(move_aside).collect::<io::Result<Vec<_>>>()?;
    // Before their numbers may be given to others below.
    drop((channel, passed));
    let n_kept = CHANNEL_FD + aside.len() as RawFd;
    for (number, descriptor) in (CHANNEL_FD..).zip(&aside) {
        // SAFETY: the shim is single-threaded and owns no object with a number below `ASIDE` but the standard
        // streams, which lie below `CHANNEL_FD`; what stood at `number` was inherited by accident.
        let placed = unsafe { dup2_raw(descriptor, number) }.map_err(io::Error::from)?;
        let _stays_open_for_the_program = placed.into_raw_fd();
    }
    dup2_stdin(File::open("/dev/null")?).map_err(io::Error::from)?;
    for number in open_numbers()?.into_iter().filter(|number| *number >= n_kept) {
        close_on_exec(number)?;
    }
    Ok(())
}

/// The numbers of all open descriptors of this process, in order. One of them was the folder that was read.
pub fn open_numbers() -> io::Result<Vec<RawFd>> {
    let mut numbers: Vec<RawFd> = std::fs::read_dir("/dev/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn move_aside(descriptor: &OwnedFd) -> io::Result<OwnedFd> {
    let number = fcntl(descriptor, FcntlArg::F_DUPFD_CLOEXEC(ASIDE)).map_err(io::Error::from)?;
    // SAFETY: `fcntl` has just opened this number for us.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn close_on_exec(number: RawFd) -> io::Result<()> {
    // SAFETY: borrowed for this one call, in a single-threaded process; a number that has been closed meanwhile
    // answers `EBADF`, which is as good.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    match fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)) {
        Ok(_) | Err(Errno::EBADF) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
