//! `TextEngine` on the decoder: a slot is a part of the KV cache.

use impetus_runtime::engine::{Batch, Limits, Rows, SlotId, StepError, TextEngine, Unsupported};

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

    /// Why the slot's chunk cannot be computed, if so. The runtime sends no such chunk; should it ever, only this
    /// sequence shall end.
    fn objection(&self, plan: &Plan, chunk: usize) -> Option<String> {
        let chunk = &plan.chunks[chunk];
        let held = self.cache.length(chunk.slot);
        if chunk.position != held {
            return Some(format!("a chunk at position {} for a slot that holds {held}", chunk.position));
        }
        let end = chunk.position + chunk.rows.len();
        if end > self.limits.context_tokens as usize {
            return Some(format!("{end} tokens for a slot of {}", self.limits.context_tokens));
        }
        let unknown = plan.tokens[chunk.rows.clone()].iter().find(|&&token| token >= self.limits.vocabulary);
        unknown.map(|token| format!("token {token} is not of the vocabulary"))
    }

    fn reject(&self, plan: &Plan) -> Result<(), StepError> {
        let objections: Vec<_> = (0..plan.chunks.len())
            .filter_map(|idx| Some((plan.chunks[idx].slot, self.objection(plan, idx)?)))
            .collect();
        let Some((_, reason)) = objections.first() else { return Ok(()) };
        let reason = reason.clone();
        Err(StepError::Rejected { slots: objections.into_iter().map(|(slot, _)| slot).collect(), reason })
    }
}

impl TextEngine for CandleEngine {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError> {
        let plan = Plan::of(batch);
        self.reject(&plan)?;
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
