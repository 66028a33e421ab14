//! What Prometheus reads: names, buckets and the recorder. Labels are bounded: models are those that the
//! supervisor lent a worker of, endpoints are ours, keys are those that there are.

mod fleet;
mod stages;
mod tally;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ::metrics::{
    Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

pub(crate) use fleet::render as render_fleet;
#[cfg(test)]
pub(crate) use stages::so_far;
pub(crate) use stages::{Stage, Stopwatch, Timed, render as render_stages, spent};
pub(crate) use tally::{Spread, Tally, accepted, gaps, generated, served};

use crate::upstream::Cause;

/// The recorder of the process cannot be set up.
pub(crate) type MetricsError = BuildError;

const REQUESTS: &str = "impetus_requests_total";
const IN_FLIGHT: &str = "impetus_requests_in_flight";
const WAITING: &str = "impetus_requests_waiting";
const DURATION: &str = "impetus_request_duration_seconds";
const FIRST_TOKEN: &str = "impetus_time_to_first_token_seconds";
const INTER_TOKEN: &str = "impetus_inter_token_seconds";
const LEASE_WAIT: &str = "impetus_lease_wait_seconds";
const QUEUED: &str = "impetus_queue_waiting";
const REPLAYS: &str = "impetus_replays_total";
const REPLAYED_TOKENS: &str = "impetus_replayed_tokens_total";
const REPLAY_DURATION: &str = "impetus_replay_seconds";
const POISONS: &str = "impetus_poison_requests_total";
const PROMPT_TOKENS: &str = "impetus_prompt_tokens_total";
const CACHED_TOKENS: &str = "impetus_prompt_cached_tokens_total";
const COMPLETION_TOKENS: &str = "impetus_completion_tokens_total";
const KEY_REQUESTS: &str = "impetus_key_requests_total";
const KEY_TOKENS: &str = "impetus_key_tokens_total";
const REFUSALS: &str = "impetus_refusals_total";
const ERRORS: &str = "impetus_errors_total";
const SPANS: &str = "impetus_trace_spans_total";

/// Seconds; from a cached answer to a long completion.
const REQUEST_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// Seconds; from thousands of tokens a second to one in a few seconds.
const TOKEN_BUCKETS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5,
];

/// Makes the process's recorder on the first call and answers its handle on every one.
pub(crate) fn install() -> Result<PrometheusHandle, MetricsError> {
    static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let handle = [DURATION, FIRST_TOKEN, LEASE_WAIT, REPLAY_DURATION]
        .into_iter()
        .try_fold(PrometheusBuilder::new(), |builder, name| {
            builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), REQUEST_BUCKETS)
        })?
        .set_buckets_for_metric(Matcher::Full(INTER_TOKEN.to_owned()), TOKEN_BUCKETS)?
        .install_recorder()?;
    describe();
    Ok(installed.insert(handle).clone())
}

fn describe() {
    describe_counter!(
        REQUESTS,
        "Requests that have ended, by endpoint, model and HTTP status; 499: the client left."
    );
    describe_gauge!(IN_FLIGHT, "Requests that have not ended, by endpoint.");
    describe_gauge!(WAITING, "Requests that wait for a worker.");
    describe_histogram!(DURATION, Unit::Seconds, "From a request's headers to the end of its answer.");
    describe_histogram!(FIRST_TOKEN, Unit::Seconds, "From a request's headers to its first token.");
    describe_histogram!(INTER_TOKEN, Unit::Seconds, "Between the tokens of an answer.");
    describe_histogram!(LEASE_WAIT, Unit::Seconds, "Until the supervisor lent a worker.");
    describe_gauge!(QUEUED, "Requests that wait for their turn with a worker, by model.");
    describe_counter!(REPLAYS, "Times that a request was given to another worker, by why its own was lost.");
    describe_counter!(REPLAYED_TOKENS, "Tokens that the next worker had to take in again.");
    describe_histogram!(
        REPLAY_DURATION,
        Unit::Seconds,
        "From the loss of a request's worker until the request got further."
    );
    describe_counter!(POISONS, "Requests that crashed a worker which served nothing else.");
    describe_counter!(PROMPT_TOKENS, "Tokens of prompts.");
    describe_counter!(CACHED_TOKENS, "Tokens of prompts that a worker still had in its cache.");
    describe_counter!(COMPLETION_TOKENS, "Tokens generated.");
    describe_counter!(KEY_REQUESTS, "Requests that have ended and came with a key, by key and HTTP status.");
    describe_counter!(KEY_TOKENS, "Tokens of prompts and answers of requests that came with a key, by key.");
    describe_counter!(ERRORS, "Requests that ended in an error, by endpoint and the error's code.");
    describe_counter!(
        SPANS,
        "Spans of traced requests, by what became of them: exported, or dropped because the queue was full, a request \
         had too many, the collector rejected them or the gateway ended."
    );
    describe_counter!(REFUSALS, "Requests and connections that were not let in, by why.");
}

/// Counts a request as waiting for a worker, until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting(());

impl Waiting {
    pub(crate) fn start() -> Self {
        gauge!(WAITING).increment(1.0);
        Self(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        gauge!(WAITING).decrement(1.0);
    }
}

/// A worker was lent after `waited`.
pub(crate) fn lease_wait(model: &str, waited: Duration) {
    histogram!(LEASE_WAIT, "model" => model.to_owned()).record(waited);
}

/// So many requests wait in the line of `model`.
pub(crate) fn queued(model: &str, n_waiting: usize) {
    gauge!(QUEUED, "model" => model.to_owned()).set(n_waiting as f64);
}

/// A request is given to another worker, because its own was lost.
pub(crate) fn replayed(model: &str, cause: Cause) {
    counter!(REPLAYS, "model" => model.to_owned(), "cause" => cause.name()).increment(1);
}

/// The next worker takes in so many tokens again.
pub(crate) fn replayed_tokens(model: &str, n_tokens: u64) {
    counter!(REPLAYED_TOKENS, "model" => model.to_owned()).increment(n_tokens);
}

/// A request got further, `took` after it lost its worker.
pub(crate) fn replay_took(model: &str, took: Duration) {
    histogram!(REPLAY_DURATION, "model" => model.to_owned()).record(took);
}

/// A request was found to crash workers.
pub(crate) fn poisoned(model: &str) {
    counter!(POISONS, "model" => model.to_owned()).increment(1);
}

/// A request has come in.
pub(crate) fn began(endpoint: &'static str) {
    gauge!(IN_FLIGHT, "endpoint" => endpoint).increment(1.0);
}

/// A request is over; `status` is HTTP's, or 499 when the client left. An empty `model` is one that was never
/// found.
pub(crate) fn ended(endpoint: &'static str, model: &str, status: u16, took: Duration) {
    let model = model.to_owned();
    gauge!(IN_FLIGHT, "endpoint" => endpoint).decrement(1.0);
    histogram!(DURATION, "endpoint" => endpoint, "model" => model.clone()).record(took);
    counter!(REQUESTS, "endpoint" => endpoint, "model" => model, "status" => status.to_string()).increment(1);
}

/// A request with a key is over; without one nothing is counted.
pub(crate) fn ended_of_key(key: &str, status: u16, n_tokens: u64) {
    if key.is_empty() {
        return;
    }
    counter!(KEY_REQUESTS, "key" => key.to_owned(), "status" => status.to_string()).increment(1);
    counter!(KEY_TOKENS, "key" => key.to_owned()).increment(n_tokens);
}

/// A request or a connection was not let in.
pub(crate) fn refused(reason: &'static str) {
    counter!(REFUSALS, "reason" => reason).increment(1);
}

/// A request ended in an error.
pub(crate) fn failed(endpoint: &'static str, code: &'static str) {
    counter!(ERRORS, "endpoint" => endpoint, "code" => code).increment(1);
}

/// So many spans have come to this end.
pub(crate) fn spans(outcome: &'static str, n_spans: u64) {
    if n_spans > 0 {
        counter!(SPANS, "outcome" => outcome).increment(n_spans);
    }
}

/// The tokens of one request.
pub(crate) fn tokens(model: &str, prompt: u64, cached: u64, completion: u64) {
    counter!(PROMPT_TOKENS, "model" => model.to_owned()).increment(prompt);
    counter!(CACHED_TOKENS, "model" => model.to_owned()).increment(cached);
    counter!(COMPLETION_TOKENS, "model" => model.to_owned()).increment(completion);
}

/// The first token of an answer came after `waited`.
pub(crate) fn first_token(model: &str, waited: Duration) {
    histogram!(FIRST_TOKEN, "model" => model.to_owned()).record(waited);
    tally::first_token(waited);
}

/// Where the gaps between the tokens of one answer are recorded, looked up once for all of them.
pub(crate) fn inter_token(model: &str) -> Histogram {
    histogram!(INTER_TOKEN, "model" => model.to_owned())
}
