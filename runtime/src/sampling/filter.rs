//! The filters of a distribution. Each keeps at least one candidate and leaves the logits of those it keeps as
//! they are, so the ratios of their probabilities do not change.

use std::cmp::Ordering;

use super::candidate::{Candidate, by_logit, entropy, highest, mass, weight};

/// How many of the best candidates are put in order at first, and by what factor more when they do not suffice: a
/// top-p of 0.95 needs a few dozen of 128,000.
const FIRST_SORTED: usize = 256;
const GROWTH: usize = 4;

/// Top-nσ (Tang et al. 2024, <https://arxiv.org/abs/2411.07641>): keeps logits within `n` standard deviations, of all
/// logits, below the largest one.
pub(super) fn top_n_sigma(candidates: &mut Vec<Candidate>, n: f32) {
    let Some(highest) = highest(candidates) else { return };
    let count = candidates.len() as f64;
    let mean = candidates.iter().map(|candidate| f64::from(candidate.logit)).sum::<f64>() / count;
    let deviation = |candidate: &Candidate| (f64::from(candidate.logit) - mean).powi(2);
    let sigma = (candidates.iter().map(deviation).sum::<f64>() / count).sqrt();
    let least = f64::from(highest) - f64::from(n) * sigma;
    candidates.retain(|candidate| f64::from(candidate.logit) >= least);
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
    let (log_total, entropy) = (total.ln(), entropy(candidates));
    let information = |candidate: &Candidate| log_total - f64::from(candidate.logit - highest);
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

/// Exclude top choices (<https://github.com/oobabooga/text-generation-webui/pull/6335>): of the candidates with a
/// probability of at least `threshold` only the least probable one stays, where there are two or more.
pub(super) fn exclude_top(candidates: &mut Vec<Candidate>, threshold: f32) {
    let Some(highest) = highest(candidates) else { return };
    let needed = f64::from(threshold) * mass(candidates, highest);
    let is_top = |candidate: &Candidate| weight(candidate, highest) >= needed;
    let Some(last) = candidates.iter().copied().filter(is_top).max_by(by_logit) else { return };
    candidates.retain(|candidate| !is_top(candidate) || candidate.token == last.token);
}

/// Keeps the candidates whose information is at most `nats`; the most probable one always.
pub(super) fn at_most(candidates: &mut Vec<Candidate>, nats: f64) {
    let Some(highest) = highest(candidates) else { return };
    let Some(best) = candidates.iter().copied().min_by(by_logit) else { return };
    let log_total = mass(candidates, highest).ln();
    let information = |candidate: &Candidate| log_total - f64::from(candidate.logit - highest);
    candidates.retain(|candidate| information(candidate) <= nats || candidate.token == best.token);
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

fn by_score(a: &Candidate, b: &Candidate) -> Ordering {
    a.score.total_cmp(&b.score).then(a.token.cmp(&b.token))
}
