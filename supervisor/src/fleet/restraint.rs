//! What is not done while the battery is to be spared.

use impetus_proto::{Code, Error};
use tokio::time::Instant;

use super::{
    Fleet, Wanted,
    seat::{Resident, Stage},
};
use crate::{
    policy::power::{IDLE, Restraint},
    worker::Nursery,
};

/// The hint that a refusal carries, in seconds.
const RETRY_AFTER_S: u32 = 60;

impl<N: Nursery> Fleet<N> {
    pub(super) fn restrain(&mut self, restraint: Restraint) {
        self.restraint = restraint;
    }

    /// Whether a model that nobody asks for now stays away.
    pub(super) fn is_left_out(&self, model: &str) -> bool {
        self.restraint != Restraint::None && !self.is_up(model)
    }

    /// Why a lease cannot be had, where that would take another load.
    pub(super) fn refused_load(&self, wanted: &Wanted) -> Option<Error> {
        let model = &wanted.manifest.spec.model;
        let is_refused = self.restraint == Restraint::NoNewLoads && !self.is_up(model);
        is_refused.then(|| {
            let message = format!(
                "{model} is not loaded, and no model is while the machine runs on its battery \
                 (supervisor.on_battery); connect it to power"
            );
            Error::new(Code::Unavailable, message).with_retry_after(RETRY_AFTER_S)
        })
    }

    /// When a model that nobody uses is to go, where that is sooner than its own settings say.
    pub(super) fn expires(&self, resident: &Resident) -> Option<Instant> {
        let by_restraint =
            (self.restraint != Restraint::None && !resident.manifest.pin).then(|| resident.idle_since + IDLE);
        [resident.expires(), by_restraint].into_iter().flatten().min()
    }

    /// Whether the model has a worker, or is about to have one.
    fn is_up(&self, model: &str) -> bool {
        self.residents.get(model).is_some_and(|resident| !matches!(resident.main, Stage::Absent))
    }
}
