//! A socket that the service manager listens on: it is there before this process and stays while this process is not, so
//! that connections wait instead of being refused. systemd passes it as descriptor 3 (sd_listen_fds(3)), launchd when it
//! is asked.

#[cfg(target_os = "macos")]
mod launchd;
mod variables;

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd, OwnedFd},
};

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::socket::{SockType, getsockopt, sockopt},
};

/// The socket that HTTP is served on, as the service manager has opened it.
#[derive(Debug)]
pub struct Activated {
    /// The socket.
    pub socket: TcpListener,
    /// Where it listens.
    pub listen: SocketAddr,
}

/// What the service manager passes is not what the gateway can serve on.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// The environment contradicts itself.
    #[error("LISTEN_FDS={0:?} is not a number of sockets; whoever starts the supervisor sets it wrongly")]
    Count(String),
    /// One socket is served on.
    #[error(
        "the service manager passes {count} sockets{}, and the gateway listens on one: leave one ListenStream= in the \
         socket unit",
        names.as_ref().map(|names| format!(" ({names})")).unwrap_or_default()
    )]
    Several {
        /// How many.
        count: i32,
        /// What it calls them.
        names: Option<String>,
    },
    /// Something else than a TCP socket that accepts connections.
    #[error(
        "{descriptor}, which the service manager passes for the gateway, {fault}; the socket unit needs one \
         ListenStream= with an address and a port, as `supervisorctl service install` writes it"
    )]
    Unfit {
        /// Which one.
        descriptor: Descriptor,
        /// What is wrong with it.
        fault: Fault,
    },
    /// What is checked of `gateway.listen` must hold for where connections are taken from.
    #[error(
        "the service manager listens on {listen}, and gateway.listen is {configured}; make both the same, which \
         `supervisorctl service install` does"
    )]
    Elsewhere {
        /// Where the socket listens.
        listen: SocketAddr,
        /// Where the configuration says.
        configured: SocketAddr,
    },
    /// launchd refuses.
    #[error("launchd does not hand over the socket {name}: {source}; load the agent again")]
    Launchd {
        /// Its name in the property list.
        name: &'static str,
        /// What it answered.
        source: io::Error,
    },
}

/// A descriptor, with what the service manager calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    number: i32,
    name: Option<String>,
}

/// Why a descriptor is no socket to serve on.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum Fault {
    #[error("is not open")]
    Closed,
    #[error("is no socket")]
    NoSocket,
    #[error("is a socket for datagrams")]
    Datagrams,
    #[error("is a socket that does not listen")]
    Deaf,
    #[error("is no TCP socket")]
    NoTcp,
    #[error("cannot be used: {0}")]
    Io(#[from] io::Error),
}

impl Activated {
    /// The socket that the service manager has for the gateway, which is to listen on `configured`; `None` where none was
    /// passed. For the start of the process, while it has no second thread: the variables that tell of the socket are
    /// removed, so that no other program takes them for its own.
    pub fn take(configured: SocketAddr) -> Result<Option<Self>, ActivationError> {
        let Some((descriptor, passed)) = passed()? else { return Ok(None) };
        let activated = Self::of(passed).map_err(|fault| ActivationError::Unfit { descriptor, fault })?;
        let listen = activated.listen;
        let is_there = listen.ip() == configured.ip() && [0, listen.port()].contains(&configured.port());
        if is_there { Ok(Some(activated)) } else { Err(ActivationError::Elsewhere { listen, configured }) }
    }

    fn of(passed: OwnedFd) -> Result<Self, Fault> {
        let kind = getsockopt(&passed, sockopt::SockType).map_err(|_| Fault::NoSocket)?;
        if kind != SockType::Stream {
            return Err(Fault::Datagrams);
        }
        if !getsockopt(&passed, sockopt::AcceptConn).map_err(io::Error::from)? {
            return Err(Fault::Deaf);
        }
        let socket = TcpListener::from(passed);
        let listen = socket.local_addr().map_err(|_| Fault::NoTcp)?;
        fcntl(socket.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(io::Error::from)?;
        Ok(Self { socket, listen })
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "descriptor {}", self.number)?;
        match &self.name {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

/// The one descriptor that was passed.
#[cfg(not(target_os = "macos"))]
fn passed() -> Result<Option<(Descriptor, OwnedFd)>, ActivationError> {
    variables::passed()
}

/// The one descriptor that was passed, by launchd or by what speaks as systemd does.
#[cfg(target_os = "macos")]
fn passed() -> Result<Option<(Descriptor, OwnedFd)>, ActivationError> {
    match variables::passed()? {
        Some(passed) => Ok(Some(passed)),
        None => launchd::passed(),
    }
}

#[cfg(test)]
mod tests;
