//! `TextEngine` on sequences of a stock model.

use impetus_runtime::engine::{
    Batch, Chunk, Limits, Rows, SlotId, StepError, TextEngine, TokenId, Unsupported, Want,
};

use super::Sequence;

/// A slot for each sequence.
pub(super) struct StockEngine {
    /// Has seen nothing, and never will.
    pristine: Box<dyn Sequence>,
    slots: Vec<Slot>,
    /// Several tokens at once can follow others; otherwise they have to come one by one.
    appends: bool,
    limits: Limits,
}

struct Slot {
    sequence: Box<dyn Sequence>,
    /// Tokens that it has seen.
    length: usize,
}

impl StockEngine {
    pub(super) fn new(pristine: Box<dyn Sequence>, appends: bool, limits: Limits) -> Self {
        let empty = || Slot { sequence: pristine.fork(), length: 0 };
        let slots = (0..limits.slots).map(|_| empty()).collect();
        Self { pristine, slots, appends, limits }
    }

    /// Why a chunk cannot be computed, if so. The runtime sends no such chunk; should it ever, only this sequence
    /// shall end.
    fn objection(&self, chunk: &Chunk, tokens: &[TokenId]) -> Option<String> {
        let held = self.slots[chunk.slot.0 as usize].length;
        if chunk.position as usize != held {
            return Some(format!("a chunk at position {} for a slot that holds {held}", chunk.position));
        }
        if held + tokens.len() > self.limits.context_tokens as usize {
            let limit = self.limits.context_tokens;
            return Some(format!("{} tokens for a slot of {limit}", held + tokens.len()));
        }
        let unknown = tokens.iter().find(|token| token.0 >= self.limits.vocabulary);
        unknown.map(|token| format!("token {} is not of the vocabulary", token.0))
    }

    fn reject(&self, batch: &Batch) -> Result<(), StepError> {
        let objections: Vec<_> = batch
            .chunks()
            .iter()
            .filter_map(|chunk| Some((chunk.slot, self.objection(chunk, batch.tokens(chunk))?)))
            .collect();
        let Some((_, reason)) = objections.first() else { return Ok(()) };
        let reason = reason.clone();
        Err(StepError::Rejected { slots: objections.into_iter().map(|(slot, _)| slot).collect(), reason })
    }

    fn compute(
        &mut self,
        slot: SlotId,
        tokens: &[TokenId],
        want: Want,
        rows: &mut Rows,
    ) -> candle_core::Result<()> {
        let slot = &mut self.slots[slot.0 as usize];
        let tokens: Vec<u32> = tokens.iter().map(|token| token.0).collect();
        // The models give but the last row of what they take at once.
        let one_by_one = want == Want::All || (!self.appends && slot.length > 0);
        let size = if one_by_one { 1 } else { tokens.len().max(1) };
        for (idx, piece) in tokens.chunks(size).enumerate() {
            let logits = slot.sequence.append(piece, slot.length)?;
            slot.length += piece.len();
            let is_last = (idx + 1) * size >= tokens.len();
            if want == Want::All || (want == Want::Last && is_last) {
                let width = self.limits.vocabulary as usize;
                if logits.len() != width {
                    candle_core::bail!("the model gave {} logits instead of {width}", logits.len());
                }
                rows.push(&logits);
            }
        }
        Ok(())
    }
}

impl TextEngine for StockEngine {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError> {
        self.reject(batch)?;
        for chunk in batch.chunks() {
            let computed = self.compute(chunk.slot, batch.tokens(chunk), chunk.want, rows);
            computed.map_err(|error| StepError::Fatal { reason: error.to_string() })?;
        }
        Ok(())
    }

    fn kv_truncate(&mut self, slot: SlotId, length: u32) -> Result<(), Unsupported> {
        match length as usize {
            0 => self.kv_clear(slot),
            length if length >= self.slots[slot.0 as usize].length => {}
            _ => return Err(Unsupported),
        }
        Ok(())
    }

    fn kv_copy(&mut self, from: SlotId, to: SlotId, length: u32) -> Result<(), Unsupported> {
        let source = &self.slots[from.0 as usize];
        if (length as usize) < source.length {
            return Err(Unsupported);
        }
        if from != to {
            self.slots[to.0 as usize] = Slot { sequence: source.sequence.fork(), length: source.length };
        }
        Ok(())
    }

    fn kv_clear(&mut self, slot: SlotId) {
        self.slots[slot.0 as usize] = Slot { sequence: self.pristine.fork(), length: 0 };
    }
}
