//! The pipes that are being read, so that another supervisor can go on with them.

use std::{
    collections::BTreeMap,
    os::fd::OwnedFd,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

/// How long those who read may take to stop.
const STOP: Duration = Duration::from_secs(1);

/// A pipe that a child writes to.
#[derive(Debug)]
pub struct Pipe {
    /// Whose it is.
    pub source: String,
    /// Where its lines go.
    pub file: Option<String>,
    /// The end that is read.
    pub end: OwnedFd,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Pipes {
    open: Mutex<Open>,
    /// Whether nobody is to read any more.
    is_over: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    pipes: BTreeMap<u64, Pipe>,
}

/// Held by whoever reads a pipe.
#[derive(Debug)]
pub(super) struct Reading {
    number: u64,
    is_over: watch::Receiver<bool>,
}

impl Default for Pipes {
    fn default() -> Self {
        Self { open: Mutex::default(), is_over: watch::Sender::new(false) }
    }
}

impl Pipes {
    /// Somebody begins to read; `pipe` is the same once more.
    pub(super) fn begin(&self, pipe: Option<Pipe>) -> Reading {
        let mut open = self.locked();
        let number = open.next;
        open.next += 1;
        open.pipes.extend(pipe.map(|pipe| (number, pipe)));
        Reading { number, is_over: self.is_over.subscribe() }
    }

    /// It has been read to its end.
    pub(super) fn ended(&self, reading: &Reading) {
        self.locked().pipes.remove(&reading.number);
    }

    pub(super) async fn hand_over(&self) -> Vec<Pipe> {
        self.is_over.send_replace(true);
        // One who does not stop reads on what another one reads, too, and lines are torn.
        let _ = timeout(STOP, self.is_over.closed()).await;
        std::mem::take(&mut self.locked().pipes).into_values().collect()
    }

    fn locked(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    /// Resolves when the pipe is to be left to another supervisor.
    pub(super) async fn over(&mut self) {
        // An error means that nobody can say so any more.
        if self.is_over.wait_for(|is_over| *is_over).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
