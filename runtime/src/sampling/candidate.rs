//! Tokens that may be chosen, what is measured of them, and the choice.

use std::cmp::Ordering;

use super::{BANNED, softmax};
use crate::engine::TokenId;

/// Logits that are passed over at once where none of them is among the best.
const STRIDE: usize = 64;

/// A token that may still be chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) token: u32,
    pub(super) logit: f32,
    /// What a filter orders by; its own scratch.
    pub(super) score: f32,
}

/// Fills `candidates` with every token whose logit is a number above minus infinity, by token. Banned ones are among
/// them only where there is nothing else.
pub(super) fn collect(logits: &[f32], candidates: &mut Vec<Candidate>) {
    for least in [BANNED, f32::NEG_INFINITY] {
        candidates.clear();
        for (token, &logit) in logits.iter().enumerate() {
            // False for NaN. Plus infinity becomes a number, so that differences of logits are numbers.
            if logit > least {
                candidates.push(Candidate { token: token as u32, logit: logit.min(f32::MAX), score: 0.0 });
            }
        }
        if !candidates.is_empty() {
            return;
        }
    }
}

/// Fills `candidates` with the `count` most probable tokens, the best first, ties by token, in one pass: `count` is
/// small, so a list in order costs less than collecting the others. What is banned is not among them.
pub(super) fn collect_best(logits: &[f32], count: usize, candidates: &mut Vec<Candidate>) {
    candidates.clear();
    if count == 0 {
        return;
    }
    let mut least = BANNED;
    for (stride, logits) in logits.chunks(STRIDE).enumerate() {
        if softmax::largest(logits) <= least {
            continue;
        }
        for (token, &logit) in (stride * STRIDE..).zip(logits) {
            // False for NaN. An equal logit of a later token is no better.
            if logit > least {
                let logit = logit.min(f32::MAX);
                let place = candidates.partition_point(|other| other.logit >= logit);
                if place == count {
                    continue;
                }
                candidates.truncate(count - 1);
                candidates.insert(place, Candidate { token: token as u32, logit, score: 0.0 });
                if candidates.len() == count {
                    least = candidates[count - 1].logit;
                }
            }
        }
    }
}

/// Divides all logits by `temperature`, seen from the largest one. A temperature of zero leaves the most probable
/// candidate alone, the lowest of equals.
pub(super) fn scale(candidates: &mut Vec<Candidate>, temperature: f32) {
    let Some(best) = candidates.iter().copied().min_by(by_logit) else { return };
    if temperature > 0.0 {
        // The difference first: a large logit over a small temperature is no number.
        let scaled =
            |candidate: &mut Candidate| candidate.logit = (candidate.logit - best.logit) / temperature;
        candidates.iter_mut().for_each(scaled);
    } else {
        candidates.clear();
        candidates.push(best);
    }
}

/// Chooses among `candidates` in proportion to their probability, walking them by token until `uniform`, in [0, 1),
/// of the whole is passed.
pub(super) fn draw(candidates: &mut [Candidate], uniform: f64) -> Option<TokenId> {
    // The order of walking has to be a function of what is left, not of how the filters left it.
    if !candidates.is_sorted_by_key(|candidate| candidate.token) {
        candidates.sort_unstable_by_key(|candidate| candidate.token);
    }
    let highest = highest(candidates)?;
    let mut total = 0.0_f64;
    for candidate in candidates.iter_mut() {
        candidate.score = (candidate.logit - highest).exp();
        total += f64::from(candidate.score);
    }
    let target = uniform * total;
    let mut passed = 0.0_f64;
    let mut last = None;
    for candidate in candidates.iter().filter(|candidate| candidate.score > 0.0) {
        passed += f64::from(candidate.score);
        last = Some(TokenId(candidate.token));
        if passed > target {
            break;
        }
    }
    last
}

/// The information of one of the `candidates`, in nats.
pub(super) fn information(candidates: &[Candidate], of: &Candidate) -> f64 {
    let Some(highest) = highest(candidates) else { return 0.0 };
    mass(candidates, highest).ln() - f64::from(of.logit - highest)
}

/// The entropy of the distribution, in nats.
pub(super) fn entropy(candidates: &[Candidate]) -> f64 {
    let Some(highest) = highest(candidates) else { return 0.0 };
    let total = mass(candidates, highest);
    let log_total = total.ln();
    candidates
        .iter()
        .map(|candidate| (weight(candidate, highest), log_total - f64::from(candidate.logit - highest)))
        .filter(|(weight, _)| *weight > 0.0)
        .map(|(weight, information)| weight / total * information)
        .sum()
}

/// The `count` largest logits, from the largest on.
pub(super) fn best(candidates: &[Candidate], count: usize) -> Vec<f32> {
    let mut logits: Vec<f32> = candidates.iter().map(|candidate| candidate.logit).collect();
    let descending = |a: &f32, b: &f32| b.total_cmp(a);
    if count < logits.len() {
        logits.select_nth_unstable_by(count, descending);
        logits.truncate(count);
    }
    logits.sort_unstable_by(descending);
    logits
}

/// Probability of a candidate, up to the factor that all share.
pub(super) fn weight(candidate: &Candidate, highest: f32) -> f64 {
    f64::from((candidate.logit - highest).exp())
}

pub(super) fn mass(candidates: &[Candidate], highest: f32) -> f64 {
    candidates.iter().map(|candidate| weight(candidate, highest)).sum()
}

pub(super) fn highest(candidates: &[Candidate]) -> Option<f32> {
    candidates.iter().map(|candidate| candidate.logit).reduce(f32::max)
}

/// The more probable first, ties by token.
pub(super) fn by_logit(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token))
}
