//! A streamed answer: a line of JSON for each event that says something, and a line that carries nothing where none has
//! for a while. What is at hand at the same moment leaves together.

use std::{convert::Infallible, time::Duration};

use async_stream::stream;
use axum::{
    body::Body,
    http::{HeaderValue, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{FutureExt, Stream, StreamExt};
use impetus_proto::{Error, worker::ToolCallDelta};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    error::ErrorBody,
    line::{Line, Piece, ToolCall, Totals, done_reason},
    logprob::Logprob,
    params::Endpoint,
};
use crate::{
    dialect::{
        call::{Begun, Call},
        choices::ChoiceEvent,
        cost::Cost,
        silence::Silence,
    },
    error::Failure,
    metrics::{Stage, Stopwatch},
    upstream::{Delta, Event, Finished, Part},
};

/// What leaves together, in bytes, but for the line that goes beyond it.
const FULL_BYTES: usize = 16 << 10;

/// What is set aside at once for what is to be written, in bytes.
const ROOM_BYTES: usize = 4 << 10;

/// What is known of a stream before it begins.
#[derive(Debug)]
pub(super) struct Head {
    /// As the client named it.
    pub(super) model: String,
    /// When the request came.
    pub(super) begun: Instant,
    /// The stream is never silent for longer.
    pub(super) keep_alive: Duration,
}

/// Writes lines.
struct Lines {
    head: Head,
    written: BytesMut,
    calls: Calls,
    cost: Cost,
    is_over: bool,
}

/// The calls of an answer. Each is told once it is whole, which is when something else follows.
#[derive(Default)]
struct Calls {
    begun: Begun,
    n_told: usize,
    open: Option<Call>,
}

/// The body of a streamed answer. Its last line says that it is done, or what failed.
pub(super) fn body<E: Endpoint>(
    head: Head,
    mut events: impl Stream<Item = Result<ChoiceEvent, Error>> + Send + Unpin + 'static,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let mut silence = Silence::new(head.keep_alive);
    let mut lines = Lines::new(head);
    stream! {
        while !lines.is_over {
            match silence.next(&mut events).await {
                None => lines.write::<E>(Piece::default(), Vec::new()),
                Some(said) => lines.take::<E>(said),
            }
            while !lines.is_over
                && lines.written.len() < FULL_BYTES
                && let Some(said) = events.next().now_or_never()
            {
                lines.take::<E>(said);
            }
            if !lines.written.is_empty() {
                yield Ok(lines.written.split().freeze());
                silence.is_broken();
            }
        }
    }
}

impl Lines {
    fn new(head: Head) -> Self {
        let written = BytesMut::with_capacity(ROOM_BYTES);
        Self { head, written, calls: Calls::default(), cost: Cost::default(), is_over: false }
    }

    /// Writes what an event is to the client, or why there is none.
    fn take<E: Endpoint>(&mut self, said: Option<Result<ChoiceEvent, Error>>) {
        let _counted = Stopwatch::of(Stage::Sse);
        match said {
            Some(Ok(said)) => self.hear::<E>(said.event),
            failed => {
                let error = failed.and_then(Result::err);
                let failure = error.map_or_else(Failure::defect, Failure::from);
                self.put(&ErrorBody::of(&failure));
                self.is_over = true;
            }
        }
    }

    fn hear<E: Endpoint>(&mut self, event: Event) {
        match event {
            Event::Accepted { prompt_tokens, .. } => self.cost.accepted(0, 0, prompt_tokens),
            Event::Prompt(_) => {}
            Event::Delta(delta) => {
                self.cost.went_on(0, delta.n_tokens);
                self.say::<E>(delta);
            }
            Event::Finished(finished) => self.finish::<E>(finished),
        }
    }

    fn say<E: Endpoint>(&mut self, delta: Delta) {
        let mut logprobs: Vec<Logprob> = delta.logprobs.into_iter().map(Logprob::from).collect();
        for part in delta.parts {
            let call = match &part {
                Part::ToolCall(piece) => self.calls.next(piece),
                Part::Text(_) | Part::Reasoning(_) => self.calls.close(),
            };
            if let Some(call) = call {
                self.write::<E>(
                    Piece { calls: vec![call], ..Piece::default() },
                    std::mem::take(&mut logprobs),
                );
            }
            let piece = match part {
                Part::Text(text) => Piece { text, ..Piece::default() },
                Part::Reasoning(thinking) => Piece { thinking, ..Piece::default() },
                Part::ToolCall(piece) => {
                    self.calls.add(&piece);
                    continue;
                }
            };
            self.write::<E>(piece, std::mem::take(&mut logprobs));
        }
        if !logprobs.is_empty() {
            self.write::<E>(Piece::default(), logprobs);
        }
    }

    fn finish<E: Endpoint>(&mut self, mut finished: Finished) {
        self.cost.add(0, 0, &finished);
        self.say::<E>(std::mem::take(&mut finished.rest));
        if let Some(call) = self.calls.close() {
            self.write::<E>(Piece { calls: vec![call], ..Piece::default() }, Vec::new());
        }
        let totals = Totals::of(&self.cost, self.head.begun.elapsed());
        let (said, reason) = (E::said(Piece::default()), done_reason(finished.reason));
        let line = Line::end(&self.head.model, said, reason, Some(totals));
        write(&mut self.written, &line);
        self.is_over = true;
    }

    fn write<E: Endpoint>(&mut self, piece: Piece, logprobs: Vec<Logprob>) {
        write(&mut self.written, &Line::piece(&self.head.model, E::said(piece), logprobs));
    }

    fn put(&mut self, line: &impl Serialize) {
        write(&mut self.written, line);
    }
}

impl Calls {
    /// The call that is whole now that this piece has come, if it begins another one.
    fn next(&mut self, piece: &ToolCallDelta) -> Option<ToolCall> {
        let id = self.begun.id(piece)?;
        let former = self.close();
        self.open = Some(Call { id, name: piece.name.clone(), arguments: String::new() });
        former
    }

    fn add(&mut self, piece: &ToolCallDelta) {
        if let Some(open) = &mut self.open {
            open.arguments.push_str(&piece.arguments);
        }
    }

    /// The call that is whole because it does not go on.
    fn close(&mut self) -> Option<ToolCall> {
        let call = ToolCall::of(self.n_told, self.open.take()?)?;
        self.n_told += 1;
        Some(call)
    }
}

/// An answer of lines.
pub(super) fn lines_of(body: Body) -> Response {
    let kind = (CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    ([kind], body).into_response()
}

/// One line.
pub(super) fn line(line: &impl Serialize) -> Bytes {
    let mut written = BytesMut::new();
    write(&mut written, line);
    written.freeze()
}

/// Writes a line.
fn write(written: &mut BytesMut, line: &impl Serialize) {
    serde_json::to_writer((&mut *written).writer(), line).expect("our own lines serialize into memory");
    written.put_u8(b'\n');
}

#[cfg(test)]
mod tests;
