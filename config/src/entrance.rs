//! Where HTTP comes in. Every entrance serves the same, under the same rules; what differs is the address at which
//! clients look for it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::GatewayConfig;

/// An address that the gateway serves HTTP on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entrance {
    /// The server's own, which is always there.
    Gateway,
    /// Where programs look for Ollama.
    Ollama,
}

impl Entrance {
    /// All of them, the server's own first.
    pub const ALL: [Self; 2] = [Self::Gateway, Self::Ollama];

    /// What processes and service managers call its socket.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Ollama => "ollama",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|entrance| entrance.name() == name)
    }

    /// The setting that says where it is.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Gateway => "gateway.listen",
            Self::Ollama => "gateway.ollama_listen",
        }
    }
}

impl GatewayConfig {
    /// Where an entrance is, if it is wanted.
    pub fn address_of(&self, entrance: Entrance) -> Option<SocketAddr> {
        match entrance {
            Entrance::Gateway => Some(self.listen),
            Entrance::Ollama => self.ollama_listen,
        }
    }

    /// The entrances that are wanted, and where, the server's own first.
    pub fn entrances(&self) -> impl Iterator<Item = (Entrance, SocketAddr)> {
        Entrance::ALL.into_iter().filter_map(|entrance| Some((entrance, self.address_of(entrance)?)))
    }

    /// Whether nobody but this machine can reach any of them.
    pub fn is_local(&self) -> bool {
        self.entrances().all(|(_, address)| is_local(address))
    }
}

/// Whether nobody but this machine can reach the address.
pub fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entrances_are_known_by_their_names_and_local_all_or_not() {
        for entrance in Entrance::ALL {
            assert_eq!(Entrance::named(entrance.name()), Some(entrance));
        }
        assert_eq!(Entrance::named("impetus.socket"), None);
        let check = |listen: &str, ollama: Option<&str>, expected: (usize, bool)| {
            let config = GatewayConfig {
                listen: listen.parse().unwrap(),
                ollama_listen: ollama.map(|address| address.parse().unwrap()),
                ..GatewayConfig::default()
            };
            assert_eq!((config.entrances().count(), config.is_local()), expected, "{listen} {ollama:?}");
        };
        check("127.0.0.1:1", None, (1, true));
        check("0.0.0.0:1", None, (1, false));
        check("127.0.0.1:1", Some("[::1]:2"), (2, true));
        check("127.0.0.1:1", Some("0.0.0.0:2"), (2, false));
        check("0.0.0.0:1", Some("127.0.0.1:2"), (2, false));
    }
}
