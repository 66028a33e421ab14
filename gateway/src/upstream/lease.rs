//! The hold on a worker: an open `Acquire` stream, released by dropping it. Requests that follow each other closely
//! share one.

mod keeper;
mod pool;

use std::{
    future::pending,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use impetus_proto::{
    Code, Error, REQUEST_ID,
    supervisor::{
        AcquireEvent, AcquireRequest, Ended, Ready, acquire_event, supervisor_client::SupervisorClient,
    },
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};
use tonic::{Streaming, metadata::AsciiMetadataValue};
use tracing::debug;

use self::keeper::{Keeper, Kept};
pub(super) use self::pool::Pool;
use super::Upstream;
use crate::{
    metrics,
    trace::{Kind, Open, Process},
};

/// The pauses between tries to reach the supervisor; each is twice the one before.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(10);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How long a request waits for a worker of its own.
const LONELY_PATIENCE: Duration = Duration::from_hours(24);

/// How long a worker that the supervisor says is gone may be silent; what it has said before is still on its way.
const LAST_WORDS: Duration = Duration::from_millis(100);

const RPC: &str = "impetus.supervisor.v1.Supervisor/Acquire";

/// What is asked of the supervisor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    /// A name or an alias; empty means the default model.
    pub(super) model: &'a str,
    pub(super) request_id: &'a str,
    /// A worker that serves nothing else.
    pub(super) alone: bool,
    /// Seconds that the model stays loaded afterwards.
    pub(super) keep_alive: Option<i64>,
    /// The wait, in the request's trace.
    pub(super) span: &'a Open,
}

/// A request's part in a hold.
#[derive(Debug)]
pub(super) struct Lease {
    hold: Arc<Hold>,
    standing: watch::Receiver<Standing>,
}

/// A worker, held as long as this exists.
#[derive(Debug)]
pub(super) struct Hold {
    /// Tells holds apart.
    pub(super) number: u64,
    /// The canonical name of the model.
    pub(super) model: Arc<str>,
    pub(super) worker_id: String,
    pub(super) endpoint: String,
    /// Sequences that the worker generates at once; 0 where it does not say.
    pub(super) slots: u32,
    standing: watch::Receiver<Standing>,
    _keeper: Keeper,
}

/// How a hold stands.
#[derive(Debug, Clone)]
enum Standing {
    /// Who asks for the same gets this worker.
    Current,
    /// Who asks for the same may get another one.
    Retired,
    Ended(End),
}

/// How a worker's life ended, as the supervisor has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    /// A sentence without its subject.
    pub(super) cause: String,
    /// A request that was with it can have brought this about.
    pub(super) may_be_request: bool,
}

/// What the supervisor says of a lease.
type Told = Box<Streaming<AcquireEvent>>;

/// The supervisor's answer.
enum Answer {
    Lent(Ready, Told),
    Ended(End),
}

impl Lease {
    fn on(hold: Arc<Hold>) -> Self {
        Self { standing: hold.standing.clone(), hold }
    }

    /// Whether the worker is known to be gone.
    pub(super) fn has_ended(&self) -> bool {
        self.standing.borrow().is_ended()
    }

    /// How the worker ended; absent when the supervisor has nothing to say of that for as long as `patience`.
    pub(super) async fn end(&mut self, patience: Duration) -> Option<End> {
        let ended = timeout(patience, self.standing.wait_for(Standing::is_ended)).await;
        match &*ended.ok()?.ok()? {
            Standing::Ended(end) => Some(end.clone()),
            Standing::Current | Standing::Retired => None,
        }
    }

    /// Resolves a little after the worker's end.
    pub(super) async fn silence(&mut self) {
        if self.standing.wait_for(Standing::is_ended).await.is_err() {
            pending::<()>().await;
        }
        sleep(LAST_WORDS).await;
    }
}

impl Deref for Lease {
    type Target = Hold;

    fn deref(&self) -> &Hold {
        &self.hold
    }
}

impl Hold {
    /// Whether who asks for the same gets this worker, as far as is known.
    fn is_current(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Current)
    }
}

impl Standing {
    fn is_ended(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        Self { cause: ended.cause, may_be_request: ended.may_be_request }
    }
}

impl End {
    /// An end that no request has to do with.
    fn by_order(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), may_be_request: false }
    }
}

impl Upstream {
    /// Waits for a worker that serves the model, loading it where that is needed, and for a supervisor.
    pub(super) async fn lease(self: &Arc<Self>, wish: Wish<'_>) -> Result<Lease, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // A wish of its own for how long the model stays is told to the supervisor.
        let is_shared = !wish.alone && wish.keep_alive.is_none();
        if is_shared && let Some(lease) = self.pool.take(wish.model) {
            metrics::lease_wait(&lease.model, Duration::ZERO);
            wish.span.set("impetus.lease.shared", true);
            return Ok(lease);
        }
        let span = wish.span.open(Process::Supervisor, Kind::Server, RPC);
        let _waiting = metrics::Waiting::start();
        let started = Instant::now();
        let request = AcquireRequest {
            model: wish.model.to_owned(),
            request_id: wish.request_id.to_owned(),
            alone: wish.alone,
            keep_alive_s: wish.keep_alive,
            ..AcquireRequest::default()
        };
        // Who is tried alone waits for all that are tried before.
        let patience = if wish.alone { LONELY_PATIENCE } else { self.limits.acquire_timeout };
        let deadline = started + patience;
        let lent = timeout_at(deadline, self.lent(&request, &span)).await;
        let lent = lent.unwrap_or_else(|_| Err(self.too_late(wish.model)));
        let (ready, events) = lent.inspect_err(|error| span.refused(error))?;
        drop(span);
        metrics::lease_wait(&ready.model, started.elapsed());
        let (sender, standing) = watch::channel(Standing::Current);
        // The name that the client used may mean another model by then.
        let (model, worker_id) = (ready.model.clone(), ready.worker_id.clone());
        let request = AcquireRequest { model, worker_id, ..request };
        let (number, name) = (NEXT.fetch_add(1, Ordering::Relaxed), is_shared.then(|| wish.model.to_owned()));
        let kept = Kept { request, events, standing: sender, number, shared: name.clone() };
        let keeper = Keeper::start(self.clone(), kept);
        let Ready { endpoint, model, worker_id, slots } = ready;
        let model = model.into();
        let hold = Hold { number, model, worker_id, endpoint, slots, standing, _keeper: keeper };
        let hold = Arc::new(hold);
        if let Some(name) = name {
            self.pool.offer(name, &hold);
        }
        Ok(Lease::on(hold))
    }

    /// Asks until a worker is lent or refused. A supervisor that is away is waited for, but not for ever.
    async fn lent(&self, request: &AcquireRequest, span: &Open) -> Result<(Ready, Told), Error> {
        let mut heard = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.acquire(request, &mut heard, span).await {
                Ok(Answer::Lent(ready, events)) => return Ok((ready, events)),
                Ok(Answer::Ended(end)) => Error::new(
                    Code::Unavailable,
                    format!("the worker that was waited for is gone: {}", end.cause),
                ),
                Err(error) if error.code() == Code::Unavailable => error,
                Err(error) => return Err(error),
            };
            debug!(%error, "no lease yet");
            self.connections.forget(&self.supervisor);
            if heard.elapsed() >= self.limits.supervisor_patience {
                return Err(error);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Asks once. `heard` is set to when the supervisor last said something; `span` is told what it says.
    async fn acquire(
        &self,
        request: &AcquireRequest,
        heard: &mut Instant,
        span: &Open,
    ) -> Result<Answer, Error> {
        let message = with_id(request.clone(), &request.request_id);
        let channel = self.connections.get(&self.supervisor, "the supervisor").await?;
        let mut events = SupervisorClient::new(channel).acquire(message).await?.into_inner();
        while let Some(event) = events.message().await? {
            *heard = Instant::now();
            match event.event {
                Some(acquire_event::Event::Ready(ready)) => {
                    span.set("impetus.worker.id", ready.worker_id.as_str());
                    return Ok(Answer::Lent(ready, Box::new(events)));
                }
                Some(acquire_event::Event::Ended(ended)) => return Ok(Answer::Ended(ended.into())),
                Some(acquire_event::Event::Queued(queued)) => {
                    debug!(reason = queued.reason, "queued");
                    span.event("impetus.queued", vec![("impetus.queued.reason", queued.reason.into())]);
                }
                Some(acquire_event::Event::Loading(loading)) => {
                    debug!(progress = loading.progress, "loading");
                    let percent = (loading.progress * 100.0) as u32;
                    span.event("impetus.loading", vec![("impetus.load.percent", percent.into())]);
                }
                Some(acquire_event::Event::Retired(_)) | None => {}
            }
        }
        Err(Error::new(Code::Unavailable, "the supervisor ended the wait for a worker"))
    }

    fn too_late(&self, model: &str) -> Error {
        let name = if model.is_empty() { "the default model" } else { model };
        let seconds = self.limits.acquire_timeout.as_secs();
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
