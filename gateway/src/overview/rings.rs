//! The samples that are remembered: the last minutes by the second, the last day by the minute.

use std::{collections::BTreeMap, sync::Arc};

use super::sample::Sample;

/// How far apart samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Second,
    Minute,
}

/// By the seconds at which they end.
#[derive(Debug, Default)]
pub(super) struct Rings {
    seconds: BTreeMap<u64, Arc<Sample>>,
    minutes: BTreeMap<u64, Arc<Sample>>,
}

impl Step {
    pub(crate) const ALL: [Self; 2] = [Self::Second, Self::Minute];

    /// Its length.
    pub(crate) fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
        }
    }

    /// For how long samples are kept, in seconds.
    pub(crate) fn kept_s(self) -> u64 {
        match self {
            Self::Second => 10 * 60,
            Self::Minute => 24 * 60 * 60,
        }
    }
}

impl Rings {
    /// Takes the newest sample. What claims to be newer was taken by a clock that has been set back since.
    pub(super) fn push(&mut self, sample: Arc<Sample>) {
        if let Some(ring) = self.ring(sample.step_s) {
            ring.split_off(&sample.unix_s);
        }
        self.insert(sample);
    }

    /// Takes a sample of any age.
    pub(super) fn insert(&mut self, sample: Arc<Sample>) {
        let Some(step) = Step::ALL.into_iter().find(|step| step.seconds() == sample.step_s) else { return };
        let Some(ring) = self.ring(sample.step_s) else { return };
        ring.insert(sample.unix_s, sample);
        let newest = ring.keys().next_back().copied().unwrap_or_default();
        *ring = ring.split_off(&(newest.saturating_sub(step.kept_s()) + 1));
    }

    /// Those that end after `after_s`, the oldest first.
    pub(super) fn after(&self, step: Step, after_s: u64) -> Vec<Arc<Sample>> {
        let ring = match step {
            Step::Second => &self.seconds,
            Step::Minute => &self.minutes,
        };
        ring.range(after_s.saturating_add(1)..).map(|(_, sample)| sample.clone()).collect()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Sample>> {
        Step::ALL.into_iter().flat_map(|step| self.after(step, 0)).collect()
    }

    fn ring(&mut self, step_s: u64) -> Option<&mut BTreeMap<u64, Arc<Sample>>> {
        match Step::ALL.into_iter().find(|step| step.seconds() == step_s)? {
            Step::Second => Some(&mut self.seconds),
            Step::Minute => Some(&mut self.minutes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(unix_s: u64, step_s: u64) -> Arc<Sample> {
        Arc::new(Sample { unix_s, step_s, ..Sample::default() })
    }

    #[test]
    fn so_many_stay_and_a_clock_that_is_set_back_forgets_what_lies_ahead() {
        let mut rings = Rings::default();
        for unix_s in 1..=2000 {
            rings.push(sample(unix_s, 1));
        }
        let ends = |rings: &Rings, after_s| -> Vec<u64> {
            rings.after(Step::Second, after_s).iter().map(|sample| sample.unix_s).collect()
        };
        assert_eq!(ends(&rings, 0), (1401..=2000).collect::<Vec<_>>());
        assert_eq!(ends(&rings, 1998), [1999, 2000]);
        rings.insert(sample(1300, 1));
        assert_eq!(ends(&rings, 0).len(), 600, "it is too old");
        rings.push(sample(1500, 1));
        assert_eq!(ends(&rings, 1498), [1499, 1500]);
        for minute in 1..=2000 {
            rings.push(sample(minute * 60, 60));
        }
        assert_eq!(rings.after(Step::Minute, 0).len(), 1440);
        rings.insert(sample(1, 7));
        assert_eq!(rings.all().len(), 100 + 1440);
    }
}
