//! What a model is told that gets no memory.

use impetus_proto::{Code, Error};
use tokio::time::Instant;

use super::{
    Fleet,
    seat::{Role, Seat, Stage},
    slots::Fit,
};
use crate::worker::Nursery;

/// The hint that a refusal for lack of memory carries, in seconds.
const RETRY_AFTER_S: u32 = 10;

impl<N: Nursery> Fleet<N> {
    /// Refuses a seat with the numbers.
    pub(super) fn refuse_seat(&mut self, seat: &Seat, fit: &Fit, now: Instant) {
        let error = self.no_room(seat, fit);
        tracing::warn!(model = %seat, %error, "not placed");
        match seat.role {
            Role::Next => self.drop_successor(&seat.model, &error),
            role => {
                if let Some(stage) =
                    self.residents.get_mut(&seat.model).and_then(|resident| resident.stage_mut(role))
                {
                    *stage = Stage::Absent;
                }
                self.refuse(&seat.model, role == Role::Alone, &error);
            }
        }
        self.tell_leases(&seat.model, now);
        self.changed();
    }

    fn no_room(&self, seat: &Seat, fit: &Fit) -> Error {
        let need = &fit.need;
        let limit = self.memory.borrow().limit.clone();
        let holders: Vec<String> = self
            .workers
            .values()
            .filter_map(|entry| entry.placed.as_ref())
            .map(|placed| format!("{} holds {}", placed.model, placed.footprint))
            .collect();
        let holders = if holders.is_empty() { "nobody holds any".to_owned() } else { holders.join(", ") };
        let (model, free) = (&seat.model, limit.minus(&self.placed()));
        let message = if need.fits(&limit) {
            format!(
                "there is no memory for {model}: it needs {need}, {free} is free of {limit}, and {holders}; all of that is \
                 in use or pinned"
            )
        } else {
            let advice = if fit.manifest.spec.slots > 1 { "fewer slots or " } else { "" };
            format!(
                "{model} is too large: it needs {need}, and workers may hold {limit} together, of which {free} is free \
                 ({holders}); give it {advice}a shorter context, or raise the budget"
            )
        };
        Error::new(Code::NoCapacity, message).with_retry_after(RETRY_AFTER_S)
    }
}
