//! The addresses that the gateway listens on.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use impetus_config::Entrance;
use impetus_proto::supervisor::{EntranceStatus, GatewayStatus};

use super::{Finding, Patient};
use crate::gateway::{holder_of, when_busy};

/// A finding for each that is configured, or that the gateway which runs has.
pub(super) fn findings(patient: &Patient) -> Vec<Finding> {
    let gateway = patient.status.as_ref().and_then(|status| status.gateway.as_ref());
    let finding = |entrance: Entrance| {
        let configured = patient.config.gateway.entrances().find(|(known, _)| *known == entrance);
        match (gateway, configured) {
            (Some(gateway), Some(_)) => Some(ours(entrance, gateway)),
            (Some(gateway), None) => found(entrance, gateway).map(|_| ours(entrance, gateway)),
            (None, Some((_, listen))) if listen.port() == 0 => {
                Some(Finding::none(entrance.setting(), "the system chooses the port at each start"))
            }
            (None, Some((_, listen))) => Some(free(entrance, listen, TcpListener::bind(listen).map(drop))),
            (None, None) => None,
        }
    };
    Entrance::ALL.into_iter().filter_map(finding).collect()
}

fn found(entrance: Entrance, gateway: &GatewayStatus) -> Option<&EntranceStatus> {
    gateway.entrances.iter().find(|found| found.name == entrance.name())
}

fn ours(entrance: Entrance, gateway: &GatewayStatus) -> Finding {
    let name = entrance.setting();
    let Some(EntranceStatus { listen, .. }) = found(entrance, gateway) else {
        return Finding::warning(
            name,
            "the gateway that runs does not listen there",
            "have it take the configuration up: `supervisorctl reload`",
        );
    };
    let seen = format!("the gateway on {listen} is {}", gateway.state);
    if gateway.state == "ready" {
        return Finding::ok(name, seen);
    }
    Finding::error(name, seen, "look at `supervisorctl logs gateway`")
}

fn free(entrance: Entrance, listen: SocketAddr, bound: io::Result<()>) -> Finding {
    let name = entrance.setting();
    match bound {
        Ok(()) => Finding::ok(name, format!("{listen} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let by = holder_of(listen.port()).map(|holder| format!(" by {holder}")).unwrap_or_default();
            Finding::error(name, format!("{listen} is taken{by}"), when_busy(entrance))
        }
        Err(error) => Finding::error(
            name,
            format!("{listen}: {error}"),
            format!("set {name} to an address of this machine and a port that this user may listen on"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_ours_or_taken() {
        let check = |finding: &Finding, verdict: &str, seen: &str| {
            let text = super::super::text(std::slice::from_ref(finding));
            let told = text.lines().nth(1).unwrap_or_default();
            assert!(told.starts_with(verdict) && told.contains(seen), "{told}");
        };
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = taken.local_addr().unwrap();
        let bound = TcpListener::bind(listen).map(drop);
        let own = Entrance::Gateway;
        check(&free(own, listen, bound), "error", &format!("{listen} is taken"));
        let bound = || TcpListener::bind(listen).map(drop);
        check(&free(Entrance::Ollama, listen, bound()), "error", "systemctl stop ollama");
        check(&free(own, listen, Ok(())), "ok", "is free");
        check(&free(own, listen, Err(io::ErrorKind::PermissionDenied.into())), "error", "may listen on");
        let gateway = |state: &str| GatewayStatus {
            state: state.into(),
            entrances: vec![EntranceStatus { name: "gateway".into(), listen: "a:1".into() }],
            ..GatewayStatus::default()
        };
        check(&ours(own, &gateway("ready")), "ok", "on a:1 is ready");
        check(&ours(own, &gateway("backoff")), "error", "logs gateway");
        check(&ours(Entrance::Ollama, &gateway("ready")), "warning", "supervisorctl reload");
    }
}
