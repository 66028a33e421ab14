//! `TextEngine` on the decoder: a slot is a part of the KV cache.

use impetus_runtime::engine::{Batch, Limits, Rows, SlotId, StepError, TextEngine, Unsupported};

use super::chunk::reject;
use crate::{
    decoder::{Decoder, KvCache},
    plan::Plan,
};

/// A decoder and its cache.
pub(crate) struct CandleEngine {
    decoder: Decoder,
    cache: KvCache,
    limits: Limits,
}

impl CandleEngine {
    pub(crate) fn new(decoder: Decoder, cache: KvCache, limits: Limits) -> Self {
        Self { decoder, cache, limits }
    }
}

impl TextEngine for CandleEngine {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError> {
        let plan = Plan::of(batch);
        reject(&plan, self.limits, |slot| self.cache.length(slot))?;
        for chunk in &plan.chunks {
            let tokens = chunk.position + chunk.rows.len();
            self.cache.reserve(chunk.slot, tokens).map_err(|_| StepError::KvFull)?;
        }
        let logits = self
            .decoder
            .forward(&plan, &mut self.cache)
            .map_err(|error| StepError::Fatal { reason: error.to_string() })?;
        for chunk in &plan.chunks {
            self.cache.commit(chunk.slot, chunk.position + chunk.rows.len());
        }
        let width = self.limits.vocabulary as usize;
        for answer in &plan.answers {
            for row in answer.clone() {
                rows.push(&logits[row * width..(row + 1) * width]);
            }
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
        self.cache.save(slot, state);
        Ok(())
    }

    fn kv_load(&mut self, slot: SlotId, state: &[u8], tokens: u32) -> Result<(), Unsupported> {
        self.cache.load(slot, state, tokens as usize).map_err(|_| Unsupported)
    }
}
