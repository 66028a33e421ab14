//! `RankingEngine` on an encoder with a head.

use impetus_runtime::engine::{EmbeddingLimits, Pair, RankingEngine, StepError, Vectors};

use super::input;
use crate::{
    encoder::{Encoder, Head},
    plan::Plan,
};

/// A cross-encoder.
pub(crate) struct Ranker {
    encoder: Encoder,
    head: Head,
    limits: EmbeddingLimits,
}

impl Ranker {
    pub(crate) fn new(encoder: Encoder, head: Head, limits: EmbeddingLimits) -> Self {
        Self { encoder, head, limits }
    }
}

impl RankingEngine for Ranker {
    fn limits(&self) -> EmbeddingLimits {
        self.limits
    }

    fn rank(&mut self, pairs: &[Pair<'_>], logits: &mut Vectors) -> Result<(), StepError> {
        input::check(self.limits, pairs.iter().map(|pair| pair.tokens))?;
        let fatal = |error: candle_core::Error| StepError::Fatal { reason: error.to_string() };
        let plan = Plan::of_pairs(pairs);
        let hidden = self.encoder.forward(&plan).map_err(fatal)?;
        for logit in self.head.forward(&hidden, &plan).map_err(fatal)? {
            logits.push(&[logit]);
        }
        Ok(())
    }
}
