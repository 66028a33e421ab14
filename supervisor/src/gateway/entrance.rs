//! Where HTTP comes in, and who is there already.

use std::net::{SocketAddr, TcpListener};

use super::{ListenError, listen};
use crate::adoption::{Claimed, ClaimedGateway, Inheritance};

/// The listening socket, and the gateways of a former supervisor.
#[derive(Debug)]
pub struct Entrance {
    /// The socket.
    pub socket: TcpListener,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The gateway that accepts connections on it, and the configuration which that one was given.
    pub(super) serving: Option<(Claimed, String)>,
    /// Gateways that are to finish what they have begun.
    pub(super) outdated: Vec<Claimed>,
}

impl Entrance {
    /// Listens on `address`, or goes on listening there with the inherited gateway's socket.
    pub fn open(address: SocketAddr, inheritance: &mut Inheritance) -> Result<Self, ListenError> {
        let outdated = std::mem::take(&mut inheritance.outdated);
        if let Some(ClaimedGateway { process, socket, listen, config }) = inheritance.gateway.take() {
            return Ok(Self { socket, listen, serving: Some((process, config)), outdated });
        }
        let (socket, listen) = listen(address)?;
        Ok(Self { socket, listen, serving: None, outdated })
    }
}
