//! From a request that was understood to its answer, streamed or whole; what both completion endpoints share.

use std::time::SystemTime;

use axum::{
    Json,
    body::Body,
    http::{
        HeaderName, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use impetus_proto::{Error, worker::GenerateRequest};
use serde::Serialize;
use tokio::time::timeout;

use super::{
    error::Refusal,
    field::Fields,
    fold::{Completed, fold},
    ignored::Ignored,
    stream::{self, Chunks},
};
use crate::{
    record::Record,
    server::Gateway,
    upstream::{self, Event},
};

/// What answers share that come from one build: with the same seed and model they are the same.
pub(super) const FINGERPRINT: &str = concat!("impetus-", env!("CARGO_PKG_VERSION"));

/// A completion request, understood.
#[derive(Debug, PartialEq)]
pub(super) struct Params {
    /// What the client named; empty means the default model.
    pub(super) model: String,
    pub(super) generate: GenerateRequest,
    pub(super) delivery: Delivery,
    pub(super) ignored: Ignored,
}

/// How the client wants its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) is_streamed: bool,
    pub(super) include_usage: bool,
}

/// What every chunk of an answer repeats.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Envelope {
    pub(super) id: String,
    pub(super) object: &'static str,
    /// Unix time, in seconds.
    pub(super) created: u64,
    pub(super) model: String,
    pub(super) system_fingerprint: &'static str,
}

/// How an endpoint writes its answers.
pub(super) trait Shape {
    const ID_PREFIX: &'static str;
    const OBJECT: &'static str;
    const CHUNK_OBJECT: &'static str;
    type Chunks: Chunks;

    fn chunks(envelope: Envelope, include_usage: bool) -> Self::Chunks;
    fn whole(envelope: Envelope, completed: &Completed) -> impl Serialize;
}

impl Delivery {
    /// Takes `stream` and `stream_options`.
    pub(super) fn take(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Self, Error> {
        let is_streamed = fields.flag("stream")?.unwrap_or(false);
        let Some(options) = fields.raw("stream_options") else {
            return Ok(Self { is_streamed, include_usage: false });
        };
        let mut options = Fields::of(options, "stream_options".to_owned())?;
        let include_usage = options.flag("include_usage")?.unwrap_or(false);
        if options.flag("include_obfuscation")?.unwrap_or(false) {
            let path = "stream_options.include_obfuscation";
            return Err(super::parameter::unsupported(
                path,
                format!("{path} is not supported by this server"),
            ));
        }
        ignored.add("stream_options.", &options);
        Ok(Self { is_streamed, include_usage })
    }
}

/// Answers a request, in the form it asked for.
pub(super) async fn answer<S: Shape>(
    gateway: &Gateway,
    record: Record,
    params: Params,
) -> Result<Response, Refusal> {
    let Params { model, generate, delivery, ignored } = params;
    let request =
        upstream::Request { id: record.id().clone(), model: model.clone(), generate, keep_alive: None };
    let mut events = record.observe(upstream::generate(gateway.upstream.clone(), request));

    let mut response = if delivery.is_streamed {
        // The head waits for a worker to accept the request, since an error has a status only before it; but not
        // for ever, since some clients give up on a server that sends no head.
        let model = match timeout(gateway.limits.keep_alive, events.next()).await {
            Ok(Some(Ok(Event::Accepted { model, .. }))) => model.to_string(),
            Ok(Some(Err(error))) => return Err(error.into()),
            Ok(_) => return Err(Error::internal("the answer began without its beginning").into()),
            Err(_) => name_of(gateway, model).await,
        };
        let chunks = S::chunks(envelope::<S>(S::CHUNK_OBJECT, model), delivery.include_usage);
        event_stream(Body::from_stream(stream::body(chunks, events, gateway.limits.keep_alive)))
    } else {
        let completed = fold(events).await?;
        let envelope = envelope::<S>(S::OBJECT, completed.model.to_string());
        Json(S::whole(envelope, &completed)).into_response()
    };
    ignored.write(response.headers_mut());
    Ok(response)
}

/// The canonical name of a model that no worker has spoken for yet.
async fn name_of(gateway: &Gateway, model: String) -> String {
    gateway.upstream.model(&model).await.map_or(model, |status| status.name)
}

fn envelope<S: Shape>(object: &'static str, model: String) -> Envelope {
    let created = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let id = format!("{}{:032x}", S::ID_PREFIX, rand::random::<u128>());
    Envelope { id, object, created, model, system_fingerprint: FINGERPRINT }
}

fn event_stream(body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        // Reverse proxies hold back what they take for a page.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}
