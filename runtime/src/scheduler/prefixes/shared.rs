//! What the threads that use prefixes share: the shelf, the file, and how far its writer is.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{arena::Arena, shelf::Shelf};

/// How far the file is behind what is in RAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scheduler) enum Filing {
    /// There is none, or nothing can be written to it now.
    Absent,
    /// Another process still has it.
    Locked,
    /// Something is being written, or waits for that.
    Busy,
    /// It has all.
    Done,
}

pub(super) struct Shared {
    pub(super) arena: Option<Arena>,
    shelf: Mutex<Shelf>,
    progress: Mutex<Progress>,
    pub(super) changed: Condvar,
}

/// What the writer and those who wait for it tell each other.
pub(super) struct Progress {
    pub(super) writer: Writer,
    /// There may be something to write, or the file is to be opened.
    pub(super) is_called: bool,
    /// The process is about to end: nothing that it writes needs to outlast the machine.
    pub(super) is_hurried: bool,
    pub(super) is_closed: bool,
}

/// What the writer does, as far as others care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// It waits to be called.
    Waits,
    /// It writes.
    Writes,
    /// It leaves the file to another process, and looks again after a while.
    IsLocked,
    /// The file failed; it is tried again after a while.
    HasFailed,
}

impl Shared {
    /// With a file the writer is called at once, to open it.
    pub(super) fn new(shelf: Shelf, arena: Option<Arena>) -> Arc<Self> {
        let is_called = arena.is_some();
        let progress = Progress { writer: Writer::Waits, is_called, is_hurried: false, is_closed: false };
        let (shelf, progress) = (Mutex::new(shelf), Mutex::new(progress));
        Arc::new(Self { arena, shelf, progress, changed: Condvar::new() })
    }

    /// Held for moments.
    pub(super) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held for moments.
    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is something to write.
    pub(super) fn call(&self) {
        self.progress().is_called = true;
        self.changed.notify_all();
    }

    /// The writer is to end.
    pub(super) fn close(&self) {
        self.progress().is_closed = true;
        self.changed.notify_all();
    }

    /// Whether the file is this process's.
    pub(super) fn is_open(&self) -> bool {
        self.arena.as_ref().is_some_and(Arena::is_open)
    }

    pub(super) fn filing(&self) -> Filing {
        if self.arena.is_none() {
            return Filing::Absent;
        }
        let Progress { writer, is_called, .. } = *self.progress();
        match writer {
            Writer::HasFailed => Filing::Absent,
            // Who prepares a sequence may have opened it since.
            Writer::IsLocked if !self.is_open() => Filing::Locked,
            Writer::Writes => Filing::Busy,
            Writer::Waits | Writer::IsLocked if is_called => Filing::Busy,
            Writer::Waits | Writer::IsLocked => Filing::Done,
        }
    }

    /// Waits until the file has all that is in RAM, until it cannot, or until `deadline`; the process is to end.
    pub(super) fn flush(&self, deadline: Instant) {
        self.progress().is_hurried = true;
        self.changed.notify_all();
        while self.filing() == Filing::Busy {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return };
            let progress = self.progress();
            if progress.is_called || progress.writer == Writer::Writes {
                drop(self.changed.wait_timeout(progress, left));
            }
        }
    }
}
