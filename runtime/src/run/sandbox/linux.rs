//! Linux: landlock for files, TCP and signals, seccomp for system calls.

mod landlock;
mod places;
mod seccomp;
mod threads;

use std::path::{Path, PathBuf};

use super::level::Level;

/// Gives up effects on anything but the folder that sockets are made in.
pub(super) fn enter(runtime_dir: &Path, level: &mut Level) {
    match landlock::give_up_effects(runtime_dir) {
        Ok(version) => level.has(format!("landlock {version}")),
        Err(error) => level.lack(format_args!("landlock: {error}")),
    }
}

/// Gives up reading anything but `readable` and the system's own places, and most system calls that change anything.
pub(super) fn seal(readable: &[PathBuf], level: &mut Level) {
    if let Err(error) = landlock::give_up_reading(readable)
        && !error.is_absence()
    {
        level.lack(format_args!("reading is not limited: {error}"));
    }
    match seccomp::give_up_calls() {
        Ok(()) => level.has("seccomp"),
        Err(error) => level.lack(format_args!("seccomp: {error}")),
    }
}
