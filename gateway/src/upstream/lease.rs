//! The hold on a worker: an open `Acquire` stream, released by dropping it.

use std::{sync::Arc, time::Duration};

use impetus_proto::{
    Code, Error, REQUEST_ID,
    supervisor::{AcquireEvent, AcquireRequest, acquire_event, supervisor_client::SupervisorClient},
};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tonic::{Streaming, metadata::AsciiMetadataValue};
use tracing::debug;

use super::Upstream;
use crate::metrics;

/// How long a request waits for a supervisor that cannot be reached, as while it is restarted.
const SUPERVISOR_PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two tries to reach it.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How long the supervisor gets to notice that a worker is gone before the model is asked for again.
const NOTICE_TIMEOUT: Duration = Duration::from_millis(500);

/// A worker, held as long as this exists.
#[derive(Debug)]
pub(super) struct Lease {
    /// The canonical name of the model.
    pub(super) model: Arc<str>,
    pub(super) worker_id: String,
    pub(super) endpoint: String,
    events: Streaming<AcquireEvent>,
}

impl Lease {
    /// Waits until the supervisor has taken the worker back, but not for long: asked any earlier it would lend the
    /// dead worker again.
    pub(super) async fn ended(mut self) {
        let drain = async { while matches!(self.events.message().await, Ok(Some(_))) {} };
        // An elapsed timeout means that the worker is alive and only the connection broke.
        timeout(NOTICE_TIMEOUT, drain).await.ok();
    }
}

impl Upstream {
    /// Waits for a worker that serves `model`, loading it where that is needed.
    pub(super) async fn lease(&self, model: &str, request_id: &str) -> Result<Lease, Error> {
        let _waiting = metrics::Waiting::start();
        let started = Instant::now();
        let deadline = started + self.acquire_timeout;
        let mut unreachable_since = None;
        loop {
            let error = match timeout_at(deadline, self.acquire(model, request_id)).await {
                Ok(Ok(lease)) => {
                    metrics::lease_wait(&lease.model, started.elapsed());
                    return Ok(lease);
                }
                Ok(Err(error)) if error.code() == Code::Unavailable => error,
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(self.too_late(model)),
            };
            debug!(%error, "no lease yet");
            self.connections.forget(&self.supervisor);
            let since = *unreachable_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= SUPERVISOR_PATIENCE || Instant::now() + RETRY_PAUSE >= deadline {
                return Err(error);
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    async fn acquire(&self, model: &str, request_id: &str) -> Result<Lease, Error> {
        let message = AcquireRequest {
            model: model.to_owned(),
            request_id: request_id.to_owned(),
            ..AcquireRequest::default()
        };
        let request = with_id(message, request_id);
        let channel = self.connections.get(&self.supervisor, "the supervisor").await?;
        let mut events = SupervisorClient::new(channel).acquire(request).await?.into_inner();
        while let Some(event) = events.message().await? {
            match event.event {
                Some(acquire_event::Event::Ready(ready)) => {
                    let model = ready.model.into();
                    return Ok(Lease { model, worker_id: ready.worker_id, endpoint: ready.endpoint, events });
                }
                Some(acquire_event::Event::Queued(queued)) => debug!(reason = queued.reason, "queued"),
                Some(acquire_event::Event::Loading(loading)) => {
                    debug!(progress = loading.progress, "loading");
                }
                Some(acquire_event::Event::Ended(_)) | None => {}
            }
        }
        Err(Error::new(Code::Unavailable, "the supervisor ended the wait for a worker"))
    }

    fn too_late(&self, model: &str) -> Error {
        let name = if model.is_empty() { "the default model" } else { model };
        let seconds = self.acquire_timeout.as_secs();
        let message = format!("{name} was not ready within {seconds} s (gateway.acquire_timeout_s)");
        Error::new(Code::DeadlineExceeded, message)
    }
}

/// The message under the request's id.
pub(super) fn with_id<M>(message: M, request_id: &str) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    if let Ok(value) = AsciiMetadataValue::try_from(request_id) {
        request.metadata_mut().insert(REQUEST_ID, value);
    }
    request
}
