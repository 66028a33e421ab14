//! Sockets that the service manager listens on: they are there before this process and stay while this process is not, so
//! that connections wait instead of being refused. systemd passes them from descriptor 3 on (sd_listen_fds(3)), launchd
//! when it is asked.

#[cfg(target_os = "macos")]
mod launchd;
mod variables;

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd, OwnedFd},
};

use impetus_config::{Entrance, GatewayConfig};
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::socket::{SockType, getsockopt, sockopt},
};

use super::Listener;

/// The sockets that HTTP is served on, as far as the service manager has opened them.
#[derive(Debug, Default)]
pub struct Activated {
    /// At most one for each entrance.
    pub listeners: Vec<Listener>,
}

/// What the service manager passes is not what the gateway can serve on.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// The environment contradicts itself.
    #[error("LISTEN_FDS={0:?} is not a number of sockets; whoever starts the supervisor sets it wrongly")]
    Count(String),
    /// Nobody knows which entrance it is.
    #[error(
        "the service manager passes {count} sockets, and {descriptor} is called neither \"gateway\" nor \"ollama\": \
         name each by FileDescriptorName= in a socket unit of its own, as `supervisorctl service install` writes them"
    )]
    Nameless {
        /// How many there are.
        count: usize,
        /// Which one.
        descriptor: Descriptor,
    },
    /// An entrance has one socket.
    #[error(
        "the service manager passes several sockets for {}, the last of them as {descriptor}: leave one ListenStream= in \
         its socket unit",
        entrance.setting()
    )]
    Several {
        /// Of what.
        entrance: Entrance,
        /// The last one.
        descriptor: Descriptor,
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
    /// What is checked of the setting must hold for where connections are taken from.
    #[error(
        "the service manager listens on {listen}, and {} is {}; make both the same, which \
         `supervisorctl service install` does",
        entrance.setting(),
        configured.map_or_else(|| "not set".to_owned(), |configured| configured.to_string())
    )]
    Elsewhere {
        /// For whom.
        entrance: Entrance,
        /// Where the socket listens.
        listen: SocketAddr,
        /// Where the configuration says, if it does.
        configured: Option<SocketAddr>,
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
    /// The sockets that the service manager has for the gateway, which is to listen where `config` says. For the start of
    /// the process, while it has no second thread: the variables that tell of sockets are removed, so that no other
    /// program takes them for its own.
    pub fn take(config: &GatewayConfig) -> Result<Self, ActivationError> {
        let mut activated = Self::default();
        for (entrance, descriptor, passed) in passed()? {
            let listener = listener(entrance, passed)
                .map_err(|fault| ActivationError::Unfit { descriptor: descriptor.clone(), fault })?;
            if activated.find(entrance).is_some() {
                return Err(ActivationError::Several { entrance, descriptor });
            }
            let (listen, configured) = (listener.address, config.address_of(entrance));
            if !configured.is_some_and(|configured| listener.is_at(configured)) {
                return Err(ActivationError::Elsewhere { entrance, listen, configured });
            }
            activated.listeners.push(listener);
        }
        Ok(activated)
    }

    /// Where each entrance of `config` is: where the service manager listens, or as configured.
    pub fn wanted(&self, config: &GatewayConfig) -> Vec<(Entrance, SocketAddr)> {
        let place = |(entrance, configured)| {
            (entrance, self.find(entrance).map_or(configured, |listener| listener.address))
        };
        config.entrances().map(place).collect()
    }

    fn find(&self, entrance: Entrance) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.entrance == entrance)
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

fn listener(entrance: Entrance, passed: OwnedFd) -> Result<Listener, Fault> {
    let kind = getsockopt(&passed, sockopt::SockType).map_err(|_| Fault::NoSocket)?;
    if kind != SockType::Stream {
        return Err(Fault::Datagrams);
    }
    if !getsockopt(&passed, sockopt::AcceptConn).map_err(io::Error::from)? {
        return Err(Fault::Deaf);
    }
    fcntl(passed.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(io::Error::from)?;
    Listener::of(entrance, TcpListener::from(passed)).map_err(|_| Fault::NoTcp)
}

/// What was passed: which entrance it is for, what it is called, and itself.
type Passed = (Entrance, Descriptor, OwnedFd);

#[cfg(not(target_os = "macos"))]
fn passed() -> Result<Vec<Passed>, ActivationError> {
    variables::passed()
}

/// By launchd, or by what speaks as systemd does.
#[cfg(target_os = "macos")]
fn passed() -> Result<Vec<Passed>, ActivationError> {
    let passed = variables::passed()?;
    if passed.is_empty() { launchd::passed() } else { Ok(passed) }
}

#[cfg(test)]
mod tests;
