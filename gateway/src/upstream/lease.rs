//! The hold on a worker: an open `Acquire` stream, released by dropping it. Requests that follow each other closely
//! share one.
//!
//! A task of the hold's own listens to the stream for the worker's end. When the supervisor dies, the task tells its
//! successor of the hold as soon as there is one; whoever uses the worker meanwhile does not notice.

mod pool;

use std::{
    convert::Infallible,
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
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout, timeout_at},
};
use tonic::{Streaming, metadata::AsciiMetadataValue};
use tracing::debug;

use self::pool::LINGER;
pub(super) use self::pool::Pool;
use super::Upstream;
use crate::metrics;

/// The pauses between tries to reach the supervisor; each is twice the one before.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(10);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How long a request waits for a worker of its own.
const LONELY_PATIENCE: Duration = Duration::from_hours(24);

/// How long a worker that the supervisor says is gone may be silent; what it has said before is still on its way.
const LAST_WORDS: Duration = Duration::from_millis(100);

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

/// The task that listens; it ends with the lease.
#[derive(Debug)]
struct Keeper(JoinHandle<()>);

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

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
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
            return Ok(lease);
        }
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
        let (ready, events) = match timeout_at(deadline, self.lent(&request)).await {
            Ok(lent) => lent?,
            Err(_) => return Err(self.too_late(wish.model)),
        };
        metrics::lease_wait(&ready.model, started.elapsed());
        let (sender, standing) = watch::channel(Standing::Current);
        // The name that the client used may mean another model by then.
        let (model, worker_id) = (ready.model.clone(), ready.worker_id.clone());
        let request = AcquireRequest { model, worker_id, ..request };
        let (number, name) = (NEXT.fetch_add(1, Ordering::Relaxed), is_shared.then(|| wish.model.to_owned()));
        let (upstream, shared) = (self.clone(), name.clone());
        let keeper = tokio::spawn(async move {
            let kept = upstream.keep(request, events, &sender);
            let end = tokio::select! {
                end = kept => end,
                never = upstream.share(shared, number) => match never {},
            };
            sender.send_replace(Standing::Ended(end));
            upstream.pool.discard(number);
        });
        let Ready { endpoint, model, worker_id, slots } = ready;
        let model = model.into();
        let hold = Hold { number, model, worker_id, endpoint, slots, standing, _keeper: Keeper(keeper) };
        let hold = Arc::new(hold);
        if let Some(name) = name {
            self.pool.offer(name, &hold);
        }
        Ok(Lease::on(hold))
    }

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

    /// Asks until a worker is lent or refused. A supervisor that is away is waited for, but not for ever.
    async fn lent(&self, request: &AcquireRequest) -> Result<(Ready, Told), Error> {
        let mut heard = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.acquire(request, &mut heard).await {
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

    /// Asks once. `heard` is set to when the supervisor last said something.
    async fn acquire(&self, request: &AcquireRequest, heard: &mut Instant) -> Result<Answer, Error> {
        let message = with_id(request.clone(), &request.request_id);
        let channel = self.connections.get(&self.supervisor, "the supervisor").await?;
        let mut events = SupervisorClient::new(channel).acquire(message).await?.into_inner();
        while let Some(event) = events.message().await? {
            *heard = Instant::now();
            match event.event {
                Some(acquire_event::Event::Ready(ready)) => {
                    return Ok(Answer::Lent(ready, Box::new(events)));
                }
                Some(acquire_event::Event::Ended(ended)) => return Ok(Answer::Ended(ended.into())),
                Some(acquire_event::Event::Queued(queued)) => debug!(reason = queued.reason, "queued"),
                Some(acquire_event::Event::Loading(loading)) => {
                    debug!(progress = loading.progress, "loading");
                }
                Some(acquire_event::Event::Retired(_)) | None => {}
            }
        }
        Err(Error::new(Code::Unavailable, "the supervisor ended the wait for a worker"))
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
            match self.acquire(request, &mut Instant::now()).await {
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

    fn too_late(&self, model: &str) -> Error {
        let name = if model.is_empty() { "the default model" } else { model };
        let seconds = self.limits.acquire_timeout.as_secs();
        let message = format!("{name} was not ready within {seconds} s (gateway.acquire_timeout_s)");
        Error::new(Code::DeadlineExceeded, message)
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

/// The message under the request's id.
pub(super) fn with_id<M>(message: M, request_id: &str) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    if let Ok(value) = AsciiMetadataValue::try_from(request_id) {
        request.metadata_mut().insert(REQUEST_ID, value);
    }
    request
}
