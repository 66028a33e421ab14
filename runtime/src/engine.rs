//! The seam between the runtime and an engine: what an engine library must offer so that the runtime can batch,
//! sample, stop and stream for it. An engine knows tensors; it knows no request, no text and no clock.

pub mod alone;
pub mod batch;
pub mod conformance;
pub mod convert;
pub mod embedding;
pub mod fake;
pub mod load;
pub mod ranking;
pub mod vocabulary;

pub use batch::{Batch, Chunk, Rows, Want};
pub use convert::{Conversion, ConvertError};
pub use embedding::{EmbeddingEngine, EmbeddingLimits, Vectors};
pub use load::{Backend, Card, LoadError, Model, ModelSpec, Progress, Task};
pub use ranking::{Pair, RankingEngine};
pub use vocabulary::{InfillPart, Pieces, TokenizeError, Vocabulary};

/// A token of the model's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct TokenId(pub u32);

/// One place in the KV cache, from zero to [`Limits::slots`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u32);

/// The numbers that bind whoever composes a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sequences whose keys and values the engine can hold at once.
    pub slots: u32,
    /// Tokens of one slot.
    pub context_tokens: u32,
    /// Tokens of all chunks of one step together.
    pub tokens_per_step: u32,
    /// Tokens of one chunk that are computed together; 1 where they come one after the other, so that guessing tokens
    /// gains nothing.
    pub chunk_rows: u32,
    /// Chunks of one step; an engine that cannot batch ragged sequences says one.
    pub chunks_per_step: u32,
    /// Width of a row of logits.
    pub vocabulary: u32,
}

/// A text model on an engine. Calls come from one thread, one at a time.
pub trait TextEngine {
    /// The numbers that bind; constant for the engine's life.
    fn limits(&self) -> Limits;

    /// Computes all chunks of `batch`, extends their slots' KV cache by them, and pushes to `rows` the logits
    /// that the chunks want, in the order of the batch, which is that of ascending slots. After an error other than [`StepError::Fatal`] the slots
    /// of the batch hold what they held before it.
    fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError>;

    /// Forgets the tokens of `slot` from position `length` on.
    fn kv_truncate(&mut self, slot: SlotId, length: u32) -> Result<(), Unsupported>;

    /// Makes `to` hold the first `length` tokens of `from`; what `to` held is gone.
    fn kv_copy(&mut self, from: SlotId, to: SlotId, length: u32) -> Result<(), Unsupported>;

    /// Forgets all tokens of `slot`. This every engine can do.
    fn kv_clear(&mut self, slot: SlotId);

    /// Bytes that [`kv_save`](Self::kv_save) gives for `slot` as it is; `None` where the engine cannot save.
    fn kv_bytes(&self, _slot: SlotId) -> Option<u64> {
        None
    }

    /// Appends to `state` all that `slot` holds, for an engine with the same model and settings to go on from.
    fn kv_save(&self, _slot: SlotId, _state: &mut Vec<u8>) -> Result<(), Unsupported> {
        Err(Unsupported)
    }

    /// Makes `slot` hold what was saved as `state` of a slot that held `tokens` tokens. After an error it holds nothing.
    fn kv_load(&mut self, slot: SlotId, _state: &[u8], _tokens: u32) -> Result<(), Unsupported> {
        self.kv_clear(slot);
        Err(Unsupported)
    }
}

/// Why a step failed, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// There is no room in the KV cache: preempt a sequence and try again.
    #[error("the KV cache is full")]
    KvFull,
    /// These slots' chunks cannot be computed: end their sequences and go on with the others.
    #[error("the engine rejected {} chunks: {reason}", slots.len())]
    Rejected {
        /// The slots whose sequences have to end.
        slots: Vec<SlotId>,
        /// The engine's words.
        reason: String,
    },
    /// The engine is beyond use: end the process and let the supervisor start another.
    #[error("the engine failed: {reason}")]
    Fatal {
        /// The engine's words.
        reason: String,
    },
}

/// The engine cannot do this to its KV cache; the caller clears the slot and computes again.
#[derive(Debug, thiserror::Error)]
#[error("this engine cannot do that to its KV cache")]
pub struct Unsupported;
