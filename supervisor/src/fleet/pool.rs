//! The standbys of one format: workers that are started and have no model yet.

use rand::random;
use tokio::time::Instant;

use super::{
    Fleet, FormatSettings,
    seat::{Role, Stage},
};
use crate::{
    attribution::ExitCause,
    policy::restart::{History, Restart},
    worker::{Leave, Nursery, State, WorkerId},
};

/// The standbys of one format.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) settings: FormatSettings,
    history: History,
    /// No start before this.
    pub(super) not_before: Option<Instant>,
    pub(super) attempt: u32,
    /// Why no worker of this format comes up, once that is so. Tries go on, at the longest delay.
    pub(super) broken: Option<String>,
    pub(super) restarts: u32,
    pub(super) last: Option<(WorkerId, String)>,
}

impl Pool {
    pub(super) fn new(settings: FormatSettings) -> Self {
        Self {
            settings,
            history: History::default(),
            not_before: None,
            attempt: 0,
            broken: None,
            restarts: 0,
            last: None,
        }
    }

    /// Forgets what went wrong, so that the next start is now.
    pub(super) fn clear(&mut self) {
        self.history.clear();
        self.not_before = None;
        self.attempt = 0;
        self.broken = None;
    }
}

impl<N: Nursery> Fleet<N> {
    /// How many workers of `format` are to be started at `now`: the standbys that are wanted and one for each
    /// model that waits for one.
    pub(super) fn missing_standbys(&self, format: &str, now: Instant) -> usize {
        let Some(pool) = self.pools.get(format) else { return 0 };
        if pool.not_before.is_some_and(|time| now < time) {
            return 0;
        }
        // One at a time, until it is known that they come up.
        if !pool.history.is_empty() && self.standbys(format).any(|(_, is_ready)| !is_ready) {
            return 0;
        }
        let n_waiting = self.seats_without_standby(format).count();
        let missing = (pool.settings.standby + n_waiting).saturating_sub(self.standbys(format).count());
        if pool.history.is_empty() { missing } else { missing.min(1) }
    }

    /// The standbys of `format` that are to stay, and whether they are ready.
    pub(super) fn standbys(&self, format: &str) -> impl Iterator<Item = (&WorkerId, bool)> {
        self.workers.iter().filter_map(move |(id, entry)| match entry.state {
            State::Standby { ready }
                if entry.format == format
                    && entry.placed.is_none()
                    && entry.orders.borrow().leave == Leave::No =>
            {
                Some((id, ready))
            }
            _ => None,
        })
    }

    /// A standby has come up, so that workers of its format do start.
    pub(super) fn on_standby(&mut self, id: &WorkerId) {
        let Some(entry) = self.workers.get(id) else { return };
        if let Some(pool) = self.pools.get_mut(&entry.format) {
            pool.broken = None;
        }
    }

    /// The models of `format` with a seat that lacks nothing but a standby, once for each.
    fn seats_without_standby(&self, format: &str) -> impl Iterator<Item = &str> {
        self.residents.iter().flat_map(move |(name, resident)| {
            let lacks = |role: &Role| {
                resident.manifest_of(*role).format == format
                    && matches!(resident.stage(*role), Some(Stage::Waiting { room_since: Some(_), .. }))
            };
            [Role::Main, Role::Next, Role::Alone]
                .into_iter()
                .filter(lacks)
                .map(|_| name.as_str())
                .collect::<Vec<_>>()
        })
    }

    /// A standby has ended without ever having had a model.
    pub(super) fn on_standby_exit(
        &mut self,
        id: &WorkerId,
        format: &str,
        useful_since: Option<Instant>,
        cause: &ExitCause,
        now: Instant,
    ) {
        let Some(pool) = self.pools.get_mut(format) else { return };
        if *cause == ExitCause::Stopped {
            return;
        }
        let served = useful_since.map(|since| now - since).unwrap_or_default();
        pool.last = Some((id.clone(), cause.to_string()));
        pool.restarts += 1;
        // Whoever kills standbys that have come up says nothing of the format.
        if cause.is_from_outside() && useful_since.is_some() {
            return;
        }
        match pool.history.died(&self.settings.restart, now, served, random()) {
            Restart::After { delay, attempt } => {
                pool.not_before = Some(now + delay);
                pool.attempt = attempt;
            }
            Restart::GiveUp { deaths } => {
                pool.not_before = Some(now + self.settings.restart.max);
                pool.attempt = deaths;
                pool.broken = Some(format!("no {format} worker starts: the last one {cause}"));
            }
        }
        let waiting: Vec<String> = self.seats_without_standby(format).map(ToOwned::to_owned).collect();
        for model in waiting {
            self.tell_leases(&model, now);
        }
    }
}
