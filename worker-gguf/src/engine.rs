//! `TextEngine` on a llama.cpp context: a slot is a llama.cpp sequence.

use impetus_runtime::engine::{
    Batch, Limits, Rows, SlotId, StepError, TextEngine, Unsupported, Vocabulary, Want,
};
use llama_cpp_2::{
    DecodeError,
    context::{LlamaContext, session::LlamaStateSeqFlags},
    llama_batch::LlamaBatch,
    token::LlamaToken,
};

/// A context and its reusable batch. The model it borrows lives as long as the process.
pub(crate) struct GgufEngine {
    context: LlamaContext<'static>,
    batch: LlamaBatch<'static>,
    limits: Limits,
    /// For each slot the fewest tokens that it can be cut back to, besides none. A state lacks what the windows of a
    /// model had left behind when it was saved, and llama.cpp cuts what is loaded of it without a word.
    floor: Vec<u32>,
    /// Places in the llama.cpp batch whose logits are wanted.
    wanted: Vec<i32>,
}

impl GgufEngine {
    pub(crate) fn new(
        context: LlamaContext<'static>,
        slots: u32,
        context_tokens: u32,
        tokens_per_step: u32,
        vocabulary: &dyn Vocabulary,
    ) -> Self {
        let tokens_per_step = tokens_per_step.min(context.n_batch());
        let limits = Limits {
            slots,
            context_tokens,
            tokens_per_step,
            chunk_rows: tokens_per_step,
            chunks_per_step: slots,
            vocabulary: vocabulary.size(),
        };
        let batch = LlamaBatch::new(limits.tokens_per_step as usize, 1);
        Self { context, batch, limits, floor: vec![0; slots as usize], wanted: Vec::new() }
    }

    /// Puts the slots of a failed batch back to where they were.
    fn roll_back(&mut self, batch: &Batch) {
        for chunk in batch.chunks() {
            if self.kv_truncate(chunk.slot, chunk.position).is_err() {
                self.kv_clear(chunk.slot);
            }
        }
    }
}

impl TextEngine for GgufEngine {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError> {
        self.batch.clear();
        self.wanted.clear();
        for chunk in batch.chunks() {
            let tokens = batch.tokens(chunk);
            for (idx, token) in tokens.iter().enumerate() {
                let wanted = match chunk.want {
                    Want::Nothing => false,
                    Want::Last => idx + 1 == tokens.len(),
                    Want::All => true,
                };
                if wanted {
                    self.wanted.push(self.batch.n_tokens());
                }
                let position = (chunk.position as usize + idx) as i32;
                self.batch
                    .add(LlamaToken(token.0 as i32), position, &[chunk.slot.0 as i32], wanted)
                    .map_err(|error| StepError::Fatal { reason: error.to_string() })?;
            }
        }
        if let Err(error) = self.context.decode(&mut self.batch) {
            return Err(match error {
                DecodeError::NoKvCacheSlot => {
                    self.roll_back(batch);
                    StepError::KvFull
                }
                error => StepError::Fatal { reason: format!("llama_decode: {error}") },
            });
        }
        for &place in &self.wanted {
            rows.push(self.context.get_logits_ith(place));
        }
        Ok(())
    }

    fn kv_truncate(&mut self, slot: SlotId, length: u32) -> Result<(), Unsupported> {
        if length == 0 {
            self.kv_clear(slot);
            return Ok(());
        }
        if length < self.floor[slot.0 as usize] {
            return Err(Unsupported);
        }
        match self.context.clear_kv_cache_seq(Some(slot.0), Some(length), None) {
            Ok(true) => Ok(()),
            // A recurrent state cannot be cut back.
            Ok(false) | Err(_) => Err(Unsupported),
        }
    }

    /// Between slots whose caches are kept apart llama.cpp copies whole sequences only, so the copy is cut after.
    fn kv_copy(&mut self, from: SlotId, to: SlotId, length: u32) -> Result<(), Unsupported> {
        self.kv_clear(to);
        self.context.copy_kv_cache_seq(from.0 as i32, to.0 as i32, None, None).map_err(|_| Unsupported)?;
        self.floor[to.0 as usize] = self.floor[from.0 as usize];
        self.kv_truncate(to, length)
    }

    fn kv_clear(&mut self, slot: SlotId) {
        // Removing a whole sequence always succeeds.
        drop(self.context.clear_kv_cache_seq(Some(slot.0), None, None));
        self.floor[slot.0 as usize] = 0;
    }

    fn kv_bytes(&self, slot: SlotId) -> Option<u64> {
        Some(self.context.state_seq_get_size_ext(slot.0 as i32, LlamaStateSeqFlags::empty()) as u64)
    }

    fn kv_save(&self, slot: SlotId, state: &mut Vec<u8>) -> Result<(), Unsupported> {
        let (flags, slot) = (LlamaStateSeqFlags::empty(), slot.0 as i32);
        let size = self.context.state_seq_get_size_ext(slot, flags);
        let begin = state.len();
        state.resize(begin + size, 0);
        // SAFETY: the library writes as many bytes as it has just said that it would, since nothing has changed the
        // sequence, and there is room for them.
        let written =
            unsafe { self.context.state_seq_get_data_ext(state[begin..].as_mut_ptr(), slot, flags) };
        if written == size {
            return Ok(());
        }
        state.truncate(begin);
        Err(Unsupported)
    }

    fn kv_load(&mut self, slot: SlotId, state: &[u8], tokens: u32) -> Result<(), Unsupported> {
        self.kv_clear(slot);
        // SAFETY: the library reads within the slice and checks what it says against its own cache; whoever calls has
        // made sure that the bytes are what `kv_save` gave.
        let is_taken =
            unsafe { self.context.state_seq_set_data_ext(state, slot.0 as i32, LlamaStateSeqFlags::empty()) };
        if is_taken && self.context.kv_cache_seq_pos_max(slot.0 as i32) + 1 == tokens as i32 {
            // Where layers differ it is the first token that all of them have.
            let is_whole = self.context.kv_cache_seq_pos_min(slot.0 as i32) == 0;
            self.floor[slot.0 as usize] = if is_whole { 0 } else { tokens };
            return Ok(());
        }
        self.kv_clear(slot);
        Err(Unsupported)
    }
}
