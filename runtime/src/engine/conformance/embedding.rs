//! The law of embedding engines: inputs side by side give what each gives alone, in their order.

use super::{Violation, relative_difference};
use crate::engine::{EmbeddingEngine, TokenId, Vectors};

/// Embeds `inputs`, at least two and ragged, alone, together and in reverse. Vectors may differ by `tolerance`,
/// relative to their largest number.
pub fn check_embedding(
    engine: &mut dyn EmbeddingEngine,
    inputs: &[Vec<TokenId>],
    tolerance: f32,
) -> Result<(), Violation> {
    assert!(
        inputs.len() >= 2 && inputs.len() <= engine.limits().inputs_per_step as usize,
        "inputs fit a call"
    );
    let mut alone = Vec::new();
    for input in inputs {
        alone.extend(embed(engine, "alone", &[input])?);
    }
    let forwards: Vec<&[TokenId]> = inputs.iter().map(Vec::as_slice).collect();
    let backwards: Vec<&[TokenId]> = forwards.iter().rev().copied().collect();
    let together = embed(engine, "together", &forwards)?;
    let mut reversed = embed(engine, "in reverse", &backwards)?;
    reversed.reverse();
    for (law, found) in
        [("inputs together equal each alone", together), ("the order of inputs does not matter", reversed)]
    {
        for (prompt, (vector, expected)) in found.iter().zip(&alone).enumerate() {
            let difference = relative_difference(vector, expected);
            if difference > tolerance || difference.is_nan() {
                return Err(Violation::Differs { law, prompt, row: 0, difference });
            }
        }
    }
    Ok(())
}

fn embed(
    engine: &mut dyn EmbeddingEngine,
    law: &'static str,
    inputs: &[&[TokenId]],
) -> Result<Vec<Vec<f32>>, Violation> {
    let mut vectors = Vectors::new(engine.limits().dimensions);
    engine.embed(inputs, &mut vectors).map_err(|source| Violation::Step { law, source })?;
    assert_eq!(vectors.len(), inputs.len(), "{law}: the call gave another number of vectors");
    Ok(vectors.iter().map(<[f32]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{EmbeddingLimits, StepError, fake::FakeEmbedding};

    const LIMITS: EmbeddingLimits = EmbeddingLimits {
        context_tokens: 16,
        tokens_per_step: 64,
        inputs_per_step: 4,
        padded: false,
        dimensions: 5,
        vocabulary: 100,
    };

    /// An engine whose vectors depend on how many inputs there are.
    struct Leaky(FakeEmbedding);

    impl EmbeddingEngine for Leaky {
        fn limits(&self) -> EmbeddingLimits {
            LIMITS
        }

        fn embed(&mut self, inputs: &[&[TokenId]], vectors: &mut Vectors) -> Result<(), StepError> {
            let mut clean = Vectors::new(LIMITS.dimensions);
            self.0.embed(inputs, &mut clean)?;
            for vector in clean.iter() {
                let leaky: Vec<f32> = vector.iter().map(|x| x + inputs.len() as f32 / 8.0).collect();
                vectors.push(&leaky);
            }
            Ok(())
        }
    }

    #[test]
    fn only_an_engine_that_keeps_the_law_passes() {
        let inputs: Vec<Vec<TokenId>> = (1..4).map(|n| (0..n * 3).map(TokenId).collect()).collect();
        check_embedding(&mut FakeEmbedding::new(LIMITS), &inputs, 0.0).unwrap();
        let error = check_embedding(&mut Leaky(FakeEmbedding::new(LIMITS)), &inputs, 1e-3).unwrap_err();
        assert!(error.to_string().contains("together"), "{error}");
    }
}
