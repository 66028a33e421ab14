//! A server that others can reach does not stand open by mistake.

use std::net::SocketAddr;

use impetus_config::{Config, Entrance, Moment, is_local};

use super::{MadeKeys, is_alive};

/// Other machines could reach the server, and nobody has a key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "other machines can reach {} = {listen}, and there is no key that opens anything; make one with \
     `supervisorctl key add NAME`, or declare one as [[auth.key]], or listen on 127.0.0.1; if everybody is to be served, \
     set auth.allow_unauthenticated = true",
    entrance.setting()
)]
pub struct Exposed {
    entrance: Entrance,
    listen: SocketAddr,
}

pub(super) fn check(config: &Config, made: &MadeKeys, now: Moment) -> Result<(), Exposed> {
    let Some((entrance, listen)) = config.gateway.entrances().find(|(_, address)| !is_local(*address)) else {
        return Ok(());
    };
    let has_key = made.alive(now) > 0 || config.auth.key.iter().any(|entry| is_alive(entry, now));
    if has_key || config.auth.allow_unauthenticated { Ok(()) } else { Err(Exposed { entrance, listen }) }
}
