//! What is written down of this server's processes: what they say, what happens to them, and why they die.

use std::path::Path;

use crate::{
    crashes::{Crash, Crashes},
    events::{Events, Note},
    levels::Levels,
    logs::Logs,
};

/// Lines among which those of a report are chosen.
const N_LINES: usize = 80;

/// All of it. Clones are the same.
#[derive(Debug, Clone)]
pub struct Witness {
    /// What processes say.
    pub logs: Logs,
    /// How much they say.
    pub levels: Levels,
    /// What happened.
    pub events: Events,
    /// Why processes died.
    pub crashes: Crashes,
}

impl Witness {
    /// With reports in this state folder.
    pub fn new(logs: Logs, state_dir: &Path) -> Self {
        Self { logs, levels: Levels::default(), events: Events::default(), crashes: Crashes::new(state_dir) }
    }

    /// Reports a death, and says in `note` where.
    pub fn report(&self, crash: Crash, note: Note) {
        let lines = self.logs.tail(Some(&crash.process), N_LINES);
        let crash = crash.with_lines(lines.into_iter().map(|line| line.text.to_string()).collect());
        let witness = self.clone();
        // Writing waits for the disk.
        drop(tokio::task::spawn_blocking(move || match witness.crashes.keep(&crash) {
            Ok(_) => witness.events.note(note.with("crash", crash.id())),
            Err(error) => {
                tracing::warn!(process = crash.process, %error, "no report of this death can be written");
                witness.events.note(note);
            }
        }));
    }
}
