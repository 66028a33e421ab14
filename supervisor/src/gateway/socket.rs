//! The socket that HTTP is served on.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Socket, Type};

use super::port::{Holder, holder_of};

/// Connections that may wait while there is no gateway.
const BACKLOG: i32 = 1024;

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else listens there.
    #[error(
        "{address} is in use{}; stop that, or set gateway.listen to another address",
        holder.as_ref().map(|holder| format!(" by {holder}")).unwrap_or_default()
    )]
    Busy {
        /// The address.
        address: SocketAddr,
        /// Who, where that can be found out.
        holder: Option<Holder>,
    },
    /// The kernel says no.
    #[error("cannot listen on {address}: {source}; check gateway.listen")]
    Io {
        /// The address.
        address: SocketAddr,
        /// What the kernel answered.
        source: io::Error,
    },
}

/// Listens on `address`, and says on which one in the end.
pub fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        let local = listener.local_addr()?;
        Ok((listener, local))
    };
    open().map_err(|source: io::Error| {
        if source.kind() == io::ErrorKind::AddrInUse {
            ListenError::Busy { address, holder: holder_of(address.port()) }
        } else {
            ListenError::Io { address, source }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_is_reported_with_its_holder() {
        let (_socket, address) = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let message = listen(address).unwrap_err().to_string();
        assert!(message.contains("in use"), "{message}");
        if cfg!(target_os = "linux") {
            assert!(message.contains(&format!("pid {}", std::process::id())), "{message}");
        }
    }
}
