//! Hot swap: a new worker of a model is placed beside the present one, and takes over when it is ready.

use std::sync::Arc;

use impetus_proto::{Code, Error};
use tokio::{sync::oneshot, time::Instant};

use super::{
    Fleet, Manifest, order,
    seat::{Resident, Role, Stage, Successor},
};
use crate::{
    attribution::ExitCause,
    worker::{Leave, Nursery, State, WorkerId},
};

impl<N: Nursery> Fleet<N> {
    pub(super) fn replace(
        &mut self,
        manifest: Arc<Manifest>,
        asked: oneshot::Sender<Result<bool, Error>>,
        now: Instant,
    ) {
        let model = manifest.spec.model.clone();
        self.drop_successor(&model, &Error::new(Code::Conflict, format!("{model} is replaced again")));
        let fits = self.fits_beside(&manifest, &model, now);
        let resident =
            self.residents.entry(model.clone()).or_insert_with(|| Resident::new(manifest.clone(), now));
        resident.history.clear();
        let serves = resident
            .main
            .worker()
            .filter(|worker| self.workers.get(worker).is_some_and(|entry| entry.state == State::Ready));
        match serves.cloned() {
            Some(_) if fits => {
                resident.next = Some(Successor { manifest, stage: Stage::waiting(now), asked });
            }
            _ => {
                resident.renew(manifest);
                match resident.main.clone() {
                    Stage::Placed(worker) | Stage::Leaving { worker, .. } => {
                        self.leave(&model, worker, true, now);
                    }
                    Stage::Backoff { .. } | Stage::Failed { .. } => self.want(&model, now),
                    Stage::Absent | Stage::Waiting { .. } => {}
                }
                let _ = asked.send(Ok(false));
            }
        }
    }

    /// The successor is ready: it is the model's worker now, and the former one finishes its leases.
    pub(super) fn promote(&mut self, model: &str, now: Instant) {
        let Some(resident) = self.residents.get_mut(model) else { return };
        let Some(Successor { manifest, stage, asked }) = resident.next.take() else { return };
        let former = std::mem::replace(&mut resident.main, stage);
        resident.renew(manifest);
        if let Some(placed) = resident
            .main
            .worker()
            .and_then(|worker| self.workers.get_mut(worker))
            .and_then(|entry| entry.placed.as_mut())
        {
            placed.role = Role::Main;
            resident.note_slots(placed.manifest.spec.slots);
        }
        if let Stage::Placed(worker) | Stage::Leaving { worker, .. } = former {
            self.retire(&worker, now);
        }
        let _ = asked.send(Ok(true));
    }

    /// A successor has ended before it took over: the present worker stays.
    pub(super) fn on_successor_exit(&mut self, model: &str, worker: &WorkerId, cause: &ExitCause) {
        let Some(resident) = self.residents.get_mut(model) else { return };
        if resident.next.as_ref().and_then(|next| next.stage.worker()) != Some(worker) {
            return;
        }
        let message = format!("{model} goes on as it was: its new worker {cause}");
        let code = if matches!(cause, ExitCause::LoadFailed(_)) {
            Code::ModelLoadFailed
        } else {
            Code::WorkerCrashed
        };
        if let Some(next) = resident.next.take() {
            let _ = next.asked.send(Err(Error::new(code, message)));
        }
    }

    /// Gives a successor up.
    pub(super) fn drop_successor(&mut self, model: &str, error: &Error) {
        let Some(next) = self.residents.get_mut(model).and_then(|resident| resident.next.take()) else {
            return;
        };
        if let Some(entry) = next.stage.worker().and_then(|worker| self.workers.get_mut(worker)) {
            order(entry, Leave::Now);
            if let Some(placed) = &mut entry.placed {
                placed.role = Role::Retiring;
            }
        }
        let _ = next.asked.send(Err(error.clone()));
    }

    /// Lets a worker that was replaced finish its leases.
    fn retire(&mut self, worker: &WorkerId, now: Instant) {
        let is_held = self.is_held(worker);
        let Some(entry) = self.workers.get_mut(worker) else { return };
        order(entry, if is_held { Leave::Drain(now + self.settings.drain) } else { Leave::Now });
        if let Some(placed) = &mut entry.placed {
            placed.role = Role::Retiring;
        }
    }
}
