//! The gateway's process: started with the listening sockets, started again whenever it ends, and replaced by another
//! one that serves before it stops. The sockets stay open here, so that connections wait while there is no gateway
//! instead of being refused.

mod activation;
mod driver;
mod entrances;
mod handover;
pub mod port;
mod socket;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use impetus_config::Entrance;
use impetus_proto::{Code, Error, launch::GatewaySpec};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

pub use activation::{Activated, ActivationError};
pub use entrances::Entrances;
pub use port::{Holder, holder_of};
pub use socket::{ListenError, Listener, Moves, when_busy};

use crate::{
    adoption::Records, keys::Keys, launch::Launcher, policy::restart::Limits, shutdown::Phase,
    witness::Witness,
};

/// The gateway's name wherever a process is named.
pub const NAME: &str = "gateway";

/// Orders that may wait.
const WAITING: usize = 8;

/// How the gateway is run.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// Its program.
    pub program: PathBuf,
    /// Where it runs.
    pub working_dir: PathBuf,
    /// What it is told.
    pub spec: GatewaySpec,
    /// What else it is told: the keys of the moment.
    pub keys: Keys,
    /// Where it is written down for the next supervisor.
    pub records: Records,
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
    /// Where it listens, at the server's own entrance first.
    pub entrances: Vec<(Entrance, SocketAddr)>,
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
    orders: mpsc::Sender<Order>,
    state: watch::Receiver<GatewayState>,
    activated: Vec<Entrance>,
}

/// Another gateway is wanted, or the present one is to be run otherwise.
#[derive(Debug)]
struct Order {
    /// How it is run and where it listens, where that is to change.
    renewal: Option<Renewal>,
    /// Whether another one is wanted.
    starts_another: bool,
    reply: oneshot::Sender<Result<(), Error>>,
}

/// What changes with the next gateway.
#[derive(Debug)]
struct Renewal {
    settings: GatewaySettings,
    moves: Moves,
}

/// Keeps a gateway running at the entrances until `phase` says otherwise. One that is there goes on serving; it is replaced
/// when it was given another configuration.
pub fn start(
    settings: GatewaySettings,
    entrances: Entrances,
    launcher: Launcher,
    witness: &Witness,
    phase: watch::Receiver<Phase>,
) -> (GatewayHandle, JoinHandle<()>) {
    let Entrances { listeners, activated, serving, outdated } = entrances;
    let (orders, given) = mpsc::channel(WAITING);
    let first = GatewayState::new(Stage::Starting, addresses(&listeners));
    let (state, watched) = watch::channel(first);
    let is_current = serving.as_ref().is_none_or(|(_, config)| *config == settings.spec.config_json);
    let mut driver = driver::Driver::new(settings, launcher, witness, state, given, phase);
    let adopted = serving.and_then(|(claimed, _)| driver.adopt(claimed));
    for claimed in outdated {
        driver.retire(claimed);
    }
    if adopted.is_some() && !is_current {
        let order = Order { renewal: None, starts_another: true, reply: oneshot::channel().0 };
        orders.try_send(order).expect("the first order finds room");
    }
    (GatewayHandle { orders, state: watched, activated }, tokio::spawn(driver.run(listeners, adopted)))
}

impl GatewayHandle {
    /// How it stands now.
    pub fn state(&self) -> GatewayState {
        self.state.borrow().clone()
    }

    /// Whether the service manager listens at this entrance: connections to that address wait there even when nobody
    /// takes them any more.
    pub fn is_activated(&self, entrance: Entrance) -> bool {
        self.activated.contains(&entrance)
    }

    /// Changes whenever its state does.
    pub fn changes(&self) -> watch::Receiver<GatewayState> {
        self.state.clone()
    }

    /// Starts another one, and answers when that one serves and the former one, which may finish its requests, takes
    /// no new ones. On an error the former one goes on.
    pub async fn restart(&self) -> Result<(), Error> {
        self.order(None, true).await
    }

    /// The same, with other settings and sockets.
    pub async fn renew(&self, settings: GatewaySettings, moves: Moves) -> Result<(), Error> {
        self.order(Some(Renewal { settings, moves }), true).await
    }

    /// Changes how it is run, when it is the next time, and leaves the present one alone.
    pub async fn configure(&self, settings: GatewaySettings) -> Result<(), Error> {
        self.order(Some(Renewal { settings, moves: Moves::default() }), false).await
    }

    async fn order(&self, renewal: Option<Renewal>, starts_another: bool) -> Result<(), Error> {
        let gone = || Error::new(Code::Unavailable, "the server is stopping");
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order { renewal, starts_another, reply }).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

#[cfg(test)]
impl GatewayHandle {
    /// One without a process, which does whatever is asked at once.
    pub(crate) fn agreeable() -> Self {
        let (orders, mut given) = mpsc::channel::<Order>(WAITING);
        let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        let state = GatewayState::new(Stage::Ready, vec![(Entrance::Gateway, listen)]);
        tokio::spawn(async move {
            while let Some(order) = given.recv().await {
                drop(order.reply.send(Ok(())));
            }
        });
        Self { orders, state: watch::channel(state).1, activated: Vec::new() }
    }
}

impl GatewayState {
    fn new(stage: Stage, entrances: Vec<(Entrance, SocketAddr)>) -> Self {
        Self { pid: None, stage, entrances, restarts: 0, last_exit: None }
    }

    /// Where it listens, as a list for people: `127.0.0.1:8080, 127.0.0.1:11434`.
    pub fn places(&self) -> String {
        let places: Vec<String> = self.entrances.iter().map(|(_, address)| address.to_string()).collect();
        places.join(", ")
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

fn addresses(listeners: &[Listener]) -> Vec<(Entrance, SocketAddr)> {
    listeners.iter().map(|listener| (listener.entrance, listener.address)).collect()
}
