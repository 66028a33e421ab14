//! Everything behind the gateway: the supervisor that lends workers, the workers that generate and embed. Only here
//! are a worker's death and its successor known; what comes out is one gapless stream of events, or the whole answer.

mod cause;
mod connection;
mod course;
mod deadline;
mod embedding;
mod event;
mod failure;
mod generation;
mod lease;
mod parts;
mod poison;
mod queue;
mod ranking;
mod services;
mod stint;
mod supervisor;
mod suspicion;
mod unary;

use std::{sync::Arc, time::Duration};

use impetus_config::Config;
use impetus_proto::worker::GenerateRequest;
use tokio::time::Instant;

pub(crate) use cause::Cause;
pub(crate) use embedding::{Embedded, EmbeddingRequest, embed};
pub(crate) use event::{Delta, Event, Finished, Part};
pub(crate) use generation::{Events, generate};
pub(crate) use ranking::{Ranked, RankingRequest, rerank};
pub(crate) use unary::{Caller, describe, detokenize, stats, tokenize};

use crate::trace::RequestId;
use connection::Connections;

use poison::PoisonMemory;
use queue::Queue;

/// How long a supervisor that is started again may take to answer, beyond the time that its workers wait for it.
const SUPERVISOR_START: Duration = Duration::from_secs(5);

/// By whom and when a completion was asked for. All choices of one request have the same.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Follows the request through every process.
    pub(crate) id: RequestId,
    /// The name of the key that it came with, or empty.
    pub(crate) owner: Arc<str>,
    /// Of that key: requests of who has more go first.
    pub(crate) priority: i32,
    /// The time that it may take is counted from here.
    pub(crate) began: Instant,
    /// The same in seconds since 1970.
    pub(crate) unix_s: u64,
}

/// One completion on its way to a worker.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) asked: Asked,
    /// What the client named; empty means the default model.
    pub(crate) model: String,
    /// What the worker gets. What changes while nothing else is asked for is filled in here: `model`, `resume`, `owner`,
    /// `priority` and `asked_unix_s`.
    pub(crate) generate: GenerateRequest,
    /// Seconds that the model stays loaded after its last request, as the supervisor takes them; absent: as
    /// configured.
    pub(crate) keep_alive: Option<i64>,
}

/// The way to the supervisor and to the workers it lends.
#[derive(Debug)]
pub(crate) struct Upstream {
    supervisor: String,
    connections: Connections,
    pool: lease::Pool,
    queue: Arc<Queue>,
    poison: PoisonMemory,
    limits: Limits,
}

/// What binds a request on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The wait for a worker, each time that one is needed.
    pub(crate) acquire_timeout: Duration,
    /// How long a supervisor that does not answer is waited for, as while it is restarted.
    pub(crate) supervisor_patience: Duration,
    /// Requests for one model that wait beyond those that are with its worker.
    pub(crate) max_queue: usize,
    /// The wait for a turn with a worker that is ready.
    pub(crate) queue_timeout: Duration,
    /// All of a request; absent: without bound.
    pub(crate) request_timeout: Option<Duration>,
    /// How long a request that crashes workers is remembered.
    pub(crate) poison_memory: Duration,
}

impl Upstream {
    /// `socket` is the supervisor's.
    pub(crate) fn new(socket: &str, limits: Limits) -> Self {
        Self {
            supervisor: format!("unix://{socket}"),
            connections: Connections::default(),
            pool: lease::Pool::default(),
            queue: Arc::new(Queue::new(limits.max_queue)),
            poison: PoisonMemory::new(limits.poison_memory),
            limits,
        }
    }
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Self {
        let seconds = |value: u64| Duration::from_secs(value.max(1));
        let gateway = &config.gateway;
        Self {
            acquire_timeout: seconds(gateway.acquire_timeout_s),
            supervisor_patience: Duration::from_secs(config.supervisor.orphan_grace_s) + SUPERVISOR_START,
            max_queue: gateway.max_queue,
            queue_timeout: seconds(gateway.queue_timeout_s),
            request_timeout: (gateway.request_timeout_s > 0).then(|| seconds(gateway.request_timeout_s)),
            poison_memory: Duration::from_secs(gateway.poison_memory_s),
        }
    }
}
