//! A lease: a caller's hold on a worker that serves a model. It lasts as long as the value.

use std::sync::{Arc, Mutex, PoisonError};

use impetus_proto::{Code, Error};
use tokio::sync::{Notify, watch};

use crate::worker::WorkerId;

/// A lease's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub(crate) u64);

/// How a lease stands.
#[derive(Debug, Clone, PartialEq)]
pub enum LeaseState {
    /// There is no worker yet.
    Queued(String),
    /// The worker loads the model: this part, 0 to 1, is done.
    Loading(f32),
    /// The worker serves.
    Ready(Hold),
    /// There is nothing to wait for or hold any more. Always the last state.
    Ended(Error),
}

/// The worker that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The worker.
    pub worker: WorkerId,
    /// Where it serves, as a URI.
    pub endpoint: String,
    /// The model's own name.
    pub model: String,
}

/// A hold on a model's worker, released when dropped.
#[derive(Debug)]
pub struct Lease {
    id: LeaseId,
    states: watch::Receiver<LeaseState>,
    releases: Arc<Releases>,
    told: bool,
}

/// Leases that were dropped and not yet taken note of. Bounded by the number of leases.
#[derive(Debug, Default)]
pub(crate) struct Releases {
    dropped: Mutex<Vec<LeaseId>>,
    notify: Notify,
}

impl Lease {
    pub(crate) fn new(id: LeaseId, states: watch::Receiver<LeaseState>, releases: Arc<Releases>) -> Self {
        Self { id, states, releases, told: false }
    }

    /// The present state at first, and then each later one.
    pub async fn next(&mut self) -> LeaseState {
        if self.told
            && self.states.changed().await.is_err()
            && !matches!(*self.states.borrow(), LeaseState::Ended(_))
        {
            return LeaseState::Ended(Error::new(Code::Unavailable, "the supervisor is stopping"));
        }
        self.told = true;
        self.states.borrow_and_update().clone()
    }

    /// Waits until the worker serves.
    pub async fn ready(&mut self) -> Result<Hold, Error> {
        loop {
            match self.next().await {
                LeaseState::Ready(hold) => return Ok(hold),
                LeaseState::Ended(error) => return Err(error),
                LeaseState::Queued(_) | LeaseState::Loading(_) => {}
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.releases.dropped.lock().unwrap_or_else(PoisonError::into_inner).push(self.id);
        self.releases.notify.notify_one();
    }
}

impl Releases {
    /// Waits until there may be some.
    pub(crate) async fn any(&self) {
        self.notify.notified().await;
    }

    /// All since the last time.
    pub(crate) fn take(&self) -> Vec<LeaseId> {
        std::mem::take(&mut self.dropped.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
