//! The way of a model to its worker and back: wait, be placed, die, back off, fail, leave.

use std::sync::Arc;

use rand::random;
use tokio::{sync::oneshot, time::Instant};

use super::{
    Entry, Exit, Fleet, FleetSettings, FormatSettings, LoadTimes, Manifest, Placed, Restarted,
    leasing::refusal,
    order,
    pool::Pool,
    seat::{Resident, Role, Stage},
};
use crate::{
    attribution::ExitCause,
    budget::RAM,
    events::{Kind, Note},
    policy::{restart::Restart, sizing::Sizing},
    worker::{Leave, Nursery, State, WorkerId},
};

impl<N: Nursery> Fleet<N> {
    /// Sees to it that the model has a worker or is on its way to one.
    pub(super) fn place(&mut self, manifest: &Arc<Manifest>, now: Instant) {
        let model = manifest.spec.model.clone();
        let resident =
            self.residents.entry(model.clone()).or_insert_with(|| Resident::new(manifest.clone(), now));
        let is_new_file = resident.manifest.modified != manifest.modified;
        resident.renew(manifest.clone());
        match &mut resident.main {
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
        let given_up =
            impetus_proto::Error::new(impetus_proto::Code::Conflict, format!("{model} is unloaded"));
        self.drop_successor(model, &given_up);
        let Some(resident) = self.residents.get_mut(model) else {
            let _ = reply.send(());
            return;
        };
        resident.history.clear();
        (resident.keep_alive, resident.slots) = (None, None);
        match &resident.main {
            Stage::Placed(worker) | Stage::Leaving { worker, .. } => {
                let worker = worker.clone();
                resident.gone.push(reply);
                self.leave(model, worker, false, now);
            }
            Stage::Absent | Stage::Waiting { .. } | Stage::Backoff { .. } | Stage::Failed { .. } => {
                resident.main = Stage::Absent;
                let _ = reply.send(());
                self.tell_leases(model, now);
            }
        }
    }

    pub(super) fn restart(&mut self, target: &str, now: Instant) -> Option<Restarted> {
        let by_worker = self.workers.iter().find(|(id, _)| id.as_str() == target).map(|(_, entry)| entry);
        if let Some(entry) = by_worker.filter(|entry| entry.placed.is_none()) {
            order(entry, Leave::Now);
            return Some(Restarted::Standby);
        }
        let of_dead = || self.residents.iter().find(|(_, resident)| resident.last_worker_is(target));
        let model = by_worker
            .and_then(|entry| entry.model().map(ToOwned::to_owned))
            .or_else(|| of_dead().map(|(name, _)| name.clone()))
            .or_else(|| self.residents.contains_key(target).then(|| target.to_owned()))?;
        let format = self.residents.get(&model)?.manifest.format.clone();
        self.forgive(&model, &format, now);
        match &self.residents.get(&model)?.main {
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
        resident.sizing = Sizing::default();
        resident.forget_few_slots();
        if matches!(resident.main, Stage::Backoff { .. } | Stage::Failed { .. }) {
            self.want(model, now);
        }
    }

    /// Goes on with other settings.
    pub(super) fn configure(&mut self, settings: FleetSettings) {
        self.pools.retain(|format, _| settings.formats.contains_key(format));
        for (format, changed) in &settings.formats {
            let pool = self.pools.entry(format.clone()).or_insert_with(|| Pool::new(changed.clone()));
            let is_other =
                pool.settings != FormatSettings { standby: pool.settings.standby, ..changed.clone() };
            pool.settings = changed.clone();
            if is_other {
                pool.clear();
                let standbys =
                    self.workers.values().filter(|entry| entry.placed.is_none() && entry.format == *format);
                standbys.for_each(|entry| order(entry, Leave::Now));
            }
        }
        let gone = self
            .workers
            .values()
            .filter(|entry| entry.placed.is_none() && !self.pools.contains_key(&entry.format));
        gone.for_each(|entry| order(entry, Leave::Now));
        self.settings = settings;
    }

    /// Puts the model in line for room and a standby.
    pub(super) fn want(&mut self, model: &str, now: Instant) {
        if let Some(resident) = self.residents.get_mut(model) {
            resident.main = Stage::waiting(now);
            resident.idle_since = now;
            self.tell_leases(model, now);
        }
    }

    /// Asks a model's worker to go once its leases have ended.
    pub(super) fn leave(&mut self, model: &str, worker: WorkerId, again: bool, now: Instant) {
        let is_held = self.is_held(&worker);
        if let Some(entry) = self.workers.get(&worker) {
            order(entry, if is_held { Leave::Drain(now + self.settings.drain) } else { Leave::Now });
        }
        if let Some(resident) = self.residents.get_mut(model) {
            if !again {
                resident.forget_few_slots();
            }
            resident.main = Stage::Leaving { worker, again };
        }
        self.tell_leases(model, now);
    }

    /// A worker has loaded its model.
    pub(super) fn on_serving(&mut self, id: &WorkerId, now: Instant) {
        let Some(placed) = self.workers.get_mut(id).and_then(|entry| entry.placed.as_mut()) else { return };
        let LoadTimes { room, standby, open, load } = placed.way.arrive(now);
        tracing::info!(
            model = placed.model, worker = %id, room_ms = room.as_millis(), standby_ms = standby.as_millis(),
            open_ms = open.as_millis(), load_ms = load.as_millis(), "model ready"
        );
        let placed = placed.clone();
        let note =
            Note::new(Kind::ModelReady, &placed.model, format!("serves after {} ms", load.as_millis()));
        self.nursery.note(note.with("worker", id));
        if let Some(resident) = self.residents.get_mut(&placed.model) {
            resident.load_time = Some(now - placed.since);
            match placed.role {
                Role::Main => resident.idle_since = now,
                Role::Alone => resident.lonely_failures = 0,
                Role::Next | Role::Retiring => {}
            }
        }
        if placed.role == Role::Next {
            self.promote(&placed.model, now);
        }
    }

    pub(super) fn on_exit(&mut self, id: &WorkerId, cause: &ExitCause, now: Instant) {
        let Some(entry) = self.workers.remove(id) else { return };
        let model = entry.placed.as_ref().map(|placed| placed.model.clone());
        let exit = Exit { format: entry.format.clone(), model, cause: cause.name() };
        *self.exits.entry(exit).or_default() += 1;
        self.note_exit(id, &entry, cause, now);
        let Some(placed) = entry.placed.clone() else {
            return self.on_standby_exit(id, &entry.format, entry.useful_since, cause, now);
        };
        self.end_holds(id, cause);
        self.unsettle(now);
        if cause.is_memory() {
            self.footprints.forget(&placed.manifest);
        }
        let (placed_bytes, limit_bytes) = (self.placed().of(RAM), self.memory.borrow().limit.of(RAM));
        tracing::info!(model = placed.model, worker = %id, placed_bytes, limit_bytes, "freed");
        match placed.role {
            Role::Main => self.on_main_exit(id, &entry, &placed, cause, now),
            Role::Next => self.on_successor_exit(&placed.model, id, cause),
            Role::Alone => self.on_lonely_exit(&placed.model, id, entry.useful_since.is_some(), cause, now),
            Role::Retiring => {}
        }
        if placed.role == Role::Main {
            self.note_end(&placed.model);
        }
        self.tell_leases(&placed.model, now);
    }

    fn on_main_exit(
        &mut self,
        id: &WorkerId,
        entry: &Entry,
        placed: &Placed,
        cause: &ExitCause,
        now: Instant,
    ) {
        let model = &placed.model;
        let n_waiting = self.n_waiting(model);
        let Some(resident) = self.residents.get_mut(model) else { return };
        resident.last_exit = Some(cause.to_string());
        for gone in resident.gone.drain(..) {
            let _ = gone.send(());
        }
        match (&resident.main, cause) {
            (Stage::Leaving { again, .. }, _) if (*again || n_waiting > 0) && !self.is_stopping => {
                self.want(model, now);
            }
            (Stage::Leaving { .. }, _) | (_, ExitCause::Stopped) => resident.main = Stage::Absent,
            (_, cause) if cause.is_memory() => self.on_memory_death(id, entry, placed, cause, now),
            (_, ExitCause::LoadFailed(error)) => {
                let error = refusal(format!("{model} cannot be loaded: {error}"));
                resident.main = Stage::Failed { error, worker: Some(id.clone()) };
            }
            // Whoever kills workers from outside says nothing of the model.
            (_, cause) if cause.is_from_outside() && entry.useful_since.is_some() => {
                resident.restarts += 1;
                resident.history.clear();
                self.want(model, now);
            }
            _ => self.on_crash(id, entry, model, cause, now),
        }
    }

    fn on_crash(&mut self, id: &WorkerId, entry: &Entry, model: &str, cause: &ExitCause, now: Instant) {
        let Some(resident) = self.residents.get_mut(model) else { return };
        // A worker that has finished requests is of use, however short its life.
        let served = match entry.useful_since {
            Some(_) if entry.stats.finished > 0 => self.settings.restart.healthy_after,
            Some(since) => now - since,
            None => std::time::Duration::ZERO,
        };
        let restart = match resident.history.died(&self.settings.restart, now, served, random()) {
            // Whoever kills workers that load says nothing of the model either.
            Restart::GiveUp { deaths } if cause.is_from_outside() => {
                Restart::After { delay: self.settings.restart.max, attempt: deaths }
            }
            restart => restart,
        };
        match restart {
            Restart::After { delay, attempt } => {
                resident.restarts += 1;
                resident.main = Stage::Backoff { until: now + delay, attempt, worker: id.clone() };
            }
            Restart::GiveUp { deaths } => {
                let window_s = self.settings.restart.window.as_secs();
                let error = refusal(format!(
                    "{model} is not started again: its worker ended {deaths} times within {window_s} s; the last \
                     one {cause}; `supervisorctl restart {model}` tries again"
                ));
                tracing::error!(model, %error, "model failed");
                resident.main = Stage::Failed { error, worker: Some(id.clone()) };
            }
        }
    }

    /// A worker that died of memory is next given more of it, or fewer slots; never the same again.
    fn on_memory_death(
        &mut self,
        id: &WorkerId,
        entry: &Entry,
        placed: &Placed,
        cause: &ExitCause,
        now: Instant,
    ) {
        let limit = self.memory.borrow().limit.clone();
        let predicted = self.predict(&placed.manifest);
        let window = self.settings.restart.window;
        let Some(resident) = self.residents.get_mut(&placed.model) else { return };
        let is_rare = resident.memory_death.replace(now).is_none_or(|last| now - last > window);
        let former = if is_rare { Sizing::default() } else { resident.sizing };
        if let Some(sizing) = former.after_death(&predicted, &limit, placed.manifest.spec.slots) {
            let (model, factor, slots) = (&placed.model, sizing.factor, sizing.slots);
            tracing::warn!(model, factor, slots, "placed with more room");
            resident.restarts += 1;
            resident.sizing = sizing;
            self.want(model, now);
        } else if entry.useful_since.is_some() {
            // It does load, so a request has taken the memory.
            self.on_crash(id, entry, &placed.model, cause, now);
        } else {
            let error = refusal(format!(
                "{} is not started again: its worker {cause}, with one slot and all the memory that workers may hold; \
                 give it a shorter context, or raise budget.ram",
                placed.model
            ));
            resident.main = Stage::Failed { error, worker: Some(id.clone()) };
        }
    }

    /// What is due at `now`: the end of a backoff, the end of an idle model.
    pub(super) fn on_time(&mut self, now: Instant) {
        if self.is_stopping {
            return;
        }
        let due: Vec<(String, Option<WorkerId>)> = self
            .residents
            .iter()
            .filter_map(|(name, resident)| match &resident.main {
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

    /// When [`Fleet::on_time`], a pool or a waiting seat has something to do next.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.is_stopping {
            return None;
        }
        let of_models = self.residents.iter().filter_map(|(name, resident)| match &resident.main {
            Stage::Backoff { until, .. } => Some(*until),
            Stage::Placed(worker) => self.expiry(name, resident, worker),
            _ => None,
        });
        let of_rooms = self.next_room(now);
        let of_pools = self.pools.values().filter_map(|pool| pool.not_before).filter(|time| *time > now);
        of_models.chain(of_pools).chain(of_rooms).chain(self.next_turn(now)).min()
    }

    /// When the model is stopped for being idle, if its worker is ready and nobody leases it.
    pub(super) fn expiry(&self, model: &str, resident: &Resident, worker: &WorkerId) -> Option<Instant> {
        let entry = self.workers.get(worker)?;
        let is_idle = entry.state == State::Ready && entry.stats.slots_busy == 0 && !self.is_leased(model);
        if is_idle { self.expires(resident) } else { None }
    }
}
