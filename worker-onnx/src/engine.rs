//! `TextEngine` on the decoder. Chunks of one token are computed in one run, each longer one in a run of its own.

use impetus_runtime::engine::{
    Batch, Limits, Rows, SlotId, StepError, TextEngine, TokenId, Unsupported, Want,
};

use crate::decoder::{Cache, Decoder, RunError};

/// A decoder and the caches of all slots.
pub(crate) struct OnnxEngine {
    decoder: Decoder,
    cache: Cache,
    limits: Limits,
}

impl OnnxEngine {
    pub(crate) fn new(decoder: Decoder, limits: Limits) -> Self {
        Self { cache: decoder.cache(), decoder, limits }
    }

    /// Why the chunk cannot be computed, if so. The runtime sends no such chunk; should it ever, only this sequence
    /// shall end.
    fn objection(&self, batch: &Batch, chunk: usize) -> Option<String> {
        let chunk = &batch.chunks()[chunk];
        let (position, held) = (chunk.position as usize, self.cache.length(chunk.slot));
        let tokens = batch.tokens(chunk);
        let end = position + tokens.len();
        if position != held {
            return Some(format!("a chunk at position {position} for a slot that holds {held}"));
        }
        if tokens.is_empty() {
            return Some("a chunk without tokens".into());
        }
        if end > self.limits.context_tokens as usize {
            return Some(format!("{end} tokens for a slot of {}", self.limits.context_tokens));
        }
        let unknown = tokens.iter().find(|token| token.0 >= self.limits.vocabulary);
        unknown.map(|token| format!("token {} is not of the vocabulary", token.0))
    }

    fn reject(&self, batch: &Batch) -> Result<(), StepError> {
        let objections: Vec<(SlotId, String)> = (0..batch.chunks().len())
            .filter_map(|idx| Some((batch.chunks()[idx].slot, self.objection(batch, idx)?)))
            .collect();
        let Some((_, reason)) = objections.first() else { return Ok(()) };
        let reason = reason.clone();
        Err(StepError::Rejected { slots: objections.into_iter().map(|(slot, _)| slot).collect(), reason })
    }

    /// Which chunks are computed together, by their places in the batch.
    fn runs(&self, batch: &Batch) -> Vec<Vec<usize>> {
        let (mut together, mut runs) = (Vec::new(), Vec::new());
        for (idx, chunk) in batch.chunks().iter().enumerate() {
            if batch.tokens(chunk).len() == 1 && self.decoder.takes_rows() {
                together.push(idx);
            } else {
                runs.push(vec![idx]);
            }
        }
        if !together.is_empty() {
            runs.push(together);
        }
        runs
    }
}

impl TextEngine for OnnxEngine {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError> {
        self.reject(batch)?;
        let mut answers = vec![Vec::new(); batch.chunks().len()];
        let mut states = Vec::new();
        for run in self.runs(batch) {
            let chunks: Vec<_> = run.iter().map(|&idx| &batch.chunks()[idx]).collect();
            let slots: Vec<SlotId> = chunks.iter().map(|chunk| chunk.slot).collect();
            let tokens: Vec<&[TokenId]> = chunks.iter().map(|chunk| batch.tokens(chunk)).collect();
            let wants: Vec<Want> = chunks.iter().map(|chunk| chunk.want).collect();
            let id = self.cache.gather(&slots).map_err(|_| StepError::KvFull)?;
            let (state, logits) =
                self.decoder.advance(self.cache.group(id), &tokens, &wants).map_err(|error| match error {
                    RunError::Memory => StepError::KvFull,
                    RunError::Refused(reason) => StepError::Rejected { slots, reason },
                })?;
            states.push((id, state));
            for (idx, logits) in run.into_iter().zip(logits) {
                answers[idx] = logits;
            }
        }
        // Only now that all runs went well do the slots hold more than before.
        for (id, state) in states {
            self.cache.put(id, state);
        }
        for row in answers.iter().flat_map(|answer| answer.chunks_exact(self.limits.vocabulary as usize)) {
            rows.push(row);
        }
        Ok(())
    }

    fn kv_truncate(&mut self, slot: SlotId, length: u32) -> Result<(), Unsupported> {
        self.cache.truncate(slot, length as usize).map_err(|_| Unsupported)
    }

    fn kv_copy(&mut self, from: SlotId, to: SlotId, length: u32) -> Result<(), Unsupported> {
        self.cache.copy(from, to, length as usize).map_err(|_| Unsupported)
    }

    fn kv_clear(&mut self, slot: SlotId) {
        self.cache.clear(slot);
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
