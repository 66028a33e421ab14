//! How long each part of the way to a model that serves took.

use std::time::Duration;

use tokio::time::Instant;

use super::seat::Stage;

/// The parts of a load, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadTimes {
    /// Until there was room for it.
    pub room: Duration,
    /// Until there was a standby to become its worker.
    pub standby: Duration,
    /// Until the worker had opened the weights and begun to load them.
    pub open: Duration,
    /// Until it served.
    pub load: Duration,
}

/// How far a worker is on its way.
#[derive(Debug, Clone)]
pub(super) struct Way {
    times: LoadTimes,
    placed: Instant,
    opened: Option<Instant>,
    has_arrived: bool,
}

impl Way {
    /// Of a worker that takes the seat at `stage` now.
    pub(super) fn begin(stage: Option<&Stage>, now: Instant) -> Self {
        let times = match stage {
            Some(Stage::Waiting { since, room_since }) => {
                let room = room_since.unwrap_or(now);
                LoadTimes { room: room - *since, standby: now - room, ..LoadTimes::default() }
            }
            _ => LoadTimes::default(),
        };
        Self { times, placed: now, opened: None, has_arrived: false }
    }

    /// It says for the first time that it has loaded something, or goes on.
    pub(super) fn load(&mut self, now: Instant) {
        self.opened.get_or_insert(now);
    }

    /// It serves.
    pub(super) fn arrive(&mut self, now: Instant) -> LoadTimes {
        let opened = self.opened.unwrap_or(now);
        (self.times.open, self.times.load) = (opened - self.placed, now - opened);
        self.has_arrived = true;
        self.times
    }

    /// What it took, once it serves.
    pub(super) fn times(&self) -> Option<LoadTimes> {
        self.has_arrived.then_some(self.times)
    }
}
