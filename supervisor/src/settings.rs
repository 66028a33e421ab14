//! What each part of the supervisor is told of one configuration.

use std::time::Duration;

use impetus_config::{Config, LogFormat, WorkerConfig};
use impetus_proto::launch::{GatewaySpec, LogSpec};

use crate::{
    adoption::Records,
    fleet::{FleetSettings, FormatSettings},
    gateway::GatewaySettings,
    keys::Keys,
    places::Places,
    policy::{health::Patience, restart::Limits},
    worker::Timeouts,
};

/// A run of this length is a good one.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// How workers are run, and when.
pub fn of_fleet(config: &Config, places: &Places) -> FleetSettings {
    let format = |worker: &WorkerConfig| FormatSettings {
        program: places.program(&worker.command),
        standby: worker.standby as usize,
        threads: worker.threads,
        sandbox: worker.sandbox,
        prefix_file_bytes: config.prefixes.file.0,
    };
    FleetSettings {
        formats: config.workers.iter().map(|(name, worker)| (name.clone(), format(worker))).collect(),
        restart: limits(config),
        drain: seconds(config.supervisor.drain_timeout_s),
        runtime_dir: places.runtime_dir.clone(),
        margin: config.budget.margin,
        wait: seconds(config.budget.wait_s),
        turn: seconds(config.budget.turn_s),
    }
}

/// How the gateway is run.
pub fn of_gateway(
    config: &Config,
    places: &Places,
    keys: &Keys,
) -> Result<GatewaySettings, serde_json::Error> {
    let spec = GatewaySpec {
        config_json: serde_json::to_string(config)?,
        supervisor_socket: places.control_socket().to_string_lossy().into_owned(),
        log: Some(log_spec(config)),
        adoption: None,
        keys: None,
        trial: false,
        entrances: Vec::new(),
    };
    Ok(GatewaySettings {
        program: places.program(&config.gateway.command),
        working_dir: places.state_dir.clone(),
        spec,
        keys: keys.clone(),
        records: records(config, places),
        restart: limits(config),
        drain: seconds(config.supervisor.drain_timeout_s),
        start: seconds(config.supervisor.load_timeout_s),
    })
}

/// Where children are written down for the next supervisor.
pub fn records(config: &Config, places: &Places) -> Records {
    let grace = seconds(config.supervisor.orphan_grace_s);
    Records { dir: places.runtime_dir.clone(), grace }
}

/// Patience with workers.
pub fn timeouts(config: &Config) -> Timeouts {
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

/// How children log.
pub fn log_spec(config: &Config) -> LogSpec {
    let format = match config.log.format {
        LogFormat::Json => "json",
        LogFormat::Text => "text",
    };
    LogSpec { level: config.log.level.clone(), format: format.into() }
}

/// How long what was stopped may go on.
pub fn drain(config: &Config) -> Duration {
    seconds(config.supervisor.drain_timeout_s)
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

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
