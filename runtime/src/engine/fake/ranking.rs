//! A cross-encoder without a model: a logit is a function of its pair's tokens and of where the second segment begins.

use super::super::{EmbeddingLimits, Pair, RankingEngine, SlotId, StepError, TokenId, Vectors};

/// See the module.
pub struct FakeRanking {
    limits: EmbeddingLimits,
    /// Reject pairs with this token.
    pub reject: Option<TokenId>,
    /// The number of pairs of every call so far.
    pub calls: Vec<usize>,
}

impl FakeRanking {
    /// An engine of these limits without faults.
    pub fn new(limits: EmbeddingLimits) -> Self {
        Self { limits, reject: None, calls: Vec::new() }
    }

    /// The logit of a pair.
    pub fn logit_of(pair: Pair<'_>) -> f32 {
        let sum: u32 = pair.tokens.iter().zip(1..).map(|(token, place)| token.0.wrapping_mul(place)).sum();
        (sum % 13) as f32 / 2.0 - 3.0 + pair.first_tokens as f32 / 16.0
    }
}

impl RankingEngine for FakeRanking {
    fn limits(&self) -> EmbeddingLimits {
        self.limits
    }

    fn rank(&mut self, pairs: &[Pair<'_>], logits: &mut Vectors) -> Result<(), StepError> {
        self.calls.push(pairs.len());
        assert!(pairs.len() <= self.limits.inputs_per_step as usize, "too many pairs");
        if let Some(reject) = self.reject
            && pairs.iter().any(|pair| pair.tokens.contains(&reject))
        {
            let reason = "rejected by the test".into();
            return Err(StepError::Rejected { slots: vec![SlotId(0)], reason });
        }
        for &pair in pairs {
            logits.push(&[Self::logit_of(pair)]);
        }
        Ok(())
    }
}
