//! Responses that are generated for nobody who waits: they are fetched later, or their events are read again. They go on
//! when the client leaves, and end with the gateway; whoever looks for one that ended so is told that it has failed.

mod log;
mod running;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    response::{IntoResponse, Response as HttpResponse},
};
use futures::{FutureExt, StreamExt};
use impetus_proto::Error;
use tokio::{
    sync::oneshot,
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};
use tracing::{Instrument, Span, error, warn};

pub(super) use log::Log;
pub(super) use running::Background;

use super::{
    create::{Events, transcript_of},
    event::Frame,
    keeper::Keeper,
    params::Params,
    response::{Response, Status},
    transcript::Transcript,
};
use crate::{
    dialect::{frames, openai::error::Refusal},
    error::Failure,
    server::Gateway,
};

/// How often it is asked whether another gateway was told to cancel a response of this one.
const CANCEL_PERIOD: Duration = Duration::from_secs(2);

/// What is waited behind each time that an end could not be kept, before it is tried again or at last given up.
const END_PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];

/// What makes one response.
struct Maker {
    transcript: Transcript,
    keeper: Keeper,
    log: Arc<Log>,
}

/// Begins a response in the background, and answers with it as it is at its beginning, or with its events.
pub(super) async fn answer(
    gateway: &Gateway,
    params: Params,
    keeper: Keeper,
    events: Events,
) -> Result<HttpResponse, Refusal> {
    // What nobody serves is said at once, where the client hears it.
    let model = gateway.upstream.model_when_there(&params.model).await?.name;
    let is_streamed = params.is_streamed;
    let transcript = transcript_of(params, model, true);
    let running = gateway.responses.background.admit(&transcript.response.id)?;
    let log = running.log.clone();
    let (begun, beginning) = oneshot::channel();
    let store = gateway.responses.store.clone();
    // From here on nothing depends on whether the client stays.
    tokio::spawn(
        async move {
            let maker = Maker { transcript, keeper, log: running.log.clone() };
            if AssertUnwindSafe(maker.run(events, begun)).catch_unwind().await.is_err() {
                error!(response = running.id, "generating in the background panicked");
                note(&running.id, store.lose(&running.id).await);
            }
            // What is kept as running is running until here.
            drop(running);
        }
        .instrument(Span::current()),
    );
    let response = beginning.await.map_err(|_| Failure::defect())??;
    if is_streamed {
        let body = Body::from_stream(log.follow(None, gateway.limits.keep_alive));
        return Ok(frames::event_stream(body));
    }
    Ok(Json(response).into_response())
}

impl Maker {
    /// Keeps the response as it is at its beginning, which it tells to `begun`, and makes it.
    async fn run(mut self, events: Events, begun: oneshot::Sender<Result<Response, Error>>) {
        let kept = self.keeper.insert(&mut self.transcript.response).await;
        let is_kept = kept.is_ok();
        if is_kept {
            self.transcript.begin();
            self.log.push(self.transcript.frames());
        }
        // The client may have left.
        let _ = begun.send(kept.map(|()| self.transcript.response.clone()));
        if is_kept {
            self.make(events).await;
        }
    }

    async fn make(&mut self, mut events: Events) {
        let mut ticks = interval_at(Instant::now() + CANCEL_PERIOD, CANCEL_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.transcript.is_over() {
            let is_queued = self.transcript.response.status == Status::Queued;
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => self.transcript.take(event),
                    failed => {
                        let error = failed.and_then(Result::err);
                        self.transcript.fail(&error.map_or_else(Failure::defect, Failure::from));
                    }
                },
                () = self.log.cancelled() => self.transcript.cancel(),
                _ = ticks.tick() => self.look().await,
            }
            if is_queued && self.transcript.response.status == Status::InProgress {
                note(self.id(), self.keeper.begin(&self.transcript.response).await);
            }
            if !self.transcript.is_over() {
                self.log.push(self.transcript.frames());
            }
        }
        // The worker is not to wait for a disk.
        drop(events);
        let last = self.transcript.frames();
        self.end(&last).await;
        // Whoever has read the end finds it kept.
        self.log.push(last);
    }

    /// Keeps the end, whose events are `last`. It is mostly want of room that forbids it: the events go first, and what
    /// cannot be kept without them either has failed.
    async fn end(&mut self, last: &[Frame]) {
        let mut events = Some(self.log.with(last));
        for pause in END_PAUSES {
            let ended = self.keeper.end(&mut self.transcript.response, events.as_deref()).await;
            if ended.is_ok() {
                return;
            }
            note(self.id(), ended);
            events = None;
            sleep(pause).await;
        }
        // Where not even this can be written, it is said of the response when somebody asks for it.
        note(self.id(), self.keeper.lose(self.id()).await);
    }

    /// Looks whether another gateway was asked to cancel, or to delete.
    async fn look(&mut self) {
        match self.keeper.is_to_cancel(self.id()).await {
            Ok(true) => self.transcript.cancel(),
            Ok(false) => {}
            Err(error) => note(self.id(), Err(error)),
        }
    }

    fn id(&self) -> &str {
        &self.transcript.response.id
    }
}

fn note(id: &str, kept: Result<(), Error>) {
    if let Err(error) = kept {
        warn!(%error, response = id, "a response in the background is not kept as it is");
    }
}

#[cfg(test)]
mod tests;
