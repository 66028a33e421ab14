//! When something that died is started again: exponential backoff with jitter, within a budget per window.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// The numbers that bind a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The first delay; each further one doubles.
    pub initial: Duration,
    /// The longest delay.
    pub max: Duration,
    /// How long a death is held against what is restarted.
    pub window: Duration,
    /// Deaths within the window after which it is given up.
    pub max_deaths: u32,
    /// A run that served this long is a good one: earlier deaths are forgotten.
    pub healthy_after: Duration,
}

/// The deaths that still count.
#[derive(Debug, Clone, Default)]
pub struct History {
    deaths: VecDeque<Instant>,
}

/// What to do after a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Start again after `delay`; this is the `attempt`th start in a row, from 1.
    After {
        /// Zero after a healthy run.
        delay: Duration,
        /// How many starts in a row this makes.
        attempt: u32,
    },
    /// The budget is spent: leave it until somebody acts.
    GiveUp {
        /// Deaths within the window.
        deaths: u32,
    },
}

impl History {
    /// Records a death at `now` after `served` of useful life, and decides. `random` is in 0..1.
    pub fn died(&mut self, limits: &Limits, now: Instant, served: Duration, random: f64) -> Restart {
        let was_healthy = served >= limits.healthy_after;
        if was_healthy {
            self.deaths.clear();
        }
        while self.deaths.front().is_some_and(|death| now.saturating_duration_since(*death) >= limits.window)
        {
            self.deaths.pop_front();
        }
        self.deaths.push_back(now);
        let attempt = u32::try_from(self.deaths.len()).unwrap_or(u32::MAX);
        if was_healthy {
            Restart::After { delay: Duration::ZERO, attempt }
        } else if attempt >= limits.max_deaths {
            Restart::GiveUp { deaths: attempt }
        } else {
            Restart::After { delay: limits.delay(attempt, random), attempt }
        }
    }

    /// Forgets all deaths.
    pub fn clear(&mut self) {
        self.deaths.clear();
    }

    /// Whether any death still counts.
    pub fn is_empty(&self) -> bool {
        self.deaths.is_empty()
    }
}

impl Limits {
    /// The delay before the `attempt`th start in a row (from 1): between half and the whole of
    /// `initial * 2^(attempt - 1)`, at most `max`, so that what died together does not start together.
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let doubled = 2u32.saturating_pow(attempt.saturating_sub(1));
        let whole = self.initial.saturating_mul(doubled).min(self.max);
        whole.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        initial: Duration::from_millis(200),
        max: Duration::from_secs(30),
        window: Duration::from_mins(5),
        max_deaths: 5,
        healthy_after: Duration::from_secs(30),
    };

    #[test]
    fn delays_double_up_to_the_longest() {
        let check = |attempt, expected_ms| {
            assert_eq!(LIMITS.delay(attempt, 1.0), Duration::from_millis(expected_ms), "attempt {attempt}");
        };
        check(1, 200);
        check(2, 400);
        check(5, 3_200);
        check(9, 30_000);
        check(u32::MAX, 30_000);
    }

    #[test]
    fn a_crash_at_every_start_is_given_up() {
        let mut history = History::default();
        let now = Instant::now();
        for attempt in 1..5 {
            let decision = history.died(&LIMITS, now, Duration::ZERO, 1.0);
            assert_eq!(decision, Restart::After { delay: LIMITS.delay(attempt, 1.0), attempt });
        }
        assert_eq!(history.died(&LIMITS, now, Duration::ZERO, 1.0), Restart::GiveUp { deaths: 5 });
    }

    #[test]
    fn a_healthy_run_is_restarted_at_once_and_clears_the_past() {
        let mut history = History::default();
        let now = Instant::now();
        for _ in 0..4 {
            history.died(&LIMITS, now, Duration::ZERO, 0.0);
        }
        let decision = history.died(&LIMITS, now, LIMITS.healthy_after, 0.0);
        assert_eq!(decision, Restart::After { delay: Duration::ZERO, attempt: 1 });
    }

    fn steps() -> impl Strategy<Value = Vec<(u64, u64, f64)>> {
        prop::collection::vec((0u64..400_000, 0u64..60_000, 0.0..1.0), 1..60)
    }

    proptest! {
        #[test]
        fn starts_within_a_window_stay_within_the_budget(steps in steps()) {
            let mut history = History::default();
            let mut now = Instant::now();
            let mut unhealthy: Vec<Instant> = Vec::new();
            for (pause_ms, served_ms, random) in steps {
                now += Duration::from_millis(pause_ms);
                let served = Duration::from_millis(served_ms);
                let decision = history.died(&LIMITS, now, served, random);
                if served >= LIMITS.healthy_after {
                    unhealthy.clear();
                }
                unhealthy.push(now);
                let counted = unhealthy.iter().filter(|at| now - **at < LIMITS.window).count();
                match decision {
                    Restart::After { delay, .. } => {
                        prop_assert!(counted < LIMITS.max_deaths as usize || served >= LIMITS.healthy_after);
                        prop_assert!(delay <= LIMITS.max);
                    }
                    Restart::GiveUp { deaths } => prop_assert_eq!(deaths as usize, counted),
                }
            }
        }

        #[test]
        fn a_later_attempt_never_waits_less_than_half_of_an_earlier_one(attempt in 1u32..64, a in 0.0..1.0, b in 0.0..1.0) {
            prop_assert!(LIMITS.delay(attempt + 1, a) * 2 >= LIMITS.delay(attempt, b));
        }
    }
}
