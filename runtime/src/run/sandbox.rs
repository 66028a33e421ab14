//! What a worker gives up before it opens a file that may be hostile, in two steps. It *enters* before it has a second
//! thread: no programs, no files but its sockets, no network. It is *sealed* when it knows its model and has its
//! socket: from then on it reads its model and its libraries, and makes nothing at all.
//!
//! What the system does not offer is left out and named, in the level and in the log; it never fails a start.

mod level;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
mod model;

use std::{fmt, path::Path};

use crate::engine::ModelSpec;
use impetus_proto::launch::SandboxSpec;
use level::Level;
#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;

/// What a process makes in the one folder that is its own.
#[derive(Debug, Clone, Copy)]
enum Making {
    Sockets,
    Files,
}

/// A process's sandbox, if it is to have one; its text is the level in force.
pub(super) struct Sandbox(Option<Level>);

impl Sandbox {
    /// The first step. To be called by the only thread of the process.
    pub(super) fn enter(spec: Option<&SandboxSpec>) -> Self {
        Self(spec.filter(|spec| spec.enabled).map(|spec| {
            let mut level = Level::default();
            system::enter(spec.runtime_dir.as_ref(), Making::Sockets, &mut level);
            level
        }))
    }

    /// The second step, for all threads: what these are loaded from stays readable. No socket can be opened afterwards,
    /// only accepted.
    pub(super) fn seal<'a>(&mut self, specs: impl IntoIterator<Item = &'a ModelSpec>) {
        let Some(level) = &mut self.0 else { return };
        let readable = specs.into_iter().flat_map(|spec| model::readable(&spec.path, &spec.root));
        system::seal(&readable.collect::<Vec<_>>(), None, level);
        level.warn();
    }

    /// The first step of a process that only makes files, in `staging`. To be called by its only thread.
    pub(super) fn enter_job(is_enabled: bool, staging: &Path) -> Self {
        Self(is_enabled.then(|| {
            let mut level = Level::default();
            system::enter(staging, Making::Files, &mut level);
            level
        }))
    }

    /// The second step of such a process, for all threads: it reads the model at `path`, and has `staging`.
    pub(super) fn seal_job(&mut self, path: &Path, root: &Path, staging: &Path) {
        let Some(level) = &mut self.0 else { return };
        system::seal(&model::readable(path, root), Some(staging), level);
        level.warn();
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(level) => level.fmt(f),
            None => f.write_str("off"),
        }
    }
}

/// Systems without a sandbox that is known here.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod system {
    use std::path::{Path, PathBuf};

    use super::{Making, level::Level};

    pub(super) fn enter(_own: &Path, _making: Making, _level: &mut Level) {}

    pub(super) fn seal(_readable: &[PathBuf], _staging: Option<&Path>, level: &mut Level) {
        level.lack("no sandbox is known for this system");
    }
}
