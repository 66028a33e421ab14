//! `[log]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Log files of all processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The folder; absent: `logs` in the state folder.
    pub dir: Option<PathBuf>,
    /// What is logged: a level, or directives as `tracing-subscriber` reads them (`info,impetus_runtime=debug`).
    pub level: String,
    /// The form of a line.
    pub format: LogFormat,
    /// When a new file is begun.
    pub rotation: Rotation,
    /// Files kept for each process.
    pub keep: usize,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// When a new log file is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Rotation {
    Minutely,
    Hourly,
    Daily,
    Never,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { dir: None, level: "info".into(), format: LogFormat::Json, rotation: Rotation::Daily, keep: 7 }
    }
}
