//! `Acquire`: a lease, as long as the stream.

use std::{future::pending, sync::Arc};

use futures::{StreamExt, stream};
use impetus_proto::{
    Error,
    supervisor::{
        AcquireEvent, AcquireRequest, Ended, Loading, Queued, Ready, Retired, acquire_event::Event,
    },
};
use tokio::sync::watch;
use tonic::Status;

use super::{Answers, Control};
use crate::{
    catalog::Library,
    fleet::{KeepAlive, Wanted},
    leases::{Lease, LeaseState},
};

/// A lease and what its holder has been told of it.
struct Told {
    lease: Lease,
    library: Arc<Library>,
    /// What the holder calls the model.
    name: String,
    meanings: watch::Receiver<()>,
    standing: Standing,
}

/// How a lease stands as its holder knows it.
enum Standing {
    Waiting,
    /// It holds a worker of this model.
    Lent(String),
    /// It holds a worker and is to be told that nothing new should begin with it.
    Retiring,
    Retired,
}

impl Control {
    pub(super) async fn answer_acquire(
        &self,
        request: AcquireRequest,
    ) -> Result<Answers<AcquireEvent>, Error> {
        let meanings = self.library.meanings();
        let manifest = self.library.find(&request.model).await?;
        tracing::debug!(request_id = request.request_id, model = manifest.spec.model, "lease asked for");
        let wanted = Wanted {
            manifest,
            alone: request.alone,
            worker: Some(request.worker_id).filter(|id| !id.is_empty()),
            keep_alive: request.keep_alive_s.map(KeepAlive::from_seconds),
        };
        let lease = self.fleet.acquire(wanted).await?;
        let (library, name) = (self.library.clone(), request.model);
        let told = Told { lease, library, name, meanings, standing: Standing::Waiting };
        // The lease is released when the stream is dropped, which is when the caller goes or after its end.
        let events = stream::unfold(Some(told), |told| async move {
            let mut told = told?;
            let event = told.next().await;
            let is_last = matches!(event, Err(_) | Ok(Event::Ended(_)));
            let event = event.map(|event| AcquireEvent { event: Some(event) }).map_err(Status::from);
            Some((event, (!is_last).then_some(told)))
        });
        Ok(events.boxed())
    }
}

impl Told {
    async fn next(&mut self) -> Result<Event, Error> {
        if matches!(self.standing, Standing::Retiring) {
            self.standing = Standing::Retired;
            return Ok(Event::Retired(Retired {}));
        }
        loop {
            let held = match &self.standing {
                Standing::Lent(model) => Some(model.as_str()),
                _ => None,
            };
            let state = tokio::select! {
                biased;
                state = self.lease.next() => state,
                () = meant_otherwise(&self.library, &self.name, held, &mut self.meanings) => {
                    self.standing = Standing::Retired;
                    return Ok(Event::Retired(Retired {}));
                }
            };
            return match (state, &self.standing) {
                (LeaseState::Retired(_), Standing::Retired | Standing::Retiring) => continue,
                (LeaseState::Retired(_), Standing::Lent(_)) => {
                    self.standing = Standing::Retired;
                    Ok(Event::Retired(Retired {}))
                }
                // Both happened since the holder was last told of anything.
                (LeaseState::Retired(hold), Standing::Waiting) => {
                    self.standing = Standing::Retiring;
                    event(LeaseState::Ready(hold))
                }
                (LeaseState::Ready(hold), _) => {
                    self.standing = Standing::Lent(hold.model.clone());
                    event(LeaseState::Ready(hold))
                }
                (state, _) => event(state),
            };
        }
    }
}

/// Resolves when `name` does not mean the model that is `held` any more.
async fn meant_otherwise(
    library: &Library,
    name: &str,
    held: Option<&str>,
    meanings: &mut watch::Receiver<()>,
) {
    let Some(model) = held else { return pending().await };
    while meanings.changed().await.is_ok() {
        if !library.means(name, model) {
            return;
        }
    }
    pending::<()>().await;
}

/// What the holder is told; an error is the last word, as is a loss.
fn event(state: LeaseState) -> Result<Event, Error> {
    Ok(match state {
        LeaseState::Queued(reason) => Event::Queued(Queued { reason }),
        LeaseState::Loading(progress) => Event::Loading(Loading { progress }),
        LeaseState::Ready(hold) => Event::Ready(Ready {
            endpoint: hold.endpoint,
            model: hold.model,
            worker_id: hold.worker.to_string(),
            slots: hold.slots,
        }),
        LeaseState::Retired(_) => Event::Retired(Retired {}),
        LeaseState::Lost(loss) => {
            Event::Ended(Ended { cause: loss.cause, may_be_request: loss.may_be_request })
        }
        LeaseState::Ended(error) => return Err(error),
    })
}
