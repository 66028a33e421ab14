//! The address that the gateway listens on.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use impetus_proto::supervisor::GatewayStatus;

use super::{Finding, Patient};
use crate::gateway::port::holder_of;

const NAME: &str = "gateway.listen";

pub(super) fn finding(patient: &Patient) -> Finding {
    let listen = patient.config.gateway.listen;
    match patient.status.as_ref().and_then(|status| status.gateway.as_ref()) {
        Some(gateway) => ours(gateway),
        None if listen.port() == 0 => Finding::none(NAME, "the system chooses the port at each start"),
        None => free(listen, TcpListener::bind(listen).map(drop)),
    }
}

fn ours(gateway: &GatewayStatus) -> Finding {
    let seen = format!("the gateway on {} is {}", gateway.listen, gateway.state);
    if gateway.state == "ready" {
        return Finding::ok(NAME, seen);
    }
    Finding::error(NAME, seen, "look at `supervisorctl logs gateway`")
}

fn free(listen: SocketAddr, bound: io::Result<()>) -> Finding {
    match bound {
        Ok(()) => Finding::ok(NAME, format!("{listen} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let by = holder_of(listen.port()).map(|holder| format!(" by {holder}")).unwrap_or_default();
            Finding::error(
                NAME,
                format!("{listen} is taken{by}"),
                "stop that program, or set gateway.listen to another port",
            )
        }
        Err(error) => Finding::error(
            NAME,
            format!("{listen}: {error}"),
            "set gateway.listen to an address of this machine and a port that this user may listen on",
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
        check(&free(listen, bound), "error", &format!("{listen} is taken"));
        check(&free(listen, Ok(())), "ok", "is free");
        check(&free(listen, Err(io::ErrorKind::PermissionDenied.into())), "error", "may listen on");
        let gateway = |state: &str| GatewayStatus {
            state: state.into(),
            listen: "a:1".into(),
            ..GatewayStatus::default()
        };
        check(&ours(&gateway("ready")), "ok", "on a:1 is ready");
        check(&ours(&gateway("backoff")), "error", "logs gateway");
    }
}
