//! How a pull goes, for those who follow it.

use std::convert::Infallible;

use impetus_proto::{
    Error,
    fetch::{FetchProgress, Plan},
};
use tokio::sync::{mpsc, watch};

use crate::store::{Kept, PullRow};

/// Nothing is ever sent; a sender is the wish that the pull goes on.
pub(super) type Interest = Infallible;

/// What is known of a pull.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// What is fetched, once that is known.
    pub plan: Option<Plan>,
    /// How far it is, once it has begun.
    pub progress: Option<FetchProgress>,
    /// What became of it; nothing follows.
    pub end: Option<Result<Box<Kept>, Error>>,
}

/// Keeps a pull going until it is dropped, and hears of it.
#[derive(Debug)]
pub struct Follower {
    states: watch::Receiver<Course>,
    _interest: mpsc::Sender<Interest>,
}

impl Course {
    /// Bytes that are here, as the last word or the last fetcher at its start had it.
    pub(super) fn bytes(&self) -> u64 {
        let told = self.progress.as_ref().map_or(0, |progress| progress.bytes);
        self.plan.as_ref().map_or(told, |plan| plan.present_bytes.max(told))
    }

    /// Bytes that are here and bytes in all, as far as is known; else as they were.
    pub(super) fn bytes_of(&self, row: &PullRow) -> (u64, u64) {
        let is_known = self.progress.is_some() || self.plan.is_some();
        let bytes = if is_known { self.bytes() } else { row.bytes };
        (bytes, self.plan.as_ref().map_or(row.total_bytes, |plan| plan.total_bytes))
    }
}

impl Follower {
    pub(super) fn new(mut states: watch::Receiver<Course>, interest: mpsc::Sender<Interest>) -> Self {
        states.mark_changed();
        Self { states, _interest: interest }
    }

    /// The present course at first, and then each later one. `None`: there was an end.
    pub async fn next(&mut self) -> Option<Course> {
        if self.states.changed().await.is_err() {
            return None;
        }
        Some(self.states.borrow_and_update().clone())
    }
}
