//! One line of the report: rounds of one kind, on one server or on two in turns.

use std::iter;

use serde::Serialize;

use super::{
    figures::{Spread, median, median_ratio},
    round::{Arrivals, Round},
    seen::Seen,
    stages::StageFigures,
    worker::Counted,
};

/// What was asked, and what came of it on each side.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) workload: &'static str,
    pub(super) arrivals: Arrivals,
    /// As many as were asked for; none where only the server knows.
    pub(super) prompt_tokens: Option<u32>,
    pub(super) completion_tokens: u32,
    pub(super) ours: Side,
    /// Round for round beside ours; none without a peer.
    pub(super) theirs: Option<Side>,
}

/// The rounds of one server.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) rounds: Vec<Round>,
    /// What our own processes counted meanwhile, in the rounds in which they could be asked.
    pub(super) counted: Option<Counted>,
}

/// A part in figures.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) workload: &'static str,
    /// At once, each with one request; absent where requests come at a rate.
    pub(super) streams: Option<u32>,
    /// Requests a second.
    pub(super) rate: Option<f64>,
    /// As it was asked for; each side has what its server counted.
    pub(super) prompt_tokens: u32,
    pub(super) completion_tokens: u32,
    pub(super) ours: SideFigures,
    pub(super) vs: Option<SideFigures>,
    pub(super) ratios: Option<Ratios>,
}

/// What one server did.
#[derive(Debug, Serialize)]
pub(super) struct SideFigures {
    pub(super) requests: usize,
    pub(super) failed: usize,
    pub(super) first_failure: Option<String>,
    /// Of a request, as the server counts them.
    pub(super) prompt_tokens: Option<f64>,
    pub(super) cached_tokens: Option<f64>,
    pub(super) completion_tokens: Option<f64>,
    pub(super) first_token_ms: Option<Spread>,
    pub(super) inter_token_ms: Option<Spread>,
    /// Of the whole answer.
    pub(super) request_ms: Option<Spread>,
    /// Speeds are of all streams together, and medians of the rounds.
    pub(super) prefill_tokens_per_s: Option<f64>,
    pub(super) decode_tokens_per_s: Option<f64>,
    pub(super) tokens_per_s: Option<f64>,
    pub(super) stages_ms: Option<Stages>,
    /// By the counters of our own processes.
    pub(super) stages_us: Option<StageFigures>,
    pub(super) engine: Option<serde_json::Value>,
}

/// Where the time of a request went, in milliseconds; medians.
#[derive(Debug, Serialize)]
pub(super) struct Stages {
    pub(super) queue: Option<f64>,
    pub(super) prefill: Option<f64>,
    pub(super) decode: Option<f64>,
    /// Of what the client saw, that which the server's own stages do not explain: HTTP, the lease, tokenizing, the
    /// way through the processes.
    pub(super) outside: Option<f64>,
}

/// Ours over theirs; medians of the pairs' ratios.
#[derive(Debug, Serialize)]
pub(super) struct Ratios {
    pub(super) first_token_ms: Option<f64>,
    pub(super) inter_token_ms: Option<f64>,
    pub(super) prefill_tokens_per_s: Option<f64>,
    pub(super) decode_tokens_per_s: Option<f64>,
    pub(super) tokens_per_s: Option<f64>,
}

impl Part {
    pub(super) fn figures(&self) -> Figures {
        let (streams, rate) = match self.arrivals {
            Arrivals::Closed { streams } => (Some(streams), None),
            Arrivals::Open { rate, .. } => (None, Some(rate)),
        };
        let ours = self.ours.figures();
        let counted = ours.prompt_tokens.map_or(0, |tokens| tokens.round() as u32);
        Figures {
            workload: self.workload,
            streams,
            rate,
            prompt_tokens: self.prompt_tokens.unwrap_or(counted),
            completion_tokens: self.completion_tokens,
            ours,
            vs: self.theirs.as_ref().map(Side::figures),
            ratios: self.theirs.as_ref().map(|theirs| Ratios::of(&self.ours, theirs)),
        }
    }
}

impl Side {
    /// Takes in one more round, with what was counted meanwhile. Counters are of requests that failed as well.
    pub(super) fn push(&mut self, round: Round, counted: Option<Counted>) {
        if let Some(mut counted) = counted {
            counted.spent.requests = (round.seen.len() + round.failed.len()) as u64;
            counted.spent.tokens = round.seen.iter().map(|seen| seen.completion_tokens).sum();
            self.counted = Some(self.counted.map_or(counted, |before| before.plus(counted)));
        }
        self.rounds.push(round);
    }

    fn seen(&self) -> impl Iterator<Item = &Seen> {
        self.rounds.iter().flat_map(|round| &round.seen)
    }

    fn figures(&self) -> SideFigures {
        let failed: Vec<&String> = self.rounds.iter().flat_map(|round| &round.failed).collect();
        let mean = |count: fn(&Seen) -> u64| {
            let n = self.seen().count();
            (n > 0).then(|| self.seen().map(count).sum::<u64>() as f64 / n as f64)
        };
        let of_rounds = |speed: fn(&Round) -> Option<f64>| median(self.rounds.iter().filter_map(speed));
        SideFigures {
            requests: self.seen().count() + failed.len(),
            failed: failed.len(),
            first_failure: failed.first().map(ToString::to_string),
            prompt_tokens: mean(|seen| seen.prompt_tokens),
            cached_tokens: mean(|seen| seen.cached_tokens),
            completion_tokens: mean(|seen| seen.completion_tokens),
            first_token_ms: Spread::of(self.seen().map(Seen::first_token_ms)),
            inter_token_ms: Spread::of(self.seen().flat_map(Seen::gaps_ms)),
            request_ms: Spread::of(self.seen().map(Seen::whole_ms)),
            prefill_tokens_per_s: of_rounds(Round::prefill_tokens_per_s),
            decode_tokens_per_s: of_rounds(Round::decode_tokens_per_s),
            tokens_per_s: of_rounds(Round::tokens_per_s),
            stages_ms: Stages::of(self.seen()),
            stages_us: self.counted.map(|counted| counted.spent.figures()),
            engine: self.counted.map(Counted::json),
        }
    }
}

impl Stages {
    fn of<'a>(seen: impl Iterator<Item = &'a Seen>) -> Option<Self> {
        let told: Vec<_> = seen.filter_map(|seen| Some((seen.whole_ms(), seen.timings?))).collect();
        let outside = told.iter().map(|(whole_ms, timings)| {
            (whole_ms - timings.queue_ms - timings.prefill_ms - timings.decode_ms).max(0.0)
        });
        (!told.is_empty()).then(|| Self {
            queue: median(told.iter().map(|(_, timings)| timings.queue_ms)),
            prefill: median(told.iter().map(|(_, timings)| timings.prefill_ms)),
            decode: median(told.iter().map(|(_, timings)| timings.decode_ms)),
            outside: median(outside),
        })
    }
}

impl Ratios {
    fn of(ours: &Side, theirs: &Side) -> Self {
        let ratio = |of: fn(&Round) -> Option<f64>| {
            median_ratio(iter::zip(&ours.rounds, &theirs.rounds).map(|(ours, theirs)| (of(ours), of(theirs))))
        };
        Self {
            first_token_ms: ratio(Round::first_token_ms),
            inter_token_ms: ratio(Round::gap_ms),
            prefill_tokens_per_s: ratio(Round::prefill_tokens_per_s),
            decode_tokens_per_s: ratio(Round::decode_tokens_per_s),
            tokens_per_s: ratio(Round::tokens_per_s),
        }
    }
}

impl Figures {
    /// How its requests came.
    pub(super) fn arrivals(&self) -> String {
        match (self.streams, self.rate) {
            (Some(streams), _) => streams.to_string(),
            (None, Some(rate)) => format!("{rate}/s"),
            (None, None) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use impetus_proto::worker::StageTimes;
    use tokio::time::Instant;

    use super::*;
    use crate::ctl::bench::stages::Spent;

    #[test]
    fn times_are_of_the_rounds_that_were_counted() {
        let began = Instant::now();
        let seen = Seen {
            due: began,
            events: vec![began],
            prompt_tokens: 5,
            cached_tokens: 0,
            completion_tokens: 10,
            timings: None,
            text: String::new(),
        };
        let worker = StageTimes { tokenize_us: 60, sample_us: 200, ..StageTimes::default() };
        let counted = Counted { spent: Spent { worker, ..Spent::default() }, ..Counted::default() };
        let mut side = Side::default();
        for counted in [Some(counted), None, Some(counted)] {
            let (seen, failed) = (vec![seen.clone(); 2], vec!["full".to_owned()]);
            side.push(Round { began, seen, failed, is_burst: true }, counted);
        }
        let figures = side.figures();
        assert_eq!((figures.requests, figures.failed), (9, 3));
        let stages = figures.stages_us.unwrap();
        assert_eq!((stages.per_request.tokenize, stages.per_token.sample), (Some(20.0), Some(10.0)));
    }
}
