//! A streamed answer: each event as a server-sent one, with signs of life in between.

use std::{convert::Infallible, time::Duration};

use async_stream::stream;
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use impetus_proto::Error;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::error::ErrorBody;
use crate::{
    error::Failure,
    upstream::{Event, Finished},
};

/// The end of a stream that went well.
const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// How an endpoint writes the parts of a stream.
pub(super) trait Chunks: Send + 'static {
    /// What comes before any text, if the endpoint has such a thing.
    fn opening(&self) -> Option<Bytes>;
    /// A piece of text.
    fn text(&self, text: &str) -> Bytes;
    /// A chunk that carries nothing. Comments will not do: several clients do not count them as a sign of life.
    fn heartbeat(&self) -> Bytes;
    /// Why the text ended.
    fn finish(&self, finished: &Finished) -> Bytes;
    /// What it cost, where the client asked.
    fn usage(&self, finished: &Finished) -> Option<Bytes>;
}

/// One server-sent event.
pub(super) fn frame(chunk: &impl Serialize) -> Bytes {
    let mut frame = BytesMut::with_capacity(256);
    frame.put_slice(b"data: ");
    serde_json::to_writer((&mut frame).writer(), chunk).expect("our own chunks serialize into memory");
    frame.put_slice(b"\n\n");
    frame.freeze()
}

/// The body of a streamed answer. It is never silent for longer than `keep_alive`, and ends with `[DONE]` when the
/// completion is whole and with an error otherwise.
pub(super) fn body<C: Chunks>(
    chunks: C,
    mut events: impl Stream<Item = Result<Event, Error>> + Send + Unpin + 'static,
    keep_alive: Duration,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    stream! {
        if let Some(opening) = chunks.opening() {
            yield Ok(opening);
        }
        let mut spoken = Instant::now();
        loop {
            let said = match timeout_at(spoken + keep_alive, events.next()).await {
                Err(_) => chunks.heartbeat(),
                Ok(Some(Ok(Event::Delta { text, .. }))) if !text.is_empty() => chunks.text(&text),
                Ok(Some(Ok(Event::Accepted { .. } | Event::Delta { .. }))) => continue,
                Ok(Some(Ok(Event::Finished(finished)))) => {
                    if !finished.text.is_empty() {
                        yield Ok(chunks.text(&finished.text));
                    }
                    yield Ok(chunks.finish(&finished));
                    if let Some(usage) = chunks.usage(&finished) {
                        yield Ok(usage);
                    }
                    yield Ok(DONE);
                    return;
                }
                Ok(Some(Err(error))) => {
                    yield Ok(frame(&ErrorBody::of(&error.into())));
                    return;
                }
                Ok(None) => {
                    yield Ok(frame(&ErrorBody::of(&Failure::defect())));
                    return;
                }
            };
            yield Ok(said);
            spoken = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests;
