//! The filters of a distribution. Each keeps at least one candidate and leaves the logits of those it keeps as
//! they are, so the ratios of their probabilities do not change.

use std::cmp::Ordering;

use crate::engine::TokenId;

/// How many of the best candidates are put in order at first, and by what factor more when they do not suffice: a
/// top-p of 0.95 needs a few dozen of 128,000.
const FIRST_SORTED: usize = 256;
const GROWTH: usize = 4;

/// A token that may still be chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) token: u32,
    pub(super) logit: f32,
    /// What a filter orders by; its own scratch.
    score: f32,
}

/// Fills `candidates` with every token whose logit is a number above minus infinity, by token.
pub(super) fn collect(logits: &[f32], candidates: &mut Vec<Candidate>) {
    candidates.clear();
    for (token, &logit) in logits.iter().enumerate() {
        // False for NaN. Plus infinity becomes a number, so that differences of logits are numbers.
        if logit > f32::NEG_INFINITY {
            candidates.push(Candidate { token: token as u32, logit: logit.min(f32::MAX), score: 0.0 });
        }
    }
}

/// Keeps the `k` most probable candidates.
pub(super) fn top_k(candidates: &mut Vec<Candidate>, k: usize) {
    if k < candidates.len() {
        candidates.select_nth_unstable_by(k, by_logit);
        candidates.truncate(k);
    }
}

/// Locally typical sampling (Meister et al. 2022): keeps the candidates whose information is closest to the
/// distribution's entropy, as many as it takes to reach `p`.
pub(super) fn typical(candidates: &mut Vec<Candidate>, p: f32) {
    let Some(highest) = highest(candidates) else { return };
    let total = mass(candidates, highest);
    // The information of a candidate is ln(total) - (logit - highest); the entropy is its mean.
    let log_total = total.ln();
    let information = |candidate: &Candidate| log_total - f64::from(candidate.logit - highest);
    let entropy: f64 = candidates
        .iter()
        .map(|candidate| (weight(candidate, highest), information(candidate)))
        .filter(|(weight, _)| *weight > 0.0)
        .map(|(weight, information)| weight / total * information)
        .sum();
    for candidate in candidates.iter_mut() {
        candidate.score = (information(candidate) - entropy).abs() as f32;
    }
    keep_mass(candidates, by_score, highest, f64::from(p) * total);
}

/// Nucleus sampling (Holtzman et al. 2020): keeps the most probable candidates, as many as it takes to reach `p`.
pub(super) fn top_p(candidates: &mut Vec<Candidate>, p: f32) {
    let Some(highest) = highest(candidates) else { return };
    let total = mass(candidates, highest);
    keep_mass(candidates, by_logit, highest, f64::from(p) * total);
}

/// Keeps the candidates at least `p` times as probable as the most probable one.
pub(super) fn min_p(candidates: &mut Vec<Candidate>, p: f32) {
    let Some(highest) = highest(candidates) else { return };
    let margin = p.ln();
    candidates.retain(|candidate| candidate.logit - highest >= margin);
}

/// Chooses among `candidates` in proportion to their probability at `temperature` (above zero), walking them by
/// token until `uniform`, in [0, 1), of the whole is passed.
pub(super) fn draw(candidates: &mut [Candidate], temperature: f32, uniform: f64) -> Option<TokenId> {
    // The order of walking has to be a function of what is left, not of how the filters left it.
    if !candidates.is_sorted_by_key(|candidate| candidate.token) {
        candidates.sort_unstable_by_key(|candidate| candidate.token);
    }
    let highest = highest(candidates)?;
    let mut total = 0.0_f64;
    for candidate in candidates.iter_mut() {
        candidate.score = ((candidate.logit - highest) / temperature).exp();
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

/// Keeps the first candidates in `order` that together reach `needed`, sorting no more than that takes.
fn keep_mass(
    candidates: &mut Vec<Candidate>,
    order: fn(&Candidate, &Candidate) -> Ordering,
    highest: f32,
    needed: f64,
) {
    let mut reached = 0.0_f64;
    let mut sorted = 0;
    let mut part = FIRST_SORTED;
    while sorted < candidates.len() {
        let rest = &mut candidates[sorted..];
        let count = part.min(rest.len());
        if count < rest.len() {
            rest.select_nth_unstable_by(count, order);
        }
        rest[..count].sort_unstable_by(order);
        for (index, candidate) in rest[..count].iter().enumerate() {
            reached += weight(candidate, highest);
            if reached >= needed {
                candidates.truncate(sorted + index + 1);
                return;
            }
        }
        sorted += count;
        part *= GROWTH;
    }
}

/// Probability of a candidate, up to the factor that all share.
fn weight(candidate: &Candidate, highest: f32) -> f64 {
    f64::from((candidate.logit - highest).exp())
}

fn mass(candidates: &[Candidate], highest: f32) -> f64 {
    candidates.iter().map(|candidate| weight(candidate, highest)).sum()
}

fn highest(candidates: &[Candidate]) -> Option<f32> {
    candidates.iter().map(|candidate| candidate.logit).reduce(f32::max)
}

fn by_logit(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token))
}

fn by_score(a: &Candidate, b: &Candidate) -> Ordering {
    a.score.total_cmp(&b.score).then(a.token.cmp(&b.token))
}
