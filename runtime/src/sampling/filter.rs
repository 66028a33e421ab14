//! The filters of a distribution. Each keeps at least one candidate and leaves the logits of those it keeps as
//! they are, so the ratios of their probabilities do not change.

use std::cmp::Ordering;

use super::candidate::{Candidate, by_logit, entropy, highest, mass, weight};

/// So many candidates are put in order at once.
const FEW: usize = 256;

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

/// Keeps the first candidates in `order` that together reach `needed`: halves of what is undecided are looked at until it
/// is few enough to be put in order.
fn keep_mass(
    candidates: &mut Vec<Candidate>,
    order: fn(&Candidate, &Candidate) -> Ordering,
    highest: f32,
    needed: f64,
) {
    let mass = |candidates: &[Candidate]| mass(candidates, highest);
    let (mut begin, mut end) = (0, candidates.len());
    let mut before = 0.0_f64;
    while end - begin > FEW {
        let half = (end - begin) / 2;
        candidates[begin..end].select_nth_unstable_by(half, order);
        let of_half = mass(&candidates[begin..begin + half]);
        if is_near(before + of_half, needed) {
            return keep_mass_in_order(candidates, order, highest, needed);
        }
        if before + of_half > needed {
            end = begin + half;
        } else {
            before += of_half;
            begin += half;
        }
    }
    candidates[begin..end].sort_unstable_by(order);
    for kept in begin..end {
        before += weight(&candidates[kept], highest);
        if is_near(before, needed) {
            return keep_mass_in_order(candidates, order, highest, needed);
        }
        if before > needed {
            candidates.truncate(kept + 1);
            return;
        }
    }
    candidates.truncate(end);
}

/// The same by its definition, each candidate added to those before it.
fn keep_mass_in_order(
    candidates: &mut Vec<Candidate>,
    order: fn(&Candidate, &Candidate) -> Ordering,
    highest: f32,
    needed: f64,
) {
    candidates.sort_unstable_by(order);
    let mut reached = 0.0_f64;
    let is_enough = |candidate: &Candidate| {
        reached += weight(candidate, highest);
        reached >= needed
    };
    if let Some(last) = candidates.iter().position(is_enough) {
        candidates.truncate(last + 1);
    }
}

/// Whether two sums are so near each other that the order in which they were added up may decide which is larger.
fn is_near(reached: f64, needed: f64) -> bool {
    (reached - needed).abs() <= 1e-9 * needed
}

fn by_score(a: &Candidate, b: &Candidate) -> Ordering {
    a.score.total_cmp(&b.score).then(a.token.cmp(&b.token))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::candidate::collect, *};

    proptest! {
        #[test]
        fn halves_leave_what_a_full_sort_leaves(
            logits in prop::collection::vec(prop_oneof![-12.0_f32..12.0, (-4_i8..4).prop_map(f32::from)], 1..2000),
            p in prop_oneof![0.0_f32..=1.0, 0.999_f32..=1.0],
        ) {
            let mut plain = Vec::new();
            collect(&logits, &mut plain);
            let mut halved = plain.clone();
            let highest = highest(&plain).unwrap();
            let needed = f64::from(p) * mass(&plain, highest);
            keep_mass_in_order(&mut plain, by_logit, highest, needed);
            keep_mass(&mut halved, by_logit, highest, needed);
            halved.sort_unstable_by(by_logit);
            prop_assert_eq!(halved, plain);
        }
    }
}
