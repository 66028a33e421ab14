//! The thread that writes what was learned, so that nobody waits for the disk.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
};

use super::record::Stored;
use crate::state_file;

/// Hands over what is to be written.
#[derive(Debug)]
pub(super) struct Writer {
    /// None once it is finished, or when there is no thread.
    queue: Option<SyncSender<Stored>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts it. Without a thread nothing is kept, and the log says so.
    pub(super) fn start(path: PathBuf) -> Self {
        let (queue, waiting) = sync_channel(1);
        let thread =
            std::thread::Builder::new().name("footprints".into()).spawn(move || write(&path, &waiting));
        let thread =
            thread.inspect_err(|error| tracing::warn!(%error, "measured footprints will not be kept"));
        Self { queue: Some(queue), thread: thread.ok() }
    }

    /// Has what `stored` makes written; false when something waits to be written already.
    pub(super) fn offer(&self, stored: impl FnOnce() -> Stored) -> bool {
        let Some(queue) = &self.queue else { return true };
        // Most of what is offered is taken: whoever offers does so a few times after a load, and each write is short.
        !matches!(queue.try_send(stored()), Err(TrySendError::Full(_)))
    }

    /// Writes `last` and whatever waits before it, and ends.
    pub(super) fn finish(&mut self, last: Option<Stored>) {
        let queue = self.queue.take();
        if let (Some(queue), Some(last)) = (queue, last) {
            drop(queue.send(last));
        }
        if let Some(thread) = self.thread.take() {
            // It has nothing to say, and a panic of it was logged.
            drop(thread.join());
        }
    }
}

fn write(path: &Path, waiting: &Receiver<Stored>) {
    for stored in waiting {
        if let Err(error) = state_file::write(path, &stored) {
            tracing::warn!(path = %path.display(), %error, "measured footprints cannot be kept");
        }
    }
}
