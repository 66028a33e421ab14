//! From a request's body to its answer, streamed or whole; what both completion endpoints share.

use std::{sync::Arc, time::SystemTime};

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{
        HeaderName, HeaderValue, Request,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use impetus_proto::Error;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::{
    choices::{self, ChoiceEvent, ChoiceEvents},
    error::Refusal,
    fold::{Completed, fold},
    request::{Params, params},
    shape::Shape,
    stream::{Head, body},
    usage::{Timings, Usage},
};
use crate::{
    record::Record,
    server::{self, Gateway},
    upstream::{self, Event},
};

/// What answers share that come from one build: with the same seed and model they are the same.
pub(super) const FINGERPRINT: &str = concat!("impetus-", env!("CARGO_PKG_VERSION"));

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

/// How the events of an answer began.
#[derive(Debug, Default)]
struct Beginning {
    /// The canonical name of the model, when a worker has spoken for it.
    model: Option<Arc<str>>,
    /// What has been said already beyond that.
    first: Option<ChoiceEvent>,
}

#[derive(Serialize)]
struct Whole<C> {
    #[serde(flatten)]
    envelope: Envelope,
    choices: Vec<C>,
    usage: Usage,
    timings: Timings,
}

impl Envelope {
    fn of<S: Shape>(object: &'static str, model: String) -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let created = since_1970.map_or(0, |since| since.as_secs());
        let id = format!("{}{:032x}", S::ID_PREFIX, rand::random::<u128>());
        Self { id, object, created, model, system_fingerprint: FINGERPRINT }
    }
}

impl Beginning {
    /// Waits until every choice is accepted, or one of them says more.
    async fn wait(&mut self, events: &mut ChoiceEvents, n_choices: u32) -> Result<(), Error> {
        for _ in 0..n_choices {
            let Some(said) = events.next().await.transpose()? else {
                return Err(Error::internal("the answer began without its beginning"));
            };
            if let Event::Accepted { model, .. } = said.event {
                self.model.get_or_insert(model);
            } else {
                self.first = Some(said);
                break;
            }
        }
        Ok(())
    }
}

/// Answers a request to the endpoint `S`, in the form it asks for.
pub(super) async fn create<S: Shape>(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let body = server::read_body(request, gateway.limits).await?;
    let Params { model, generate, n_choices, keep_alive, delivery, ignored } = params::<S>(&body)?;
    drop(body);
    let (id, began) = (record.id().clone(), Instant::now());
    let request = upstream::Request { id, began, model: model.clone(), generate, keep_alive };
    let events = choices::generate(gateway.upstream.clone(), record, request, n_choices);

    let mut response = if delivery.is_streamed {
        streamed::<S>(&gateway, model, events, n_choices, delivery.include_usage).await?
    } else {
        let completed = fold(events, n_choices).await?;
        let envelope = Envelope::of::<S>(S::OBJECT, completed.model.to_string());
        Json(whole::<S>(envelope, &completed)).into_response()
    };
    ignored.write(response.headers_mut());
    Ok(response)
}

/// An answer whose head is sent as soon as there is nothing more to refuse, or has not been for `Limits::keep_alive`:
/// an error has a status only before the head, but some clients give up on a server that sends none.
async fn streamed<S: Shape>(
    gateway: &Gateway,
    model: String,
    mut events: ChoiceEvents,
    n_choices: u32,
    include_usage: bool,
) -> Result<Response, Refusal> {
    let keep_alive = gateway.limits.keep_alive;
    let mut beginning = Beginning::default();
    // An elapsed timeout means that a model is being loaded, or that others are in turn.
    timeout(keep_alive, beginning.wait(&mut events, n_choices)).await.unwrap_or(Ok(()))?;
    let model = match beginning.model {
        Some(model) => model.to_string(),
        None => name_of(gateway, model).await,
    };
    let head =
        Head { envelope: Envelope::of::<S>(S::CHUNK_OBJECT, model), include_usage, n_choices, keep_alive };
    let events = stream::iter(beginning.first.map(Ok)).chain(events);
    Ok(event_stream(Body::from_stream(body::<S>(head, events))))
}

/// An answer as one value.
pub(super) fn whole<S: Shape>(envelope: Envelope, completed: &Completed) -> impl Serialize {
    let choices = completed.choices.iter().zip(0..);
    Whole {
        envelope,
        choices: choices.map(|(choice, index)| S::whole(index, &choice.text, choice.finish_reason)).collect(),
        usage: Usage::of(&completed.cost),
        timings: Timings::of(&completed.cost),
    }
}

/// The canonical name of a model that no worker has spoken for yet.
async fn name_of(gateway: &Gateway, model: String) -> String {
    gateway.upstream.model(&model).await.map_or(model, |status| status.name)
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
