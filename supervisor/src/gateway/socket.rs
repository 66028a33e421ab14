//! The sockets that HTTP is served on.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use impetus_config::Entrance;
use socket2::{Domain, Socket, Type};

use super::port::{Holder, holder_of};

/// Connections that may wait while there is no gateway.
const BACKLOG: i32 = 1024;

/// The socket of an entrance.
#[derive(Debug)]
pub struct Listener {
    /// Which one.
    pub entrance: Entrance,
    /// The socket.
    pub socket: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Sockets that change.
#[derive(Debug, Default)]
pub struct Moves {
    /// Those that are served on from now on, in place of the former ones of their entrances.
    pub opened: Vec<Listener>,
    /// Entrances that are no more.
    pub closed: Vec<Entrance>,
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else listens there.
    #[error(
        "{address} is in use{}; {}",
        holder.as_ref().map(|holder| format!(" by {holder}")).unwrap_or_default(),
        when_busy(*entrance)
    )]
    Busy {
        /// For whom it is.
        entrance: Entrance,
        /// The address.
        address: SocketAddr,
        /// Who, where that can be found out.
        holder: Option<Holder>,
    },
    /// The kernel says no.
    #[error("cannot listen on {address}: {source}; check {}", entrance.setting())]
    Io {
        /// For whom it is.
        entrance: Entrance,
        /// The address.
        address: SocketAddr,
        /// What the kernel answered.
        source: io::Error,
    },
}

impl Listener {
    /// Listens on `address`, where the port 0 stands for any.
    pub fn open(entrance: Entrance, address: SocketAddr) -> Result<Self, ListenError> {
        bind(address)
            .map_err(|source: io::Error| {
                if source.kind() == io::ErrorKind::AddrInUse {
                    ListenError::Busy { entrance, address, holder: holder_of(address.port()) }
                } else {
                    ListenError::Io { entrance, address, source }
                }
            })
            .and_then(|socket| {
                Self::of(entrance, socket).map_err(|source| ListenError::Io { entrance, address, source })
            })
    }

    /// A socket that listens.
    pub fn of(entrance: Entrance, socket: TcpListener) -> io::Result<Self> {
        let address = socket.local_addr()?;
        Ok(Self { entrance, socket, address })
    }

    /// Whether it is where `configured` says, in which the port 0 stands for any.
    pub fn is_at(&self, configured: SocketAddr) -> bool {
        configured.ip() == self.address.ip() && [0, self.address.port()].contains(&configured.port())
    }
}

impl Moves {
    /// Carries them out among `listeners`; what is returned takes them back.
    pub(super) fn apply(self, listeners: &mut Vec<Listener>) -> Self {
        let leaves = |listener: &Listener| {
            self.closed.contains(&listener.entrance) || is_among(&self.opened, listener.entrance)
        };
        let (former, mut all): (Vec<_>, Vec<_>) = listeners.drain(..).partition(leaves);
        let new = self.opened.iter().map(|listener| listener.entrance);
        let added = new.filter(|entrance| !is_among(&former, *entrance)).collect();
        all.extend(self.opened);
        all.sort_by_key(|listener| listener.entrance);
        *listeners = all;
        Self { opened: former, closed: added }
    }
}

/// What whoever wants the address can do.
pub fn when_busy(entrance: Entrance) -> &'static str {
    match entrance {
        Entrance::Gateway => "stop that, or set gateway.listen to another address",
        Entrance::Ollama => {
            "stop that (an Ollama that runs would be it: `systemctl stop ollama`, or quit its app), or set \
             gateway.ollama_listen to another address and OLLAMA_HOST for its clients"
        }
    }
}

fn is_among(listeners: &[Listener], entrance: Entrance) -> bool {
    listeners.iter().any(|listener| listener.entrance == entrance)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(entrance: Entrance) -> Listener {
        Listener::open(entrance, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()
    }

    #[test]
    fn a_busy_port_is_reported_with_its_holder_and_what_to_do() {
        let held = opened(Entrance::Gateway);
        for (entrance, advice) in [
            (Entrance::Gateway, "stop that, or set gateway.listen"),
            (Entrance::Ollama, "an Ollama that runs would be it"),
        ] {
            let message = Listener::open(entrance, held.address).unwrap_err().to_string();
            assert!(message.contains("in use") && message.contains(advice), "{message}");
            assert!(message.contains(entrance.setting()), "{message}");
            if cfg!(target_os = "linux") {
                assert!(message.contains(&format!("pid {}", std::process::id())), "{message}");
            }
        }
    }

    #[test]
    fn moves_can_be_taken_back() {
        use Entrance::{Gateway, Ollama};
        let check =
            |before: &[Entrance], opened_now: &[Entrance], closed: &[Entrance], after: &[Entrance]| {
                let told = |listeners: &[Listener]| -> Vec<(Entrance, SocketAddr)> {
                    listeners.iter().map(|listener| (listener.entrance, listener.address)).collect()
                };
                let mut listeners: Vec<Listener> = before.iter().copied().map(opened).collect();
                let at_first = told(&listeners);
                let moves =
                    Moves { opened: opened_now.iter().copied().map(opened).collect(), closed: closed.into() };
                let new = told(&moves.opened);
                let back = moves.apply(&mut listeners);
                let now = told(&listeners);
                assert_eq!(now.iter().map(|(entrance, _)| *entrance).collect::<Vec<_>>(), after);
                assert!(new.iter().all(|one| now.contains(one)), "{now:?}");
                let again = back.apply(&mut listeners);
                assert_eq!(told(&listeners), at_first);
                again.apply(&mut listeners);
                assert_eq!(told(&listeners), now);
            };
        check(&[Gateway], &[], &[], &[Gateway]);
        check(&[Gateway], &[Ollama], &[], &[Gateway, Ollama]);
        check(&[Gateway, Ollama], &[Ollama], &[], &[Gateway, Ollama]);
        check(&[Gateway, Ollama], &[Gateway], &[Ollama], &[Gateway]);
        check(&[Gateway, Ollama], &[Gateway, Ollama], &[], &[Gateway, Ollama]);
    }
}
