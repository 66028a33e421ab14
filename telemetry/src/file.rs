//! Rotated log files that lose lines rather than stop the server.

use std::{
    io::{self, Write},
    path::Path,
};

use tracing_appender::rolling::{self, RollingFileAppender};

use crate::TelemetryError;

/// When a new file is begun; hours and days are those of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Rotation {
    Minutely,
    Hourly,
    Daily,
    Never,
}

/// The log files of one process: `<name>.log.<date>`, or `<name>.log` when they are never rotated. A write that
/// fails, for instance on a full disk, is counted and otherwise ignored.
#[derive(Debug)]
pub struct RotatedFile<W = RollingFileAppender> {
    inner: W,
    lost: u64,
    torn: bool,
}

impl RotatedFile {
    /// Opens the current file of the process `name` in `dir`, which is created when it is absent. At most `keep`
    /// files stay; the oldest are removed when a new one is begun.
    pub fn open(dir: &Path, name: &str, rotation: Rotation, keep: usize) -> Result<Self, TelemetryError> {
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
            return Err(TelemetryError::Name { name: name.into() });
        }
        let failed = |source| TelemetryError::Open { dir: dir.into(), name: name.into(), source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        // Old files are found by prefix: with ".log" in it, `gguf-1` does not remove the files of `gguf-10`.
        rolling::Builder::new()
            .rotation(rotation.into())
            .filename_prefix(format!("{name}.log"))
            .max_log_files(keep.max(1))
            .build(dir)
            .map(Self::over)
            .map_err(|error| failed(io::Error::other(error)))
    }
}

impl<W: Write> RotatedFile<W> {
    fn over(inner: W) -> Self {
        Self { inner, lost: 0, torn: false }
    }

    /// Writes that failed since the file was opened.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

impl<W: Write> Write for RotatedFile<W> {
    /// Takes all of `buf`, always.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        // A failed write may have left half a line behind, which the next line must not be glued to.
        let healed = if self.torn { self.inner.write_all(b"\n") } else { Ok(()) };
        self.torn = healed.and_then(|()| self.inner.write_all(buf)).is_err();
        self.lost += u64::from(self.torn);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // What could not be written was counted when it was written.
        let _ = self.inner.flush();
        Ok(())
    }
}

impl From<Rotation> for rolling::Rotation {
    fn from(rotation: Rotation) -> Self {
        match rotation {
            Rotation::Minutely => Self::MINUTELY,
            Rotation::Hourly => Self::HOURLY,
            Rotation::Daily => Self::DAILY,
            Rotation::Never => Self::NEVER,
        }
    }
}

#[cfg(test)]
mod tests;
