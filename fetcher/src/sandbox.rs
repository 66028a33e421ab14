//! What the fetcher gives up before it has a second thread and speaks to anybody: files but those of its pull and those
//! that names of servers are found with, programs, and sockets that lead to other programs of this machine. It parses what
//! strangers send, and so should be able to do little when it is taken over.
//!
//! What the system does not offer is left out and logged; it never fails a pull.

#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod seccomp;
#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// Which servers are asked for addresses.
const RESOLVER: &str = "/etc/resolv.conf";

/// The process is confined, as far as this system can do that.
#[derive(Debug)]
pub(crate) struct Sandbox {
    /// The resolver's settings, if they could be read at first.
    resolver: Option<PathBuf>,
}

impl Sandbox {
    /// Confines this thread and those that it starts, which are to be all there are. `staging` is the folder of the pull.
    pub(crate) fn enter(staging: &Path) -> Self {
        Self::with_resolver(staging, Path::new(RESOLVER))
    }

    fn with_resolver(staging: &Path, resolver: &Path) -> Self {
        confine(staging, resolver);
        Self { resolver: File::open(resolver).is_ok().then(|| resolver.to_owned()) }
    }

    /// Whether names of servers can no longer be found, because the resolver's settings were replaced by a new file. What
    /// may be read is what was there at the beginning: another process can read it.
    pub(crate) fn is_outdated(&self) -> bool {
        let denied = |path| File::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
        self.resolver.as_ref().is_some_and(denied)
    }
}

#[cfg(target_os = "linux")]
fn confine(staging: &Path, resolver: &Path) {
    match landlock::give_up_files(staging, resolver) {
        Ok(true) => tracing::debug!("landlock is in force"),
        Ok(false) => {
            tracing::warn!("this kernel has no landlock; what the fetcher reads and writes is not confined");
        }
        Err(error) => tracing::warn!(%error, "what the fetcher reads and writes is not confined"),
    }
    match seccomp::give_up_calls() {
        Ok(()) => tracing::debug!("seccomp is in force"),
        Err(error) => tracing::warn!(%error, "which sockets the fetcher opens is not confined"),
    }
}

/// Elsewhere there is nothing that a process can give up by itself.
#[cfg(not(target_os = "linux"))]
fn confine(_: &Path, _: &Path) {}
