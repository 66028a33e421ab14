//! What a service manager hears of the server, in systemd's protocol (sd_notify(3)): lines in a datagram to the socket
//! that `NOTIFY_SOCKET` names.
//!
//! The watchdog hears of the server as long as the owner of all workers answers: a supervisor whose process is there and
//! does nothing is not alive.

use std::{
    env, io,
    os::unix::net::{SocketAddr, UnixDatagram},
    sync::{Arc, Once},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    control::Control,
    fleet::Snapshot,
    gateway::{GatewayState, Stage},
    shutdown::Phase,
    worker::State,
};

/// How often it is looked what there is to say.
const LOOK: Duration = Duration::from_secs(1);

/// The way to the service manager.
pub(super) struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
    /// How long the service manager waits for a sign of life; absent where it waits for none.
    watchdog: Option<Duration>,
    stopping: Once,
}

impl Notifier {
    /// The service manager that has started this process, if it wants to hear of it.
    pub(super) fn from_environment() -> Option<Self> {
        let name = env::var("NOTIFY_SOCKET").ok()?;
        let open = || {
            let socket = UnixDatagram::unbound()?;
            // Somebody who does not read must not hold up the server.
            socket.set_nonblocking(true)?;
            io::Result::Ok((socket, address(&name)?))
        };
        let opened = open().inspect_err(|error| {
            tracing::warn!(%error, name, "NOTIFY_SOCKET names no socket; nobody is told how the server is");
        });
        let (socket, address) = opened.ok()?;
        Some(Self { socket, address, watchdog: watchdog(), stopping: Once::new() })
    }

    /// Tells, once, that the server is about to end.
    pub(super) fn stopping(&self) {
        self.stopping.call_once(|| self.tell("STOPPING=1"));
    }

    /// Tells how the server is until its last worker is gone.
    pub(super) async fn follow(self: Arc<Self>, control: Control, mut phase: watch::Receiver<Phase>) {
        let period = self.watchdog.map_or(LOOK, |watchdog| LOOK.min(watchdog / 2));
        let mut looks = interval(period);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut is_ready, mut said) = (false, String::new());
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                Ok(()) = phase.changed() => {}
            }
            let is_running = *phase.borrow_and_update() == Phase::Running;
            let gateway = control.gateway.changes().borrow().clone();
            if !is_ready && gateway.stage == Stage::Ready {
                is_ready = true;
                self.tell("READY=1");
            }
            if !is_running {
                self.stopping();
            }
            let Ok(answer) = timeout(period, control.fleet.snapshot()).await else { continue };
            // The last worker is gone, and with it who knows of them.
            let Ok(snapshot) = answer else { return };
            let status = status(&gateway, &snapshot, !is_running);
            if status != said {
                self.tell(&format!("STATUS={status}"));
                said = status;
            }
            if self.watchdog.is_some() {
                self.tell("WATCHDOG=1");
            }
        }
    }

    fn tell(&self, lines: &str) {
        if let Err(error) = self.socket.send_to_addr(lines.as_bytes(), &self.address) {
            tracing::debug!(%error, lines, "the service manager was not told");
        }
    }
}

/// A path, or a name behind an `@`.
fn address(name: &str) -> io::Result<SocketAddr> {
    match name.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(name)
        }
        #[cfg(not(target_os = "linux"))]
        Some(_) => Err(io::ErrorKind::Unsupported.into()),
        None => SocketAddr::from_pathname(name),
    }
}

/// `WATCHDOG_USEC`, unless that is meant for another process.
fn watchdog() -> Option<Duration> {
    let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
    let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|&usec| is_meant && usec > 0).map(Duration::from_micros)
}

/// The state in one line.
fn status(gateway: &GatewayState, snapshot: &Snapshot, is_stopping: bool) -> String {
    let serves = |state: &State| *state == State::Ready;
    let up = snapshot.workers.iter().filter(|row| row.model.is_some() && serves(&row.state));
    let (n_models, n_requests) =
        up.fold((0, 0), |(models, requests), row| (models + 1, requests + u64::from(row.leases)));
    let what = match (is_stopping, gateway.stage) {
        (true, _) => "stopping".to_owned(),
        (false, Stage::Ready) => format!("serving on {}", gateway.places()),
        (false, _) => "the gateway does not serve".to_owned(),
    };
    let plural = |n: u64, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    format!("{what}; {} up, {}", plural(n_models, "model"), plural(n_requests, "request"))
}
