//! The events of a streamed response, each with its type twice, as the API has it: in the event's name and in its data.

use bytes::{BufMut, Bytes, BytesMut};
use impetus_proto::Error;
use rand::Rng;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    output::{Logprob, Output, Part},
    response::Response,
};
use crate::metrics::{Stage, Stopwatch};

/// The event that carries nothing, where a stream is one of several of the same response.
const KEEP_ALIVE: &str = "keepalive";

/// The status of what has no other end.
const FAILED: &str = "failed";

/// The most letters that hide the length of a delta.
const MAX_NOISE: usize = 16;

/// An event on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) sequence_number: u64,
    pub(super) bytes: Bytes,
    /// It says nothing that a later event does not say again.
    pub(super) is_delta: bool,
}

/// What an event says beside its type and number.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Say<'a> {
    Response {
        response: &'a Response,
    },
    Item {
        output_index: usize,
        item: &'a Output,
    },
    Part {
        item_id: &'a str,
        output_index: usize,
        content_index: u32,
        part: &'a Part,
    },
    SummaryPart {
        item_id: &'a str,
        output_index: usize,
        summary_index: u32,
        part: &'a Part,
    },
    TextDelta {
        item_id: &'a str,
        output_index: usize,
        content_index: u32,
        delta: &'a str,
        logprobs: &'a [Logprob],
    },
    TextDone {
        item_id: &'a str,
        output_index: usize,
        content_index: u32,
        text: &'a str,
        logprobs: &'a [Logprob],
    },
    ThoughtDelta {
        item_id: &'a str,
        output_index: usize,
        content_index: u32,
        delta: &'a str,
    },
    ThoughtDone {
        item_id: &'a str,
        output_index: usize,
        content_index: u32,
        text: &'a str,
    },
    SummaryDelta {
        item_id: &'a str,
        output_index: usize,
        summary_index: u32,
        delta: &'a str,
    },
    SummaryDone {
        item_id: &'a str,
        output_index: usize,
        summary_index: u32,
        text: &'a str,
    },
    CallDelta {
        item_id: &'a str,
        output_index: usize,
        delta: &'a str,
    },
    ArgumentsDone {
        item_id: &'a str,
        output_index: usize,
        name: &'a str,
        arguments: &'a str,
    },
    InputDone {
        item_id: &'a str,
        output_index: usize,
        input: &'a str,
    },
}

/// Numbers events and writes them.
#[derive(Debug)]
pub(super) struct Teller {
    next_number: u64,
    frames: Vec<Frame>,
    /// Whether anybody reads them.
    is_heard: bool,
    /// Whether lengths of deltas are to tell nothing of their texts.
    is_obfuscated: bool,
}

#[derive(Serialize)]
struct End<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    sequence_number: u64,
    response: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct KeepAlive {
    #[serde(rename = "type")]
    kind: &'static str,
    sequence_number: u64,
}

#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    sequence_number: u64,
    #[serde(flatten)]
    say: Say<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    obfuscation: Option<String>,
}

impl Say<'_> {
    /// Whether it says nothing that a later event does not say again.
    fn is_delta(&self) -> bool {
        matches!(
            self,
            Self::TextDelta { .. }
                | Self::ThoughtDelta { .. }
                | Self::SummaryDelta { .. }
                | Self::CallDelta { .. }
        )
    }
}

impl Teller {
    /// Nothing has been told yet; nothing is, unless it `is_heard`.
    pub(super) fn new(is_heard: bool, is_obfuscated: bool) -> Self {
        Self { next_number: 0, frames: Vec::new(), is_heard, is_obfuscated }
    }

    /// Tells the event `kind`.
    pub(super) fn tell(&mut self, kind: &'static str, say: Say<'_>) {
        if self.is_heard {
            let is_delta = say.is_delta();
            let obfuscation = (is_delta && self.is_obfuscated).then(noise);
            let event = Event { kind, sequence_number: self.next_number, say, obfuscation };
            let bytes = written(kind, &event);
            self.frames.push(Frame { sequence_number: self.next_number, bytes, is_delta });
            self.next_number += 1;
        }
    }

    /// What was told since the last time.
    pub(super) fn take(&mut self) -> Vec<Frame> {
        std::mem::take(&mut self.frames)
    }
}

impl Frame {
    /// Frames as they are kept: a JSON array of pairs of their number and text.
    pub(super) fn to_json(frames: &[Self]) -> Result<String, Error> {
        let pairs: Vec<_> = frames
            .iter()
            .map(|frame| (frame.sequence_number, String::from_utf8_lossy(&frame.bytes)))
            .collect();
        serde_json::to_string(&pairs).map_err(|error| Error::internal(error.to_string()))
    }

    /// Frames that were kept so.
    pub(super) fn of_json(json: &str) -> Result<Vec<Self>, Error> {
        let pairs: Vec<(u64, String)> = serde_json::from_str(json)
            .map_err(|error| Error::internal(format!("events that were kept are no JSON: {error}")))?;
        let frame = |(sequence_number, text): (u64, String)| Self {
            sequence_number,
            bytes: text.into(),
            is_delta: false,
        };
        Ok(pairs.into_iter().map(frame).collect())
    }

    /// An event that carries nothing, behind the one of this number: clients that go on later do so from there.
    pub(super) fn keep_alive(sequence_number: u64) -> Bytes {
        let event = KeepAlive { kind: KEEP_ALIVE, sequence_number };
        written(KEEP_ALIVE, &event)
    }

    /// The end, under this number, of a response that is kept without its events.
    pub(super) fn end_of(sequence_number: u64, object: &Map<String, Value>) -> Bytes {
        let status = object.get("status").and_then(Value::as_str).unwrap_or(FAILED);
        let kind = format!("response.{status}");
        written(&kind, &End { kind: &kind, sequence_number, response: object })
    }
}

/// One server-sent event.
fn written(kind: &str, event: &impl Serialize) -> Bytes {
    let _counted = Stopwatch::of(Stage::Sse);
    let mut bytes = BytesMut::with_capacity(256);
    bytes.put_slice(b"event: ");
    bytes.put_slice(kind.as_bytes());
    bytes.put_slice(b"\ndata: ");
    serde_json::to_writer((&mut bytes).writer(), event).expect("our own events serialize into memory");
    bytes.put_slice(b"\n\n");
    bytes.freeze()
}

/// Letters of a random number.
fn noise() -> String {
    let mut random = rand::rng();
    let n_letters = random.random_range(1..=MAX_NOISE);
    random.sample_iter(rand::distr::Alphanumeric).take(n_letters).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics;

    #[test]
    fn the_time_of_writing_is_counted() {
        let mut teller = Teller::new(true, false);
        let before = metrics::so_far(Stage::Sse);
        teller
            .tell("response.output_text.delta", Say::CallDelta { item_id: "", output_index: 0, delta: "a" });
        assert_eq!(teller.take().len(), 1);
        assert!(metrics::so_far(Stage::Sse) > before);
    }
}
