//! macOS' unified log, for a server that launchd has started: nobody reads its standard error. syslog(3) writes there,
//! and the log has time, name and level itself.

use std::{
    ffi::{CString, c_int},
    io::{self, IsTerminal},
    os::unix::process::parent_id,
};

use nix::libc;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// The way to the log.
#[derive(Debug)]
pub(crate) struct UnifiedLog;

/// One line of it.
#[derive(Debug)]
pub(crate) struct Entry {
    priority: c_int,
}

/// Whether launchd has started this process: it is the parent of nobody else who has no terminal.
pub(crate) fn is_meant() -> bool {
    parent_id() == 1 && !io::stderr().is_terminal()
}

impl<'a> MakeWriter<'a> for UnifiedLog {
    type Writer = Entry;

    fn make_writer(&'a self) -> Entry {
        Entry { priority: libc::LOG_INFO }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Entry {
        let priority = match *metadata.level() {
            Level::ERROR => libc::LOG_ERR,
            Level::WARN => libc::LOG_WARNING,
            // What people should know is kept only from this priority on.
            Level::INFO => libc::LOG_NOTICE,
            _ => libc::LOG_DEBUG,
        };
        Entry { priority }
    }
}

impl io::Write for Entry {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text: Vec<u8> = line.trim_ascii_end().iter().copied().filter(|byte| *byte != 0).collect();
        let text = CString::new(text)?;
        // SAFETY: the format takes one string, and both end with a zero.
        unsafe { libc::syslog(self.priority, c"%s".as_ptr(), text.as_ptr()) };
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
