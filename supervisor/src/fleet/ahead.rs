//! Weights of models that wait are read meanwhile.

use super::{Fleet, Manifest, seat::Role};
use crate::{
    budget::{Memory, RAM},
    readahead::ReadAhead,
    worker::Nursery,
};

/// What is read of a model.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Reads until it is dropped.
    _reading: ReadAhead,
    /// The most that it reads.
    bytes: u64,
}

impl<N: Nursery> Fleet<N> {
    /// Has the weights of models that wait read, those that came first before the others, as far as all of them together
    /// fit into what is `free`, and those of no others.
    pub(super) fn read_ahead(&mut self, free: &Memory) {
        let pools = self.memory.borrow().clone();
        let is_known = pools.total.of(RAM) > 0;
        let free = if is_known { free.min(&pools.available).of(RAM) } else { free.of(RAM) };
        let mut seats = self.waiting_seats();
        seats.retain(|(seat, _)| seat.role != Role::Alone);
        self.ahead.retain(|model, _| seats.iter().any(|(seat, _)| seat.model == *model));
        let running = self.ahead.values().map(|ahead| ahead.bytes).fold(0, u64::saturating_add);
        let mut left = free.saturating_sub(running);
        for (seat, _) in seats {
            // What a worker of the model has mapped is in the cache already.
            let is_read = self.ahead.contains_key(&seat.model)
                || self.workers.values().any(|entry| entry.model() == Some(&seat.model));
            let Some(resident) = self.residents.get(&seat.model).filter(|_| !is_read && left > 0) else {
                continue;
            };
            let manifest = resident.manifest_of(seat.role);
            if !manifest.files.is_empty() {
                let bytes = left.min(size(manifest));
                left -= bytes;
                let reading = self.nursery.read_ahead(manifest.files.clone(), bytes);
                self.ahead.insert(seat.model, Ahead { _reading: reading, bytes });
            }
        }
    }
}

/// The bytes of the model's files; without end where that is not known.
fn size(manifest: &Manifest) -> u64 {
    if manifest.size_bytes > 0 { manifest.size_bytes } else { u64::MAX }
}
