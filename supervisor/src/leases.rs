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
    /// It does so still, but no longer those who ask from now on.
    Retired(Hold),
    /// There is nothing to wait for. Always the last state.
    Ended(Error),
    /// The worker that was held is gone. Always the last state.
    Lost(Loss),
}

/// The end of a worker, as whoever held it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Why it ended, as a sentence without its subject.
    pub cause: String,
    /// Whether a request that it was computing can have brought this about.
    pub may_be_request: bool,
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
    /// Sequences that it generates at once.
    pub slots: u32,
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

impl LeaseState {
    /// Whether no other state follows.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::Lost(_))
    }
}

impl Lease {
    pub(crate) fn new(id: LeaseId, states: watch::Receiver<LeaseState>, releases: Arc<Releases>) -> Self {
        Self { id, states, releases, told: false }
    }

    /// The present state at first, and then each later one.
    pub async fn next(&mut self) -> LeaseState {
        if self.told && self.states.changed().await.is_err() && !self.states.borrow().is_last() {
            return LeaseState::Ended(Error::new(Code::Unavailable, "the supervisor is stopping"));
        }
        self.told = true;
        self.states.borrow_and_update().clone()
    }

    /// Waits until the worker serves.
    pub async fn ready(&mut self) -> Result<Hold, Error> {
        loop {
            match self.next().await {
                LeaseState::Ready(hold) | LeaseState::Retired(hold) => return Ok(hold),
                LeaseState::Ended(error) => return Err(error),
                LeaseState::Lost(loss) => {
                    let message = format!("the worker {}", loss.cause);
                    return Err(Error::new(Code::Unavailable, message));
                }
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
