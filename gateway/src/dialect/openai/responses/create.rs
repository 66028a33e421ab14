//! `POST /v1/responses`

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::Request,
    response::{IntoResponse, Response as HttpResponse},
};
use bytes::{Bytes, BytesMut};
use futures::{FutureExt, Stream, StreamExt};
use impetus_proto::Error;
use tokio::time::timeout;
use tracing::warn;

use super::{
    asked::Truncation,
    background,
    event::{Frame, Teller},
    generation, history,
    keeper::Keeper,
    params::Params,
    response::Response,
    store,
    transcript::Transcript,
};
use crate::{
    dialect::{
        frames,
        names::Names,
        openai::{answer, error::Refusal},
        silence::Silence,
    },
    error::Failure,
    record::Record,
    server::{self, Gateway},
    upstream::{self, Event},
};

/// Events at hand that are told together.
const EVENTS_AT_ONCE: usize = 64;

/// What happens to the generation of a response.
pub(super) type Events = std::pin::Pin<Box<dyn Stream<Item = Result<Event, Error>> + Send>>;

/// Makes a response, in the form that the request asks for.
pub(in crate::dialect::openai) async fn create(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<HttpResponse, Refusal> {
    let body = server::read_body(request, gateway.limits).await?;
    let mut params = Params::read(&body)?;
    drop(body);
    let caller = record.caller();
    gateway.permit(&caller, &mut params.model).await?;
    let ignored = std::mem::take(&mut params.ignored);
    let store = &gateway.responses.store;
    if params.asked.background && !store.is_on() {
        return Err(store::nothing_is_kept().with_param("background").into());
    }
    params.asked.store &= store.is_on();
    let messages = history::messages(&mut params, store, &caller.name).await?;
    params.chat()?.messages = messages;

    let keeper = Keeper::new(store.clone(), &caller.name, &mut params)?;
    let events = events(&gateway, &record, &params);
    let (is_streamed, is_background) = (params.is_streamed, params.asked.background);
    let mut response = if is_background {
        background::answer(&gateway, params, keeper, events).await?
    } else if is_streamed {
        streamed(&gateway, params, keeper, events).await?
    } else {
        whole(params, keeper, events).await?
    };
    ignored.write(response.headers_mut());
    Ok(response)
}

/// What workers say of the request, errors in the client's words.
fn events(gateway: &Gateway, record: &Record, params: &Params) -> Events {
    let request = upstream::Request {
        asked: record.asked(),
        model: params.model.clone(),
        generate: params.generate.clone(),
        keep_alive: params.keep_alive,
    };
    let is_truncated = params.asked.truncation == Truncation::Auto;
    let events = generation::begin(gateway.upstream.clone(), request, is_truncated);
    let structure = Some(params.structure_param.clone());
    let functions = params.tools.paths.clone();
    let names = Names { input: "input", structure, functions };
    Box::pin(record.observe(0, events).map(move |event| event.map_err(|error| names.of(error))))
}

/// The answer as one value.
async fn whole(params: Params, mut keeper: Keeper, mut events: Events) -> Result<HttpResponse, Refusal> {
    let mut transcript = transcript_of(params, String::new(), false);
    while !transcript.is_over() {
        let event = events.next().await.ok_or_else(Failure::defect)?;
        transcript.take(event?);
    }
    keep(&mut keeper, &mut transcript).await;
    Ok(Json(transcript.response).into_response())
}

/// An answer whose head is sent as soon as there is nothing more to refuse, or has not been for `Limits::keep_alive`:
/// an error has a status only before the head, but some clients give up on a server that sends none.
async fn streamed(
    gateway: &Gateway,
    params: Params,
    keeper: Keeper,
    mut events: Events,
) -> Result<HttpResponse, Refusal> {
    let keep_alive = gateway.limits.keep_alive;
    let first = match timeout(keep_alive, events.next()).await {
        Ok(first) => Some(first.ok_or_else(Failure::defect)??),
        // A model is being loaded, or others are in turn.
        Err(_) => None,
    };
    let model = match &first {
        Some(Event::Accepted { model, .. }) => model.to_string(),
        _ => answer::name_of(gateway, params.model.clone()).await,
    };
    let mut transcript = transcript_of(params, model, true);
    transcript.begin();
    if let Some(first) = first {
        transcript.take(first);
    }
    Ok(frames::event_stream(Body::from_stream(body(transcript, keeper, events, keep_alive))))
}

/// The body of a streamed answer. Its last event says how it ended.
fn body(
    mut transcript: Transcript,
    mut keeper: Keeper,
    events: Events,
    keep_alive: Duration,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    async_stream::stream! {
        let mut events = Some(events);
        let mut silence = Silence::new(keep_alive);
        loop {
            if let Some(together) = joined(transcript.frames()) {
                yield Ok(together);
                silence.is_broken();
            }
            let Some(running) = &mut events else { return };
            let mut next = silence.next(running).await;
            for n_taken in 1.. {
                match next {
                    None => transcript.sign_of_life(),
                    Some(Some(Ok(event))) => transcript.take(event),
                    Some(failed) => {
                        let error = failed.and_then(Result::err);
                        transcript.fail(&error.map_or_else(Failure::defect, Failure::from));
                    }
                }
                // What is taken out of the stream has to be told.
                if n_taken == EVENTS_AT_ONCE || transcript.is_over() {
                    break;
                }
                next = running.next().now_or_never();
                if next.is_none() {
                    break;
                }
            }
            if transcript.is_over() {
                // The client may be slow to take the rest; the worker is not to wait for it.
                events = None;
                // Whoever has read the end may go on from it.
                keep(&mut keeper, &mut transcript).await;
            }
        }
    }
}

/// Frames that leave together; `None` if there are none.
fn joined(mut frames: Vec<Frame>) -> Option<Bytes> {
    if frames.len() > 1 {
        let mut together = BytesMut::with_capacity(frames.iter().map(|frame| frame.bytes.len()).sum());
        for frame in &frames {
            together.extend_from_slice(&frame.bytes);
        }
        return Some(together.freeze());
    }
    frames.pop().map(|frame| frame.bytes)
}

/// A response that begins now.
pub(super) fn transcript_of(params: Params, model: String, is_streamed: bool) -> Transcript {
    let Params { asked, tools, include, is_obfuscated, .. } = params;
    let teller = Teller::new(is_streamed, is_obfuscated);
    Transcript::new(Response::begin(model, asked), tools, include, teller)
}

/// Keeps what is over. The client has its answer even where that fails.
async fn keep(keeper: &mut Keeper, transcript: &mut Transcript) {
    if let Err(error) = keeper.insert(&mut transcript.response).await {
        warn!(%error, response = transcript.response.id, "a response is not kept");
    }
}

#[cfg(test)]
mod tests;
