//! One point of the history.

use std::{sync::Arc, time::Duration};

use impetus_proto::supervisor::{PoolStatus, StatusReply};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::rings::Step;
use crate::metrics::{Spread, Tally};

/// The pool that workers' and gateway's own memory is of.
const RAM: &str = "ram";

/// What went on in a second or a minute.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Sample {
    /// Its end.
    pub(crate) unix_s: u64,
    /// 1 or 60.
    pub(crate) step_s: u64,
    pub(crate) prompt_tokens_per_s: f64,
    pub(crate) completion_tokens_per_s: f64,
    /// Requests that models worked for and that ended.
    pub(crate) requests_per_s: f64,
    /// Of these, those that ended in an error.
    pub(crate) errors_per_s: f64,
    /// From a request's headers to its first token.
    pub(crate) first_token_ms: Option<Quantiles>,
    /// Between the tokens of an answer.
    pub(crate) inter_token_ms: Option<Quantiles>,
    /// Slots that generate.
    pub(crate) running: u32,
    pub(crate) slots: u32,
    /// Requests that wait: for a worker, for their turn or for a slot.
    pub(crate) waiting: u32,
    pub(crate) pools: Vec<PoolSample>,
}

/// Times in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Of how many.
    pub(crate) count: u64,
}

/// One kind of memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PoolSample {
    pub(crate) name: String,
    /// Footprints of the workers that are up.
    pub(crate) placed_bytes: u64,
    /// Held by workers and gateway; null where that is not measured.
    pub(crate) measured_bytes: Option<u64>,
    /// Held by anybody; null where that is not known.
    pub(crate) used_bytes: Option<u64>,
    /// That workers may be placed within.
    pub(crate) limit_bytes: u64,
}

/// What samples are taken against.
#[derive(Debug)]
pub(super) struct Sampling {
    second: (Instant, Tally),
    minute: (Instant, Tally),
    /// The minute that runs, since 1970.
    running: Option<u64>,
    /// The most that the minute has seen.
    most: Sample,
}

impl Sampling {
    /// From now on.
    pub(super) fn begin() -> Self {
        let now = (Instant::now(), Tally::now());
        Self { second: now.clone(), minute: now, running: None, most: Sample::default() }
    }

    /// The sample that ends now, and behind it that of the minute that has ended.
    pub(super) fn take(
        &mut self,
        unix_s: u64,
        status: Option<&StatusReply>,
        n_waiting: usize,
    ) -> Vec<Arc<Sample>> {
        let (now, tally) = (Instant::now(), Tally::now());
        let state = state(status, n_waiting);
        let (then, former) = std::mem::replace(&mut self.second, (now, tally.clone()));
        let rates = rates(&tally.since(&former), now - then);
        let second = Sample { unix_s, step_s: Step::Second.seconds(), ..with(rates, &state) };
        let minute = unix_s / Step::Minute.seconds();
        let mut samples = vec![Arc::new(second)];
        if let Some(ended) = self.running.replace(minute).filter(|running| *running != minute) {
            let (then, former) = std::mem::replace(&mut self.minute, (now, tally.clone()));
            let rates = self::rates(&tally.since(&former), now - then);
            let most = std::mem::take(&mut self.most);
            let unix_s = (ended + 1) * Step::Minute.seconds();
            samples.push(Arc::new(Sample { unix_s, step_s: Step::Minute.seconds(), ..with(rates, &most) }));
        }
        self.most = most(&self.most, &state);
        samples
    }
}

/// What a time of this length has come to.
fn rates(tally: &Tally, passed: Duration) -> Sample {
    let passed_s = passed.as_secs_f64().max(0.001);
    let rate = |count: u64| rounded(count as f64 / passed_s);
    Sample {
        prompt_tokens_per_s: rate(tally.prompt_tokens),
        completion_tokens_per_s: rate(tally.completion_tokens),
        requests_per_s: rate(tally.requests),
        errors_per_s: rate(tally.errors),
        first_token_ms: quantiles(&tally.first_token),
        inter_token_ms: quantiles(&tally.inter_token),
        ..Sample::default()
    }
}

fn quantiles(spread: &Spread) -> Option<Quantiles> {
    let ms = |part| Some(rounded(spread.quantile(part)?.as_secs_f64() * 1000.0));
    Some(Quantiles { p50: ms(0.5)?, p99: ms(0.99)?, count: spread.count() })
}

/// To three places: more would only be noise on the disk.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// How things stand now.
fn state(status: Option<&StatusReply>, n_waiting: usize) -> Sample {
    let none = StatusReply::default();
    let status = status.unwrap_or(&none);
    let workers = &status.workers;
    let in_workers: u32 = workers.iter().map(|worker| worker.waiting).sum();
    Sample {
        running: workers.iter().map(|worker| worker.slots_busy).sum(),
        slots: workers.iter().map(|worker| worker.slots_total).sum(),
        waiting: in_workers.saturating_add(u32::try_from(n_waiting).unwrap_or(u32::MAX)),
        pools: status.pools.iter().map(|pool| pool_sample(pool, status)).collect(),
        ..Sample::default()
    }
}

fn pool_sample(pool: &PoolStatus, status: &StatusReply) -> PoolSample {
    PoolSample {
        name: pool.name.clone(),
        placed_bytes: pool.placed_bytes,
        measured_bytes: measured(&pool.name, status),
        used_bytes: used(pool),
        limit_bytes: pool.limit_bytes,
    }
}

/// What workers and gateway hold of a pool, where it is RAM.
pub(crate) fn measured(pool: &str, status: &StatusReply) -> Option<u64> {
    let gateway = status.gateway.as_ref().map_or(0, |gateway| gateway.rss_bytes);
    (pool == RAM).then(|| status.workers.iter().map(|worker| worker.rss_bytes).sum::<u64>() + gateway)
}

/// What anybody holds of a pool, where the machine tells.
pub(crate) fn used(pool: &PoolStatus) -> Option<u64> {
    (pool.total_bytes > 0).then(|| pool.total_bytes.saturating_sub(pool.available_bytes))
}

/// The rates of one sample with the state of another.
fn with(rates: Sample, state: &Sample) -> Sample {
    let Sample { running, slots, waiting, ref pools, .. } = *state;
    Sample { running, slots, waiting, pools: pools.clone(), ..rates }
}

fn most(one: &Sample, other: &Sample) -> Sample {
    let mut pools = one.pools.clone();
    for pool in &other.pools {
        match pools.iter_mut().find(|known| known.name == pool.name) {
            Some(known) => {
                known.placed_bytes = known.placed_bytes.max(pool.placed_bytes);
                known.measured_bytes = known.measured_bytes.max(pool.measured_bytes);
                known.used_bytes = known.used_bytes.max(pool.used_bytes);
                known.limit_bytes = pool.limit_bytes;
            }
            None => pools.push(pool.clone()),
        }
    }
    Sample {
        running: one.running.max(other.running),
        slots: one.slots.max(other.slots),
        waiting: one.waiting.max(other.waiting),
        pools,
        ..Sample::default()
    }
}
