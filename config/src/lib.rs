//! Every setting of Impetus, declared once: a file per section, each value from its default, the configuration
//! file, `IMPETUS_SECTION__KEY` or `--set section.key=value`, the later winning.

mod auth;
mod budget;
mod describe;
mod diff;
mod entrance;
mod error;
mod gateway;
mod key;
mod layer;
mod load;
mod log;
mod models;
mod moment;
mod network;
mod place;
mod prefixes;
mod pull;
mod reference;
mod responses;
mod secret;
mod settings;
mod size;
mod slots;
mod suggest;
mod supervisor;
mod telemetry;
mod validate;
mod workers;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use auth::{AuthConfig, KeyEntry, PRIORITIES, Scope, parse_digest};
pub use budget::{BudgetConfig, Quota};
pub use diff::starts_only;
pub use entrance::{Entrance, is_local};
pub use error::{ConfigError, Hint};
pub use gateway::{CorsConfig, GatewayConfig, TlsConfig};
pub use layer::Origin;
pub use load::{Loaded, load, load_for_service};
pub use log::{LogConfig, LogFormat, Rotation};
pub use models::{Import, ModelEntry, ModelsConfig};
pub use moment::Moment;
pub use network::Network;
pub use prefixes::PrefixesConfig;
pub use pull::PullConfig;
pub use reference::reference;
pub use responses::ResponsesConfig;
pub use settings::{Edit, EditError, Profile, Setting, profiles};
pub use size::Size;
pub use slots::Slots;
pub use supervisor::{OnBattery, SupervisorConfig};
pub use telemetry::{OtlpProtocol, TelemetryConfig};
pub use validate::{is_key_name, is_model_name};
pub use workers::{Speculation, WorkerConfig};

/// The whole configuration, resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The HTTP side.
    pub gateway: GatewayConfig,
    /// Who may come in.
    pub auth: AuthConfig,
    /// Responses that are kept.
    pub responses: ResponsesConfig,
    /// The supervisor's own places and limits.
    pub supervisor: SupervisorConfig,
    /// Where models are found.
    pub models: ModelsConfig,
    /// How models are fetched from elsewhere.
    pub pull: PullConfig,
    /// How much memory workers may hold together.
    pub budget: BudgetConfig,
    /// What is kept of computed prompts.
    pub prefixes: PrefixesConfig,
    /// How the worker of each format is run, by format name.
    pub workers: BTreeMap<String, WorkerConfig>,
    /// Log files of all processes.
    pub log: LogConfig,
    /// Traces of requests.
    pub telemetry: TelemetryConfig,
    /// Settings of single models, by name.
    #[serde(default)]
    pub model: Vec<ModelEntry>,
}

impl Config {
    /// The names of all sections.
    pub(crate) const SECTIONS: &[&str] = &[
        "gateway",
        "auth",
        "responses",
        "supervisor",
        "models",
        "pull",
        "budget",
        "prefixes",
        "workers",
        "log",
        "telemetry",
        "model",
    ];

    /// Where models are that were fetched, sent or made.
    pub fn store_dir(&self) -> PathBuf {
        self.models.store.clone().unwrap_or_else(|| self.supervisor.state_dir.join("store"))
    }

    /// The folder of `models.dirs` in which the store's models would be found, which no loaded configuration has.
    pub fn dir_with_store(&self) -> Option<&Path> {
        validate::searched_in(self).map(|idx| self.models.dirs[idx].as_path())
    }

    /// Where log files are.
    pub fn log_dir(&self) -> PathBuf {
        self.log.dir.clone().unwrap_or_else(|| self.supervisor.state_dir.join("logs"))
    }
}

impl Default for Config {
    fn default() -> Self {
        let worker = |format: &str| {
            let command = format!("worker-{format}").into();
            (format.to_owned(), WorkerConfig { command, ..WorkerConfig::default() })
        };
        Self {
            gateway: GatewayConfig::default(),
            auth: AuthConfig::default(),
            responses: ResponsesConfig::default(),
            supervisor: SupervisorConfig::default(),
            models: ModelsConfig::default(),
            pull: PullConfig::default(),
            budget: BudgetConfig::default(),
            prefixes: PrefixesConfig::default(),
            workers: ["gguf", "candle", "onnx"].map(worker).into(),
            log: LogConfig::default(),
            telemetry: TelemetryConfig::default(),
            model: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
