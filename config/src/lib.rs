//! Every setting of Impetus, declared once: a file per section, each value from its default, the configuration
//! file, `IMPETUS_SECTION__KEY` or `--set section.key=value`, the later winning.

mod gateway;
mod log;
mod models;
mod supervisor;
mod workers;

use serde::{Deserialize, Serialize};

pub use gateway::GatewayConfig;
pub use log::{LogConfig, LogFormat, Rotation};
pub use models::{ModelEntry, ModelsConfig};
pub use supervisor::SupervisorConfig;
pub use workers::WorkerConfig;

/// The whole configuration, resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The HTTP side.
    pub gateway: GatewayConfig,
    /// The supervisor's own places and limits.
    pub supervisor: SupervisorConfig,
    /// Where models are found.
    pub models: ModelsConfig,
    /// How the worker of each format is run, by format name.
    pub workers: std::collections::BTreeMap<String, WorkerConfig>,
    /// Log files of all processes.
    pub log: LogConfig,
    /// Settings of single models, by name.
    #[serde(default)]
    pub model: Vec<ModelEntry>,
}
