//! The supervisor's own log: its file, standard error, and `supervisorctl logs supervisor`.

use std::io::{self, Write};

use impetus_config::{Config, LogFormat, Rotation as ConfiguredRotation};
use impetus_telemetry::{AUDIT, Format, Guard, Rotation, TelemetryError, file::RotatedFile};

use super::NAME;
use crate::{
    logs::{LogSettings, Logs, Source},
    places::Places,
};

/// A file whose lines are also kept for `supervisorctl logs`.
struct Kept {
    file: RotatedFile,
    source: Source,
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.source.line(&impetus_telemetry::escape(line));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Where and how log files are kept.
pub(super) fn settings(config: &Config, places: &Places) -> LogSettings {
    LogSettings { dir: places.log_dir.clone(), rotation: rotation(config), keep: config.log.keep }
}

/// From here on, log lines go where they belong, until the guard is dropped.
pub(super) fn init(config: &Config, places: &Places, logs: &Logs) -> Result<Guard, TelemetryError> {
    let format = match config.log.format {
        LogFormat::Json => Format::Json,
        LogFormat::Text => Format::Text,
    };
    let file = RotatedFile::open(&places.log_dir, NAME, rotation(config), config.log.keep)?;
    let audit = RotatedFile::open(&places.log_dir, AUDIT, rotation(config), config.log.keep)?;
    let kept = Kept { file, source: logs.source(NAME, None) };
    impetus_telemetry::init_supervisor(kept, audit, &config.log.level, format)
}

fn rotation(config: &Config) -> Rotation {
    match config.log.rotation {
        ConfiguredRotation::Minutely => Rotation::Minutely,
        ConfiguredRotation::Hourly => Rotation::Hourly,
        ConfiguredRotation::Daily => Rotation::Daily,
        ConfiguredRotation::Never => Rotation::Never,
    }
}
