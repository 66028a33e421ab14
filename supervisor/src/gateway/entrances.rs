//! Where HTTP comes in, and who is there already.

use std::net::SocketAddr;

use impetus_config::Entrance;

use super::{Activated, ListenError, Listener};
use crate::adoption::{Claimed, ClaimedGateway, Inheritance};

/// The listening sockets, and the gateways of a former supervisor.
#[derive(Debug)]
pub struct Entrances {
    /// The sockets, the server's own first.
    pub listeners: Vec<Listener>,
    /// Those where the service manager listens too, whatever becomes of this process.
    pub activated: Vec<Entrance>,
    /// The gateway that accepts connections on them, and the configuration which that one was given.
    pub(super) serving: Option<(Claimed, String)>,
    /// Gateways that are to finish what they have begun.
    pub(super) outdated: Vec<Claimed>,
}

impl Entrances {
    /// Listens where `wanted` says, or goes on listening there with the sockets of inherited gateways, or with the service
    /// manager's.
    pub fn open(
        wanted: &[(Entrance, SocketAddr)],
        activated: Activated,
        inheritance: &mut Inheritance,
    ) -> Result<Self, ListenError> {
        let mut found = std::mem::take(&mut inheritance.listeners);
        let by_manager = activated.listeners.iter().map(|listener| listener.entrance).collect();
        found.extend(activated.listeners);
        let open = |&(entrance, address): &(Entrance, SocketAddr)| match found
            .iter()
            .position(|listener| listener.entrance == entrance)
        {
            Some(idx) => Ok(found.remove(idx)),
            None => Listener::open(entrance, address),
        };
        let listeners = wanted.iter().map(open).collect::<Result<_, _>>()?;
        let serving = inheritance.gateway.take();
        Ok(Self {
            listeners,
            activated: by_manager,
            serving: serving.map(|ClaimedGateway { process, config }| (process, config)),
            outdated: std::mem::take(&mut inheritance.outdated),
        })
    }
}
