//! Traces: what became of a request, as spans of all three processes. The gateway alone has a network client, and it
//! hears from supervisor and worker how long everything took; it writes their spans with their own names.
//!
//! Every request that models work for is traced and remembered for a while; what is sampled is sent besides. Prompts and
//! outputs are in no span.

mod context;
mod export;
mod recent;
mod running;
mod send;
mod span;
mod wire;

use std::{ops::Deref, sync::Arc};

use impetus_proto::Error;
use tokio::time::Instant;

pub(crate) use export::Tracer;
pub(crate) use recent::{Recent, RequestSummary, RequestTrace};
pub(crate) use send::TraceError;
pub(crate) use span::{Kind, Process, Value};

use crate::error::Failure;

use running::Running;
use span::{Span, SpanId};

/// What a request is known by everywhere: its id, and the trace that is written of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestId {
    text: Arc<str>,
    trace: Trace,
}

/// The trace of one request; what holds it last sends it off.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace(Option<Arc<Running>>);

/// A span that lasts until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Open(Option<Inner>);

#[derive(Debug)]
struct Inner {
    running: Arc<Running>,
    span: std::sync::Mutex<Span>,
}

impl RequestId {
    pub(crate) fn new(text: Arc<str>, trace: Trace) -> Self {
        Self { text, trace }
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }
}

impl Deref for RequestId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl From<&str> for RequestId {
    fn from(text: &str) -> Self {
        Self::new(text.into(), Trace::default())
    }
}

impl From<String> for RequestId {
    fn from(text: String) -> Self {
        Self::new(text.into(), Trace::default())
    }
}

impl Trace {
    /// The trace's id, as logs show it; absent where it is not sent.
    pub(crate) fn id(&self) -> Option<String> {
        self.0.as_ref().filter(|running| running.is_sent()).map(|running| running.id())
    }

    /// Sets an attribute of the request's own span.
    pub(crate) fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(running) = &self.0 {
            running.root(|span| span.set(key, value.into()));
        }
    }

    /// Something happened to the request.
    pub(crate) fn event(&self, name: &'static str, attributes: Vec<(&'static str, Value)>) {
        if let Some(running) = &self.0 {
            running.root(|span| span.event(name, attributes));
        }
    }

    /// The request is over, with HTTP's status; `code` is what it failed with.
    pub(crate) fn end(&self, status: u16, code: Option<&'static str>) {
        if let Some(running) = &self.0 {
            running.root(|span| {
                span.set("http.response.status_code", u32::from(status).into());
                span.end = Instant::now();
                if let Some(code) = code {
                    span.set("error.type", code.into());
                    // As the conventions of HTTP have it: what the client did wrong is no error of the server.
                    if status >= 500 {
                        span.failure = Some(code.into());
                    }
                }
            });
        }
    }

    /// Begins a span in the request's own one.
    pub(crate) fn open(&self, process: Process, kind: Kind, name: &'static str) -> Open {
        Open(self.0.as_ref().map(|running| Inner::begin(running, running.root_id(), process, kind, name)))
    }
}

impl Open {
    /// Begins a span in this one.
    pub(crate) fn open(&self, process: Process, kind: Kind, name: &'static str) -> Self {
        Self(self.0.as_ref().map(|inner| {
            let parent = inner.locked(|span| span.id);
            Inner::begin(&inner.running, parent, process, kind, name)
        }))
    }

    /// Whether anything is written.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(inner) = &self.0 {
            inner.locked(|span| span.set(key, value.into()));
        }
    }

    pub(crate) fn event(&self, name: &'static str, attributes: Vec<(&'static str, Value)>) {
        if let Some(inner) = &self.0 {
            inner.locked(|span| span.event(name, attributes));
        }
    }

    /// What the span stands for did not succeed.
    pub(crate) fn fail(&self, code: &'static str, message: &str) {
        if let Some(inner) = &self.0 {
            inner.locked(|span| {
                span.set("error.type", code.into());
                span.failure = Some(message.to_owned());
            });
        }
    }

    /// The same of what was refused. Its words may have some of the request in them, and stay out.
    pub(crate) fn refused(&self, error: &Error) {
        if self.is_on() {
            let code = Failure::from(error.clone()).code;
            self.fail(code, code);
        }
    }

    /// A part of this span that is known only now.
    pub(crate) fn part(&self, process: Process, name: &'static str, start: Instant, end: Instant) {
        if let Some(inner) = &self.0 {
            let parent = inner.locked(|span| span.id);
            let span = Span { start, end, ..Span::new(parent, process, Kind::Internal, name) };
            inner.running.push(span);
        }
    }
}

impl Inner {
    fn begin(
        running: &Arc<Running>,
        parent: SpanId,
        process: Process,
        kind: Kind,
        name: &'static str,
    ) -> Self {
        Self { running: running.clone(), span: Span::new(parent, process, kind, name).into() }
    }

    fn locked<T>(&self, change: impl FnOnce(&mut Span) -> T) -> T {
        change(&mut self.span.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let span = self.locked(|span| {
            span.end = Instant::now();
            span.clone()
        });
        self.running.push(span);
    }
}

#[cfg(test)]
mod tests;
