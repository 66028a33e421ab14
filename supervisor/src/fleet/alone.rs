//! Workers for requests that may crash them: one at a time for each model, beside the usual one, for one lease at a
//! time.

use std::sync::Arc;

use impetus_proto::{Code, Error};
use tokio::time::Instant;

use super::{
    Fleet, Manifest, order,
    seat::{Resident, Stage},
};
use crate::{
    attribution::ExitCause,
    policy::sizing::Sizing,
    worker::{Leave, Nursery, WorkerId},
};

/// Workers that may fail to come up, one after the other, before those who wait for one are refused.
const MAX_FAILURES: u32 = 3;

impl<N: Nursery> Fleet<N> {
    /// Sees to it that the model has a worker for lonely requests or is on its way to one.
    pub(super) fn want_alone(&mut self, manifest: &Arc<Manifest>, now: Instant) {
        let resident = self
            .residents
            .entry(manifest.spec.model.clone())
            .or_insert_with(|| Resident::new(manifest.clone(), now));
        match &mut resident.alone {
            stage @ (Stage::Absent | Stage::Failed { .. } | Stage::Backoff { .. }) => {
                *stage = Stage::waiting(now);
            }
            Stage::Leaving { again, .. } => *again = true,
            Stage::Waiting { .. } | Stage::Placed(_) => {}
        }
    }

    /// A lonely lease has ended: the worker goes to the next one, or goes.
    pub(super) fn after_lonely_release(&mut self, model: &str, now: Instant) {
        if self.n_lonely(model) > 0 {
            return self.tell_leases(model, now);
        }
        let Some(resident) = self.residents.get_mut(model) else { return };
        match &resident.alone {
            Stage::Placed(worker) => {
                let worker = worker.clone();
                if let Some(entry) = self.workers.get(&worker) {
                    order(entry, Leave::Now);
                }
                resident.alone = Stage::Leaving { worker, again: false };
            }
            Stage::Waiting { .. } => resident.alone = Stage::Absent,
            _ => {}
        }
    }

    /// A worker for lonely requests has ended. Where several do not come up, those who wait are refused.
    pub(super) fn on_lonely_exit(
        &mut self,
        model: &str,
        worker: &WorkerId,
        was_ready: bool,
        cause: &ExitCause,
        now: Instant,
    ) {
        let n_waiting = self
            .leases
            .values()
            .filter(|lease| lease.model == model && lease.alone && lease.worker.is_none())
            .count();
        let Some(resident) = self.residents.get_mut(model) else { return };
        if let Stage::Placed(placed) | Stage::Leaving { worker: placed, .. } = &resident.alone
            && placed != worker
        {
            return;
        }
        let is_wanted = n_waiting > 0 && !self.is_stopping;
        if was_ready && cause.is_memory() {
            // It is the request that takes the memory, not the model.
            resident.sizing = Sizing::default();
        }
        let is_planned = was_ready || *cause == ExitCause::Stopped;
        resident.lonely_failures += u32::from(!is_planned);
        if is_wanted && resident.lonely_failures < MAX_FAILURES {
            resident.alone = Stage::waiting(now);
        } else {
            resident.alone = Stage::Absent;
            resident.lonely_failures = 0;
            let message = format!("the worker that was to try this request alone {cause}");
            self.refuse(model, true, &Error::new(Code::WorkerCrashed, message));
        }
    }

    /// Lonely leases on the model that have not ended.
    fn n_lonely(&self, model: &str) -> usize {
        let counts = |lease: &&super::LeaseEntry| {
            lease.model == model && lease.alone && !lease.states.borrow().is_last()
        };
        self.leases.values().filter(counts).count()
    }
}
