//! What can go wrong before logging works; afterwards nothing about logging is an error.

use std::path::PathBuf;

/// Logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A directive that is neither a level nor `target=level`.
    #[error(
        "log level {level:?}: {directive:?} is not understood; expected off, error, warn, info, debug or trace, \
         optionally followed by directives such as impetus_runtime=debug, separated by commas"
    )]
    Level {
        /// The whole setting.
        level: String,
        /// The part of it that is wrong.
        directive: String,
    },
    /// The log folder or file cannot be created.
    #[error("cannot open the log file {name} in {}: {source}; check that the folder can be written", dir.display())]
    Open {
        /// The folder.
        dir: PathBuf,
        /// The process that the file is for.
        name: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The name of a log file would leave its folder.
    #[error("{name:?} cannot name a log file; expected letters, digits, '-', '_' and '.'")]
    Name {
        /// The refused name.
        name: String,
    },
    /// Logging was set up before in this process.
    #[error("logging is already set up in this process: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}
