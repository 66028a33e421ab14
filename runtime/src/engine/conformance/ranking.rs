//! The law of cross-encoders: pairs side by side give what each gives alone, in their order.

use super::{Violation, relative_difference};
use crate::engine::{Pair, RankingEngine, TokenId, Vectors};

/// Ranks `pairs`, at least two and ragged, each with the number of tokens of its first segment, alone, together and in
/// reverse. Logits may differ by `tolerance`, relative to the largest.
pub fn check_ranking(
    engine: &mut dyn RankingEngine,
    pairs: &[(Vec<TokenId>, usize)],
    tolerance: f32,
) -> Result<(), Violation> {
    let limits = engine.limits();
    assert!(pairs.len() >= 2 && pairs.len() <= limits.inputs_per_step as usize, "pairs fit a call");
    assert_eq!(limits.dimensions, 1, "there is one number for each pair");
    let pair = |(tokens, first_tokens): &(Vec<TokenId>, usize)| (tokens.clone(), *first_tokens);
    let forwards: Vec<_> = pairs.iter().map(pair).collect();
    let backwards: Vec<_> = forwards.iter().rev().cloned().collect();
    let mut alone = Vec::new();
    for pair in &forwards {
        alone.extend(rank(engine, "alone", std::slice::from_ref(pair))?);
    }
    let together = rank(engine, "together", &forwards)?;
    let mut reversed = rank(engine, "in reverse", &backwards)?;
    reversed.reverse();
    for (law, found) in
        [("pairs together equal each alone", together), ("the order of pairs does not matter", reversed)]
    {
        for (prompt, (logit, expected)) in found.iter().zip(&alone).enumerate() {
            let difference = relative_difference(&[*logit], &[*expected]);
            if difference > tolerance || difference.is_nan() {
                return Err(Violation::Differs { law, prompt, row: 0, difference });
            }
        }
    }
    Ok(())
}

fn rank(
    engine: &mut dyn RankingEngine,
    law: &'static str,
    pairs: &[(Vec<TokenId>, usize)],
) -> Result<Vec<f32>, Violation> {
    let pairs: Vec<_> =
        pairs.iter().map(|(tokens, first_tokens)| Pair { tokens, first_tokens: *first_tokens }).collect();
    let mut logits = Vectors::new(1);
    engine.rank(&pairs, &mut logits).map_err(|source| Violation::Step { law, source })?;
    assert_eq!(logits.len(), pairs.len(), "{law}: the call gave another number of logits");
    Ok(logits.iter().flatten().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{EmbeddingLimits, StepError, fake::FakeRanking};

    const LIMITS: EmbeddingLimits = EmbeddingLimits {
        context_tokens: 16,
        tokens_per_step: 64,
        inputs_per_step: 4,
        padded: false,
        dimensions: 1,
        vocabulary: 100,
    };

    /// An engine whose logits depend on how many pairs there are.
    struct Leaky(FakeRanking);

    impl RankingEngine for Leaky {
        fn limits(&self) -> EmbeddingLimits {
            LIMITS
        }

        fn rank(&mut self, pairs: &[Pair<'_>], logits: &mut Vectors) -> Result<(), StepError> {
            let mut clean = Vectors::new(1);
            self.0.rank(pairs, &mut clean)?;
            for logit in clean.iter().flatten() {
                logits.push(&[logit + pairs.len() as f32]);
            }
            Ok(())
        }
    }

    #[test]
    fn only_an_engine_that_keeps_the_law_passes() {
        let pairs: Vec<_> =
            (1..4).map(|n| ((0..n * 3).map(TokenId).collect::<Vec<_>>(), n as usize)).collect();
        check_ranking(&mut FakeRanking::new(LIMITS), &pairs, 0.0).unwrap();
        let error = check_ranking(&mut Leaky(FakeRanking::new(LIMITS)), &pairs, 1e-3).unwrap_err();
        assert!(error.to_string().contains("together"), "{error}");
    }
}
