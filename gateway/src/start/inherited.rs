//! The descriptors that the supervisor passes: the channel, and behind it the listening sockets.

use std::{
    io,
    net::TcpListener,
    os::{
        fd::{BorrowedFd, FromRawFd, RawFd},
        unix::net::UnixStream,
    },
};

use impetus_config::Entrance;
use impetus_proto::channel::CHANNEL_FD;
use nix::{
    fcntl::{FcntlArg, fcntl},
    sys::socket::{getsockopt, sockopt},
};

use super::StartError;

/// The first of the listening sockets.
const FIRST_LISTENER_FD: RawFd = CHANNEL_FD + 1;

/// A socket that HTTP is served on.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) entrance: Entrance,
    pub(super) socket: TcpListener,
}

impl Listener {
    /// The same socket once more.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { entrance: self.entrance, socket: self.socket.try_clone()? })
    }
}

/// The channel to the supervisor. To be called once, first thing in the process.
pub(super) fn channel() -> io::Result<UnixStream> {
    is_open(CHANNEL_FD)?;
    // SAFETY: the supervisor's launch contract makes this descriptor ours, it was just found open, and nothing else in
    // this process knows its number.
    Ok(unsafe { UnixStream::from_raw_fd(CHANNEL_FD) })
}

/// The sockets of the entrances of these names, in their order. To be called once, before this process opens anything.
pub(super) fn listeners(names: &[String]) -> Result<Vec<Listener>, StartError> {
    let take = |(fd, name): (RawFd, &String)| {
        let entrance = Entrance::named(name).ok_or_else(|| StartError::Entrance(name.clone()))?;
        listener(fd)
            .map(|socket| Listener { entrance, socket })
            .map_err(|source| StartError::Listener { fd, source })
    };
    (FIRST_LISTENER_FD..).zip(names).map(take).collect()
}

fn listener(fd: RawFd) -> io::Result<TcpListener> {
    is_open(fd)?;
    // SAFETY: as above; each number is taken once.
    let listener = unsafe { TcpListener::from_raw_fd(fd) };
    if !getsockopt(&listener, sockopt::AcceptConn)? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"));
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn is_open(fd: RawFd) -> io::Result<()> {
    // SAFETY: the borrow lasts for one fcntl call, which reports a closed descriptor as EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    fcntl(borrowed, FcntlArg::F_GETFD)?;
    Ok(())
}
