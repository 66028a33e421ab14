//! What the gateway inherits: the channel to its supervisor, the listening sockets and its specification.

mod inherited;
mod lifeline;

use std::{
    io,
    os::{fd::RawFd, unix::net::UnixStream},
    sync::Arc,
};

use impetus_config::{Config, Entrance};
use impetus_proto::{
    adoption::Adoption,
    channel::{self, CHANNEL_FD},
    key::KeySet,
    launch::{GatewaySpec, LogSpec, Report, Serving, Trial, report},
};
use impetus_telemetry::{Format, Guard, Rotation, TelemetryError, file::RotatedFile};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tracing::{info, warn};

use inherited::Listener;

use crate::server::{self, Course, Gateway, GatewayError};

/// The name of the file of refusals; what was done is in the supervisor's own.
const AUDIT_FILE: &str = "audit-gateway";

/// The gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("descriptor {CHANNEL_FD} holds no specification ({0}); the gateway is started by the supervisor")]
    Channel(#[source] io::Error),
    #[error("the supervisor closed descriptor {CHANNEL_FD} before it sent a specification")]
    NoSpec,
    #[error(
        "the configuration in the specification is not understood: {0}; supervisor and gateway must be of one build"
    )]
    Config(#[from] serde_json::Error),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("there is no entrance {0:?}; supervisor and gateway must be of one build")]
    Entrance(String),
    #[error("descriptor {fd} is no listening socket: {source}")]
    Listener { fd: RawFd, source: io::Error },
    #[error("a listening socket cannot be served on: {0}")]
    Socket(#[source] io::Error),
    #[error("cannot listen for the next supervisor: {0}; check the permissions of supervisor.runtime_dir")]
    Adoption(#[source] io::Error),
    #[error("the runtime cannot start: {0}")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    Gateway(#[from] GatewayError),
}

/// Everything inherited, read and checked before anything is served.
pub(crate) struct Start {
    channel: UnixStream,
    listeners: Vec<Listener>,
    config: Config,
    supervisor_socket: String,
    keys: KeySet,
    adoption: Option<Adoption>,
    level: String,
    /// Of the audit log.
    guard: Option<Guard>,
}

impl Start {
    /// Takes over the inherited descriptors and sets up logging; `None` when it was only to be tried whether this program
    /// starts. Called once, first thing in the process.
    pub(crate) fn inherit() -> Result<Option<Self>, StartError> {
        let mut channel = inherited::channel().map_err(StartError::Channel)?;
        let spec: GatewaySpec =
            channel::read(&mut channel).map_err(StartError::Channel)?.ok_or(StartError::NoSpec)?;
        let listeners = inherited::listeners(&spec.entrances)?;
        let config: Config = serde_json::from_str(&spec.config_json)?;
        if spec.trial {
            let trial = Trial { version: env!("CARGO_PKG_VERSION").to_owned() };
            let report = Report { message: Some(report::Message::Trial(trial)) };
            return channel::write(&mut channel, &report).map(|()| None).map_err(StartError::Channel);
        }
        let guard = init_telemetry(&spec.log.clone().unwrap_or_default(), &config)?;
        Ok(Some(Self { guard, ..Self::new(channel, listeners, spec)? }))
    }

    fn new(channel: UnixStream, listeners: Vec<Listener>, spec: GatewaySpec) -> Result<Self, StartError> {
        let config = serde_json::from_str(&spec.config_json)?;
        let adoption = spec.adoption.as_ref().map(Adoption::listen).transpose();
        let adoption = adoption.map_err(StartError::Adoption)?;
        let (supervisor_socket, keys) = (spec.supervisor_socket, spec.keys.unwrap_or_default());
        let level = level(&spec.log.unwrap_or_default()).to_owned();
        Ok(Self { channel, listeners, config, supervisor_socket, keys, adoption, level, guard: None })
    }

    /// Serves until SIGTERM, or until SIGUSR1 says that another gateway serves now, then until the last request has
    /// finished; returns at once when the supervisor is gone and no other one has come within the grace.
    pub(crate) async fn serve(mut self) -> Result<(), StartError> {
        let lent: Result<Vec<Listener>, _> = self.listeners.iter().map(Listener::try_clone).collect();
        let lent = Arc::new(lent.map_err(StartError::Socket)?);
        let listeners = open(self.listeners).map_err(StartError::Socket)?;
        let terminate = signal(SignalKind::terminate()).map_err(StartError::Runtime)?;
        let retire = signal(SignalKind::user_defined1()).map_err(StartError::Runtime)?;
        let gateway = Gateway::new(&self.config, &self.supervisor_socket)?;
        gateway.set_keys(std::mem::take(&mut self.keys));
        let _guard = self.guard.take();

        let serving = Report { message: Some(report::Message::Serving(Serving::default())) };
        channel::write(&mut self.channel, &serving).map_err(StartError::Channel)?;
        let lifeline = lifeline::spawn(self.channel, self.adoption, Arc::downgrade(&lent), self.level)
            .map_err(StartError::Runtime)?;

        let (steer, course) = watch::channel(Course::Serve);
        tokio::spawn(follow(terminate, retire, steer, lent));
        tokio::select! {
            () = server::serve(listeners, gateway, course) => info!("stopped"),
            _ = lifeline => warn!("the supervisor is gone; ending"),
        }
        Ok(())
    }
}

/// Has the sockets accept within the runtime.
fn open(listeners: Vec<Listener>) -> io::Result<Vec<(Entrance, TcpListener)>> {
    let open = |Listener { entrance, socket }| {
        let listener = TcpListener::from_std(socket)?;
        info!(entrance = entrance.name(), address = %listener.local_addr()?, "serving");
        Ok((entrance, listener))
    };
    listeners.into_iter().map(open).collect()
}

/// Sets the course as signals say. Once it is not to serve, `lent` is dropped: when nobody holds the sockets any more, new
/// connections are refused.
async fn follow(
    mut terminate: Signal,
    mut retire: Signal,
    steer: watch::Sender<Course>,
    lent: Arc<Vec<Listener>>,
) {
    let course = tokio::select! {
        _ = terminate.recv() => Course::Stop,
        _ = retire.recv() => Course::Retire,
    };
    drop(lent);
    info!(?course, "finishing what runs");
    steer.send_replace(course);
    terminate.recv().await;
    steer.send_replace(Course::Stop);
    // An end would be taken for an order to stop.
    std::future::pending::<()>().await;
}

fn level(log: &LogSpec) -> &str {
    if log.level.is_empty() { "info" } else { &log.level }
}

/// A gateway that cannot write its audit log serves all the same, as it does when the disk is full later.
fn init_telemetry(log: &LogSpec, config: &Config) -> Result<Option<Guard>, TelemetryError> {
    let format = if log.format == "text" { Format::Text } else { Format::Json };
    let level = level(log);
    let rotation = match config.log.rotation {
        impetus_config::Rotation::Minutely => Rotation::Minutely,
        impetus_config::Rotation::Hourly => Rotation::Hourly,
        impetus_config::Rotation::Daily => Rotation::Daily,
        impetus_config::Rotation::Never => Rotation::Never,
    };
    match RotatedFile::open(&config.log_dir(), AUDIT_FILE, rotation, config.log.keep) {
        Ok(file) => impetus_telemetry::init_audited("gateway", level, format, file).map(Some),
        Err(error) => {
            impetus_telemetry::init("gateway", level, format)?;
            warn!(%error, "refusals are written to this log alone");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::sys::signal::{Signal, raise};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        task::JoinHandle,
    };

    use super::*;

    struct Running {
        channel: UnixStream,
        addresses: Vec<std::net::SocketAddr>,
        task: JoinHandle<Result<(), StartError>>,
    }

    fn spec() -> GatewaySpec {
        let mut config = Config::default();
        config.supervisor.state_dir = "/nonexistent/state".into();
        GatewaySpec {
            config_json: serde_json::to_string(&config).unwrap(),
            supervisor_socket: "/nonexistent/supervisor.sock".into(),
            log: None,
            adoption: None,
            keys: None,
            trial: false,
            entrances: Vec::new(),
        }
    }

    fn listener(entrance: Entrance) -> Listener {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Listener { entrance, socket }
    }

    async fn start() -> Running {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let listeners = Entrance::ALL.map(listener);
        let addresses = listeners.iter().map(|listener| listener.socket.local_addr().unwrap()).collect();
        let task = tokio::spawn(Start::new(theirs, listeners.into(), spec()).unwrap().serve());
        let (report, channel) = tokio::task::spawn_blocking(move || {
            let mut channel = ours;
            (channel::read::<Report>(&mut channel).unwrap().unwrap(), channel)
        })
        .await
        .unwrap();
        assert!(matches!(report.message, Some(report::Message::Serving(_))));
        Running { channel, addresses, task }
    }

    async fn health(address: &std::net::SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn ended(task: JoinHandle<Result<(), StartError>>) {
        tokio::time::timeout(Duration::from_secs(10), task).await.expect("it ends").unwrap().unwrap();
    }

    #[tokio::test]
    async fn it_serves_until_it_is_told_to_stop_or_the_supervisor_is_gone() {
        let running = start().await;
        for address in &running.addresses {
            assert!(health(address).await.starts_with("HTTP/1.1 200 OK"));
        }
        raise(Signal::SIGTERM).unwrap();
        ended(running.task).await;
        drop(running.channel);

        let running = start().await;
        drop(running.channel);
        ended(running.task).await;
    }

    #[test]
    fn a_strange_specification_is_refused() {
        let (channel, _far) = UnixStream::pair().unwrap();
        let spec = GatewaySpec { config_json: "{}".into(), ..spec() };
        assert!(matches!(Start::new(channel, Vec::new(), spec), Err(StartError::Config(_))));
        let refused = inherited::listeners(&["nowhere".to_owned()]);
        assert!(matches!(refused, Err(StartError::Entrance(name)) if name == "nowhere"));
    }
}
