//! A streamed answer: each event as a server-sent one, with signs of life in between. What is at hand at the same
//! moment leaves together, in as few writes as it takes; nothing waits for anything.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use impetus_proto::Error;
use serde::Serialize;

use super::{
    answer::Envelope,
    error::ErrorBody,
    request::{Delivery, UsageAsked},
    shape::Shape,
    usage::{ChunkUsage, Timings, Usage},
};
use crate::{
    dialect::{
        choices::{ChoiceEvent, Count},
        cost::Cost,
        frames::Frames,
        silence::Silence,
    },
    error::Failure,
    metrics::{self, Stage},
    upstream::Event,
};

/// The end of a stream that went well.
const DONE: &[u8] = b"data: [DONE]\n\n";

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

/// What a chunk has behind the fields that all of them repeat.
#[derive(Serialize)]
struct Rest<'a, C> {
    choices: &'a [C],
    #[serde(skip_serializing_if = "ChunkUsage::is_unasked")]
    usage: ChunkUsage,
    #[serde(skip_serializing_if = "Option::is_none")]
    timings: Option<Timings>,
}

/// The body of a streamed answer.
struct Body<S: Shape, E> {
    /// Absent when nobody wants more of them.
    events: Option<E>,
    /// Choices that have not ended.
    running: BTreeSet<u32>,
    /// By the choice.
    said: Vec<S::Said>,
    count: Count,
    shape: S,
    chunks: Chunks,
    silence: Silence,
}

/// Writes chunks.
struct Chunks {
    frames: Frames,
    delivery: Delivery,
    cost: Cost,
}

/// The body of a streamed answer. It ends with `[DONE]` when every choice is whole and with an error otherwise.
pub(super) fn body<S: Shape>(
    head: Head<S>,
    events: impl Stream<Item = Result<ChoiceEvent, Error>> + Send + Unpin + 'static,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let Head { envelope, shape, delivery, count, keep_alive } = head;
    let frames = Frames::beginning_with(&envelope);
    let mut chunks = Chunks { frames, delivery, cost: Cost::default() };
    for index in 0..count.total() {
        if let Some(opening) = shape.opening(index) {
            chunks.write(&opening);
        }
    }
    Body {
        events: Some(events),
        running: (0..count.total()).collect(),
        said: std::iter::repeat_with(S::Said::default).take(count.total() as usize).collect(),
        count,
        shape,
        chunks,
        silence: Silence::new(keep_alive),
    }
}

impl<S: Shape, E: Stream<Item = Result<ChoiceEvent, Error>> + Unpin> Stream for Body<S, E> {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let body = self.get_mut();
        while let Some(&first) = body.running.first()
            && let Some(events) = &mut body.events
            && !body.chunks.frames.is_full()
        {
            match events.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(said))) => {
                    let begun = Instant::now();
                    body.hear(said);
                    metrics::spent(Stage::Sse, begun.elapsed());
                }
                Poll::Ready(failed) => body.fail(failed.and_then(Result::err)),
                Poll::Pending if body.chunks.frames.is_empty() => {
                    ready!(body.silence.poll(cx));
                    // A chunk that carries nothing. Comments will not do: several clients do not count them as a sign
                    // of life.
                    body.chunks.write(&body.shape.silence(first));
                }
                Poll::Pending => break,
            }
        }
        let written = body.chunks.frames.take();
        body.silence.is_broken();
        Poll::Ready((!written.is_empty()).then_some(Ok(written)))
    }
}

// Nothing of it is pinned in place.
impl<S: Shape, E> Unpin for Body<S, E> {}

impl<S: Shape, E> Body<S, E> {
    /// Writes what an event is to the client.
    fn hear(&mut self, ChoiceEvent { index, event }: ChoiceEvent) {
        let (prompt, said) = (self.count.prompt_of(index), &mut self.said[index as usize]);
        let (shape, chunks) = (&self.shape, &mut self.chunks);
        match event {
            Event::Accepted { prompt_tokens, .. } => chunks.cost.accepted(prompt, index, prompt_tokens),
            Event::Prompt(prompt) => {
                if let Some(chunk) = shape.prompt(index, said, prompt) {
                    chunks.write(&chunk);
                }
            }
            Event::Delta(delta) => {
                chunks.cost.went_on(index, delta.n_tokens);
                shape.delta(index, said, delta, |chunk| chunks.write(&chunk));
            }
            Event::Finished(finished) => {
                chunks.cost.add(prompt, index, &finished);
                shape.delta(index, said, finished.rest, |chunk| chunks.write(&chunk));
                chunks.write(&shape.end(index, finished.reason));
                self.running.remove(&index);
                if self.running.is_empty() {
                    chunks.end();
                }
            }
        }
    }

    /// Writes why there is no more; absent where nobody knows.
    fn fail(&mut self, error: Option<Error>) {
        // The client may be slow to take the error; the other choices end now.
        self.events = None;
        let failure = error.map_or_else(Failure::defect, Failure::from);
        self.chunks.frames.event(&ErrorBody::of(&failure));
    }
}

impl Chunks {
    fn write(&mut self, choice: &impl Serialize) {
        let Delivery { usage, is_obfuscated, continuous_timings, .. } = self.delivery;
        let usage = match usage {
            UsageAsked::Always => ChunkUsage::Now(Usage::of(&self.cost)),
            wish => ChunkUsage::before_the_end(wish == UsageAsked::AtTheEnd),
        };
        let timings = continuous_timings.then(|| Timings::of(&self.cost));
        self.frames.chunk(&Rest { choices: std::slice::from_ref(choice), usage, timings }, is_obfuscated);
    }

    /// Writes what the answer cost, where the client asked, and that it is whole.
    fn end(&mut self) {
        if self.delivery.usage != UsageAsked::Never {
            let (usage, timings) = (ChunkUsage::Now(Usage::of(&self.cost)), Some(Timings::of(&self.cost)));
            self.frames.chunk(&Rest::<()> { choices: &[], usage, timings }, false);
        }
        self.frames.put(DONE);
    }
}

#[cfg(test)]
mod tests;
