//! Whether a worker makes progress. Judged by what it gets done, never by whether it answers: a ready worker
//! must step while work is pending and say something twice a second; a loading one must get on.

use std::time::Duration;

use impetus_proto::launch::Tick;
use tokio::time::Instant;

/// How late a deadline may be looked at before it is the observer who must have slept.
const OVERSLEPT: Duration = Duration::from_secs(1);

/// How many times the longest step seen a step may take; later steps see longer contexts, and other workers.
const SLOWER: f64 = 4.0;

/// What a step may take at most by what the worker says of its steps, however long it says they are.
const LONGEST_STEP: Duration = Duration::from_hours(1);

/// How long a worker is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a step while work is pending, beyond what one may take by those that were seen.
    pub step: Duration,
    /// For the first step, since nothing is known of its like.
    pub first_step: Duration,
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
    /// What the step that runs may take.
    allowed: Duration,
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
        let allowed = patience.first_step;
        Self { patience, heard: now, moved: now, steps: 0, pending: false, allowed }
    }

    /// Goes on with another patience, which counts from the next report on.
    pub fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// Takes in a report.
    pub fn tick(&mut self, now: Instant, tick: &Tick) {
        let pending = tick.pending > 0;
        self.heard = now;
        if tick.steps != self.steps || !pending || !self.pending {
            self.moved = now;
        }
        self.steps = tick.steps;
        self.pending = pending;
        self.allowed = self.patience.of_step(tick);
    }

    /// Takes in a report that is a sign of life and no more.
    pub fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    /// When to judge next.
    pub fn deadline(&self) -> Instant {
        let word = self.heard + self.patience.word;
        if self.pending { word.min(self.moved + self.allowed) } else { word }
    }

    /// Judges. When the deadline was missed by far, it was the observer who stood still (a suspended machine, a
    /// stopped supervisor), so the worker gets its time again.
    pub fn judge(&mut self, now: Instant) -> Verdict {
        let deadline = self.deadline();
        if now < deadline {
            return Verdict::Well;
        }
        if now.saturating_duration_since(deadline) > OVERSLEPT {
            (self.heard, self.moved) = (now, now);
            return Verdict::Well;
        }
        if now.saturating_duration_since(self.heard) >= self.patience.word {
            return Verdict::Silent(self.patience.word);
        }
        Verdict::Stuck(self.allowed)
    }
}

impl Patience {
    /// What the step that runs may take: the longest one so far counts four times, and in proportion where this one
    /// has more tokens than any before, as a whole chunk of a prompt has after steps of single tokens.
    fn of_step(&self, tick: &Tick) -> Duration {
        if tick.largest_step_tokens == 0 {
            return self.first_step.max(self.step);
        }
        let larger = (f64::from(tick.step_tokens) / f64::from(tick.largest_step_tokens)).max(1.0);
        let likely_s = SLOWER * larger * (tick.longest_step_us as f64 / 1e6);
        self.step + Duration::try_from_secs_f64(likely_s).unwrap_or(LONGEST_STEP).min(LONGEST_STEP)
    }
}

#[cfg(test)]
mod tests;
