//! Where the gateway is reached by HTTP from this machine.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use impetus_proto::supervisor::GatewayStatus;

/// Why it is not.
#[derive(Debug, thiserror::Error)]
pub(super) enum EntranceError {
    #[error(
        "the gateway speaks https only, which this program does not; use a server without gateway.tls, or a client that \
         speaks https"
    )]
    Tls,
    #[error("the gateway is {0:?}; wait until it is ready, or look at `supervisorctl status`")]
    NotServing(String),
}

/// Its host and port.
pub(super) fn authority(gateway: Option<&GatewayStatus>) -> Result<String, EntranceError> {
    let Some(gateway) = gateway.filter(|gateway| gateway.state == "ready") else {
        let state = gateway.map_or_else(|| "not running".to_owned(), |gateway| gateway.state.clone());
        return Err(EntranceError::NotServing(state));
    };
    if gateway.tls {
        return Err(EntranceError::Tls);
    }
    let Ok(mut address) = gateway.listen.parse::<SocketAddr>() else { return Ok(gateway.listen.clone()) };
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_reached_where_it_listens() {
        let gateway = |state: &str, listen: &str, tls| GatewayStatus {
            state: state.into(),
            listen: listen.into(),
            tls,
            ..GatewayStatus::default()
        };
        let check = |listen: &str, expected: &str| {
            assert_eq!(authority(Some(&gateway("ready", listen, false))).unwrap(), expected);
        };
        check("127.0.0.1:8080", "127.0.0.1:8080");
        check("0.0.0.0:1", "127.0.0.1:1");
        check("[::]:1", "[::1]:1");
        let refused = |gateway: Option<&GatewayStatus>, expected: &str| {
            let error = authority(gateway).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        refused(None, "not running");
        refused(Some(&gateway("backoff", "127.0.0.1:1", false)), "\"backoff\"");
        refused(Some(&gateway("ready", "127.0.0.1:1", true)), "https only");
    }
}
