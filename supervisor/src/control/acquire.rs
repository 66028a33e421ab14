//! `Acquire`: a lease, as long as the stream.

use futures::{StreamExt, stream};
use impetus_proto::{
    Error,
    supervisor::{AcquireEvent, AcquireRequest, Ended, Loading, Queued, Ready, acquire_event::Event},
};
use tonic::Status;

use super::{Answers, Control};
use crate::{
    fleet::{KeepAlive, Wanted},
    leases::LeaseState,
};

impl Control {
    pub(super) async fn answer_acquire(
        &self,
        request: AcquireRequest,
    ) -> Result<Answers<AcquireEvent>, Error> {
        let manifest = self.library.find(&request.model).await?;
        tracing::debug!(request_id = request.request_id, model = manifest.spec.model, "lease asked for");
        let wanted = Wanted {
            manifest,
            alone: request.alone,
            worker: Some(request.worker_id).filter(|id| !id.is_empty()),
            keep_alive: request.keep_alive_s.map(KeepAlive::from_seconds),
        };
        let lease = self.fleet.acquire(wanted).await?;
        // The lease is released when the stream is dropped, which is when the caller goes or after its end.
        let events = stream::unfold(Some(lease), |lease| async move {
            let mut lease = lease?;
            match lease.next().await {
                LeaseState::Ended(error) => Some((Err(Status::from(error)), None)),
                state @ LeaseState::Lost(_) => Some((Ok(told(state)), None)),
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
            slots: hold.slots,
        }),
        LeaseState::Lost(loss) => {
            Event::Ended(Ended { cause: loss.cause, may_be_request: loss.may_be_request })
        }
        LeaseState::Ended(error) => Event::Queued(Queued { reason: error.message }),
    };
    AcquireEvent { event: Some(event) }
}
