//! The trace of a request that runs: its spans are collected until nobody works on it any more.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use tokio::{sync::mpsc, time::Instant};

use super::{
    context::Parent,
    recent::Recent,
    span::{Kind, Process, Span, SpanId},
};
use crate::metrics;

/// Spans of one request; more are left out. A request has a handful for each of its choices.
const MAX_SPANS: usize = 256;

#[derive(Debug)]
pub(super) struct Running {
    context: Context,
    root_id: SpanId,
    /// Absent where the trace is not to be sent.
    queue: Option<mpsc::Sender<Arc<Finished>>>,
    recent: Recent,
    collected: Mutex<Collected>,
}

/// What all spans of a trace share.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) trace_id: [u8; 16],
    pub(super) state: String,
    /// One moment on both clocks. Spans are measured by the one that never jumps.
    pub(super) began: (SystemTime, Instant),
}

#[derive(Debug)]
struct Collected {
    root: Span,
    others: Vec<Span>,
}

/// A trace that is ready to be sent.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) context: Context,
    pub(super) spans: Vec<Span>,
}

impl Running {
    /// The trace of a request that has come in just now, which goes to `queue`, if there is one, and is remembered among
    /// the `recent` ones when it is over.
    pub(super) fn begin(
        parent: Option<Parent>,
        name: String,
        queue: Option<mpsc::Sender<Arc<Finished>>>,
        recent: Recent,
    ) -> Self {
        let (trace_id, span_id, state) = match parent {
            Some(parent) => (parent.trace_id, parent.span_id, parent.state),
            None => (rand::random_range(1..=u128::MAX).to_be_bytes(), SpanId::default(), String::new()),
        };
        let root = Span::new(span_id, Process::Gateway, Kind::Server, name);
        let context = Context { trace_id, state, began: (SystemTime::now(), root.start) };
        let (root_id, collected) = (root.id, Collected { root, others: Vec::new() }.into());
        Self { context, root_id, queue, recent, collected }
    }

    /// Whether the trace will be sent.
    pub(super) fn is_sent(&self) -> bool {
        self.queue.is_some()
    }

    /// The id in hexadecimal digits.
    pub(super) fn id(&self) -> String {
        self.context.trace_id.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a String cannot fail");
            text
        })
    }

    pub(super) fn root_id(&self) -> SpanId {
        self.root_id
    }

    /// Changes the request's own span.
    pub(super) fn root(&self, change: impl FnOnce(&mut Span)) {
        change(&mut self.collected().root);
    }

    pub(super) fn push(&self, span: Span) {
        let mut collected = self.collected();
        if collected.others.len() < MAX_SPANS {
            collected.others.push(span);
        } else {
            metrics::spans("too_many", 1);
        }
    }

    fn collected(&self) -> MutexGuard<'_, Collected> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever let go last, the trace is whole now. It never waits for room.
impl Drop for Running {
    fn drop(&mut self) {
        let spans = {
            let mut collected = self.collected();
            let root = collected.root.clone();
            let mut spans = std::mem::take(&mut collected.others);
            spans.insert(0, root);
            spans
        };
        let n_spans = spans.len() as u64;
        let finished = Arc::new(Finished { context: self.context.clone(), spans });
        self.recent.keep(finished.clone());
        if self.queue.as_ref().is_some_and(|queue| queue.try_send(finished).is_err()) {
            metrics::spans("queue_full", n_spans);
        }
    }
}
