//! `Acquire`: a lease, as long as the stream.

use futures::{StreamExt, stream};
use impetus_proto::{
    Error,
    supervisor::{AcquireEvent, AcquireRequest, Loading, Queued, Ready, acquire_event::Event},
};
use tonic::Status;

use super::{Answers, Control};
use crate::leases::LeaseState;

impl Control {
    pub(super) async fn answer_acquire(
        &self,
        request: AcquireRequest,
    ) -> Result<Answers<AcquireEvent>, Error> {
        let manifest = self.library.find(&request.model).await?;
        tracing::debug!(request_id = request.request_id, model = manifest.spec.model, "lease asked for");
        let lease = self.fleet.acquire(manifest).await?;
        // The lease is released when the stream is dropped, which is when the caller goes or after its end.
        let events = stream::unfold(Some(lease), |lease| async move {
            let mut lease = lease?;
            match lease.next().await {
                LeaseState::Ended(error) => Some((Err(Status::from(error)), None)),
                state => Some((Ok(told(state)), Some(lease))),
            }
        });
        Ok(events.boxed())
    }
}

fn told(state: LeaseState) -> AcquireEvent {
    let event = match state {
        LeaseState::Queued(reason) => Event::Queued(Queued { reason }),
        LeaseState::Loading(progress) => Event::Loading(Loading { progress }),
        LeaseState::Ready(hold) => Event::Ready(Ready {
            endpoint: hold.endpoint,
            model: hold.model,
            worker_id: hold.worker.to_string(),
            slots: 0,
        }),
        LeaseState::Ended(error) => Event::Queued(Queued { reason: error.message }),
    };
    AcquireEvent { event: Some(event) }
}
