//! `POST /infill`, by which editors' plug-ins fill a hole in a text, and `POST /completion`: llama.cpp's own answers.

mod answer;
mod params;
mod settings;
mod stream;
#[cfg(test)]
mod tests;
mod watch;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::Request,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use impetus_proto::Error;
use tokio::time::timeout;

pub(in crate::dialect::openai) use answer::Answer;
pub(super) use settings::{Settings, default_settings};

use self::{
    params::{Kind, Params},
    watch::Watch,
};
use crate::{
    dialect::{frames::event_stream, openai::error::Refusal},
    record::Record,
    server::{self, Gateway},
    upstream::{self, Event},
};

/// Fills a hole.
pub(super) async fn infill(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    run(gateway, record, request, Kind::Infill).await
}

/// Continues a text.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    run(gateway, record, request, Kind::Completion).await
}

async fn run(
    gateway: Gateway,
    record: Record,
    request: Request<Body>,
    kind: Kind,
) -> Result<Response, Refusal> {
    let body = server::read_body(request, gateway.limits).await?;
    let mut params = Params::read(&body, kind)?;
    drop(body);
    gateway.permit(&record.caller(), &mut params.model).await?;
    let ignored = std::mem::take(&mut params.ignored);
    let request = upstream::Request {
        asked: record.asked(),
        model: params.model.clone(),
        generate: params.generate.clone(),
        keep_alive: params.keep_alive,
    };
    let mut events = record.observe(0, upstream::generate(gateway.upstream.clone(), request));
    let mut watch = Watch::new(params.bounds);
    let mut response = if params.is_streamed {
        let keep_alive = gateway.limits.keep_alive;
        // An error has a status only before the head.
        let first = timeout(keep_alive, events.next()).await.ok();
        let first = first.flatten().transpose().map_err(|error| params.named(error))?;
        event_stream(Body::from_stream(stream::body(params, watch, first, events, keep_alive)))
    } else {
        while let Some(event) = events.next().await {
            if watch.take(event.map_err(|error| params.named(error))?).is_over {
                break;
            }
        }
        if !watch.is_over() {
            return Err(Error::internal("the answer ended without its end").into());
        }
        // What goes on beyond the end is cancelled.
        drop(events);
        Json(params.chosen(&watch.answer(&params))?).into_response()
    };
    ignored.write(response.headers_mut());
    Ok(response)
}

/// Reads a body of `/infill` and leaves it at that.
pub(in crate::dialect::openai) fn check_infill(body: &[u8]) -> Result<(), Error> {
    Params::read(body, Kind::Infill).map(drop)
}

/// Reads a body of `/completion` and leaves it at that.
pub(in crate::dialect::openai) fn check_completion(body: &[u8]) -> Result<(), Error> {
    Params::read(body, Kind::Completion).map(drop)
}

/// Whether an event carries something for the client.
fn is_said(event: &Event) -> bool {
    !matches!(event, Event::Accepted { .. } | Event::Prompt(_))
}
