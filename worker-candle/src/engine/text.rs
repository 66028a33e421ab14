//! `TextEngine` on a decoder with the keys and values of its slots, wherever both are.

use impetus_runtime::engine::{Batch, Limits, Rows, SlotId, StepError, TextEngine, Unsupported};

use super::chunk::reject;
use crate::plan::Plan;

/// A decoder and its cache.
pub(crate) struct CandleEngine<N: Decode> {
    decoder: N,
    cache: N::Cache,
    limits: Limits,
}

/// What computes the logits of tokens that follow what slots hold.
pub(crate) trait Decode: Send {
    /// What its slots hold.
    type Cache: SlotCache;

    /// Computes the rows of `plan`, writes their keys and values without committing them, and returns the logits of
    /// the wanted rows in the plan's order. Tokens must be of the vocabulary, and of the context.
    fn decode(&self, plan: &Plan, cache: &mut Self::Cache) -> Result<Vec<f32>, StepError>;
}

/// Keys and values of all slots.
pub(crate) trait SlotCache: Send {
    /// Why a slot does not get what it should hold.
    type Error;

    /// Tokens that the slot holds.
    fn length(&self, slot: SlotId) -> usize;

    /// Says that the slot holds `length` tokens, all of which were written.
    fn commit(&mut self, slot: SlotId, length: usize);

    /// Forgets the tokens from `length` on.
    fn truncate(&mut self, slot: SlotId, length: usize);

    /// Makes `to` hold the first `length` tokens of `from`. On an error it holds nothing.
    fn copy(&mut self, from: SlotId, to: SlotId, length: usize) -> Result<(), Self::Error>;

    /// Bytes that [`save`](Self::save) appends.
    fn bytes(&self, slot: SlotId) -> u64;

    /// Appends what the slot holds: for each layer the keys, then the values, token by token, in little-endian F32.
    fn save(&self, slot: SlotId, state: &mut Vec<u8>) -> Result<(), Self::Error>;

    /// Makes the slot hold the `length` tokens that were saved as `state`. On an error it holds nothing.
    fn load(&mut self, slot: SlotId, state: &[u8], length: usize) -> Result<(), Self::Error>;
}

impl<N: Decode> CandleEngine<N> {
    pub(crate) fn new(decoder: N, cache: N::Cache, limits: Limits) -> Self {
        Self { decoder, cache, limits }
    }
}

impl<N: Decode> TextEngine for CandleEngine<N> {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError> {
        let plan = Plan::of(batch);
        reject(&plan, self.limits, |slot| self.cache.length(slot))?;
        let logits = self.decoder.decode(&plan, &mut self.cache)?;
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
