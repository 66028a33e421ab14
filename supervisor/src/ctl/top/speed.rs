//! Tokens a second, from what workers have counted at several times.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use impetus_proto::supervisor::WorkerStatus;
use tokio::time::Instant;

/// Speeds are means over this time: workers say twice a second what they have counted, so that a shorter one would
/// show when they say it.
const WINDOW: Duration = Duration::from_secs(3);

/// Two looks are at least so far apart.
const LEAST: Duration = Duration::from_millis(900);

/// What was counted at the latest times.
#[derive(Debug, Default)]
pub(super) struct Speedometer {
    looks: VecDeque<(Instant, BTreeMap<String, Counted>)>,
}

/// What one worker has counted since its start.
#[derive(Debug, Clone, Copy)]
struct Counted {
    prompt_tokens: u64,
    completion_tokens: u64,
}

/// Tokens a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Speed {
    /// Computed of prompts.
    pub(super) prompt: f64,
    /// Generated.
    pub(super) completion: f64,
}

impl Speedometer {
    /// Takes in what workers have counted; the speeds by their names, of those that were there before.
    pub(super) fn look(&mut self, workers: &[WorkerStatus], now: Instant) -> BTreeMap<String, Speed> {
        if self.looks.back().is_none_or(|(last, _)| now - *last >= LEAST) {
            let counted = workers.iter().map(|worker| (worker.id.clone(), Counted::of(worker))).collect();
            self.looks.push_back((now, counted));
        }
        // The latest look that is old enough is the one to compare with.
        while self.looks.get(1).is_some_and(|(second, _)| now - *second >= WINDOW) {
            self.looks.pop_front();
        }
        let (Some((began, before)), Some((ended, after))) = (self.looks.front(), self.looks.back()) else {
            return BTreeMap::new();
        };
        let seconds = (*ended - *began).as_secs_f64();
        let speed = |(id, after): (&String, &Counted)| {
            let before = before.get(id)?;
            (seconds > 0.0).then(|| (id.clone(), after.since(*before, seconds)))
        };
        after.iter().filter_map(speed).collect()
    }
}

impl Counted {
    fn of(worker: &WorkerStatus) -> Self {
        Self { prompt_tokens: worker.prompt_tokens, completion_tokens: worker.completion_tokens }
    }

    fn since(self, before: Self, seconds: f64) -> Speed {
        let speed = |after: u64, before: u64| after.saturating_sub(before) as f64 / seconds;
        Speed {
            prompt: speed(self.prompt_tokens, before.prompt_tokens),
            completion: speed(self.completion_tokens, before.completion_tokens),
        }
    }
}

impl Speed {
    pub(super) fn plus(self, other: Self) -> Self {
        Self { prompt: self.prompt + other.prompt, completion: self.completion + other.completion }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(id: &str, prompt_tokens: u64, completion_tokens: u64) -> WorkerStatus {
        WorkerStatus { id: id.into(), prompt_tokens, completion_tokens, ..WorkerStatus::default() }
    }

    #[test]
    fn speeds_are_of_the_last_seconds() {
        let (mut speeds, zero) = (Speedometer::default(), Instant::now());
        let mut look = |ms: u64, prompt: u64, completion: u64| {
            let now = zero + Duration::from_millis(ms);
            let found = speeds.look(&[worker("a", prompt, completion)], now);
            found.get("a").map(|speed| (speed.prompt, speed.completion))
        };
        assert_eq!(look(0, 100, 10), None, "one look is none");
        assert_eq!(look(100, 900, 900), None, "too soon");
        assert_eq!(look(1000, 200, 20), Some((100.0, 10.0)));
        assert_eq!(look(1500, 900, 900), Some((100.0, 10.0)), "too soon for another one");
        assert_eq!(look(2000, 200, 40), Some((50.0, 15.0)));
        assert_eq!(look(3000, 200, 40), Some((100.0 / 3.0, 10.0)));
        assert_eq!(look(4000, 200, 140), Some((0.0, 40.0)), "what was before counts no more");
    }

    #[test]
    fn whoever_was_not_there_has_no_speed() {
        let (mut speeds, zero) = (Speedometer::default(), Instant::now());
        speeds.look(&[worker("a", 5, 5), worker("b", 5, 5)], zero);
        let found = speeds.look(&[worker("a", 0, 0), worker("c", 9, 9)], zero + Duration::from_secs(1));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("a".to_owned(), Speed::default())]);
    }
}
