//! The task of a hold's own: it listens to the stream for the worker's end. When the supervisor dies, it tells its
//! successor of the hold as soon as there is one; whoever uses the worker meanwhile does not notice.

use std::{convert::Infallible, future::pending, sync::Arc};

use impetus_proto::{
    Code, Error,
    supervisor::{AcquireEvent, AcquireRequest, acquire_event},
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};
use tonic::Streaming;
use tracing::debug;

use super::{Answer, End, FIRST_PAUSE, LONGEST_PAUSE, Standing, Told, pool::LINGER};
use crate::{trace::Open, upstream::Upstream};

/// The task; it ends with this.
#[derive(Debug)]
pub(super) struct Keeper(JoinHandle<()>);

/// What is kept.
pub(super) struct Kept {
    /// Names the worker, and its model by the model's own name.
    pub(super) request: AcquireRequest,
    pub(super) events: Told,
    pub(super) standing: watch::Sender<Standing>,
    /// The hold's.
    pub(super) number: u64,
    /// What those who share it ask for.
    pub(super) shared: Option<String>,
}

impl Keeper {
    /// Begins to keep a hold.
    pub(super) fn start(upstream: Arc<Upstream>, kept: Kept) -> Self {
        Self(tokio::spawn(async move {
            let Kept { request, events, standing, number, shared } = kept;
            let end = tokio::select! {
                end = upstream.keep(request, events, &standing) => end,
                never = upstream.share(shared, number) => match never {},
            };
            standing.send_replace(Standing::Ended(end));
            upstream.pool.discard(number);
        }))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Upstream {
    /// Ends the sharing of the hold of this number once nobody has used it for a while; its last lease ends it, and what
    /// waits for this.
    async fn share(&self, name: Option<String>, number: u64) -> Infallible {
        if let Some(name) = name {
            let mut looks = interval_at(Instant::now() + LINGER, LINGER);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            looks.tick().await;
            while self.pool.lingers(&name, number) {
                looks.tick().await;
            }
        }
        pending().await
    }

    /// Listens until the worker that `request` names is gone, from one supervisor to the next.
    async fn keep(
        &self,
        request: AcquireRequest,
        mut events: Told,
        standing: &watch::Sender<Standing>,
    ) -> End {
        loop {
            if let Some(end) = last_event(&mut events, standing).await {
                return end;
            }
            // The next one may know the name as another model's.
            standing.send_replace(Standing::Retired);
            debug!(request.worker_id, "the supervisor is gone; its successor will be told of this lease");
            events = match self.take_up(&request).await {
                Ok(events) => events,
                Err(end) => return end,
            };
        }
    }

    /// The same lease from the next supervisor, whenever there is one.
    async fn take_up(&self, request: &AcquireRequest) -> Result<Told, End> {
        let mut pause = FIRST_PAUSE;
        loop {
            self.connections.forget(&self.supervisor);
            match self.acquire(request, &mut Instant::now(), &Open::default()).await {
                Ok(Answer::Lent(ready, events)) if ready.worker_id == request.worker_id => return Ok(events),
                Ok(Answer::Lent(..)) => return Err(End::by_order("unknown to the new supervisor")),
                Ok(Answer::Ended(end)) => return Err(end),
                Err(error) if error.code() == Code::Unavailable => {}
                Err(error) => return Err(End::by_order(error.message)),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// How the lease ended; absent when it was the supervisor that did.
async fn last_event(events: &mut Streaming<AcquireEvent>, standing: &watch::Sender<Standing>) -> Option<End> {
    loop {
        match events.message().await {
            Ok(Some(event)) => match event.event {
                Some(acquire_event::Event::Ended(ended)) => return Some(ended.into()),
                Some(acquire_event::Event::Retired(_)) => {
                    standing.send_replace(Standing::Retired);
                }
                _ => {}
            },
            Ok(None) => return None,
            // A status without our details is the transport's.
            Err(status) if status.details().is_empty() => return None,
            Err(status) => return Some(End::by_order(Error::from(&status).message)),
        }
    }
}
