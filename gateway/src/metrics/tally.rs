//! What all requests together have come to, for the history: counters that only grow, and how long tokens took, in buckets
//! fine enough for percentiles. Whoever looks takes the difference between two looks.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Buckets of a spread, eight for each doubling: from 50 µs to a quarter of an hour, each 9 % wide.
const N_BUCKETS: usize = 192;
const FIRST_S: f64 = 50e-6;
const PER_DOUBLING: f64 = 8.0;

static COUNTS: Counts = Counts {
    prompt_tokens: AtomicU64::new(0),
    completion_tokens: AtomicU64::new(0),
    requests: AtomicU64::new(0),
    errors: AtomicU64::new(0),
    first_token: [const { AtomicU64::new(0) }; N_BUCKETS],
    inter_token: [const { AtomicU64::new(0) }; N_BUCKETS],
};

struct Counts {
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    requests: AtomicU64,
    errors: AtomicU64,
    first_token: [AtomicU64; N_BUCKETS],
    inter_token: [AtomicU64; N_BUCKETS],
}

/// The counts of one moment, or the difference between two.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
    /// That models worked for and that are over.
    pub(crate) requests: u64,
    /// Of these, those that ended in an error.
    pub(crate) errors: u64,
    /// From a request's headers to its first token.
    pub(crate) first_token: Spread,
    /// Between the tokens of an answer.
    pub(crate) inter_token: Spread,
}

/// How often something took how long.
#[derive(Debug, Clone)]
pub(crate) struct Spread(Vec<u64>);

impl Tally {
    /// What has come together so far.
    pub(crate) fn now() -> Self {
        let spread = |buckets: &[AtomicU64]| Spread(buckets.iter().map(|n| n.load(Relaxed)).collect());
        Self {
            prompt_tokens: COUNTS.prompt_tokens.load(Relaxed),
            completion_tokens: COUNTS.completion_tokens.load(Relaxed),
            requests: COUNTS.requests.load(Relaxed),
            errors: COUNTS.errors.load(Relaxed),
            first_token: spread(&COUNTS.first_token),
            inter_token: spread(&COUNTS.inter_token),
        }
    }

    /// What has been added since `former`.
    pub(crate) fn since(&self, former: &Self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens.saturating_sub(former.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_sub(former.completion_tokens),
            requests: self.requests.saturating_sub(former.requests),
            errors: self.errors.saturating_sub(former.errors),
            first_token: self.first_token.since(&former.first_token),
            inter_token: self.inter_token.since(&former.inter_token),
        }
    }
}

impl Spread {
    /// How often.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The time that this part of all, from 0 to 1, did not exceed, within 5 %; none where there is nothing.
    pub(crate) fn quantile(&self, part: f64) -> Option<Duration> {
        let rank = (part * self.count() as f64).ceil().max(1.0) as u64;
        let mut n_below = 0;
        let bucket = self.0.iter().position(|n| {
            n_below += n;
            n_below >= rank
        })?;
        Some(Duration::from_secs_f64(FIRST_S * ((bucket as f64 + 0.5) / PER_DOUBLING).exp2()))
    }

    fn since(&self, former: &Self) -> Self {
        Self(self.0.iter().zip(&former.0).map(|(now, before)| now.saturating_sub(*before)).collect())
    }
}

/// A worker has taken a prompt.
pub(crate) fn accepted(prompt_tokens: u64) {
    COUNTS.prompt_tokens.fetch_add(prompt_tokens, Relaxed);
}

/// So many tokens of an answer have come.
pub(crate) fn generated(n_tokens: usize) {
    COUNTS.completion_tokens.fetch_add(n_tokens as u64, Relaxed);
}

/// A request that models worked for is over.
pub(crate) fn served(is_error: bool) {
    COUNTS.requests.fetch_add(1, Relaxed);
    COUNTS.errors.fetch_add(u64::from(is_error), Relaxed);
}

/// The first token of an answer came after `waited`.
pub(super) fn first_token(waited: Duration) {
    COUNTS.first_token[bucket(waited.as_secs_f64())].fetch_add(1, Relaxed);
}

/// So many tokens came after `seconds` each.
pub(crate) fn gaps(seconds: f64, n_tokens: usize) {
    COUNTS.inter_token[bucket(seconds)].fetch_add(n_tokens as u64, Relaxed);
}

fn bucket(seconds: f64) -> usize {
    let place = ((seconds / FIRST_S).max(1.0).log2() * PER_DOUBLING) as usize;
    place.min(N_BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(times_s: &[f64]) -> Spread {
        let mut buckets = vec![0; N_BUCKETS];
        for seconds in times_s {
            buckets[bucket(*seconds)] += 1;
        }
        Spread(buckets)
    }

    #[test]
    fn percentiles_are_those_of_the_times_within_five_percent() {
        let check = |times_s: &[f64], part: f64, expected_s: f64| {
            let told = spread(times_s).quantile(part).unwrap().as_secs_f64();
            assert!((told / expected_s - 1.0).abs() < 0.05, "{told} {expected_s}");
        };
        check(&[0.04], 0.5, 0.04);
        check(&[0.001, 0.002, 0.5], 0.5, 0.002);
        check(&[0.001, 0.002, 0.5], 0.99, 0.5);
        let many: Vec<f64> = (1..=1000).map(|ms| f64::from(ms) / 1000.0).collect();
        check(&many, 0.5, 0.5);
        check(&many, 0.99, 0.99);
        assert!(spread(&[]).quantile(0.5).is_none());
        assert_eq!((bucket(0.0), bucket(1e9)), (0, N_BUCKETS - 1));
    }

    #[test]
    fn what_was_added_is_the_difference() {
        let before = Tally::now();
        accepted(7);
        generated(3);
        served(true);
        gaps(0.02, 3);
        let more = Tally::now().since(&before);
        // Other tests count as well.
        assert!(more.prompt_tokens >= 7 && more.completion_tokens >= 3 && more.inter_token.count() >= 3);
        assert!(more.requests >= 1 && more.errors >= 1);
    }
}
