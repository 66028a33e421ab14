//! One round of requests to one server, and what it shows.

use std::sync::Arc;

use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep_until},
};

use super::{
    figures::median,
    prompt::Prompts,
    seen::Seen,
    target::{Question, Target},
};

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Arrivals {
    /// So many streams, each with one request, all at once; the next round begins when the last one has ended.
    Closed { streams: u32 },
    /// So many requests, `rate` of them a second on average and independent of each other, however long their answers
    /// take.
    Open { rate: f64, requests: u32 },
}

/// What came of a round.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) began: Instant,
    pub(super) seen: Vec<Seen>,
    pub(super) failed: Vec<String>,
    /// Whether all requests came at once.
    pub(super) is_burst: bool,
}

impl Arrivals {
    pub(super) fn requests(self) -> u32 {
        match self {
            Self::Closed { streams } => streams,
            Self::Open { requests, .. } => requests,
        }
    }

    /// When each request is due, after the round's begin.
    pub(super) fn schedule(self, prompts: &mut Prompts) -> Vec<Duration> {
        match self {
            Self::Closed { streams } => vec![Duration::ZERO; streams as usize],
            Self::Open { rate, requests } => {
                let mut at = 0.0;
                let mut next = || {
                    at += prompts.gap_s(rate);
                    Duration::from_secs_f64(at)
                };
                (0..requests).map(|_| next()).collect()
            }
        }
    }
}

impl Round {
    /// Asks each question when it is due.
    pub(super) async fn run(target: &Arc<Target>, asked: Vec<(Duration, Question)>) -> Self {
        let is_burst = asked.iter().all(|(at, _)| at.is_zero());
        let mut round = Self { began: Instant::now(), seen: Vec::new(), failed: Vec::new(), is_burst };
        let mut requests = JoinSet::new();
        for (at, question) in asked {
            let (target, due) = (Arc::clone(target), round.began + at);
            requests.spawn(async move {
                sleep_until(due).await;
                target.ask(&question, due).await
            });
        }
        while let Some(outcome) = requests.join_next().await {
            match outcome {
                Ok(Ok(seen)) => round.seen.push(seen),
                Ok(Err(error)) => round.failed.push(error.to_string()),
                Err(error) => round.failed.push(error.to_string()),
            }
        }
        round
    }

    /// Half of the requests had their first text within so many milliseconds.
    pub(super) fn first_token_ms(&self) -> Option<f64> {
        median(self.seen.iter().map(Seen::first_token_ms))
    }

    /// Half of the events came so many milliseconds after the one before.
    pub(super) fn gap_ms(&self) -> Option<f64> {
        median(self.seen.iter().flat_map(Seen::gaps_ms))
    }

    /// Tokens of all prompts for each second until the last stream's first text; of prompts that came at once.
    pub(super) fn prefill_tokens_per_s(&self) -> Option<f64> {
        let last = self.seen.iter().filter_map(|seen| seen.events.first()).max()?;
        let tokens: u64 =
            self.seen.iter().map(|seen| seen.prompt_tokens.saturating_sub(seen.cached_tokens)).sum();
        let seconds = (*last - self.began).as_secs_f64();
        (self.is_burst && seconds > 0.0).then(|| tokens as f64 / seconds)
    }

    /// Tokens of all streams for each second in which all of them decode: from the last one's first text to the first
    /// one's last. None where there is no such time.
    pub(super) fn decode_tokens_per_s(&self) -> Option<f64> {
        let from = self.seen.iter().filter_map(|seen| seen.events.first()).max()?;
        let to = self.seen.iter().filter_map(|seen| seen.events.last()).min()?;
        let within = |seen: &Seen| {
            let events = seen.events.iter().filter(|at| *at > from && *at <= to).count();
            events as f64 * seen.tokens_per_event()
        };
        let tokens: f64 = self.seen.iter().map(within).sum();
        let seconds = to.checked_duration_since(*from)?.as_secs_f64();
        (self.is_burst && seconds > 0.0 && tokens > 0.0).then(|| tokens / seconds)
    }

    /// Tokens of all completions for each second of the round.
    pub(super) fn tokens_per_s(&self) -> Option<f64> {
        let tokens: u64 = self.seen.iter().map(|seen| seen.completion_tokens).sum();
        let seconds = self.wall()?.as_secs_f64();
        (seconds > 0.0).then(|| tokens as f64 / seconds)
    }

    /// From the round's begin to its last text.
    pub(super) fn wall(&self) -> Option<Duration> {
        let last = self.seen.iter().filter_map(|seen| seen.events.last()).max()?;
        Some(*last - self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream of `prompt` tokens and `completion`, with events at these milliseconds.
    fn seen(zero: Instant, events: &[u64], prompt_tokens: u64, completion_tokens: u64) -> Seen {
        Seen {
            due: zero,
            events: events.iter().map(|&ms| zero + Duration::from_millis(ms)).collect(),
            prompt_tokens,
            cached_tokens: 0,
            completion_tokens,
            timings: None,
            text: String::new(),
        }
    }

    #[test]
    fn speeds_are_of_all_streams_together() {
        let began = Instant::now();
        let first = seen(began, &[1000, 2000, 3000, 4000], 12, 4);
        // Two tokens an event.
        let second = seen(began, &[2000, 3000, 4000, 5000], 8, 8);
        let round = Round { began, seen: vec![first, second], failed: Vec::new(), is_burst: true };
        assert_eq!(round.prefill_tokens_per_s(), Some(10.0));
        // Between 2 s and 4 s: two events of one token and two of two.
        assert_eq!(round.decode_tokens_per_s(), Some(3.0));
        assert_eq!(round.tokens_per_s(), Some(2.4));
        assert_eq!((round.first_token_ms(), round.gap_ms()), (Some(1500.0), Some(1000.0)));
        let apart = Round { is_burst: false, ..round };
        assert_eq!((apart.prefill_tokens_per_s(), apart.decode_tokens_per_s()), (None, None));
        assert_eq!(apart.tokens_per_s(), Some(2.4));
    }

    #[test]
    fn streams_that_never_decode_together_have_no_common_speed() {
        let began = Instant::now();
        let streams = vec![seen(began, &[10, 20], 1, 2), seen(began, &[20, 40], 1, 2)];
        let round = Round { began, seen: streams, failed: Vec::new(), is_burst: true };
        assert_eq!(round.decode_tokens_per_s(), None);
        let nothing = Round { began, seen: Vec::new(), failed: vec!["x".into()], is_burst: true };
        assert_eq!((nothing.tokens_per_s(), nothing.first_token_ms(), nothing.gap_ms()), (None, None, None));
        assert_eq!((nothing.prefill_tokens_per_s(), nothing.decode_tokens_per_s()), (None, None));
    }

    #[test]
    fn schedules_are_all_at_once_or_one_after_another() {
        let mut prompts = Prompts::new();
        assert_eq!(Arrivals::Closed { streams: 2 }.schedule(&mut prompts), [Duration::ZERO; 2]);
        let open = Arrivals::Open { rate: 100.0, requests: 50 };
        let schedule = open.schedule(&mut prompts);
        assert_eq!((schedule.len(), open.requests()), (50, 50));
        assert!(schedule.is_sorted() && !schedule[0].is_zero(), "{schedule:?}");
    }
}
