//! An engine without a model, for tests of everything above the seam: its logits are a function of exactly the
//! tokens that its slot holds, so whatever is wrong with a slot's content shows in the output.

mod embedding;
mod ranking;

pub use embedding::FakeEmbedding;
pub use ranking::FakeRanking;

use super::{
    Batch, Limits, Rows, SlotId, StepError, TextEngine, TokenId, TokenizeError, Unsupported, Vocabulary, Want,
};

/// What the fake engine does besides computing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Answer "cannot" to truncation, copies, saving and loading, as an engine with a recurrent state may.
    pub rigid_kv: bool,
    /// Take nothing back that was saved.
    pub refuses_loads: bool,
    /// Report a full KV cache while more than this many tokens are held in all slots together.
    pub kv_tokens: Option<usize>,
    /// Fail for good at this step.
    pub fatal_at_step: Option<u64>,
    /// Reject chunks of this slot.
    pub reject: Option<SlotId>,
    /// At so many of 16 places, say what followed the last two tokens when they last stood together. Unless this is
    /// zero the text has no tokens but those of its prompt, most often.
    pub repeats: u8,
}

/// See the module.
pub struct FakeEngine {
    limits: Limits,
    faults: Faults,
    slots: Vec<Vec<TokenId>>,
    steps: u64,
    max_chunks: usize,
}

impl FakeEngine {
    /// An engine of these limits and faults.
    pub fn new(limits: Limits, faults: Faults) -> Self {
        let slots = vec![Vec::new(); limits.slots as usize];
        Self { limits, faults, slots, steps: 0, max_chunks: 0 }
    }

    /// Steps so far.
    pub fn n_steps(&self) -> u64 {
        self.steps
    }

    /// The most chunks that one step had.
    pub fn max_chunks(&self) -> usize {
        self.max_chunks
    }

    /// Tokens that `slot` holds.
    pub fn held(&self, slot: SlotId) -> u32 {
        self.slots[slot.0 as usize].len() as u32
    }

    /// The row of logits after `history`.
    pub fn row_after(history: &[TokenId], vocabulary: u32) -> Vec<f32> {
        let mut row = Vec::new();
        fill_row(&mut row, history, vocabulary);
        row
    }

    /// The token that greedy sampling takes after `history`.
    pub fn greedy_after(history: &[TokenId], vocabulary: u32) -> TokenId {
        let row = Self::row_after(history, vocabulary);
        let best = (0..vocabulary).max_by(|&a, &b| row[a as usize].total_cmp(&row[b as usize]));
        TokenId(best.expect("the vocabulary has a token"))
    }
}

impl TextEngine for FakeEngine {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError> {
        self.steps += 1;
        self.max_chunks = self.max_chunks.max(batch.chunks().len());
        assert!(batch.n_tokens() <= self.limits.tokens_per_step as usize, "a step of {}", batch.n_tokens());
        assert!(batch.chunks().len() <= self.limits.chunks_per_step as usize, "too many chunks");
        assert!(batch.chunks().is_sorted_by_key(|chunk| chunk.slot), "slots out of order");
        if self.faults.fatal_at_step == Some(self.steps) {
            return Err(StepError::Fatal { reason: "fatal_at_step".into() });
        }
        if let Some(slot) = self.faults.reject
            && batch.chunks().iter().any(|chunk| chunk.slot == slot)
        {
            return Err(StepError::Rejected { slots: vec![slot], reason: "rejected by the test".into() });
        }
        let held: usize = self.slots.iter().map(Vec::len).sum();
        if self.faults.kv_tokens.is_some_and(|limit| held + batch.n_tokens() > limit) {
            return Err(StepError::KvFull);
        }
        let mut row = Vec::new();
        for chunk in batch.chunks() {
            let slot = &mut self.slots[chunk.slot.0 as usize];
            assert_eq!(
                slot.len(),
                chunk.position as usize,
                "{:?} holds another number of tokens",
                chunk.slot
            );
            let tokens = batch.tokens(chunk);
            for (idx, &token) in tokens.iter().enumerate() {
                slot.push(token);
                let wanted = match chunk.want {
                    Want::Nothing => false,
                    Want::Last => idx + 1 == tokens.len(),
                    Want::All => true,
                };
                if wanted {
                    fill_row(&mut row, slot, self.limits.vocabulary);
                    repeat(&mut row, slot, self.faults.repeats);
                    rows.push(&row);
                }
            }
            assert!(slot.len() <= self.limits.context_tokens as usize, "{:?} is overfull", chunk.slot);
        }
        Ok(())
    }

    fn kv_truncate(&mut self, slot: SlotId, length: u32) -> Result<(), Unsupported> {
        if self.faults.rigid_kv {
            return Err(Unsupported);
        }
        self.slots[slot.0 as usize].truncate(length as usize);
        Ok(())
    }

    fn kv_copy(&mut self, from: SlotId, to: SlotId, length: u32) -> Result<(), Unsupported> {
        let whole = self.slots[from.0 as usize].clone();
        self.slots[to.0 as usize] = whole;
        // As an engine does that copies all, and then cannot cut it.
        self.kv_truncate(to, length)
    }

    fn kv_clear(&mut self, slot: SlotId) {
        self.slots[slot.0 as usize].clear();
    }

    fn kv_bytes(&self, slot: SlotId) -> Option<u64> {
        (!self.faults.rigid_kv).then(|| size_of_val(&*self.slots[slot.0 as usize]) as u64)
    }

    fn kv_save(&self, slot: SlotId, state: &mut Vec<u8>) -> Result<(), Unsupported> {
        if self.faults.rigid_kv {
            return Err(Unsupported);
        }
        state.extend(self.slots[slot.0 as usize].iter().flat_map(|token| token.0.to_le_bytes()));
        Ok(())
    }

    fn kv_load(&mut self, slot: SlotId, state: &[u8], tokens: u32) -> Result<(), Unsupported> {
        self.kv_clear(slot);
        let (saved, rest) = state.as_chunks::<4>();
        if self.faults.rigid_kv
            || self.faults.refuses_loads
            || !rest.is_empty()
            || saved.len() != tokens as usize
        {
            return Err(Unsupported);
        }
        self.slots[slot.0 as usize] = saved.iter().map(|bytes| TokenId(u32::from_le_bytes(*bytes))).collect();
        Ok(())
    }
}

/// Logits between 0 and 8 from a hash of the whole history (FNV-1a, then SplitMix64 for each token).
fn fill_row(row: &mut Vec<f32>, history: &[TokenId], vocabulary: u32) {
    let seed = history.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, token| {
        (hash ^ u64::from(token.0)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    row.clear();
    row.extend((0..u64::from(vocabulary)).map(|token| {
        let mut x = seed.wrapping_add((token + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 40) as f32 / (1u32 << 21) as f32
    }));
}

/// Makes what followed the last two tokens before the most probable by far, at `repeats` of 16 places; elsewhere, or
/// where they are new, any token of the history.
fn repeat(row: &mut [f32], history: &[TokenId], repeats: u8) {
    let [.., a, b] = history else { return };
    if repeats == 0 {
        return;
    }
    let chance = (row[0].to_bits() >> 3) as usize;
    let is_repeated = chance % 16 < usize::from(repeats);
    let before = history.windows(3).rev().find(|window| window[..2] == [*a, *b]).filter(|_| is_repeated);
    let next = before.map_or(history[chance / 16 % history.len()], |window| window[2]);
    if let Some(logit) = row.get_mut(next.0 as usize) {
        *logit += 12.0;
    }
}

/// A vocabulary of bytes: token n is the byte n, and 256 ends the text.
pub struct ByteVocabulary {
    bytes: Vec<u8>,
}

impl Default for ByteVocabulary {
    fn default() -> Self {
        Self { bytes: (0..=255).collect() }
    }
}

impl Vocabulary for ByteVocabulary {
    fn size(&self) -> u32 {
        257
    }

    fn piece(&self, token: TokenId) -> &[u8] {
        let idx = token.0 as usize;
        self.bytes.get(idx..=idx).unwrap_or_default()
    }

    fn is_end(&self, token: TokenId) -> bool {
        token.0 == 256
    }

    fn encode(&self, text: &str, _special: bool) -> Result<Vec<TokenId>, TokenizeError> {
        Ok(text.bytes().map(|byte| TokenId(byte.into())).collect())
    }

    fn begin_text(&self) -> &'static str {
        ""
    }

    fn end_text(&self) -> &'static str {
        ""
    }

    fn longest_piece_bytes(&self) -> usize {
        1
    }
}
