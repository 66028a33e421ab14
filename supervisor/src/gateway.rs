//! The gateway's process: started with the listening socket, started again whenever it ends. The socket stays open
//! here, so that connections wait while there is no gateway instead of being refused.

mod driver;
mod port;
mod socket;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use impetus_proto::{Code, Error, launch::GatewaySpec};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

pub use port::{Holder, holder_of};
pub use socket::{ListenError, listen};

use crate::{launch::Launcher, logs::Logs, policy::restart::Limits, shutdown::Phase};

/// The gateway's name wherever a process is named.
pub const NAME: &str = "gateway";

/// Restarts that may wait.
const WAITING: usize = 8;

/// How the gateway is run.
#[derive(Debug)]
pub struct GatewaySettings {
    /// Its program.
    pub program: PathBuf,
    /// Where it runs.
    pub working_dir: PathBuf,
    /// What it is told.
    pub spec: GatewaySpec,
    /// The delays between its starts.
    pub restart: Limits,
    /// How long its requests may go on when it is stopped.
    pub drain: Duration,
    /// How long it may take until it serves.
    pub start: Duration,
}

/// How the gateway stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayState {
    /// Its process, if it has one.
    pub pid: Option<u32>,
    /// What it does.
    pub stage: Stage,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How often it had to be started again.
    pub restarts: u32,
    /// Why its last process ended.
    pub last_exit: Option<String>,
}

/// What the gateway does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its process runs and does not serve yet.
    Starting,
    /// It serves.
    Ready,
    /// It finishes its requests.
    Stopping,
    /// It died and is started again soon.
    Backoff,
    /// It is not wanted any more.
    Stopped,
}

/// Gives orders to the gateway's process and tells how it stands.
#[derive(Debug, Clone)]
pub struct GatewayHandle {
    restarts: mpsc::Sender<oneshot::Sender<()>>,
    state: watch::Receiver<GatewayState>,
}

/// Keeps a gateway running on `socket` until `phase` says otherwise.
pub fn start(
    settings: GatewaySettings,
    socket: std::net::TcpListener,
    listen: SocketAddr,
    launcher: Launcher,
    logs: &Logs,
    phase: watch::Receiver<Phase>,
) -> (GatewayHandle, JoinHandle<()>) {
    let (restarts, orders) = mpsc::channel(WAITING);
    let first = GatewayState { pid: None, stage: Stage::Starting, listen, restarts: 0, last_exit: None };
    let (state, watched) = watch::channel(first);
    let driver = driver::Driver::new(settings, launcher, logs, state, orders, phase);
    (GatewayHandle { restarts, state: watched }, tokio::spawn(driver.run(socket)))
}

impl GatewayHandle {
    /// How it stands now.
    pub fn state(&self) -> GatewayState {
        self.state.borrow().clone()
    }

    /// Changes whenever its state does.
    pub fn changes(&self) -> watch::Receiver<GatewayState> {
        self.state.clone()
    }

    /// Lets it finish its requests, starts another one, and answers when that one serves.
    pub async fn restart(&self) -> Result<(), Error> {
        let gone = |()| Error::new(Code::Unavailable, "the server is stopping");
        let (reply, ready) = oneshot::channel();
        self.restarts.send(reply).await.map_err(|_| gone(()))?;
        ready.await.map_err(|_| gone(()))
    }
}

impl Stage {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::Backoff => "backoff",
            Self::Stopped => "stopped",
        }
    }
}
