//! `POST /v1/messages`

use std::{convert::Infallible, pin::Pin, time::Duration, time::Instant};

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::Request,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{FutureExt, Stream, StreamExt};
use impetus_proto::Error;
use tokio::time::timeout;

use super::{
    error::identify,
    message::Message,
    params::{Params, renamed},
    transcript::Transcript,
};
use crate::{
    dialect::{Refusal, frames::event_stream, silence::Silence},
    error::Failure,
    metrics::{self, Stage},
    record::Record,
    server::{self, Gateway},
    upstream::{self, Event},
};

/// What happens to a message, errors in the client's words.
type Events = Pin<Box<dyn Stream<Item = Result<Event, Error>> + Send>>;

/// A stream that is being written.
struct Running {
    transcript: Transcript,
    events: Events,
    keep_alive: Duration,
    request_id: String,
}

/// Makes the next message of a conversation, in the form that the request asks for.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let body = server::read_body(request, gateway.limits).await?;
    let mut params = Params::read(&body)?;
    drop(body);
    let named = params.model.clone();
    gateway.permit(&record.caller(), &mut params.model).await?;
    let ignored = std::mem::take(&mut params.ignored);
    let request_id = record.id().to_string();
    let message = Message::begin(named, params.has_edits);
    let transcript = Transcript::new(message, params.thoughts, params.is_streamed);
    let is_streamed = params.is_streamed;
    let events = events(&gateway, &record, params);
    let mut response = if is_streamed {
        let keep_alive = gateway.limits.keep_alive;
        let running = Running { transcript, events, keep_alive, request_id: request_id.clone() };
        streamed(running).await?
    } else {
        whole(transcript, events).await?
    };
    identify(&mut response, &request_id);
    ignored.write(response.headers_mut());
    Ok(response)
}

/// What workers say of the request.
fn events(gateway: &Gateway, record: &Record, params: Params) -> Events {
    let Params { model, generate, names, .. } = params;
    let request = upstream::Request { asked: record.asked(), model, generate, keep_alive: None };
    let events = record.observe(0, upstream::generate(gateway.upstream.clone(), request));
    Box::pin(events.map(move |event| event.map_err(|error| renamed(&names, error))))
}

/// The answer as one value.
async fn whole(mut transcript: Transcript, mut events: Events) -> Result<Response, Refusal> {
    while !transcript.is_over() {
        let event = events.next().await.ok_or_else(Failure::defect)?;
        transcript.take(event?);
    }
    Ok(Json(transcript.into_message()).into_response())
}

/// An answer whose head is sent as soon as there is nothing more to refuse, or has not been for `Limits::keep_alive`:
/// an error has a status only before the head, but some clients give up on a server that sends none.
async fn streamed(mut running: Running) -> Result<Response, Refusal> {
    // An elapsed timeout means that a model is being loaded, or that others are in turn.
    if let Ok(first) = timeout(running.keep_alive, running.events.next()).await {
        running.transcript.take(first.ok_or_else(Failure::defect)??);
    }
    running.transcript.begin();
    Ok(event_stream(Body::from_stream(body(running))))
}

/// The body of a streamed answer. It ends with `message_stop` when the message is whole and with an error otherwise.
fn body(running: Running) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let Running { mut transcript, events, keep_alive, request_id } = running;
    async_stream::stream! {
        let mut events = Some(events);
        let mut silence = Silence::new(keep_alive);
        loop {
            let written = transcript.written();
            if !written.is_empty() {
                yield Ok(written);
                silence.is_broken();
            }
            let Some(running) = &mut events else { return };
            let mut next = silence.next(running).await;
            let begun = Instant::now();
            loop {
                match next {
                    None => transcript.ping(),
                    Some(Some(Ok(event))) => transcript.take(event),
                    Some(failed) => {
                        let error = failed.and_then(Result::err);
                        let failure = error.map_or_else(Failure::defect, Failure::from);
                        transcript.fail(&failure, &request_id);
                    }
                }
                if transcript.is_over() || transcript.is_full() {
                    break;
                }
                // What is at hand at the same moment leaves together.
                next = running.next().now_or_never();
                if next.is_none() {
                    break;
                }
            }
            metrics::spent(Stage::Sse, begun.elapsed());
            if transcript.is_over() {
                // The client may be slow to take the rest; the worker is not to wait for it.
                events = None;
            }
        }
    }
}
