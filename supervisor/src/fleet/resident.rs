//! What the fleet knows of one model.

use std::sync::Arc;

use impetus_proto::Error;
use tokio::{sync::oneshot, time::Instant};

use super::Manifest;
use crate::{policy::restart::History, worker::WorkerId};

/// A model that was wanted at least once.
#[derive(Debug)]
pub(super) struct Resident {
    pub(super) manifest: Arc<Manifest>,
    pub(super) stage: Stage,
    pub(super) history: History,
    pub(super) restarts: u32,
    pub(super) last_exit: Option<String>,
    /// Since when nobody leases it.
    pub(super) idle_since: Instant,
    /// Who wants to know when its worker is gone.
    pub(super) gone: Vec<oneshot::Sender<()>>,
}

/// How far a model is on its way to a worker.
#[derive(Debug)]
pub(super) enum Stage {
    /// Not wanted.
    Absent,
    /// It waits for a standby.
    Waiting {
        /// Since when; the first to come is the first served.
        since: Instant,
    },
    /// It has a worker.
    Placed(WorkerId),
    /// Its worker is asked to go.
    Leaving {
        /// The worker.
        worker: WorkerId,
        /// Whether it is wanted again after that.
        again: bool,
    },
    /// Its worker died; another one takes over later.
    Backoff {
        /// When.
        until: Instant,
        /// Which start in a row that will be.
        attempt: u32,
        /// The dead worker.
        worker: WorkerId,
    },
    /// It is left alone until somebody acts.
    Failed {
        /// What every lease is told.
        error: Error,
        /// The dead worker.
        worker: WorkerId,
    },
}

impl Resident {
    pub(super) fn new(manifest: Arc<Manifest>, now: Instant) -> Self {
        Self {
            manifest,
            stage: Stage::Absent,
            history: History::default(),
            restarts: 0,
            last_exit: None,
            idle_since: now,
            gone: Vec::new(),
        }
    }

    /// When its worker has been idle for too long, if that can be.
    pub(super) fn expires(&self) -> Option<Instant> {
        let ttl = self.manifest.ttl.filter(|_| !self.manifest.pin)?;
        self.idle_since.checked_add(ttl)
    }
}
