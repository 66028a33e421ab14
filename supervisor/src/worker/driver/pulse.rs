//! Signs of life of one worker: whether they come, and whether they come in numbers that no worker has use for.

use std::time::Duration;

use impetus_proto::launch::Tick;
use tokio::time::Instant;

use crate::{
    attribution::Intent,
    policy::health::{Patience, Progress, Verdict},
};

/// Reports that a worker may send in one second. It ticks twice, and when it gets or has finished its work.
const MAX_REPORTS_PER_S: u32 = 5_000;

/// What has been heard of a worker.
pub(super) struct Pulse {
    /// Since its first tick, or since it serves: one that has never ticked may be of somebody else's making.
    progress: Option<Progress>,
    second: Instant,
    n_reports: u32,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self { progress: None, second: now, n_reports: 0 }
    }

    /// From now on it has to tick.
    pub(super) fn begin(&mut self, now: Instant, patience: Patience) {
        self.progress.get_or_insert_with(|| Progress::new(now, patience));
    }

    /// Takes in a tick.
    pub(super) fn tick(&mut self, now: Instant, tick: &Tick, patience: Patience) {
        self.begin(now, patience);
        if let Some(progress) = &mut self.progress {
            progress.set_patience(patience);
            progress.tick(now, tick);
        }
    }

    /// Takes in any report: a sign of life. Says what is wrong with too many.
    pub(super) fn hear(&mut self, now: Instant) -> Result<(), Intent> {
        if let Some(progress) = &mut self.progress {
            progress.hear(now);
        }
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.n_reports) = (now, 0);
        }
        self.n_reports += 1;
        if self.n_reports > MAX_REPORTS_PER_S {
            return Err(Intent::Garbled(format!("sends more than {MAX_REPORTS_PER_S} reports a second")));
        }
        Ok(())
    }

    /// When to judge next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.progress.as_ref().map(Progress::deadline)
    }

    /// What to end it for, if it is to be ended.
    pub(super) fn judge(&mut self, now: Instant) -> Option<Intent> {
        match self.progress.as_mut()?.judge(now) {
            Verdict::Well => None,
            Verdict::Silent(after) => Some(Intent::Silent(after)),
            Verdict::Stuck(after) => Some(Intent::Stuck(after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: Duration = Duration::from_secs(3);

    fn patience() -> Patience {
        Patience { step: WORD, first_step: WORD, word: WORD }
    }

    #[test]
    fn who_has_ticked_once_has_to_go_on() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        assert_eq!((pulse.deadline(), pulse.judge(start + 2 * WORD)), (None, None), "it has not begun");
        pulse.tick(start, &Tick::default(), patience());
        assert_eq!(pulse.deadline(), Some(start + WORD));
        assert_eq!(pulse.judge(start + WORD), Some(Intent::Silent(WORD)));
    }

    #[test]
    fn any_report_is_a_sign_of_life() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        pulse.tick(start, &Tick::default(), patience());
        for second in 1..20 {
            let now = start + Duration::from_secs(second);
            assert_eq!(pulse.judge(now), None, "a load that says how far it is need not tick");
            pulse.hear(now).unwrap();
        }
    }

    #[test]
    fn a_flood_of_reports_is_told_from_many() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        for second in 0..3 {
            for _ in 0..MAX_REPORTS_PER_S {
                assert!(pulse.hear(start + Duration::from_secs(second)).is_ok());
            }
        }
        assert!(matches!(pulse.hear(start + Duration::from_millis(2_999)), Err(Intent::Garbled(_))));
    }
}
