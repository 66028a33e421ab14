//! Where the time of requests goes, by the counters of the gateway and of the worker.

use impetus_proto::worker::StageTimes;
use serde::Serialize;

/// What the gateway calls its counters.
const COUNTER: &str = "impetus_stage_seconds_total{stage=\"";

/// The gateway's counters, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct GatewayTimes {
    http: f64,
    lease: f64,
    events: f64,
    sse: f64,
}

/// What was counted in one round or several.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Spent {
    pub(super) worker: StageTimes,
    /// Absent where the key does not allow to ask.
    pub(super) gateway: Option<GatewayTimes>,
    /// Those that it was counted in, and the tokens of their completions.
    pub(super) requests: u64,
    pub(super) tokens: u64,
}

/// The stages of a request, in microseconds; means.
#[derive(Debug, Serialize)]
pub(super) struct StageFigures {
    pub(super) per_request: PerRequest,
    pub(super) per_token: PerToken,
}

/// What happens once for each request.
#[derive(Debug, Serialize)]
pub(super) struct PerRequest {
    pub(super) http: Option<f64>,
    pub(super) lease: Option<f64>,
    pub(super) tokenize: Option<f64>,
    pub(super) queue: Option<f64>,
    pub(super) prefill: Option<f64>,
    pub(super) keep: Option<f64>,
}

/// What happens for each token of the completions.
#[derive(Debug, Serialize)]
pub(super) struct PerToken {
    pub(super) compose: Option<f64>,
    pub(super) decode: Option<f64>,
    pub(super) sample: Option<f64>,
    pub(super) detokenize: Option<f64>,
    pub(super) events: Option<f64>,
    pub(super) sse: Option<f64>,
}

impl GatewayTimes {
    /// Takes in a line of the gateway's metrics; whether it is one of these counters.
    pub(super) fn line(&mut self, line: &[u8]) -> bool {
        let Some((stage, value)) = counter(line) else { return false };
        let us = value * 1e6;
        match stage {
            "http" => self.http = us,
            "lease" => self.lease = us,
            "events" => self.events = us,
            "sse" => self.sse = us,
            _ => return false,
        }
        true
    }

    /// What was added since `before`; none where another process counts.
    pub(super) fn since(self, before: Self) -> Option<Self> {
        let times = self.with(before, |after, before| after - before);
        let is_same = [times.http, times.lease, times.events, times.sse].iter().all(|us| *us >= 0.0);
        is_same.then_some(times)
    }

    fn with(self, other: Self, of: fn(f64, f64) -> f64) -> Self {
        Self {
            http: of(self.http, other.http),
            lease: of(self.lease, other.lease),
            events: of(self.events, other.events),
            sse: of(self.sse, other.sse),
        }
    }
}

impl Spent {
    /// Both together.
    pub(super) fn plus(self, other: Self) -> Self {
        let gateway = self.gateway.zip(other.gateway).map(|(one, other)| one.with(other, |a, b| a + b));
        Self {
            worker: combined(self.worker, other.worker, u64::checked_add).unwrap_or_default(),
            gateway,
            requests: self.requests + other.requests,
            tokens: self.tokens + other.tokens,
        }
    }

    pub(super) fn figures(self) -> StageFigures {
        let Self { worker, gateway, requests, tokens } = self;
        let of_request = |us: f64| (requests > 0).then(|| us / requests as f64);
        let of_token = |us: f64| (tokens > 0).then(|| us / tokens as f64);
        StageFigures {
            per_request: PerRequest {
                http: gateway.and_then(|times| of_request(times.http)),
                lease: gateway.and_then(|times| of_request(times.lease)),
                tokenize: of_request(worker.tokenize_us as f64),
                queue: of_request(worker.queue_us as f64),
                prefill: of_request(worker.prefill_us as f64),
                keep: of_request(worker.keep_us as f64),
            },
            per_token: PerToken {
                compose: of_token(worker.compose_us as f64),
                decode: of_token(worker.decode_us as f64),
                sample: of_token(worker.sample_us as f64),
                detokenize: of_token(worker.detokenize_us as f64),
                events: gateway.and_then(|times| of_token(times.events)),
                sse: gateway.and_then(|times| of_token(times.sse)),
            },
        }
    }
}

/// What a worker added from `before` to `after`; none where it has been replaced.
pub(super) fn between(before: Option<StageTimes>, after: Option<StageTimes>) -> Option<StageTimes> {
    combined(after.unwrap_or_default(), before.unwrap_or_default(), u64::checked_sub)
}

fn combined(one: StageTimes, other: StageTimes, of: fn(u64, u64) -> Option<u64>) -> Option<StageTimes> {
    Some(StageTimes {
        tokenize_us: of(one.tokenize_us, other.tokenize_us)?,
        queue_us: of(one.queue_us, other.queue_us)?,
        prefill_us: of(one.prefill_us, other.prefill_us)?,
        decode_us: of(one.decode_us, other.decode_us)?,
        compose_us: of(one.compose_us, other.compose_us)?,
        sample_us: of(one.sample_us, other.sample_us)?,
        detokenize_us: of(one.detokenize_us, other.detokenize_us)?,
        keep_us: of(one.keep_us, other.keep_us)?,
    })
}

/// The stage and the value of a line that is one of the gateway's counters.
fn counter(line: &[u8]) -> Option<(&str, f64)> {
    let line = std::str::from_utf8(line).ok()?;
    let (stage, value) = line.strip_prefix(COUNTER)?.split_once("\"} ")?;
    Some((stage, value.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(lines: &[&str]) -> GatewayTimes {
        let mut times = GatewayTimes::default();
        for line in lines {
            times.line(line.as_bytes());
        }
        times
    }

    #[test]
    fn the_gateways_counters_are_read() {
        let before = times(&[
            "# TYPE impetus_stage_seconds_total counter",
            "impetus_stage_seconds_total{stage=\"http\"} 0.5",
            "impetus_stage_seconds_total{stage=\"later\"} 9",
            "impetus_worker_stage_seconds_total{stage=\"sse\"} 9",
            "impetus_stage_seconds_total{stage=\"sse\"} nothing",
        ]);
        assert_eq!(before, GatewayTimes { http: 500_000.0, ..GatewayTimes::default() });
        let after = GatewayTimes { http: 500_030.0, sse: 8.0, ..GatewayTimes::default() };
        let added = GatewayTimes { http: 30.0, sse: 8.0, ..GatewayTimes::default() };
        assert_eq!(after.since(before), Some(added));
        // Another gateway, which begins at zero.
        assert_eq!(before.since(after), None);
    }

    #[test]
    fn times_are_of_a_request_or_of_a_token() {
        let worker = StageTimes { tokenize_us: 10, sample_us: 40, ..StageTimes::default() };
        let gateway = Some(GatewayTimes { lease: 6.0, sse: 20.0, ..GatewayTimes::default() });
        let once = Spent { worker, gateway, requests: 2, tokens: 20 };
        let figures = once.plus(once).figures();
        assert_eq!((figures.per_request.tokenize, figures.per_request.lease), (Some(5.0), Some(3.0)));
        assert_eq!((figures.per_token.sample, figures.per_token.sse), (Some(2.0), Some(1.0)));
        let unasked = once.plus(Spent { gateway: None, ..once }).figures();
        assert_eq!((unasked.per_request.http, unasked.per_token.sample), (None, Some(2.0)));
        let idle = Spent { requests: 0, tokens: 0, ..once }.figures();
        assert_eq!((idle.per_request.http, idle.per_token.sample), (None, None));
        assert_eq!(between(Some(worker), None), None);
    }
}
