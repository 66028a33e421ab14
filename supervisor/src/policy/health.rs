//! Whether a worker makes progress. Judged by what it gets done, never by whether it answers: a ready worker
//! must step while work is pending and say something twice a second; a loading one must get on.

use std::time::Duration;

use tokio::time::Instant;

/// How late a deadline may be looked at before it is the observer who must have slept.
const OVERSLEPT: Duration = Duration::from_secs(1);

/// How long a worker is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a step, while work is pending. A step of a large model may take long.
    pub step: Duration,
    /// For a word. Reports come from a thread of their own, so only a stopped process is silent.
    pub word: Duration,
}

/// The progress of one worker, seen so far.
#[derive(Debug, Clone)]
pub struct Progress {
    patience: Patience,
    heard: Instant,
    moved: Instant,
    steps: u64,
    pending: bool,
}

/// The judgement at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All is well until [`Progress::deadline`].
    Well,
    /// It said nothing for this long.
    Silent(Duration),
    /// It had work and made no step for this long.
    Stuck(Duration),
}

impl Progress {
    /// A worker that has just become ready and is given `patience`.
    pub fn new(now: Instant, patience: Patience) -> Self {
        Self { patience, heard: now, moved: now, steps: 0, pending: false }
    }

    /// Takes in a report: `steps` engine calls so far, and whether sequences wait for the next one.
    pub fn tick(&mut self, now: Instant, steps: u64, pending: bool) {
        self.heard = now;
        if steps != self.steps || !pending || !self.pending {
            self.moved = now;
        }
        self.steps = steps;
        self.pending = pending;
    }

    /// Takes in a report that is progress by itself.
    pub fn moved(&mut self, now: Instant) {
        self.heard = now;
        self.moved = now;
    }

    /// When to judge next.
    pub fn deadline(&self) -> Instant {
        let word = self.heard + self.patience.word;
        if self.pending { word.min(self.moved + self.patience.step) } else { word }
    }

    /// Judges. When the deadline was missed by far, it was the observer who stood still (a suspended machine, a
    /// stopped supervisor), so the worker gets its time again.
    pub fn judge(&mut self, now: Instant) -> Verdict {
        let deadline = self.deadline();
        if now < deadline {
            return Verdict::Well;
        }
        if now.saturating_duration_since(deadline) > OVERSLEPT {
            self.moved(now);
            return Verdict::Well;
        }
        if now.saturating_duration_since(self.heard) >= self.patience.word {
            return Verdict::Silent(self.patience.word);
        }
        Verdict::Stuck(self.patience.step)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STEP: Duration = Duration::from_secs(10);
    const WORD: Duration = Duration::from_secs(5);
    const PATIENCE: Patience = Patience { step: STEP, word: WORD };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Feeds `(at_s, steps, pending)` and judges at `at_s`.
    fn check(ticks: &[(u64, u64, bool)], at_s: u64, expected: Verdict) {
        let start = Instant::now();
        let mut progress = Progress::new(start, PATIENCE);
        for (at, steps, pending) in ticks {
            progress.tick(start + seconds(*at), *steps, *pending);
        }
        assert_eq!(progress.judge(start + seconds(at_s)), expected, "{ticks:?} at {at_s}");
    }

    #[test]
    fn verdicts() {
        check(&[], 4, Verdict::Well);
        check(&[], 5, Verdict::Silent(WORD));
        check(&[(4, 0, false)], 8, Verdict::Well);
        check(&[(4, 0, false)], 9, Verdict::Silent(WORD));
        // Work arrives late: the clock starts with it.
        let late = [(4, 3, false), (8, 3, true), (12, 3, true), (16, 3, true)];
        check(&late, 17, Verdict::Well);
        check(&late, 18, Verdict::Stuck(STEP));
        // Steps go on.
        check(&[(1, 1, true), (5, 2, true), (9, 3, true)], 12, Verdict::Well);
        // The observer slept.
        check(&[(1, 1, true)], 60, Verdict::Well);
    }

    proptest! {
        #[test]
        fn who_reports_steps_in_time_is_never_replaced(gaps in prop::collection::vec(1u64..5_000, 1..100)) {
            let mut now = Instant::now();
            let mut progress = Progress::new(now, PATIENCE);
            for (steps, gap) in (1u64..).zip(gaps) {
                now += Duration::from_millis(gap);
                prop_assert_eq!(progress.judge(now), Verdict::Well);
                progress.tick(now, steps, true);
            }
        }
    }
}
