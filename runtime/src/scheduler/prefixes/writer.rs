//! The thread that writes to the file what is due for it, so that nobody else waits for the disk.

use std::{
    io,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use tracing::{debug, warn};

use super::{
    arena::Content,
    shared::{Shared, Writer},
    shelf::Prefix,
};

/// How long a file that failed, or that another process has, is left alone.
const RETRY: Duration = Duration::from_secs(2);
const RETRY_AFTER_ERROR: Duration = Duration::from_mins(1);

/// Starts the thread. It ends with its [`Prefixes`](super::Prefixes).
pub(super) fn spawn(shared: &Arc<Shared>) {
    let started = std::thread::Builder::new().name("prefixes".into()).spawn({
        let shared = Arc::clone(shared);
        move || write(&shared)
    });
    if let Err(error) = started {
        warn!(%error, "no prefix is written to the file: its thread did not start");
        shared.progress().writer = Writer::HasFailed;
    }
}

fn write(shared: &Shared) {
    let mut has_warned = false;
    let mut pause = None;
    while wait(shared, pause) {
        let outcome = write_due(shared);
        let writer = match outcome {
            Ok(true) => Writer::Waits,
            Ok(false) => Writer::IsLocked,
            Err(_) => Writer::HasFailed,
        };
        pause = match outcome {
            Ok(true) => None,
            Ok(false) => Some(RETRY),
            Err(error) if has_warned => {
                debug!(%error, "the file of prefixes failed again");
                Some(RETRY_AFTER_ERROR)
            }
            Err(error) => {
                has_warned = true;
                warn!(%error, "prefixes are kept in RAM alone: their file failed; see whether its disk is full");
                Some(RETRY_AFTER_ERROR)
            }
        };
        {
            let mut progress = shared.progress();
            progress.writer = writer;
            // What is due is so still.
            progress.is_called |= writer == Writer::IsLocked;
        }
        shared.changed.notify_all();
    }
}

/// Waits until there is something to do: until a call, or, where the file is to be left alone for a while, for that
/// long, unless somebody else has opened it meanwhile. Answers whether to go on.
fn wait(shared: &Shared, pause: Option<Duration>) -> bool {
    let until = pause.map(|pause| Instant::now() + pause);
    let mut progress = shared.progress();
    loop {
        if progress.is_closed {
            return false;
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let is_due = match left {
            Some(left) => left.is_zero() || (progress.writer == Writer::IsLocked && shared.is_open()),
            None => progress.is_called,
        };
        if is_due {
            (progress.is_called, progress.writer) = (false, Writer::Writes);
            return true;
        }
        progress = match left {
            Some(left) => {
                shared.changed.wait_timeout(progress, left).unwrap_or_else(PoisonError::into_inner).0
            }
            None => shared.changed.wait(progress).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

/// Opens the file and writes what is due; false where another process has it.
fn write_due(shared: &Shared) -> io::Result<bool> {
    let Some(arena) = &shared.arena else { return Ok(true) };
    if !arena.open()? {
        return Ok(false);
    }
    loop {
        let Some(prefix) = shared.shelf().next_due() else { return Ok(true) };
        let Prefix { owner, tokens, state, .. } = &*prefix;
        let lasting = !shared.progress().is_hurried;
        arena.write(&Content { owner: arena.owner(owner), tokens, state }, lasting)?;
        shared.shelf().settled(&prefix);
    }
}
