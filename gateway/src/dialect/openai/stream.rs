//! A streamed answer: each event as a server-sent one, with signs of life in between.

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use async_stream::stream;
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use impetus_proto::Error;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::{
    answer::Envelope,
    choices::ChoiceEvent,
    error::ErrorBody,
    shape::{Shape, finish_reason},
    usage::{ChunkUsage, Cost, Timings, Usage},
};
use crate::{error::Failure, upstream::Event};

/// The end of a stream that went well.
const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// What is known of a stream before it begins.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) envelope: Envelope,
    pub(super) include_usage: bool,
    pub(super) n_choices: u32,
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
}

impl Head {
    fn chunk(&self, choice: impl Serialize) -> Bytes {
        let usage = ChunkUsage::before_the_end(self.include_usage);
        frame(&Chunk { envelope: &self.envelope, choices: &[choice], usage, timings: None })
    }

    /// What the answer cost, where the client asked.
    fn usage(&self, cost: &Cost) -> Option<Bytes> {
        self.include_usage.then(|| {
            let (usage, timings) = (ChunkUsage::Now(Usage::of(cost)), Some(Timings::of(cost)));
            frame(&Chunk::<()> { envelope: &self.envelope, choices: &[], usage, timings })
        })
    }
}

/// The body of a streamed answer. It ends with `[DONE]` when every choice is whole and with an error otherwise.
pub(super) fn body<S: Shape>(
    head: Head,
    mut events: impl Stream<Item = Result<ChoiceEvent, Error>> + Send + Unpin + 'static,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    stream! {
        let mut running: BTreeSet<u32> = (0..head.n_choices).collect();
        for index in 0..head.n_choices {
            if let Some(opening) = S::opening(index).map(|choice| head.chunk(choice)) {
                yield Ok(opening);
            }
        }
        let mut cost = Cost::default();
        let mut spoken = Instant::now();
        while let Some(&first) = running.first() {
            let said = match timeout_at(spoken + head.keep_alive, events.next()).await {
                // A chunk that carries nothing. Comments will not do: several clients do not count them as a sign
                // of life.
                Err(_) => head.chunk(S::chunk(first, None, None)),
                Ok(Some(Ok(ChoiceEvent { index, event }))) => match event {
                    Event::Delta(delta) if !delta.text().is_empty() => {
                        head.chunk(S::chunk(index, Some(&delta.text()), None))
                    }
                    Event::Accepted { .. } | Event::Prompt(_) | Event::Delta(_) => continue,
                    Event::Finished(finished) => {
                        let rest = finished.rest.text();
                        if !rest.is_empty() {
                            yield Ok(head.chunk(S::chunk(index, Some(&rest), None)));
                        }
                        cost.add(&finished);
                        running.remove(&index);
                        head.chunk(S::chunk(index, None, Some(finish_reason(finished.reason))))
                    }
                },
                Ok(failed) => {
                    // The client may be slow to take the error; the other choices end now.
                    drop(events);
                    let error = failed.and_then(Result::err);
                    yield Ok(frame(&ErrorBody::of(&error.map_or_else(Failure::defect, Failure::from))));
                    return;
                }
            };
            yield Ok(said);
            spoken = Instant::now();
        }
        if let Some(usage) = head.usage(&cost) {
            yield Ok(usage);
        }
        yield Ok(DONE);
    }
}

/// One server-sent event.
fn frame(chunk: &impl Serialize) -> Bytes {
    let mut frame = BytesMut::with_capacity(256);
    frame.put_slice(b"data: ");
    serde_json::to_writer((&mut frame).writer(), chunk).expect("our own chunks serialize into memory");
    frame.put_slice(b"\n\n");
    frame.freeze()
}

#[cfg(test)]
mod tests;
