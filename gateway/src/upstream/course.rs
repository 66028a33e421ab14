//! The way of one request from worker to worker: its place in the queue, its leases, and what is made of each loss.

use std::{sync::Arc, time::Duration};

use impetus_proto::{Code, Error, worker::Timings};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::info;

use super::{
    Cause, Upstream,
    failure::Failure,
    lease::{End, Lease, Wish},
    poison::Fingerprint,
    queue::Place,
    stint::Stint,
    suspicion::{Explained, Suspicion, Verdict},
};
use crate::{
    metrics::{self, Stage, Stopwatch},
    trace::{Kind, Open, Process, RequestId},
};

/// How long the supervisor gets to say how a worker ended whose connection broke. It says so at once; only a worker
/// that lives on keeps a request waiting for all of it.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(2);

/// Losses in a row that brought nothing new, of workers that are not known to have ended.
const MAX_UNEXPLAINED: u32 = 20;

/// Answers in a row that were none.
const MAX_UNTRUE: u32 = 3;

/// Pauses between workers that are not known to have ended; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The longest wait of a request that has begun, for its turn: it has waited once, and may not be refused any more.
const NO_END: Duration = Duration::MAX;

/// How long a request that has begun leaves others the memory that it needs before it asks again.
const ROOM_PAUSE: Duration = Duration::from_secs(1);

/// What a request asks of its workers, whatever it is for.
#[derive(Debug, Clone)]
pub(super) struct Errand {
    pub(super) id: RequestId,
    /// What the client named, until a worker was lent. From then on the model's canonical name: an alias may mean
    /// another model meanwhile, which could not go on with the tokens of this one.
    pub(super) model: String,
    pub(super) keep_alive: Option<i64>,
    /// It belongs to a request that has begun, so no queue is too long for it.
    pub(super) is_part: bool,
    /// It takes a worker's slots or batches, which are given out in turn.
    pub(super) needs_turn: bool,
    pub(super) fingerprint: Fingerprint,
    /// The call to the worker, as traces name it.
    pub(super) rpc: &'static str,
}

/// A request between its beginning and its end.
#[derive(Debug)]
pub(super) struct Course {
    upstream: Arc<Upstream>,
    errand: Errand,
    place: Place,
    /// It has had its turn.
    begun: bool,
    waited: Duration,
    suspicion: Suspicion,
    /// How far the request had come when its present worker got it.
    n_before: usize,
    /// The worker has seen the request.
    dispatched: bool,
    /// The present worker's part.
    stint: Option<Stint>,
    loss: Option<Loss>,
    unexplained: u32,
    untrue: u32,
}

/// A loss that the request has not got over yet.
#[derive(Debug)]
struct Loss {
    at: Instant,
    worker: String,
    cause: Cause,
    detail: String,
    n_done: usize,
    /// Workers lost since the request last got further.
    n_workers: u32,
}

/// What is known of a lost worker.
enum Fate {
    Ended(End),
    /// It may be alive.
    Unknown(Cause),
}

impl Course {
    /// Takes a place in the queue for the model; refuses a request that is known to crash workers.
    pub(super) fn begin(upstream: &Arc<Upstream>, errand: Errand) -> Result<Self, Error> {
        let (queue, model) = (&upstream.queue, &errand.model);
        errand.id.trace().set("gen_ai.request.model", model.as_str());
        upstream.poison.check(&queue.resolve(model), errand.fingerprint)?;
        let is_part = errand.is_part;
        Ok(Self {
            upstream: upstream.clone(),
            place: if is_part || !errand.needs_turn { queue.join(model) } else { queue.enter(model) }?,
            errand,
            // The first part may have been answered by now.
            begun: is_part,
            waited: Duration::ZERO,
            suspicion: Suspicion::default(),
            n_before: 0,
            dispatched: false,
            stint: None,
            loss: None,
            unexplained: 0,
            untrue: 0,
        })
    }

    /// Waits for a worker and for this request's turn with it, which it keeps for its next worker.
    pub(super) async fn lease(&mut self) -> Result<Lease, Error> {
        let begun = Instant::now();
        let _counted = Stopwatch::of(Stage::Lease);
        let span = self.errand.id.trace().open(Process::Gateway, Kind::Internal, "lease");
        let lease = self.wait(&span).await;
        match &lease {
            Ok(lease) => span.set("impetus.worker.id", lease.worker_id.as_str()),
            Err(error) => span.refused(error),
        }
        if self.loss.as_ref().is_none_or(|loss| loss.n_done == 0) {
            self.waited += begun.elapsed();
        }
        lease
    }

    /// How long it has waited for workers before any of it was done.
    pub(super) fn waited(&self) -> Duration {
        self.waited
    }

    async fn wait(&mut self, span: &Open) -> Result<Lease, Error> {
        self.dispatched = false;
        let mut explained = self.upstream.poison.explained();
        let since = Instant::now();
        loop {
            let is_explained = self.suspicion.is_explained_by(&explained.borrow_and_update());
            if is_explained {
                // But not where it is another copy of what was convicted.
                self.upstream.poison.check(&self.errand.model, self.errand.fingerprint)?;
                self.suspicion = Suspicion::default();
            }
            let alone = self.suspicion.is_alone();
            let aside = alone || !self.errand.needs_turn;
            if aside {
                self.place.step_aside();
            }
            let Errand { id, model, keep_alive, .. } = &self.errand;
            let wish = Wish { model, request_id: id, alone, keep_alive: *keep_alive, span };
            let lease = tokio::select! {
                lease = self.upstream.lease(wish) => lease,
                () = another_was_it(&mut explained, &self.suspicion), if alone => continue,
            };
            let lease = match lease {
                // Memory that is short for a moment costs nobody an answer that was begun.
                Err(error) if error.code() == Code::NoCapacity && self.begun && !self.is_late(since) => {
                    sleep(ROOM_PAUSE).await;
                    continue;
                }
                lease => lease?,
            };
            self.place.lent(model, &lease.model, (!alone).then_some(lease.slots));
            lease.model.as_ref().clone_into(&mut self.errand.model);
            self.upstream.poison.check(&self.errand.model, self.errand.fingerprint)?;
            if aside {
                // The line of the model's own name is one that it was not in before.
                self.place.step_aside();
                return Ok(lease);
            }
            let patience = if self.begun { NO_END } else { self.upstream.limits.queue_timeout };
            let turn = span.open(Process::Gateway, Kind::Internal, "turn");
            self.place.turn(patience).await?;
            drop(turn);
            self.begun = true;
            // The turn may have been long in coming.
            if !lease.has_ended() {
                return Ok(lease);
            }
        }
    }

    /// Whether memory has been waited for longer than a model may be.
    fn is_late(&self, since: Instant) -> bool {
        since.elapsed() >= self.upstream.limits.acquire_timeout
    }

    /// The worker is about to see the request, of which `n_done` is done.
    pub(super) fn dispatched(&mut self, worker: &str, n_done: usize) {
        self.dispatched = true;
        self.n_before = n_done;
        self.stint = Some(Stint::begin(self.errand.id.trace(), self.errand.rpc, worker, n_done));
    }

    /// The worker has the request.
    pub(super) fn accepted(&mut self) {
        if let Some(stint) = &mut self.stint {
            stint.accepted();
        }
    }

    /// The worker is done, and says what it took.
    pub(super) fn finished(&mut self, timings: &Timings) {
        if let Some(stint) = self.stint.take() {
            stint.finished(timings);
        }
    }

    /// The request got further, after a loss or without.
    pub(super) fn went_on(&mut self) {
        (self.unexplained, self.untrue) = (0, 0);
        let Some(loss) = self.loss.take() else { return };
        let took = loss.at.elapsed();
        metrics::replay_took(&self.errand.model, took);
        info!(
            request_id = &*self.errand.id,
            model = self.errand.model,
            worker = loss.worker,
            cause = loss.cause.name(),
            detail = loss.detail,
            n_done = loss.n_done,
            n_workers = loss.n_workers,
            ms = took.as_millis() as u64,
            "a request went on after it lost its worker"
        );
    }

    /// The worker failed the request when `n_done` of it was done. Answers what the client is told, if it is over.
    pub(super) async fn lost(&mut self, lease: Lease, failure: Failure, n_done: usize) -> Result<(), Error> {
        let at = Instant::now();
        self.upstream.pool.discard(lease.number);
        if matches!(failure, Failure::Broken(_)) {
            self.upstream.connections.forget(&lease.endpoint);
        }
        let (worker, model) = (lease.worker_id.clone(), lease.model.clone());
        let stint = self.stint.take();
        let (error, fate) = match fate(lease, failure).await {
            Ok(known) => known,
            Err(error) => {
                if let Some(stint) = stint {
                    stint.refused(&error);
                }
                return Err(error);
            }
        };
        let (cause, detail) = match &fate {
            Fate::Ended(end) => (Cause::of(end), end.cause.clone()),
            Fate::Unknown(cause) => (*cause, error.message.clone()),
        };
        if let Some(stint) = stint {
            stint.lost(cause, &detail);
        }
        let what =
            [("impetus.worker.id", worker.as_str().into()), ("impetus.lost.cause", cause.name().into())];
        self.errand.id.trace().event("impetus.worker.lost", what.into());
        let n_workers = self.loss.as_ref().map_or(1, |loss| loss.n_workers + 1);
        let first = self.loss.as_ref().map_or(at, |loss| loss.at);
        match fate {
            Fate::Ended(end) => self.judge(&model, &worker, &end, n_done)?,
            Fate::Unknown(cause) => self.endure(&model, cause, &error).await?,
        }
        self.loss = Some(Loss { at: first, worker, cause, detail, n_done, n_workers });
        metrics::replayed(&model, cause);
        Ok(())
    }

    /// The worker ended. If a request can have done it, it may have been this one.
    fn judge(&mut self, model: &str, worker: &str, end: &End, n_done: usize) -> Result<(), Error> {
        self.unexplained = 0;
        if !(end.may_be_request && self.dispatched) {
            return Ok(());
        }
        match self.suspicion.crashed(worker, n_done, n_done - self.n_before) {
            Verdict::Continue => Ok(()),
            Verdict::Poison => {
                let workers = self.suspicion.workers();
                info!(
                    request_id = &*self.errand.id,
                    model,
                    ?workers,
                    cause = end.cause,
                    "a request crashes workers"
                );
                metrics::poisoned(model);
                Err(self.upstream.poison.convict(model, self.errand.fingerprint, workers, &end.cause))
            }
        }
    }

    /// The worker may be alive and be lent again: this cannot go on for ever, nor without a pause.
    async fn endure(&mut self, model: &str, cause: Cause, error: &Error) -> Result<(), Error> {
        self.unexplained += 1;
        self.untrue += u32::from(cause == Cause::Protocol);
        if self.unexplained >= MAX_UNEXPLAINED || self.untrue >= MAX_UNTRUE {
            let n_lost = self.unexplained;
            let message =
                format!("the worker of {model:?} failed this request {n_lost} times in a row: {error}");
            return Err(Error { code: error.code, ..Error::new(Code::WorkerCrashed, message) });
        }
        if self.unexplained > 1 {
            let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.unexplained - 2);
            sleep(pause.min(LONGEST_PAUSE)).await;
        }
        Ok(())
    }
}

/// What became of the worker, and in which words it failed.
async fn fate(mut lease: Lease, failure: Failure) -> Result<(Error, Fate), Error> {
    let (error, patience, cause) = match failure {
        Failure::Final(error) => return Err(error),
        Failure::Refused(error) => (error, Duration::ZERO, Cause::Drain),
        Failure::Untrue(error) => (error, Duration::ZERO, Cause::Protocol),
        Failure::Broken(error) => (error, NOTICE_TIMEOUT, Cause::Connection),
    };
    let fate = lease.end(patience).await.map_or(Fate::Unknown(cause), Fate::Ended);
    Ok((error, fate))
}

/// Resolves when all crashes that the request was in are known to be another one's doing.
async fn another_was_it(explained: &mut watch::Receiver<Explained>, suspicion: &Suspicion) {
    if explained.wait_for(|explained| suspicion.is_explained_by(explained)).await.is_err() {
        std::future::pending::<()>().await;
    }
}
