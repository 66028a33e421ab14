//! What a key may have in a minute.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::bucket::Bucket;

/// The allowances of one key.
#[derive(Debug)]
pub(super) struct Quota {
    requests: Option<Allowance>,
    tokens: Option<Allowance>,
}

#[derive(Debug)]
struct Allowance {
    per_minute: u32,
    bucket: Mutex<Bucket>,
}

/// Something that a key has had all of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted {
    /// What: requests or tokens.
    pub(super) what: &'static str,
    pub(super) per_minute: u32,
    pub(super) wait: Duration,
}

/// How a key stands with its allowances, as headers tell it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    requests: Option<Left>,
    tokens: Option<Left>,
}

#[derive(Debug, PartialEq, Eq)]
struct Left {
    limit: u32,
    remaining: u64,
    reset: Duration,
}

impl Quota {
    pub(super) fn new(requests: Option<u32>, tokens: Option<u32>, now: Instant) -> Self {
        let allowance =
            |per_minute: u32| Allowance { per_minute, bucket: Mutex::new(Bucket::new(per_minute, now)) };
        Self { requests: requests.map(allowance), tokens: tokens.map(allowance) }
    }

    /// Whether the numbers are the same, whatever is left of them.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let numbers =
            |allowance: &Option<Allowance>| allowance.as_ref().map(|allowance| allowance.per_minute);
        numbers(&self.requests) == numbers(&other.requests) && numbers(&self.tokens) == numbers(&other.tokens)
    }

    /// Takes one request, if there is one and not all tokens are gone.
    pub(super) fn take_request(&self, now: Instant) -> Result<(), Exhausted> {
        let exhausted = |what: &'static str, allowance: &Allowance, wait| Exhausted {
            what,
            per_minute: allowance.per_minute,
            wait,
        };
        if let Some(tokens) = &self.tokens
            && let Some(wait) = tokens.with(|bucket| bucket.wait(now))
        {
            return Err(exhausted("tokens", tokens, wait));
        }
        let Some(requests) = &self.requests else { return Ok(()) };
        let wait = requests.with(|bucket| {
            let wait = bucket.wait(now);
            if wait.is_none() {
                bucket.take(1, now);
            }
            wait
        });
        wait.map_or(Ok(()), |wait| Err(exhausted("requests", requests, wait)))
    }

    /// Counts tokens that were had, be there so many left or not: how many there will be is not known before.
    pub(super) fn take_tokens(&self, n: u64, now: Instant) {
        if let Some(tokens) = &self.tokens {
            tokens.with(|bucket| bucket.take(n, now));
        }
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        let left = |allowance: &Allowance| {
            allowance.with(|bucket| Left {
                limit: allowance.per_minute,
                remaining: bucket.left(now),
                reset: bucket.reset(now),
            })
        };
        Standing { requests: self.requests.as_ref().map(left), tokens: self.tokens.as_ref().map(left) }
    }
}

impl Allowance {
    fn with<T>(&self, look: impl FnOnce(&mut Bucket) -> T) -> T {
        look(&mut self.bucket.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Standing {
    /// Writes the headers that OpenAI's API has for it.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        const REQUESTS: [HeaderName; 3] = [
            HeaderName::from_static("x-ratelimit-limit-requests"),
            HeaderName::from_static("x-ratelimit-remaining-requests"),
            HeaderName::from_static("x-ratelimit-reset-requests"),
        ];
        const TOKENS: [HeaderName; 3] = [
            HeaderName::from_static("x-ratelimit-limit-tokens"),
            HeaderName::from_static("x-ratelimit-remaining-tokens"),
            HeaderName::from_static("x-ratelimit-reset-tokens"),
        ];
        for (left, [limit, remaining, reset]) in [(&self.requests, REQUESTS), (&self.tokens, TOKENS)] {
            let Some(left) = left else { continue };
            headers.insert(limit, left.limit.into());
            headers.insert(remaining, left.remaining.into());
            let until = format!("{:.3}s", left.reset.as_secs_f64());
            if let Ok(until) = HeaderValue::try_from(until) {
                headers.insert(reset, until);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_and_tokens_are_counted_apart() {
        let start = Instant::now();
        let quota = Quota::new(Some(2), Some(100), start);
        assert_eq!(quota.take_request(start), Ok(()));
        quota.take_tokens(150, start);
        let refused = quota.take_request(start).unwrap_err();
        // One token more than the debt of 50, at 100 a minute.
        assert_eq!((refused.what, refused.wait.as_secs_f64()), ("tokens", 30.6));
        let later = start + Duration::from_secs(31);
        assert_eq!(quota.take_request(later), Ok(()));
        assert_eq!(quota.take_request(later), Ok(()), "31 s bring one more");
        assert_eq!(quota.take_request(later).unwrap_err().what, "requests");
        let mut headers = HeaderMap::new();
        quota.standing(later).write(&mut headers);
        let told: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
        assert_eq!(
            told,
            [
                "x-ratelimit-limit-requests=2",
                "x-ratelimit-remaining-requests=0",
                "x-ratelimit-reset-requests=60.000s",
                "x-ratelimit-limit-tokens=100",
                "x-ratelimit-remaining-tokens=1",
                "x-ratelimit-reset-tokens=59.000s",
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_numbers_nothing_binds_and_nothing_is_told() {
        let quota = Quota::new(None, None, Instant::now());
        quota.take_tokens(u64::MAX, Instant::now());
        assert!((0..1000).all(|_| quota.take_request(Instant::now()).is_ok()));
        assert_eq!(quota.standing(Instant::now()), Standing::default());
    }
}
