//! How probable tokens are: natural logarithms of a row's softmax.

use super::{candidate, softmax};
use crate::engine::TokenId;

/// The most alternatives that are listed for a position.
pub const MAX_TOP: u32 = 20;

/// How probable a token was at its place.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Score {
    /// The token's own logarithm; minus infinity where it was impossible.
    pub logprob: f32,
    /// The most probable tokens of the place, best first, ties by token. Impossible ones are left out.
    pub top: Vec<(TokenId, f32)>,
}

impl Score {
    /// The score of `token` under the softmax of `logits`, with the `top` most probable tokens. NaN counts as
    /// impossible.
    pub fn of(logits: &[f32], token: TokenId, top: u32) -> Self {
        let (highest, log_total) = log_total(logits);
        // Differences first: the sum of a large logit and a small logarithm would lose it.
        let logprob = |logit: f32| ((f64::from(logit.min(f32::MAX)) - highest) - log_total) as f32;
        let own = logits.get(token.0 as usize).copied().filter(|logit| !logit.is_nan());
        let best = best(logits, top as usize);
        Self {
            logprob: own.map_or(f32::NEG_INFINITY, logprob),
            top: best.into_iter().map(|(token, logit)| (token, logprob(logit))).collect(),
        }
    }
}

/// The largest logit, and the logarithm of the sum of all exponentials relative to it.
fn log_total(logits: &[f32]) -> (f64, f64) {
    let highest = softmax::largest(logits);
    if !highest.is_finite() {
        // Nothing is possible, or what is infinite is certain.
        return (f64::from(highest.clamp(f32::MIN, f32::MAX)), 0.0);
    }
    (f64::from(highest), softmax::total(logits, highest).ln())
}

/// The `count` largest logits.
fn best(logits: &[f32], count: usize) -> Vec<(TokenId, f32)> {
    let mut best = Vec::with_capacity(count);
    candidate::collect_best(logits, count, &mut best);
    best.into_iter().map(|candidate| (TokenId(candidate.token), candidate.logit)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scores_are_logarithms_of_the_softmax() {
        let check = |logits: &[f32], token: u32, top: u32, logprob: f32, expected: &[(u32, f32)]| {
            let score = Score::of(logits, TokenId(token), top);
            let near = |a: f32, b: f32| (a - b).abs() < 1e-6 || a.total_cmp(&b).is_eq();
            assert!(near(score.logprob, logprob), "{logits:?}: {score:?}");
            assert_eq!(score.top.len(), expected.len(), "{logits:?}: {score:?}");
            for ((token, logprob), expected) in score.top.iter().zip(expected) {
                assert!(token.0 == expected.0 && near(*logprob, expected.1), "{logits:?}: {score:?}");
            }
        };
        // Probabilities of 1/2, 1/4, 1/4.
        let quarter = 0.25_f32.ln();
        let halves = [2.0_f32.ln(), 0.0, 0.0];
        check(&halves, 2, 0, quarter, &[]);
        check(&halves, 0, 2, 0.5_f32.ln(), &[(0, 0.5_f32.ln()), (1, quarter)]);
        check(&halves, 0, 20, 0.5_f32.ln(), &[(0, 0.5_f32.ln()), (1, quarter), (2, quarter)]);
        // What a mask forces is certain, and nothing else is listed.
        check(&[f32::NEG_INFINITY, 3.0, f32::NEG_INFINITY], 1, 5, 0.0, &[(1, 0.0)]);
        check(&[f32::NEG_INFINITY, 3.0], 0, 1, f32::NEG_INFINITY, &[(1, 0.0)]);
        check(&[f32::NAN, 1e30, 1.0], 1, 1, 0.0, &[(1, 0.0)]);
        check(&[f32::INFINITY, 1.0], 0, 1, 0.0, &[(0, 0.0)]);
        check(&[1.0], 9, 0, f32::NEG_INFINITY, &[]);
    }

    proptest! {
        #[test]
        fn the_best_are_those_of_a_full_sort(
            logits in prop::collection::vec((-20_i8..20).prop_map(f32::from), 1..200),
            top in 0..25_u32,
        ) {
            let mut sorted: Vec<_> = (0..).map(TokenId).zip(logits.iter().copied()).collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            sorted.truncate(top as usize);
            prop_assert_eq!(best(&logits, top as usize), sorted);
        }

        #[test]
        fn all_probabilities_make_one(logits in prop::collection::vec(-12.0_f32..12.0, 1..20)) {
            let score = Score::of(&logits, TokenId(0), MAX_TOP);
            let total: f64 = score.top.iter().map(|(_, logprob)| f64::from(*logprob).exp()).sum();
            prop_assert!((total - 1.0).abs() < 1e-5, "{}", total);
        }
    }
}
