//! The worker behind our own server: it is held while it is measured, and says what it counts.

use std::time::Duration;

use impetus_proto::{
    endpoint,
    supervisor::{
        AcquireEvent, AcquireRequest, Ready, acquire_event::Event, supervisor_client::SupervisorClient,
    },
    worker::{Stats, StatsRequest, worker_client::WorkerClient},
};
use serde_json::{Value, json};
use tonic::{Streaming, transport::Channel};

use super::{
    error::BenchError,
    stages::{self, Spent},
};
use crate::ctl::failure::Failure;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How the lease is called in logs.
const REQUEST_ID: &str = "bench";

/// A worker with the model in it, which stays as long as this does.
pub(super) struct Worker {
    client: WorkerClient<Channel>,
    /// The model's canonical name.
    pub(super) model: String,
    _lease: Streaming<AcquireEvent>,
}

/// What a worker counted in one round or several.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counted {
    pub(super) wall_us: f64,
    pub(super) steps: u64,
    pub(super) step_us: u64,
    pub(super) guessed_tokens: u64,
    pub(super) accepted_tokens: u64,
    pub(super) restored_tokens: u64,
    pub(super) spent: Spent,
}

impl Worker {
    /// Has the model loaded and waits for it.
    pub(super) async fn hold(
        supervisor: &mut SupervisorClient<Channel>,
        model: &str,
    ) -> Result<Self, Failure> {
        let request = AcquireRequest {
            model: model.to_owned(),
            request_id: REQUEST_ID.to_owned(),
            ..AcquireRequest::default()
        };
        let mut lease = supervisor.acquire(request).await?.into_inner();
        loop {
            match lease.message().await?.and_then(|message| message.event) {
                Some(Event::Ready(Ready { endpoint: uri, model, .. })) => {
                    let channel = endpoint::connect(&uri, CONNECT)
                        .await
                        .map_err(|error| BenchError::Lease(error.to_string()))?;
                    return Ok(Self { client: WorkerClient::new(channel), model, _lease: lease });
                }
                Some(Event::Ended(ended)) => return Err(BenchError::Lease(ended.cause).into()),
                Some(_) => {}
                None => return Err(BenchError::Lease("it said nothing more".to_owned()).into()),
            }
        }
    }

    /// What it has counted so far; none once it is gone.
    pub(super) async fn stats(&mut self) -> Option<Stats> {
        self.client.stats(StatsRequest {}).await.ok().map(tonic::Response::into_inner)
    }
}

impl Counted {
    /// Between two answers, of which the later one is of a worker that has not been replaced.
    pub(super) fn between(before: &Stats, after: &Stats, wall: Duration) -> Option<Self> {
        Some(Self {
            wall_us: wall.as_secs_f64() * 1e6,
            steps: after.steps.checked_sub(before.steps)?,
            step_us: after.step_us.checked_sub(before.step_us)?,
            guessed_tokens: after.guessed_tokens.checked_sub(before.guessed_tokens)?,
            accepted_tokens: after.accepted_tokens.checked_sub(before.accepted_tokens)?,
            restored_tokens: after.restored_tokens.checked_sub(before.restored_tokens)?,
            spent: Spent { worker: stages::between(before.stages, after.stages)?, ..Spent::default() },
        })
    }

    /// Both together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            wall_us: self.wall_us + other.wall_us,
            steps: self.steps + other.steps,
            step_us: self.step_us + other.step_us,
            guessed_tokens: self.guessed_tokens + other.guessed_tokens,
            accepted_tokens: self.accepted_tokens + other.accepted_tokens,
            restored_tokens: self.restored_tokens + other.restored_tokens,
            spent: self.spent.plus(other.spent),
        }
    }

    pub(super) fn json(self) -> Value {
        let per_step = |us: f64| (self.steps > 0).then(|| us / self.steps as f64);
        json!({
            "steps": self.steps,
            "us_per_step": per_step(self.step_us as f64),
            "outside_us_per_step": per_step((self.wall_us - self.step_us as f64).max(0.0)),
            "share_of_time": (self.wall_us > 0.0).then(|| self.step_us as f64 / self.wall_us),
            "guessed_tokens": self.guessed_tokens,
            "accepted_tokens": self.accepted_tokens,
            "restored_tokens": self.restored_tokens,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_subtracted_and_summed() {
        let before = Stats { steps: 10, step_us: 1_000, guessed_tokens: 4, ..Stats::default() };
        let after =
            Stats { steps: 14, step_us: 4_000, guessed_tokens: 9, accepted_tokens: 3, ..before.clone() };
        let once = Counted::between(&before, &after, Duration::from_millis(4)).unwrap();
        let json = once.plus(once).json();
        let expected = json!({
            "steps": 8, "us_per_step": 750.0, "outside_us_per_step": 250.0, "share_of_time": 0.75,
            "guessed_tokens": 10, "accepted_tokens": 6, "restored_tokens": 0,
        });
        assert_eq!(json, expected);
        // Another worker, which begins at zero.
        assert_eq!(Counted::between(&after, &Stats::default(), Duration::ZERO), None);
        assert_eq!(Counted::default().json()["us_per_step"], Value::Null);
    }
}
