//! The seam to a cross-encoder: a ragged batch of pairs of texts in, a number for each out, by which pairs are ranked.
//! Nothing is kept between calls.

use super::{EmbeddingLimits, StepError, TokenId, Vectors};

/// A query and a document, as the model reads the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The tokens of both, with those around and between them.
    pub tokens: &'a [TokenId],
    /// How many of them are of the first segment; those behind them are of the second. All of them, where the
    /// tokenizer knows no segments.
    pub first_tokens: usize,
}

/// A cross-encoder on an engine. Calls come from one thread, one at a time.
pub trait RankingEngine {
    /// The numbers that bind; constant for the engine's life. There is one number for each pair: `dimensions` is 1.
    fn limits(&self) -> EmbeddingLimits;

    /// Pushes to `logits` what the model's head makes of each of `pairs`, none of them empty, in their order.
    fn rank(&mut self, pairs: &[Pair<'_>], logits: &mut Vectors) -> Result<(), StepError>;
}
