//! One span: a part of what became of a request, in one process.

use tokio::time::Instant;

/// Events of one span; more are left out.
const MAX_EVENTS: usize = 64;

pub(super) type SpanId = [u8; 8];

/// The process that did the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    Gateway,
    Supervisor,
    Worker,
}

/// Which side of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Internal,
    Server,
    Client,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
    Texts(Vec<String>),
}

#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) id: SpanId,
    pub(super) parent: SpanId,
    pub(super) process: Process,
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) start: Instant,
    pub(super) end: Instant,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) events: Vec<Event>,
    /// Why it did not succeed.
    pub(super) failure: Option<String>,
}

/// Something that happened at one moment.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) at: Instant,
    pub(super) name: &'static str,
    pub(super) attributes: Vec<(&'static str, Value)>,
}

impl Process {
    pub(super) const ALL: [Self; 3] = [Self::Gateway, Self::Supervisor, Self::Worker];

    /// As `service.name` has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gateway => "impetus-gateway",
            Self::Supervisor => "impetus-supervisor",
            Self::Worker => "impetus-worker",
        }
    }
}

impl Span {
    /// A span that begins now.
    pub(super) fn new(parent: SpanId, process: Process, kind: Kind, name: impl Into<String>) -> Self {
        let (name, now) = (name.into(), Instant::now());
        let (attributes, events) = (Vec::new(), Vec::new());
        Self {
            id: new_id(),
            parent,
            process,
            kind,
            name,
            start: now,
            end: now,
            attributes,
            events,
            failure: None,
        }
    }

    /// Sets an attribute. A list grows instead.
    pub(super) fn set(&mut self, key: &'static str, value: Value) {
        match (self.attributes.iter_mut().find(|(known, _)| *known == key), value) {
            (Some((_, Value::Texts(texts))), Value::Texts(more)) => texts.extend(more),
            (Some((_, known)), value) => *known = value,
            (None, value) => self.attributes.push((key, value)),
        }
    }

    pub(super) fn event(&mut self, name: &'static str, attributes: Vec<(&'static str, Value)>) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(Event { at: Instant::now(), name, attributes });
        }
    }
}

/// A random id, which is never zero: that would be none.
fn new_id() -> SpanId {
    rand::random_range(1..=u64::MAX).to_be_bytes()
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::from(number as u64)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}
