//! Responses that are generated for nobody who waits: they are fetched later, or their events are read again. They go on
//! when the client leaves, and end with the gateway; whoever looks for one that ended so is told that it has failed.

mod log;

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    body::Body,
    response::{IntoResponse, Response as HttpResponse},
};
use futures::{FutureExt, StreamExt};
use impetus_proto::{Code, Error};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tracing::{Instrument, Span, error, warn};

pub(super) use log::Log;

use super::{
    create::{Events, transcript_of},
    keeper::Keeper,
    params::Params,
    response::Status,
    store::Store,
    transcript::Transcript,
};
use crate::{
    dialect::openai::{answer, error::Refusal},
    error::Failure,
    server::Gateway,
};

/// How often it is asked whether another gateway was told to cancel a response of this one.
const CANCEL_PERIOD: Duration = Duration::from_secs(2);

/// Seconds after which one of the running responses may have ended.
const RETRY_S: u32 = 10;

/// What runs in the background of this gateway.
#[derive(Debug, Clone)]
pub(in crate::dialect::openai) struct Background {
    running: Arc<Mutex<HashMap<String, Arc<Log>>>>,
    count: watch::Sender<usize>,
    max: usize,
}

/// One response's place among those that run; it is free again when this is dropped.
#[derive(Debug)]
struct Running {
    id: String,
    log: Arc<Log>,
    background: Background,
}

/// What makes one response.
struct Maker {
    transcript: Transcript,
    keeper: Keeper,
    running: Running,
}

impl Background {
    /// Nothing runs; at most `max` at once may.
    pub(super) fn new(max: usize) -> Self {
        Self { running: Arc::default(), count: watch::Sender::new(0), max }
    }

    /// The events of a response that runs here.
    pub(super) fn log_of(&self, id: &str) -> Option<Arc<Log>> {
        self.lock().get(id).cloned()
    }

    /// Resolves when nothing runs.
    pub(super) async fn idle(&self) {
        // The sender is held here, so there is an answer.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    fn admit(&self, id: &str) -> Result<Running, Error> {
        let mut running = self.lock();
        if running.len() >= self.max {
            let max = self.max;
            let message = format!(
                "{max} responses are generated in the background already (responses.max_background); try again later"
            );
            return Err(Error::new(Code::QueueFull, message)
                .with_param("background")
                .with_retry_after(RETRY_S));
        }
        let log = Arc::new(Log::default());
        running.insert(id.to_owned(), log.clone());
        self.count.send_replace(running.len());
        drop(running);
        Ok(Running { id: id.to_owned(), log, background: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Log>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.log.close();
        let mut running = self.background.lock();
        running.remove(&self.id);
        self.background.count.send_replace(running.len());
    }
}

/// Begins a response in the background, and answers with it as it is at its beginning, or with its events.
pub(super) async fn answer(
    gateway: &Gateway,
    params: Params,
    mut keeper: Keeper,
    events: Events,
) -> Result<HttpResponse, Refusal> {
    // What nobody serves is said at once, where the client hears it.
    let model = gateway.upstream.model(&params.model).await?.name;
    let is_streamed = params.is_streamed;
    let mut transcript = transcript_of(params, model, true);
    let running = gateway.responses.background.admit(&transcript.response.id)?;
    keeper.insert(&mut transcript.response).await?;
    transcript.begin();
    running.log.push(transcript.frames());
    let (response, log) = (transcript.response.clone(), running.log.clone());
    let id = response.id.clone();
    let store = gateway.responses.store.clone();
    let maker = Maker { transcript, keeper, running };
    tokio::spawn(
        async move {
            if AssertUnwindSafe(maker.run(events)).catch_unwind().await.is_err() {
                error!(response = id, "generating in the background panicked");
                lose(&store, &id).await;
            }
        }
        .instrument(Span::current()),
    );
    if is_streamed {
        let body = Body::from_stream(log.follow(None, gateway.limits.keep_alive));
        return Ok(answer::event_stream(body));
    }
    Ok(Json(response).into_response())
}

impl Maker {
    async fn run(mut self, mut events: Events) {
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
                () = self.running.log.cancelled() => self.transcript.cancel(),
                _ = ticks.tick() => self.look().await,
            }
            if is_queued && self.transcript.response.status == Status::InProgress {
                self.note(self.keeper.begin(&self.transcript.response).await);
            }
            if !self.transcript.is_over() {
                self.running.log.push(self.transcript.frames());
            }
        }
        // The worker is not to wait for a disk.
        drop(events);
        let last = self.transcript.frames();
        let frames = self.running.log.with(&last);
        let ended = self.keeper.end(&mut self.transcript.response, &frames).await;
        self.note(ended);
        // Whoever has read the end finds it kept.
        self.running.log.push(last);
    }

    /// Looks whether another gateway was asked to cancel, or to delete.
    async fn look(&mut self) {
        match self.keeper.is_to_cancel(&self.running.id).await {
            Ok(true) => self.transcript.cancel(),
            Ok(false) => {}
            Err(error) => self.note(Err(error)),
        }
    }

    fn note(&self, kept: Result<(), Error>) {
        if let Err(error) = kept {
            warn!(%error, response = self.running.id, "a response in the background is not kept as it is");
        }
    }
}

async fn lose(store: &Store, id: &str) {
    if let Err(error) = store.lose(id).await {
        warn!(%error, response = id, "a response in the background is not kept as it is");
    }
}
