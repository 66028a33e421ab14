//! Linux: landlock for files, TCP and signals, seccomp for system calls.

mod landlock;
mod places;
mod seccomp;
mod threads;

use std::path::{Path, PathBuf};

use self::places::Place;
use super::{Making, level::Level};

/// Gives up effects on anything but the folder that something is made in.
pub(super) fn enter(own: &Path, making: Making, level: &mut Level) {
    let place = match making {
        Making::Sockets => Place::of_sockets(own),
        Making::Files => Place::of_files(own),
    };
    match landlock::give_up_effects(&place) {
        Ok(version) => level.has(format!("landlock {version}")),
        Err(error) => level.lack(format_args!("landlock: {error}")),
    }
}

/// Gives up reading anything but `readable`, the system's own places and what is made in `staging`, and most system calls
/// that change anything.
pub(super) fn seal(readable: &[PathBuf], staging: Option<&Path>, level: &mut Level) {
    let own = readable.iter().map(Place::reading).chain(staging.map(Place::of_files));
    if let Err(error) = landlock::give_up_reading(own)
        && !error.is_absence()
    {
        level.lack(format_args!("reading is not limited: {error}"));
    }
    match seccomp::give_up_calls() {
        Ok(()) => level.has("seccomp"),
        Err(error) => level.lack(format_args!("seccomp: {error}")),
    }
}
