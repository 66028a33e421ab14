//! Ways around a distribution of the whole vocabulary: most tokens of a row are neither drawn nor anywhere near, and to
//! know that takes less than their exact probabilities.
//!
//! Each way chooses what the plain one would, by the same arithmetic, or says that it cannot tell: sums that are known up
//! to [`ERROR`] tell what is farther than that from where it would change.

use super::{
    BANNED, MAX_LISTED,
    candidate::{Candidate, collect_best, weight},
    softmax,
};
use crate::engine::TokenId;

/// By how much of itself a sum of [`softmax`] may differ from the plain one.
const ERROR: f64 = 2e-6;

/// Draws at `temperature`, which is above zero, from all tokens of a row; `parts` is scratch.
pub(super) fn draw(logits: &[f32], temperature: f32, uniform: f64, parts: &mut Vec<f64>) -> Option<TokenId> {
    let highest = highest(logits)?;
    softmax::parts(logits, highest, temperature, parts);
    let total: f64 = parts.iter().sum();
    let (target, tolerance) = (uniform * total, 2.0 * ERROR * total);
    let mut passed = 0.0_f64;
    for (part, mass) in parts.iter().enumerate() {
        // What is within the tolerance of the part's end may be of this part or of the next one.
        if passed + mass <= target - tolerance {
            passed += mass;
            continue;
        }
        let first = part * softmax::PART;
        for (token, &logit) in (first..).zip(logits[first..].iter().take(softmax::PART)) {
            let before = passed;
            passed += softmax::term(logit, highest, temperature);
            if passed > target + tolerance {
                return (before < target - tolerance).then_some(TokenId(token as u32));
            }
        }
        // Within the tolerance of the next part's beginning.
        return None;
    }
    None
}

/// Fills `candidates` with those that top-p leaves of a row, where few are left; false: it cannot tell.
pub(super) fn nucleus(logits: &[f32], p: f32, candidates: &mut Vec<Candidate>) -> bool {
    let Some(highest) = highest(logits) else { return false };
    let needed = f64::from(p) * softmax::total(logits, highest);
    collect_best(logits, MAX_LISTED, candidates);
    let mut reached = 0.0_f64;
    for kept in 0..candidates.len() {
        let without = reached;
        reached += weight(&candidates[kept], highest);
        if reached >= needed * (1.0 + ERROR) {
            candidates.truncate(kept + 1);
            return kept == 0 || without < needed * (1.0 - ERROR);
        }
    }
    false
}

/// Fills `candidates` with those that min-p leaves of a row, by token; false: it cannot tell.
pub(super) fn probable(logits: &[f32], p: f32, candidates: &mut Vec<Candidate>) -> bool {
    let Some(highest) = highest(logits) else { return false };
    let margin = p.ln();
    candidates.clear();
    for (stride, logits) in logits.chunks(softmax::PART).enumerate() {
        if softmax::largest(logits) - highest < margin {
            continue;
        }
        let of_token = |(token, &logit): (usize, &f32)| Candidate { token: token as u32, logit, score: 0.0 };
        // False for NaN.
        let is_left = |(_, logit): &(usize, &f32)| **logit > BANNED && **logit - highest >= margin;
        candidates.extend((stride * softmax::PART..).zip(logits).filter(is_left).map(of_token));
    }
    true
}

/// The largest logit, where it is a number that is not banned.
fn highest(logits: &[f32]) -> Option<f32> {
    Some(softmax::largest(logits)).filter(|highest| *highest > BANNED && highest.is_finite())
}

#[cfg(test)]
mod tests;
