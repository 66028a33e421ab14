//! A streamed answer: each event as a server-sent one, with signs of life in between.

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use async_stream::stream;
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use impetus_proto::Error;
use rand::Rng;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::{
    answer::Envelope,
    choices::{ChoiceEvent, Count},
    error::ErrorBody,
    request::{Delivery, UsageAsked},
    shape::Shape,
    usage::{ChunkUsage, Cost, Timings, Usage},
};
use crate::{error::Failure, upstream::Event};

/// The end of a stream that went well.
const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// What the frames of an obfuscated stream are multiples of, and what the field of the padding itself takes, in bytes.
const PADDED_BYTES: usize = 128;
const PADDING_FIELD_BYTES: usize = r#","obfuscation":"""#.len();

/// What is known of a stream before it begins.
#[derive(Debug)]
pub(super) struct Head<S> {
    pub(super) envelope: Envelope,
    pub(super) shape: S,
    pub(super) delivery: Delivery,
    pub(super) count: Count,
    /// The stream is never silent for longer.
    pub(super) keep_alive: Duration,
}

#[derive(Serialize)]
struct Chunk<'a, C> {
    #[serde(flatten)]
    envelope: &'a Envelope,
    choices: &'a [C],
    #[serde(skip_serializing_if = "ChunkUsage::is_unasked")]
    usage: ChunkUsage,
    #[serde(skip_serializing_if = "Option::is_none")]
    timings: Option<Timings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    obfuscation: Option<String>,
}

impl<S: Shape> Head<S> {
    fn chunk(&self, choice: &S::Chunk, cost: &Cost) -> Bytes {
        let Delivery { usage, is_obfuscated, continuous_timings, .. } = self.delivery;
        let usage = match usage {
            UsageAsked::Always => ChunkUsage::Now(Usage::of(cost)),
            wish => ChunkUsage::before_the_end(wish == UsageAsked::AtTheEnd),
        };
        let choices = std::slice::from_ref(choice);
        let timings = continuous_timings.then(|| Timings::of(cost));
        let mut chunk = Chunk { envelope: &self.envelope, choices, usage, timings, obfuscation: None };
        let bytes = frame(&chunk);
        if !is_obfuscated {
            return bytes;
        }
        chunk.obfuscation = Some(padding(bytes.len()));
        frame(&chunk)
    }

    /// What the answer cost, where the client asked.
    fn usage(&self, cost: &Cost) -> Option<Bytes> {
        (self.delivery.usage != UsageAsked::Never).then(|| {
            let (usage, timings) = (ChunkUsage::Now(Usage::of(cost)), Some(Timings::of(cost)));
            let envelope = &self.envelope;
            frame(&Chunk::<()> { envelope, choices: &[], usage, timings, obfuscation: None })
        })
    }

    /// What an event of the choice `index` is to the client.
    fn chunks(&self, index: u32, event: Event, said: &mut S::Said, cost: &mut Cost) -> Vec<S::Chunk> {
        let prompt = self.count.prompt_of(index);
        match event {
            Event::Accepted { prompt_tokens, .. } => {
                cost.accepted(prompt, index, prompt_tokens);
                Vec::new()
            }
            Event::Prompt(prompt) => self.shape.prompt(index, said, prompt).into_iter().collect(),
            Event::Delta(delta) => {
                cost.went_on(index, delta.n_tokens);
                self.shape.delta(index, said, delta)
            }
            Event::Finished(finished) => {
                cost.add(prompt, index, &finished);
                let mut chunks = self.shape.delta(index, said, finished.rest);
                chunks.push(self.shape.end(index, finished.reason));
                chunks
            }
        }
    }
}

/// The body of a streamed answer. It ends with `[DONE]` when every choice is whole and with an error otherwise.
pub(super) fn body<S: Shape>(
    head: Head<S>,
    mut events: impl Stream<Item = Result<ChoiceEvent, Error>> + Send + Unpin + 'static,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    stream! {
        let n_choices = head.count.total();
        let mut running: BTreeSet<u32> = (0..n_choices).collect();
        let mut cost = Cost::default();
        for index in 0..n_choices {
            if let Some(opening) = head.shape.opening(index) {
                yield Ok(head.chunk(&opening, &cost));
            }
        }
        let mut said: Vec<S::Said> = std::iter::repeat_with(S::Said::default).take(n_choices as usize).collect();
        let mut spoken = Instant::now();
        while let Some(&first) = running.first() {
            let chunks = match timeout_at(spoken + head.keep_alive, events.next()).await {
                // A chunk that carries nothing. Comments will not do: several clients do not count them as a sign
                // of life.
                Err(_) => vec![head.shape.silence(first)],
                Ok(Some(Ok(ChoiceEvent { index, event }))) => {
                    if matches!(event, Event::Finished(_)) {
                        running.remove(&index);
                    }
                    head.chunks(index, event, &mut said[index as usize], &mut cost)
                }
                Ok(failed) => {
                    // The client may be slow to take the error; the other choices end now.
                    drop(events);
                    let error = failed.and_then(Result::err);
                    yield Ok(frame(&ErrorBody::of(&error.map_or_else(Failure::defect, Failure::from))));
                    return;
                }
            };
            for chunk in chunks {
                yield Ok(head.chunk(&chunk, &cost));
                spoken = Instant::now();
            }
        }
        if let Some(usage) = head.usage(&cost) {
            yield Ok(usage);
        }
        yield Ok(DONE);
    }
}

/// Random characters that bring a frame of `bytes` to a length that says little of its text.
fn padding(bytes: usize) -> String {
    let padded = (bytes + PADDING_FIELD_BYTES).next_multiple_of(PADDED_BYTES);
    let length = padded - bytes - PADDING_FIELD_BYTES;
    rand::rng().sample_iter(rand::distr::Alphanumeric).take(length).map(char::from).collect()
}

/// One server-sent event.
pub(super) fn frame(chunk: &impl Serialize) -> Bytes {
    let mut frame = BytesMut::with_capacity(256);
    frame.put_slice(b"data: ");
    serde_json::to_writer((&mut frame).writer(), chunk).expect("our own chunks serialize into memory");
    frame.put_slice(b"\n\n");
    frame.freeze()
}

#[cfg(test)]
mod tests;
