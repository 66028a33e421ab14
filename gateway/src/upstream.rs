//! Everything behind the gateway: the supervisor that lends workers, the workers that generate and embed. Only here
//! are a worker's death and its successor known; what comes out is one gapless stream of events, or all vectors.

mod connection;
mod embedding;
mod event;
mod failure;
mod generation;
mod lease;
mod supervisor;

use std::{sync::Arc, time::Duration};

use impetus_proto::worker::GenerateRequest;

pub(crate) use embedding::{Embedded, EmbeddingRequest, embed};
pub(crate) use event::{Event, Finished};
pub(crate) use generation::{Events, generate};

use connection::Connections;

/// One completion on its way to a worker.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Follows the request through every process.
    pub(crate) id: Arc<str>,
    /// What the client named; empty means the default model.
    pub(crate) model: String,
    /// What the worker gets; its `model` and `resume` are filled in here.
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
    acquire_timeout: Duration,
}

impl Upstream {
    /// `socket` is the supervisor's; `acquire_timeout` bounds the wait of one request for its model.
    pub(crate) fn new(socket: &str, acquire_timeout: Duration) -> Self {
        Self { supervisor: format!("unix://{socket}"), connections: Connections::default(), acquire_timeout }
    }
}
