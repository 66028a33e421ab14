//! Where connections may come from.

use std::net::IpAddr;

use impetus_config::{AuthConfig, Network};

/// The networks that connections are taken from, and those that they are not.
#[derive(Debug)]
pub(crate) struct Addresses {
    allowed: Vec<Network>,
    denied: Vec<Network>,
}

impl Addresses {
    /// As configured.
    pub(crate) fn new(config: &AuthConfig) -> Self {
        Self { allowed: config.allow_addresses.clone(), denied: config.deny_addresses.clone() }
    }

    /// Whether a connection from there is taken.
    pub(crate) fn admit(&self, address: IpAddr) -> bool {
        let is_in = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
        !is_in(&self.denied) && (self.allowed.is_empty() || is_in(&self.allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_is_never_allowed() {
        let check = |allowed: &[&str], denied: &[&str], address: &str, expected: bool| {
            let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
            let addresses = Addresses { allowed: networks(allowed), denied: networks(denied) };
            assert_eq!(
                addresses.admit(address.parse().unwrap()),
                expected,
                "{allowed:?} {denied:?} {address}"
            );
        };
        check(&[], &[], "10.0.0.1", true);
        check(&["10.0.0.0/8"], &[], "10.0.0.1", true);
        check(&["10.0.0.0/8"], &[], "::ffff:10.0.0.1", true);
        check(&["10.0.0.0/8"], &[], "192.168.0.1", false);
        check(&["10.0.0.0/8"], &["10.0.0.1"], "10.0.0.1", false);
        check(&[], &["10.0.0.0/24"], "10.0.1.1", true);
        check(&["::1"], &[], "127.0.0.1", false);
    }
}
