//! `TextEngine` on a decoder whose weights and cache are on a device.

use impetus_runtime::engine::{Batch, Limits, Rows, SlotId, StepError, TextEngine, Unsupported};

use super::{DeviceCache, DeviceDecoder};
use crate::{engine::reject, error::words, plan::Plan};

/// A decoder and its cache.
pub(crate) struct DeviceEngine {
    decoder: DeviceDecoder,
    cache: DeviceCache,
    limits: Limits,
}

impl DeviceEngine {
    pub(crate) fn new(decoder: DeviceDecoder, cache: DeviceCache, limits: Limits) -> Self {
        Self { decoder, cache, limits }
    }
}

impl TextEngine for DeviceEngine {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError> {
        let plan = Plan::of(batch);
        reject(&plan, self.limits, |slot| self.cache.length(slot))?;
        let logits = self.decoder.forward(&plan, &mut self.cache).map_err(|error| {
            let reason = words(&error);
            // Nothing was committed: the slots still hold what they held.
            if is_memory(&reason) { StepError::KvFull } else { StepError::Fatal { reason } }
        })?;
        for chunk in &plan.chunks {
            self.cache.commit(chunk.slot, chunk.position + chunk.rows.len());
        }
        let width = self.limits.vocabulary as usize;
        for row in plan.answers.iter().flat_map(Clone::clone) {
            rows.push(&logits[row * width..(row + 1) * width]);
        }
        Ok(())
    }

    fn kv_truncate(&mut self, slot: SlotId, length: u32) -> Result<(), Unsupported> {
        self.cache.truncate(slot, length as usize);
        Ok(())
    }

    fn kv_copy(&mut self, from: SlotId, to: SlotId, length: u32) -> Result<(), Unsupported> {
        self.cache.copy(from, to, length as usize).map_err(|_| Unsupported)
    }

    fn kv_clear(&mut self, slot: SlotId) {
        self.cache.truncate(slot, 0);
    }

    fn kv_bytes(&self, slot: SlotId) -> Option<u64> {
        Some(self.cache.bytes(slot))
    }

    fn kv_save(&self, slot: SlotId, state: &mut Vec<u8>) -> Result<(), Unsupported> {
        self.cache.save(slot, state).map_err(|_| Unsupported)
    }

    fn kv_load(&mut self, slot: SlotId, state: &[u8], tokens: u32) -> Result<(), Unsupported> {
        self.cache.load(slot, state, tokens as usize).map_err(|_| Unsupported)
    }
}

/// Whether the driver's words mean that the device's memory is used up.
fn is_memory(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["out of memory", "out_of_memory", "outofmemory"].iter().any(|known| words.contains(known))
}
