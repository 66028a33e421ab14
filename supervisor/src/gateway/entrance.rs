//! Where HTTP comes in, and who is there already.

use std::net::{SocketAddr, TcpListener};

use super::{Activated, ListenError, listen};
use crate::adoption::{Claimed, ClaimedGateway, Inheritance};

/// The listening socket, and the gateways of a former supervisor.
#[derive(Debug)]
pub struct Entrance {
    /// The socket.
    pub socket: TcpListener,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether the service manager listens there too, whatever becomes of this process.
    pub is_activated: bool,
    /// The gateway that accepts connections on it, and the configuration which that one was given.
    pub(super) serving: Option<(Claimed, String)>,
    /// Gateways that are to finish what they have begun.
    pub(super) outdated: Vec<Claimed>,
}

impl Entrance {
    /// Listens on `address`, or goes on listening there with the inherited gateway's socket, or with the service manager's.
    pub fn open(
        address: SocketAddr,
        activated: Option<Activated>,
        inheritance: &mut Inheritance,
    ) -> Result<Self, ListenError> {
        let is_activated = activated.is_some();
        let outdated = std::mem::take(&mut inheritance.outdated);
        if let Some(ClaimedGateway { process, socket, listen, config }) = inheritance.gateway.take() {
            return Ok(Self { socket, listen, is_activated, serving: Some((process, config)), outdated });
        }
        let (socket, listen) = match activated {
            Some(Activated { socket, listen }) => (socket, listen),
            None => listen(address)?,
        };
        Ok(Self { socket, listen, is_activated, serving: None, outdated })
    }
}
