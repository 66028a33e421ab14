//! Weights of models that wait are read meanwhile.

use std::collections::BTreeMap;

use super::{Fleet, seat::Role};
use crate::{
    budget::{Memory, RAM},
    worker::Nursery,
};

impl<N: Nursery> Fleet<N> {
    /// Has the weights of models that wait read, as far as they fit into what is `free`, and those of no others.
    pub(super) fn read_ahead(&mut self, free: &Memory) {
        let pools = self.memory.borrow().clone();
        let is_known = pools.total.of(RAM) > 0;
        let bytes = if is_known { free.min(&pools.available).of(RAM) } else { free.of(RAM) };
        let seats = self.waiting_seats().into_iter().map(|(seat, _)| seat);
        let waiting: BTreeMap<String, Role> =
            seats.filter(|seat| seat.role != Role::Alone).map(|seat| (seat.model, seat.role)).collect();
        self.ahead.retain(|model, _| waiting.contains_key(model));
        for (model, role) in waiting {
            // What a worker of the model has mapped is in the cache already.
            let is_read = self.ahead.contains_key(&model)
                || self.workers.values().any(|entry| entry.model() == Some(&model));
            let Some(resident) = self.residents.get(&model).filter(|_| !is_read && bytes > 0) else {
                continue;
            };
            let files = &resident.manifest_of(role).files;
            if !files.is_empty() {
                let ahead = self.nursery.read_ahead(files.clone(), bytes);
                self.ahead.insert(model, ahead);
            }
        }
    }
}
