//! Where workers of a model sit: the one that serves it, one that is to replace it, one for a request alone.

use std::{fmt, sync::Arc, time::Duration};

use impetus_proto::Error;
use tokio::{sync::oneshot, time::Instant};

use super::{KeepAlive, Manifest};
use crate::{
    policy::{restart::History, sizing::Sizing},
    worker::WorkerId,
};

/// What a worker with a model is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It serves its model.
    Main,
    /// It is to replace the one that serves, once it is ready.
    Next,
    /// It serves one request that may crash it.
    Alone,
    /// It was replaced, and finishes its leases.
    Retiring,
}

/// A seat of a model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seat {
    pub(super) model: String,
    pub(super) role: Role,
}

/// A model that was wanted at least once.
#[derive(Debug)]
pub(super) struct Resident {
    pub(super) manifest: Arc<Manifest>,
    pub(super) main: Stage,
    pub(super) next: Option<Successor>,
    pub(super) alone: Stage,
    pub(super) history: History,
    pub(super) sizing: Sizing,
    /// How many its present worker has, or the last one had, where that is up to the room there is.
    pub(super) slots: Option<u32>,
    /// When a worker last died for lack of memory.
    pub(super) memory_death: Option<Instant>,
    /// Workers for lonely requests that did not come up, in a row.
    pub(super) lonely_failures: u32,
    pub(super) restarts: u32,
    pub(super) last_exit: Option<String>,
    /// How long its last load took.
    pub(super) load_time: Option<Duration>,
    pub(super) keep_alive: Option<KeepAlive>,
    /// Since when nobody leases it.
    pub(super) idle_since: Instant,
    /// Who wants to know when its worker is gone.
    pub(super) gone: Vec<oneshot::Sender<()>>,
}

/// A worker that is to replace the present one.
#[derive(Debug)]
pub(super) struct Successor {
    pub(super) manifest: Arc<Manifest>,
    pub(super) stage: Stage,
    pub(super) asked: oneshot::Sender<Result<bool, Error>>,
}

/// How far a seat is on its way to a worker.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stage {
    /// Not wanted.
    Absent,
    /// It waits for room and for a standby.
    Waiting {
        /// Since when; the first to come is the first served.
        since: Instant,
        /// Since when there has been room, so that only a standby is missing.
        room_since: Option<Instant>,
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
        /// The worker that died last, if there was one.
        worker: Option<WorkerId>,
    },
}

impl Role {
    /// The word for it; nothing for the usual one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::Next => "next",
            Self::Alone => "alone",
            Self::Retiring => "retiring",
        }
    }
}

impl Seat {
    pub(super) fn new(model: impl Into<String>, role: Role) -> Self {
        Self { model: model.into(), role }
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Main => f.write_str(&self.model),
            role => write!(f, "{} ({})", self.model, role.name()),
        }
    }
}

impl Stage {
    pub(super) fn waiting(now: Instant) -> Self {
        Self::Waiting { since: now, room_since: None }
    }

    /// The worker that is placed here and stays.
    pub(super) fn worker(&self) -> Option<&WorkerId> {
        match self {
            Self::Placed(worker) => Some(worker),
            _ => None,
        }
    }
}

impl Resident {
    pub(super) fn new(manifest: Arc<Manifest>, now: Instant) -> Self {
        Self {
            manifest,
            main: Stage::Absent,
            next: None,
            alone: Stage::Absent,
            history: History::default(),
            sizing: Sizing::default(),
            slots: None,
            memory_death: None,
            lonely_failures: 0,
            restarts: 0,
            last_exit: None,
            load_time: None,
            keep_alive: None,
            idle_since: now,
            gone: Vec::new(),
        }
    }

    /// The stage of a seat, where there is one.
    pub(super) fn stage(&self, role: Role) -> Option<&Stage> {
        match role {
            Role::Main => Some(&self.main),
            Role::Next => self.next.as_ref().map(|next| &next.stage),
            Role::Alone => Some(&self.alone),
            Role::Retiring => None,
        }
    }

    pub(super) fn stage_mut(&mut self, role: Role) -> Option<&mut Stage> {
        match role {
            Role::Main => Some(&mut self.main),
            Role::Next => self.next.as_mut().map(|next| &mut next.stage),
            Role::Alone => Some(&mut self.alone),
            Role::Retiring => None,
        }
    }

    /// What a worker in this seat is told.
    pub(super) fn manifest_of(&self, role: Role) -> &Arc<Manifest> {
        match (role, &self.next) {
            (Role::Next, Some(next)) => &next.manifest,
            _ => &self.manifest,
        }
    }

    /// How long its worker stays when nobody leases it, if there is an end to that.
    pub(super) fn patience(&self) -> Option<Duration> {
        if self.manifest.pin {
            return None;
        }
        match self.keep_alive {
            Some(KeepAlive::Forever) => None,
            Some(KeepAlive::For(time)) => Some(time),
            None => self.manifest.ttl,
        }
    }

    /// When its worker has been idle for too long, if that can be.
    pub(super) fn expires(&self) -> Option<Instant> {
        self.idle_since.checked_add(self.patience()?)
    }

    pub(super) fn last_worker_is(&self, id: &str) -> bool {
        match &self.main {
            Stage::Backoff { worker, .. } => worker.as_str() == id,
            Stage::Failed { worker, .. } => worker.as_ref().is_some_and(|worker| worker.as_str() == id),
            _ => false,
        }
    }
}
