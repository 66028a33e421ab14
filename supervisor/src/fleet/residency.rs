//! The way of a model to its worker and back: wait for a standby, be placed, die, back off, fail, leave.

use std::sync::Arc;

use impetus_proto::{Code, Error};
use rand::random;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::{
    Fleet, LeaseEntry, Manifest, Restarted, order,
    resident::{Resident, Stage},
    stopping,
};
use crate::{
    attribution::ExitCause,
    leases::{Hold, Lease, LeaseId, LeaseState},
    policy::restart::Restart,
    worker::{Leave, Nursery, Placement, State, WorkerId},
};

/// The hint that a refusal carries, in seconds.
const RETRY_AFTER_S: u32 = 30;

impl<N: Nursery> Fleet<N> {
    pub(super) fn acquire(&mut self, manifest: &Arc<Manifest>, now: Instant) -> Lease {
        if !self.is_stopping {
            self.place(manifest, now);
        }
        let model = &manifest.spec.model;
        self.next_lease += 1;
        let id = LeaseId(self.next_lease);
        let (states, receiver) = watch::channel(self.state_of_lease(model, now));
        let worker = held(&states.borrow());
        self.leases.insert(id, LeaseEntry { model: model.clone(), worker, states });
        Lease::new(id, receiver, self.releases.clone())
    }

    /// Sees to it that the model has a worker or is on its way to one.
    pub(super) fn place(&mut self, manifest: &Arc<Manifest>, now: Instant) {
        let model = manifest.spec.model.clone();
        let resident =
            self.residents.entry(model.clone()).or_insert_with(|| Resident::new(manifest.clone(), now));
        let is_new_file = resident.manifest.modified != manifest.modified;
        resident.manifest = manifest.clone();
        match &mut resident.stage {
            Stage::Absent => self.want(&model, now),
            Stage::Failed { .. } if is_new_file => {
                resident.history.clear();
                self.want(&model, now);
            }
            Stage::Leaving { again, .. } => *again = true,
            Stage::Waiting { .. } | Stage::Placed(_) | Stage::Backoff { .. } | Stage::Failed { .. } => {}
        }
    }

    pub(super) fn unload(&mut self, model: &str, reply: oneshot::Sender<()>, now: Instant) {
        let Some(resident) = self.residents.get_mut(model) else {
            let _ = reply.send(());
            return;
        };
        resident.history.clear();
        match &resident.stage {
            Stage::Placed(worker) | Stage::Leaving { worker, .. } => {
                let worker = worker.clone();
                resident.gone.push(reply);
                self.leave(model, worker, false, now);
            }
            Stage::Absent | Stage::Waiting { .. } | Stage::Backoff { .. } | Stage::Failed { .. } => {
                resident.stage = Stage::Absent;
                let _ = reply.send(());
                self.tell_leases(model, now);
            }
        }
    }

    pub(super) fn restart(&mut self, target: &str, now: Instant) -> Option<Restarted> {
        let by_worker = self.workers.iter().find(|(id, _)| id.as_str() == target).map(|(_, entry)| entry);
        if let Some(entry) = by_worker.filter(|entry| entry.model.is_none()) {
            order(entry, Leave::Now);
            return Some(Restarted::Standby);
        }
        let of_dead = || self.residents.iter().find(|(_, resident)| resident.last_worker_is(target));
        let model = by_worker
            .and_then(|entry| entry.model.clone())
            .or_else(|| of_dead().map(|(name, _)| name.clone()))
            .or_else(|| self.residents.contains_key(target).then(|| target.to_owned()))?;
        let format = self.residents.get(&model)?.manifest.format.clone();
        self.forgive(&model, &format, now);
        match &self.residents.get(&model)?.stage {
            Stage::Placed(worker) | Stage::Leaving { worker, .. } => {
                let worker = worker.clone();
                self.leave(&model, worker, true, now);
            }
            Stage::Absent => self.want(&model, now),
            Stage::Waiting { .. } | Stage::Backoff { .. } | Stage::Failed { .. } => {}
        }
        Some(Restarted::Model(model))
    }

    /// Forgets the failures of a model and of its format's standbys; one that was held back is wanted at once.
    pub(super) fn forgive(&mut self, model: &str, format: &str, now: Instant) {
        if let Some(pool) = self.pools.get_mut(format) {
            pool.clear();
        }
        let Some(resident) = self.residents.get_mut(model) else { return };
        resident.history.clear();
        if matches!(resident.stage, Stage::Backoff { .. } | Stage::Failed { .. }) {
            self.want(model, now);
        }
    }

    /// The models of `format` that wait for a standby, and since when.
    pub(super) fn waiting_models(&self, format: &str) -> impl Iterator<Item = (&str, Instant)> {
        self.residents.iter().filter_map(move |(name, resident)| match resident.stage {
            Stage::Waiting { since } if resident.manifest.format == format => Some((name.as_str(), since)),
            _ => None,
        })
    }

    /// Puts the model in line for a standby, which it gets at once when one is ready.
    fn want(&mut self, model: &str, now: Instant) {
        if let Some(resident) = self.residents.get_mut(model) {
            resident.stage = Stage::Waiting { since: now };
            resident.idle_since = now;
            self.give_standby(model, now);
        }
    }

    /// Hands the model to a ready standby of its format, if there is one.
    pub(super) fn give_standby(&mut self, model: &str, now: Instant) {
        if let Some(resident) = self.residents.get_mut(model) {
            let format = resident.manifest.format.clone();
            let ready = self.standbys(&format).find(|(_, is_ready)| *is_ready).map(|(id, _)| id.clone());
            if let Some(id) = ready {
                self.hand_over(model, id);
            }
        }
        self.tell_leases(model, now);
    }

    fn hand_over(&mut self, model: &str, id: WorkerId) {
        let (Some(resident), Some(entry)) = (self.residents.get_mut(model), self.workers.get_mut(&id)) else {
            return;
        };
        let mut spec = resident.manifest.spec.clone();
        spec.socket = self.settings.runtime_dir.join(format!("{id}.sock")).to_string_lossy().into_owned();
        entry.orders.send_modify(|orders| orders.place = Some(Placement { spec, limit_bytes: None }.into()));
        entry.model = Some(model.to_owned());
        entry.state = State::Loading { progress: 0.0 };
        entry.useful_since = None;
        resident.stage = Stage::Placed(id);
    }

    /// Asks a model's worker to go once its leases have ended.
    fn leave(&mut self, model: &str, worker: WorkerId, again: bool, now: Instant) {
        let is_held = self.leases.values().any(|lease| lease.worker.as_ref() == Some(&worker));
        if let Some(entry) = self.workers.get(&worker) {
            order(entry, if is_held { Leave::Drain(now + self.settings.drain) } else { Leave::Now });
        }
        if let Some(resident) = self.residents.get_mut(model) {
            resident.stage = Stage::Leaving { worker, again };
        }
        self.tell_leases(model, now);
    }

    pub(super) fn after_release(&mut self, model: &str, now: Instant) {
        let is_leased = self.leases.values().any(|lease| lease.model == model);
        let Some(resident) = self.residents.get_mut(model) else { return };
        if !is_leased {
            resident.idle_since = now;
        }
        let worker = match &resident.stage {
            Stage::Leaving { worker, .. } => worker,
            Stage::Placed(worker) if self.is_stopping => worker,
            _ => return,
        };
        let is_held = self.leases.values().any(|lease| lease.worker.as_ref() == Some(worker));
        if !is_held && let Some(entry) = self.workers.get(worker) {
            order(entry, Leave::Now);
        }
    }

    pub(super) fn on_exit(&mut self, id: &WorkerId, cause: &ExitCause, now: Instant) {
        let Some(entry) = self.workers.remove(id) else { return };
        let Some(model) = entry.model else {
            return self.on_standby_exit(id, &entry.format, entry.useful_since, cause, now);
        };
        for lease in self.leases.values_mut().filter(|lease| lease.worker.as_ref() == Some(id)) {
            let error = Error::new(Code::Unavailable, format!("the worker of {model} {cause}"));
            lease.states.send_replace(LeaseState::Ended(error));
        }
        let n_waiting =
            self.leases.values().filter(|lease| lease.model == model && lease.worker.is_none()).count();
        let Some(resident) = self.residents.get_mut(&model) else { return };
        resident.last_exit = Some(cause.to_string());
        let was_leaving = match &resident.stage {
            Stage::Leaving { again, .. } => Some(*again || n_waiting > 0),
            _ => None,
        };
        for gone in resident.gone.drain(..) {
            let _ = gone.send(());
        }
        let served = entry.useful_since.map(|since| now - since).unwrap_or_default();
        match (was_leaving, cause) {
            (Some(true), _) if !self.is_stopping => self.want(&model, now),
            (Some(_), _) | (None, ExitCause::Stopped) => resident.stage = Stage::Absent,
            (None, ExitCause::LoadFailed(error)) => {
                let error = refusal(format!("{model} cannot be loaded: {error}"));
                resident.stage = Stage::Failed { error, worker: id.clone() };
            }
            (None, _) => match resident.history.died(&self.settings.restart, now, served, random()) {
                Restart::After { delay, attempt } => {
                    resident.restarts += 1;
                    resident.stage = Stage::Backoff { until: now + delay, attempt, worker: id.clone() };
                }
                Restart::GiveUp { deaths } => {
                    let window_s = self.settings.restart.window.as_secs();
                    let error = refusal(format!(
                        "{model} is not started again: its worker ended {deaths} times within {window_s} s; the last \
                         one {cause}; `supervisorctl restart {model}` tries again"
                    ));
                    tracing::error!(model, %error, "model failed");
                    resident.stage = Stage::Failed { error, worker: id.clone() };
                }
            },
        }
        self.tell_leases(&model, now);
    }

    /// What is due at `now`: the end of a backoff, the end of an idle model.
    pub(super) fn on_time(&mut self, now: Instant) {
        if self.is_stopping {
            return;
        }
        let due: Vec<(String, Option<WorkerId>)> = self
            .residents
            .iter()
            .filter_map(|(name, resident)| match &resident.stage {
                Stage::Backoff { until, .. } if *until <= now => Some((name.clone(), None)),
                Stage::Placed(worker) if self.expiry(name, resident, worker)? <= now => {
                    Some((name.clone(), Some(worker.clone())))
                }
                _ => None,
            })
            .collect();
        for (model, idle) in due {
            match idle {
                Some(worker) => self.leave(&model, worker, false, now),
                None => self.want(&model, now),
            }
            self.changed();
        }
    }

    /// When [`Fleet::on_time`] or a pool has something to do next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.is_stopping {
            return None;
        }
        let of_models = self.residents.iter().filter_map(|(name, resident)| match &resident.stage {
            Stage::Backoff { until, .. } => Some(*until),
            Stage::Placed(worker) => self.expiry(name, resident, worker),
            _ => None,
        });
        let now = Instant::now();
        let of_pools = self.pools.values().filter_map(|pool| pool.not_before).filter(|time| *time > now);
        of_models.chain(of_pools).min()
    }

    /// When the model is stopped for being idle, if its worker is ready and nobody leases it.
    fn expiry(&self, model: &str, resident: &Resident, worker: &WorkerId) -> Option<Instant> {
        let is_ready = self.workers.get(worker)?.state == State::Ready;
        let is_leased = self.leases.values().any(|lease| lease.model == model);
        if is_ready && !is_leased { resident.expires() } else { None }
    }

    /// Tells those who wait for the model how it stands.
    pub(super) fn tell_leases(&mut self, model: &str, now: Instant) {
        let state = self.state_of_lease(model, now);
        let worker = held(&state);
        for lease in self.leases.values_mut().filter(|lease| lease.model == model && lease.worker.is_none()) {
            lease.worker.clone_from(&worker);
            lease.states.send_if_modified(|old| {
                let is_new = *old != state && !matches!(old, LeaseState::Ended(_));
                if is_new {
                    old.clone_from(&state);
                }
                is_new
            });
        }
    }

    /// How a lease on the model that holds no worker yet stands.
    fn state_of_lease(&self, model: &str, now: Instant) -> LeaseState {
        let resident = self.residents.get(model).filter(|_| !self.is_stopping);
        let Some(resident) = resident else { return LeaseState::Ended(stopping()) };
        match &resident.stage {
            Stage::Absent => {
                let message = format!("{model} was unloaded while it was waited for");
                LeaseState::Ended(Error::new(Code::Unavailable, message))
            }
            Stage::Waiting { .. } => {
                let pool = self.pools.get(&resident.manifest.format);
                match pool.map(|pool| &pool.broken) {
                    Some(Some(reason)) => {
                        LeaseState::Ended(refusal(format!("{model} cannot be loaded: {reason}")))
                    }
                    Some(None) => LeaseState::Queued("waits for a worker to start".into()),
                    None => LeaseState::Ended(refusal(format!(
                        "{model} cannot be loaded: there is no [workers.{}] in the configuration",
                        resident.manifest.format
                    ))),
                }
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

    fn hold(&self, model: &str, worker: &WorkerId) -> Hold {
        let socket = self.settings.runtime_dir.join(format!("{worker}.sock"));
        Hold {
            worker: worker.clone(),
            endpoint: format!("unix://{}", socket.display()),
            model: model.to_owned(),
        }
    }
}

impl Resident {
    fn last_worker_is(&self, id: &str) -> bool {
        match &self.stage {
            Stage::Backoff { worker, .. } | Stage::Failed { worker, .. } => worker.as_str() == id,
            _ => false,
        }
    }
}

fn held(state: &LeaseState) -> Option<WorkerId> {
    match state {
        LeaseState::Ready(hold) => Some(hold.worker.clone()),
        _ => None,
    }
}

fn refusal(message: String) -> Error {
    Error::new(Code::ModelLoadFailed, message).with_retry_after(RETRY_AFTER_S)
}
