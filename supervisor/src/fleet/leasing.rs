//! Leases: who holds which worker, and how the wait of the others stands.

use impetus_proto::{Code, Error};
use tokio::{sync::watch, time::Instant};

use super::{
    Fleet, LeaseEntry, Wanted,
    handle::stopping,
    seat::{Role, Stage},
};
use crate::{
    attribution::ExitCause,
    leases::{Hold, Lease, LeaseId, LeaseState, Loss},
    worker::{Nursery, State, WorkerId},
};

/// The hint that a refusal carries, in seconds.
const RETRY_AFTER_S: u32 = 30;

impl<N: Nursery> Fleet<N> {
    pub(super) fn acquire(&mut self, wanted: &Wanted, now: Instant) -> Lease {
        let model = wanted.manifest.spec.model.clone();
        self.next_lease += 1;
        let id = LeaseId(self.next_lease);
        let (worker, state) = if let Some(held) = &wanted.worker {
            self.resume_hold(held, &model)
        } else if let Some(refused) = self.refused_load(wanted) {
            (None, LeaseState::Ended(refused))
        } else {
            self.want_for_lease(wanted, now);
            (None, self.waiting_state(&model, wanted.alone, now))
        };
        if let Some(resident) = self.residents.get_mut(&model)
            && wanted.keep_alive.is_some()
        {
            resident.keep_alive = wanted.keep_alive;
        }
        let (states, receiver) = watch::channel(state);
        self.leases.insert(id, LeaseEntry { model: model.clone(), alone: wanted.alone, worker, states });
        self.tell_leases(&model, now);
        Lease::new(id, receiver, self.releases.clone())
    }

    fn want_for_lease(&mut self, wanted: &Wanted, now: Instant) {
        if self.is_stopping {
            return;
        }
        if wanted.alone {
            self.want_alone(&wanted.manifest, now);
        } else {
            self.place(&wanted.manifest, now);
        }
    }

    /// A lease on a worker that its holder has from an earlier supervisor.
    fn resume_hold(&self, held: &str, model: &str) -> (Option<WorkerId>, LeaseState) {
        let found =
            self.workers.iter().find(|(id, entry)| id.as_str() == held && entry.model() == Some(model));
        if let Some((id, _)) = found {
            return (Some(id.clone()), LeaseState::Ready(self.hold(model, id)));
        }
        let cause = "is not there any more".to_owned();
        (None, LeaseState::Lost(Loss { cause, may_be_request: false }))
    }

    pub(super) fn on_releases(&mut self, now: Instant) {
        for id in self.releases.take() {
            if let Some(lease) = self.leases.remove(&id) {
                self.after_release(&lease, now);
            }
        }
        self.changed();
    }

    fn after_release(&mut self, lease: &LeaseEntry, now: Instant) {
        if lease.alone {
            self.after_lonely_release(&lease.model, now);
        }
        let is_leased = self.is_leased(&lease.model);
        if let Some(resident) = self.residents.get_mut(&lease.model)
            && !is_leased
        {
            resident.idle_since = now;
            // Whoever wanted it is gone before it had a place.
            if matches!(resident.main, Stage::Waiting { .. }) && !resident.manifest.pin {
                resident.main = Stage::Absent;
            }
        }
        if let Some(worker) = &lease.worker
            && !self.is_held(worker)
            && let Some(entry) = self.workers.get(worker)
            && (entry.is_leaving() || self.is_stopping)
        {
            super::order(entry, crate::worker::Leave::Now);
        }
    }

    /// Whether anybody waits for the model or uses it.
    pub(super) fn is_leased(&self, model: &str) -> bool {
        self.leases.values().any(|lease| lease.model == model && !lease.states.borrow().is_last())
    }

    /// Whether anybody uses the worker.
    pub(super) fn is_held(&self, worker: &WorkerId) -> bool {
        self.n_holders(worker) > 0
    }

    /// How many use the worker.
    pub(super) fn n_holders(&self, worker: &WorkerId) -> usize {
        self.leases.values().filter(|lease| lease.worker.as_ref() == Some(worker)).count()
    }

    /// How many wait for the model's usual worker.
    pub(super) fn n_waiting(&self, model: &str) -> usize {
        let waits = |lease: &&LeaseEntry| {
            lease.model == model && !lease.alone && lease.worker.is_none() && !lease.states.borrow().is_last()
        };
        self.leases.values().filter(waits).count()
    }

    /// The worker is gone: so are the leases on it.
    pub(super) fn end_holds(&mut self, worker: &WorkerId, cause: &ExitCause) {
        let loss = Loss { cause: cause.to_string(), may_be_request: cause.may_be_request() };
        for lease in self.leases.values_mut().filter(|lease| lease.worker.as_ref() == Some(worker)) {
            lease.states.send_replace(LeaseState::Lost(loss.clone()));
        }
    }

    /// Tells all who wait for a seat of the model that there is nothing to wait for.
    pub(super) fn refuse(&mut self, model: &str, alone: bool, error: &Error) {
        for lease in self.leases.values_mut() {
            if lease.model == model
                && lease.alone == alone
                && lease.worker.is_none()
                && !lease.states.borrow().is_last()
            {
                lease.states.send_replace(LeaseState::Ended(error.clone()));
            }
        }
    }

    /// Tells those who wait for the model how it stands.
    pub(super) fn tell_leases(&mut self, model: &str, now: Instant) {
        let state = self.waiting_state(model, false, now);
        let worker = held(&state);
        let waits = |lease: &LeaseEntry| lease.model == model && lease.worker.is_none();
        for lease in self.leases.values_mut().filter(|lease| waits(lease) && !lease.alone) {
            tell(lease, &state, worker.as_ref());
        }
        self.tell_lonely(model, now);
    }

    /// Tells those who hold a worker that is not its model's usual one any more, once each.
    pub(super) fn tell_retired(&mut self) {
        let Self { leases, residents, workers, is_stopping, .. } = self;
        let serves = |model: &str, worker: &WorkerId| {
            let stage = residents.get(model).and_then(|resident| resident.stage(Role::Main));
            let is_usual = matches!(stage, Some(Stage::Placed(usual)) if usual == worker);
            let entry = workers.get(worker);
            let is_up = entry.is_some_and(|entry| entry.state == State::Ready && !entry.is_leaving());
            is_usual && is_up && !*is_stopping
        };
        for lease in leases.values().filter(|lease| !lease.alone) {
            let Some(worker) = &lease.worker else { continue };
            lease.states.send_if_modified(|state| {
                let LeaseState::Ready(hold) = state else { return false };
                let is_over = !serves(&lease.model, worker);
                if is_over {
                    *state = LeaseState::Retired(hold.clone());
                }
                is_over
            });
        }
    }

    /// Tells those who want to be alone: the first gets the worker, the others wait.
    fn tell_lonely(&mut self, model: &str, now: Instant) {
        let state = self.waiting_state(model, true, now);
        let mut worker = held(&state).filter(|worker| !self.is_held(worker));
        for lease in self.leases.values_mut().filter(|lease| lease.model == model && lease.alone) {
            if lease.worker.is_some() || lease.states.borrow().is_last() {
                continue;
            }
            match (&state, worker.take()) {
                (LeaseState::Ready(_), Some(worker)) => tell(lease, &state, Some(&worker)),
                (LeaseState::Ready(_), None) => {
                    tell(lease, &LeaseState::Queued("waits until another one has been tried".into()), None);
                }
                _ => tell(lease, &state, None),
            }
        }
    }

    /// How a lease on the model that holds no worker yet stands.
    fn waiting_state(&self, model: &str, alone: bool, now: Instant) -> LeaseState {
        let resident = self.residents.get(model).filter(|_| !self.is_stopping);
        let Some(resident) = resident else { return LeaseState::Ended(stopping()) };
        let role = if alone { Role::Alone } else { Role::Main };
        match resident.stage(role).unwrap_or(&Stage::Absent) {
            Stage::Absent => {
                let message = format!("{model} was unloaded while it was waited for");
                LeaseState::Ended(Error::new(Code::Unavailable, message))
            }
            Stage::Waiting { room_since, .. } => {
                self.state_of_wait(model, &resident.manifest.format, room_since.is_some())
            }
            Stage::Placed(worker) => match self.workers.get(worker).map(|entry| &entry.state) {
                Some(State::Loading { progress }) => LeaseState::Loading(*progress),
                Some(State::Ready) => LeaseState::Ready(self.hold(model, worker)),
                _ => LeaseState::Queued("its worker ends".into()),
            },
            Stage::Leaving { .. } => LeaseState::Queued("its former worker ends".into()),
            Stage::Backoff { until, attempt, .. } => {
                let wait = until.saturating_duration_since(now).as_secs_f32();
                LeaseState::Queued(format!(
                    "its worker ended unexpectedly; start {attempt} follows in {wait:.1} s"
                ))
            }
            Stage::Failed { error, .. } => LeaseState::Ended(error.clone()),
        }
    }

    fn state_of_wait(&self, model: &str, format: &str, has_room: bool) -> LeaseState {
        match self.pools.get(format).map(|pool| &pool.broken) {
            Some(Some(reason)) if !self.has_ready_standby(format) => {
                LeaseState::Ended(refusal(format!("{model} cannot be loaded: {reason}")))
            }
            Some(_) if has_room => LeaseState::Queued("waits for a worker to start".into()),
            Some(_) => LeaseState::Queued("waits for memory".into()),
            None => LeaseState::Ended(refusal(format!(
                "{model} cannot be loaded: there is no [workers.{format}] in the configuration"
            ))),
        }
    }

    fn hold(&self, model: &str, worker: &WorkerId) -> Hold {
        let socket = self.settings.runtime_dir.join(format!("{worker}.sock"));
        Hold {
            worker: worker.clone(),
            endpoint: format!("unix://{}", socket.display()),
            model: model.to_owned(),
            slots: self.workers.get(worker).map(|entry| entry.stats.slots_total).unwrap_or_default(),
        }
    }
}

fn tell(lease: &mut LeaseEntry, state: &LeaseState, worker: Option<&WorkerId>) {
    if lease.states.borrow().is_last() {
        return;
    }
    lease.worker = worker.cloned();
    lease.states.send_if_modified(|old| {
        let is_new = old != state && !old.is_last();
        if is_new {
            old.clone_from(state);
        }
        is_new
    });
}

fn held(state: &LeaseState) -> Option<WorkerId> {
    match state {
        LeaseState::Ready(hold) => Some(hold.worker.clone()),
        _ => None,
    }
}

/// The model cannot be served until somebody acts.
pub(super) fn refusal(message: String) -> Error {
    Error::new(Code::ModelLoadFailed, message).with_retry_after(RETRY_AFTER_S)
}
