//! A token bucket: so much at once, and so much again in each minute.

use std::time::Duration;

use tokio::time::Instant;

const MINUTE_S: f64 = 60.0;

/// Holds what is left of an allowance. It may be in debt: then time has to pay first.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_minute: f64,
    level: f64,
    /// When `level` was so.
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(per_minute: u32, now: Instant) -> Self {
        Self { per_minute: per_minute.into(), level: per_minute.into(), at: now }
    }

    /// The time until there is at least one again; `None` when there is one now.
    pub(crate) fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.fill(now);
        (self.level < 1.0).then(|| Duration::from_secs_f64((1.0 - self.level) / self.per_minute * MINUTE_S))
    }

    /// Takes `n`, whether there are so many or not.
    pub(crate) fn take(&mut self, n: u64, now: Instant) {
        self.fill(now);
        self.level -= n as f64;
    }

    /// What is left, in whole ones.
    pub(super) fn left(&mut self, now: Instant) -> u64 {
        self.fill(now);
        self.level.max(0.0) as u64
    }

    /// The time until it is full.
    pub(super) fn reset(&mut self, now: Instant) -> Duration {
        self.fill(now);
        Duration::from_secs_f64((self.per_minute - self.level) / self.per_minute * MINUTE_S)
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_minute / MINUTE_S).min(self.per_minute);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_empties_and_fills() {
        let start = Instant::now();
        let after = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut bucket = Bucket::new(60, start);
        for _ in 0..60 {
            assert_eq!(bucket.wait(start), None);
            bucket.take(1, start);
        }
        assert_eq!(bucket.wait(start), Some(Duration::from_secs(1)));
        assert_eq!(bucket.reset(start), Duration::from_mins(1));
        assert_eq!(bucket.wait(after(1.0)), None);
        bucket.take(31, after(1.0));
        assert_eq!((bucket.left(after(1.0)), bucket.wait(after(1.0))), (0, Some(Duration::from_secs(31))));
        assert_eq!(bucket.left(after(42.0)), 11);
        assert_eq!(bucket.left(after(1000.0)), 60);
    }

    proptest! {
        /// Whoever asks first takes no more than a full bucket and what time has brought.
        #[test]
        fn nobody_gets_more_than_the_rate(per_minute in 1u32..1000, steps in prop::collection::vec(0u64..5000, 1..200)) {
            let start = Instant::now();
            let mut bucket = Bucket::new(per_minute, start);
            let (mut now, mut taken) = (start, 0u64);
            for step in steps {
                now += Duration::from_millis(step);
                if bucket.wait(now).is_none() {
                    bucket.take(1, now);
                    taken += 1;
                }
            }
            let allowed = f64::from(per_minute) * (1.0 + (now - start).as_secs_f64() / MINUTE_S);
            prop_assert!(taken as f64 <= allowed + 1e-6);
        }
    }
}
