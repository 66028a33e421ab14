//! The whole supervisor: everything is checked and bound before anything is started, and nothing is left when it
//! ends.

mod greeting;
mod log;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use impetus_config::{Config, LogFormat};
use impetus_proto::launch::{GatewaySpec, LogSpec};
use tokio::time::Instant;

use crate::{
    budget::{Memory, Pools},
    catalog::Library,
    control::{self, Control},
    fleet::{self, FleetSettings, FormatSettings},
    gateway::{self, GatewaySettings},
    launch::Launcher,
    lock::StateLock,
    logs::Logs,
    places::Places,
    policy::{health::Patience, restart::Limits},
    shutdown,
    worker::{Processes, Timeouts},
};

/// The supervisor's name wherever a process is named.
pub const NAME: &str = "supervisor";

/// A run of this many seconds is a good one.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// How many threads carry the supervisor's own work; it has little.
const THREADS: usize = 2;

/// Serves as `config` says until it is told to stop.
pub fn run(config: &Config) -> Result<()> {
    let places = Places::new(config)?;
    places.prepare_state()?;
    let _lock = StateLock::take(&places.state_dir)?;
    places.prepare_runtime()?;
    let listening = gateway::listen(config.gateway.listen)?;
    let library = Arc::new(Library::new(config, places.bundled_models())?);
    let logs =
        Logs::start(log::settings(config, &places)).context("cannot start the thread that writes logs")?;
    let guard = log::init(config, &places, &logs)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let served = runtime.block_on(serve(config, &places, listening, library, &logs));
    // A task that hangs in a system call must not keep a stopped server alive.
    runtime.shutdown_timeout(Duration::from_secs(1));
    logs.close();
    drop(guard);
    served
}

async fn serve(
    config: &Config,
    places: &Places,
    (socket, listen): (std::net::TcpListener, std::net::SocketAddr),
    library: Arc<Library>,
    logs: &Logs,
) -> Result<()> {
    let settings = &config.supervisor;
    let phase = shutdown::on_signals(seconds(settings.drain_timeout_s)).context("cannot follow signals")?;
    let control_socket = control::bind(&places.control_socket())?;
    library.scan().await;
    let launcher =
        Launcher::of_this_program().context("cannot tell where the supervisor's own program is")?;
    let nursery = Processes {
        launcher: launcher.clone(),
        logs: logs.clone(),
        log: log_spec(config),
        timeouts: timeouts(config),
        working_dir: places.state_dir.clone(),
    };
    let gateway_settings = gateway_settings(config, places)?;
    let (gateway, gateway_task) =
        gateway::start(gateway_settings, socket, listen, launcher, logs, phase.clone());
    let (measured, memory) =
        tokio::sync::watch::channel(Pools { limit: Memory::ram(u64::MAX), ..Pools::default() });
    let (fleet, fleet_task) = fleet::start(fleet_settings(config, places), nursery, memory, phase);
    drop(measured);
    let control = Control { fleet, gateway, library, logs: logs.clone(), started: Instant::now() };
    greeting::greet(&control, &places.control_socket());
    preload(&control).await;
    let serving = tokio::spawn(control::serve(control_socket, control));
    let (gateway_end, fleet_end) = tokio::join!(gateway_task, fleet_task);
    serving.abort();
    remove(&places.control_socket());
    gateway_end.and(fleet_end).context("a part of the supervisor failed")?;
    tracing::info!("stopped");
    Ok(())
}

async fn preload(control: &Control) {
    for name in control.library.preloads() {
        let placed = match control.library.find(name).await {
            Ok(manifest) => control.fleet.place(manifest).await,
            Err(error) => Err(error),
        };
        if let Err(error) = placed {
            tracing::error!(model = name, %error, "model not preloaded");
        }
    }
}

fn remove(socket: &Path) {
    if let Err(error) = std::fs::remove_file(socket) {
        tracing::debug!(%error, "the control socket was gone already");
    }
}

fn fleet_settings(config: &Config, places: &Places) -> FleetSettings {
    let format = |worker: &impetus_config::WorkerConfig| FormatSettings {
        program: places.program(&worker.command),
        standby: worker.standby as usize,
        threads: worker.threads,
    };
    let formats: BTreeMap<_, _> =
        config.workers.iter().map(|(name, worker)| (name.clone(), format(worker))).collect();
    FleetSettings {
        formats,
        restart: limits(config),
        drain: seconds(config.supervisor.drain_timeout_s),
        runtime_dir: places.runtime_dir.clone(),
        margin: config.budget.margin,
        wait: seconds(config.budget.wait_s),
        turn: seconds(config.budget.turn_s),
    }
}

fn gateway_settings(config: &Config, places: &Places) -> Result<GatewaySettings> {
    let spec = GatewaySpec {
        config_json: serde_json::to_string(config).context("cannot tell the gateway its configuration")?,
        supervisor_socket: places.control_socket().to_string_lossy().into_owned(),
        log: Some(log_spec(config)),
        adoption: None,
    };
    Ok(GatewaySettings {
        program: places.program(&config.gateway.command),
        working_dir: places.state_dir.clone(),
        spec,
        restart: limits(config),
        drain: seconds(config.supervisor.drain_timeout_s),
        start: seconds(config.supervisor.load_timeout_s),
    })
}

fn limits(config: &Config) -> Limits {
    let settings = &config.supervisor;
    Limits {
        initial: Duration::from_millis(settings.backoff_initial_ms),
        max: Duration::from_millis(settings.backoff_max_ms),
        window: seconds(settings.restart_window_s),
        max_deaths: settings.max_starts,
        healthy_after: HEALTHY_AFTER,
    }
}

fn timeouts(config: &Config) -> Timeouts {
    let settings = &config.supervisor;
    Timeouts {
        load: seconds(settings.load_timeout_s),
        hang: Patience {
            step: seconds(settings.hang_timeout_s),
            first_step: seconds(settings.first_step_timeout_s),
            word: seconds(settings.silence_timeout_s),
        },
        kill: seconds(settings.kill_timeout_s),
    }
}

fn log_spec(config: &Config) -> LogSpec {
    let format = match config.log.format {
        LogFormat::Json => "json",
        LogFormat::Text => "text",
    };
    LogSpec { level: config.log.level.clone(), format: format.into() }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
