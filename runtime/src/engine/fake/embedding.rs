//! An embedding engine without a model: a vector is a function of its input's tokens alone.

use super::super::{EmbeddingEngine, EmbeddingLimits, SlotId, StepError, TokenId, Vectors};

/// See the module.
pub struct FakeEmbedding {
    limits: EmbeddingLimits,
    /// Fail for good on an input with this token.
    pub fatal: Option<TokenId>,
    /// Reject inputs with this token.
    pub reject: Option<TokenId>,
    /// The number of inputs of every call so far.
    pub calls: Vec<usize>,
}

impl FakeEmbedding {
    /// An engine of these limits without faults.
    pub fn new(limits: EmbeddingLimits) -> Self {
        Self { limits, fatal: None, reject: None, calls: Vec::new() }
    }

    /// The vector of an input.
    pub fn vector_of(tokens: &[TokenId], dimensions: u32) -> Vec<f32> {
        let sum: u32 = tokens.iter().zip(1..).map(|(token, place)| token.0.wrapping_mul(place)).sum();
        (0..dimensions).map(|column| ((sum + column * 7) % 13) as f32 - 6.0).collect()
    }
}

impl EmbeddingEngine for FakeEmbedding {
    fn limits(&self) -> EmbeddingLimits {
        self.limits
    }

    fn embed(&mut self, inputs: &[&[TokenId]], vectors: &mut Vectors) -> Result<(), StepError> {
        self.calls.push(inputs.len());
        let longest = inputs.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
        let n_tokens = inputs.iter().map(|tokens| tokens.len()).sum();
        let cost = self.limits.cost(inputs.len(), longest, n_tokens);
        assert!(cost <= self.limits.tokens_per_step as usize, "a call of {cost} tokens");
        assert!(inputs.len() <= self.limits.inputs_per_step as usize, "too many inputs");
        let has =
            |token: Option<TokenId>| token.is_some_and(|t| inputs.iter().any(|input| input.contains(&t)));
        if has(self.fatal) {
            return Err(StepError::Fatal { reason: "fatal".into() });
        }
        if has(self.reject) {
            return Err(StepError::Rejected {
                slots: vec![SlotId(0)],
                reason: "rejected by the test".into(),
            });
        }
        for tokens in inputs {
            vectors.push(&Self::vector_of(tokens, self.limits.dimensions));
        }
        Ok(())
    }
}
