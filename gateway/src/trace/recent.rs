//! The traces of the requests that ended last, for whoever wants to see one's way without a collector. They are kept in
//! memory, so many requests and so many spans.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::UNIX_EPOCH,
};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use tokio::time::Instant;

use super::{
    running::Finished,
    span::{Event, Process, Span, Value},
};

/// Requests that are remembered, and spans of all of them together.
const MAX_REQUESTS: usize = 200;
const MAX_SPANS: usize = 5000;

/// What has the request's id.
pub(super) const REQUEST_ID: &str = "impetus.request_id";

/// What only requests have that models work for.
const OPERATION: &str = "gen_ai.operation.name";

/// The last requests. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    /// The oldest first.
    traces: VecDeque<Arc<Finished>>,
    n_spans: usize,
}

/// A request that is over.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct RequestSummary {
    pub(crate) id: String,
    /// When it came.
    pub(crate) unix_ms: u64,
    pub(crate) took_ms: f64,
    pub(crate) path: String,
    pub(crate) model: Option<String>,
    /// The name of the key that it came with.
    pub(crate) key: Option<String>,
    /// HTTP's; 499: the client left.
    pub(crate) status: u64,
    /// The code of the error that it ended in.
    pub(crate) error: Option<String>,
    pub(crate) first_token_ms: Option<f64>,
    pub(crate) prompt_tokens: Option<u64>,
    pub(crate) completion_tokens: Option<u64>,
}

/// A request with its way through the processes.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct RequestTrace {
    #[serde(flatten)]
    pub(crate) summary: RequestSummary,
    /// The first is the whole request.
    pub(crate) spans: Vec<TraceSpan>,
}

/// A part of what became of a request, in one process.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct TraceSpan {
    /// gateway, supervisor or worker
    process: &'static str,
    name: String,
    /// The place of the span that this one is within.
    parent: Option<usize>,
    /// From the request's beginning.
    start_ms: f64,
    took_ms: f64,
    /// Why it did not succeed.
    error: Option<String>,
    attributes: Map<String, Json>,
    events: Vec<SpanEvent>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct SpanEvent {
    name: &'static str,
    /// From the request's beginning.
    at_ms: f64,
    attributes: Map<String, Json>,
}

impl Recent {
    /// Remembers a request, if models worked for it.
    pub(super) fn keep(&self, trace: Arc<Finished>) {
        if trace.text(OPERATION).is_none() {
            return;
        }
        let mut ring = self.ring();
        ring.n_spans += trace.spans.len();
        ring.traces.push_back(trace);
        while ring.traces.len() > MAX_REQUESTS || ring.n_spans > MAX_SPANS && ring.traces.len() > 1 {
            let Some(oldest) = ring.traces.pop_front() else { return };
            ring.n_spans -= oldest.spans.len();
        }
    }

    /// So many, the latest first.
    pub(crate) fn list(&self, max: usize) -> Vec<RequestSummary> {
        let traces: Vec<Arc<Finished>> = self.ring().traces.iter().rev().take(max).cloned().collect();
        traces.iter().map(|trace| trace.summary()).collect()
    }

    /// The latest of this id.
    pub(crate) fn find(&self, id: &str) -> Option<RequestTrace> {
        let is_it = |trace: &&Arc<Finished>| trace.text(REQUEST_ID).as_deref() == Some(id);
        let trace = self.ring().traces.iter().rev().find(is_it).cloned()?;
        Some(RequestTrace { summary: trace.summary(), spans: trace.told() })
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Finished {
    fn root(&self) -> Option<&Span> {
        self.spans.first()
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.root()?.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<u64> {
        match self.value(name)? {
            Value::Number(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    fn summary(&self) -> RequestSummary {
        let (began, start) = self.context.began;
        let first_token =
            self.root().and_then(|root| root.events.iter().find(|event| event.name == "gen_ai.first_token"));
        let unix_ms = began.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        RequestSummary {
            id: self.text(REQUEST_ID).unwrap_or_default(),
            unix_ms: u64::try_from(unix_ms).unwrap_or(u64::MAX),
            took_ms: self.root().map_or(0.0, |root| ms(root.start, root.end)),
            path: self.text("http.route").unwrap_or_default(),
            model: self.text("gen_ai.response.model").or_else(|| self.text("gen_ai.request.model")),
            key: self.text("impetus.key"),
            status: self.number("http.response.status_code").unwrap_or_default(),
            error: self.text("error.type"),
            first_token_ms: first_token.map(|event| ms(start, event.at)),
            prompt_tokens: self.number("gen_ai.usage.input_tokens"),
            completion_tokens: self.number("gen_ai.usage.output_tokens"),
        }
    }

    /// Its spans in the order in which they began.
    fn told(&self) -> Vec<TraceSpan> {
        let Some((root, others)) = self.spans.split_first() else { return Vec::new() };
        let mut others: Vec<&Span> = others.iter().collect();
        others.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        let spans: Vec<&Span> = std::iter::once(root).chain(others).collect();
        let place = |parent| spans.iter().position(|span| span.id == parent);
        let told = |span: &&Span| TraceSpan {
            process: match span.process {
                Process::Gateway => "gateway",
                Process::Supervisor => "supervisor",
                Process::Worker => "worker",
            },
            name: span.name.clone(),
            parent: place(span.parent),
            start_ms: ms(root.start, span.start),
            took_ms: ms(span.start, span.end),
            error: span.failure.clone(),
            attributes: attributes(&span.attributes),
            events: span.events.iter().map(|event| told_event(event, root.start)).collect(),
        };
        spans.iter().map(told).collect()
    }
}

fn told_event(event: &Event, began: Instant) -> SpanEvent {
    SpanEvent { name: event.name, at_ms: ms(began, event.at), attributes: attributes(&event.attributes) }
}

fn attributes(attributes: &[(&'static str, Value)]) -> Map<String, Json> {
    let json = |value: &Value| match value {
        Value::Text(text) => text.as_str().into(),
        Value::Number(number) => (*number).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::Texts(texts) => texts.clone().into(),
    };
    attributes.iter().map(|(name, value)| ((*name).to_owned(), json(value))).collect()
}

/// Milliseconds with three places. What a worker says of its time may begin before the request did.
fn ms(from: Instant, to: Instant) -> f64 {
    let micros = |from: Instant, to: Instant| to.saturating_duration_since(from).as_micros() as f64;
    (micros(from, to) - micros(to, from)) / 1000.0
}
