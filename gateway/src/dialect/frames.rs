//! Server-sent events, written behind each other until they leave together.

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use rand::Rng;
use serde::Serialize;

use crate::metrics::{Stage, Stopwatch};

/// What begins an event, and what ends it.
const OPENING: &[u8] = b"data: ";
const CLOSING: &[u8] = b"\n\n";

/// What leaves together, in bytes, but for the event that goes beyond it.
const FULL_BYTES: usize = 16 << 10;

/// What is set aside at once for what is to be written, in bytes: room for some events, as most leave alone.
const ROOM_BYTES: usize = 4 << 10;

/// What the frames of an obfuscated stream are multiples of, and what the field of the padding itself takes, in bytes.
pub(super) const PADDED_BYTES: usize = 128;
const PADDING_NAME: &[u8] = br#","obfuscation":""#;
const PADDING_FIELD_BYTES: usize = PADDING_NAME.len() + 1;

/// The events of one stream, most of which are chunks that begin with the same fields.
#[derive(Debug)]
pub(super) struct Frames {
    /// A chunk up to where the fields of its own begin.
    beginning: Vec<u8>,
    written: BytesMut,
}

impl Frames {
    /// Events that have nothing in common.
    pub(super) fn new() -> Self {
        Self { beginning: Vec::new(), written: BytesMut::with_capacity(ROOM_BYTES) }
    }

    /// `envelope` is an object, whose fields are the first ones of every chunk.
    pub(super) fn beginning_with(envelope: &impl Serialize) -> Self {
        let mut beginning = OPENING.to_vec();
        serde_json::to_writer(&mut beginning, envelope).expect("our own chunks serialize into memory");
        // Its brace is closed behind the other fields.
        beginning.pop();
        Self { beginning, written: BytesMut::with_capacity(ROOM_BYTES) }
    }

    /// Writes a chunk with the fields of `rest`, an object that has some; one that is padded is of a length that says
    /// little of its text.
    pub(super) fn chunk(&mut self, rest: &impl Serialize, is_padded: bool) {
        let start = self.written.len();
        self.written.put_slice(&self.beginning);
        let brace = self.written.len();
        self.write(rest);
        self.written[brace] = b',';
        if is_padded {
            self.pad(start);
        }
        self.put(CLOSING);
    }

    /// Writes an event that is no chunk.
    pub(super) fn event(&mut self, data: &impl Serialize) {
        self.put(OPENING);
        self.write(data);
        self.put(CLOSING);
    }

    /// Writes an event that has a name beside its data.
    pub(super) fn named_event(&mut self, name: &str, data: &impl Serialize) {
        for part in ["event: ", name, "\n"] {
            self.put(part.as_bytes());
        }
        self.event(data);
    }

    /// Writes bytes as they are.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.written.put_slice(bytes);
    }

    /// Whether nothing is written that has not left.
    pub(super) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Whether what is written should leave before there is more.
    pub(super) fn is_full(&self) -> bool {
        self.written.len() >= FULL_BYTES
    }

    /// What was written since the last time. Its memory is used again once nobody holds it.
    pub(super) fn take(&mut self) -> Bytes {
        self.written.split().freeze()
    }

    fn write(&mut self, data: &impl Serialize) {
        let writer = (&mut self.written).writer();
        serde_json::to_writer(writer, data).expect("our own events serialize into memory");
    }

    /// Puts random characters into the object that ends here and whose event began at `start`.
    fn pad(&mut self, start: usize) {
        let n_bytes = self.written.len() - start + CLOSING.len() + PADDING_FIELD_BYTES;
        let n_random = n_bytes.next_multiple_of(PADDED_BYTES) - n_bytes;
        self.written.truncate(self.written.len() - 1);
        self.put(PADDING_NAME);
        self.written.extend(rand::rng().sample_iter(rand::distr::Alphanumeric).take(n_random));
        self.put(br#""}"#);
    }
}

/// One server-sent event.
pub(in crate::dialect) fn frame(data: &impl Serialize) -> Bytes {
    let _counted = Stopwatch::of(Stage::Sse);
    let mut frames = Frames { beginning: Vec::new(), written: BytesMut::with_capacity(256) };
    frames.event(data);
    frames.take()
}

/// An answer of server-sent events.
pub(super) fn event_stream(body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        // Reverse proxies hold back what they take for a page.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}
