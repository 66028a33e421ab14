//! From a request's body to its answer, streamed or whole; what both completion endpoints share.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::Request,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use impetus_proto::{Error, worker::GenerateRequest};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::timeout;

use super::{
    error::Refusal,
    request::{Params, params},
    shape::Shape,
    stream::{Head, body},
    usage::{Timings, Usage},
};
use crate::{
    clock,
    dialect::{
        choices::{self, ChoiceEvent, ChoiceEvents},
        fold::{Completed, fold},
        frames::event_stream,
    },
    record::Record,
    server::{self, Gateway},
    upstream::{self, Event},
};

/// What answers share that come from one build: with the same seed and model they are the same.
pub(super) const FINGERPRINT: &str = concat!("impetus-", env!("CARGO_PKG_VERSION"));

/// What every chunk of an answer repeats.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Envelope {
    pub(super) id: String,
    pub(super) object: &'static str,
    /// Unix time, in seconds.
    pub(super) created: u64,
    pub(super) model: String,
    pub(super) system_fingerprint: &'static str,
    /// Where the client named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service_tier: Option<&'static str>,
}

/// How the events of an answer began.
#[derive(Debug, Default)]
struct Beginning {
    /// The canonical name of the model, when a worker has spoken for it.
    model: Option<Arc<str>>,
    /// What has been said already.
    said: Vec<ChoiceEvent>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Answer{C}")]
pub(super) struct Whole<C> {
    #[serde(flatten)]
    envelope: Envelope,
    choices: Vec<C>,
    usage: Usage,
    timings: Timings,
}

impl Envelope {
    fn of<S: Shape>(params: &Params<S>, object: &'static str, model: String) -> Self {
        let created = clock::unix_now();
        let id = format!("{}{:032x}", S::ID_PREFIX, rand::random::<u128>());
        let service_tier = params.service_tier;
        Self { id, object, created, model, system_fingerprint: FINGERPRINT, service_tier }
    }
}

impl Beginning {
    /// Waits until every choice is accepted, or one of them says more.
    async fn wait(&mut self, events: &mut ChoiceEvents, n_choices: u32) -> Result<(), Error> {
        for _ in 0..n_choices {
            let Some(said) = events.next().await.transpose()? else {
                return Err(Error::internal("the answer began without its beginning"));
            };
            let is_beginning = if let Event::Accepted { model, .. } = &said.event {
                self.model.get_or_insert_with(|| model.clone());
                true
            } else {
                false
            };
            self.said.push(said);
            if !is_beginning {
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
    let mut params = params::<S>(&body)?;
    drop(body);
    gateway.permit(&record.caller(), &mut params.model).await?;
    let ignored = std::mem::take(&mut params.ignored);
    let events = events(&gateway, record, &mut params);
    let mut response = if params.delivery.is_streamed {
        streamed(&gateway, params, events).await?
    } else {
        let mut completed = fold(events, params.count()).await?;
        if params.n_kept < params.n_each {
            completed.keep_best(params.n_each, params.n_kept);
        }
        let envelope = Envelope::of(&params, S::OBJECT, completed.model.to_string());
        Json(whole(envelope, &params.shape, completed)).into_response()
    };
    ignored.write(response.headers_mut());
    Ok(response)
}

/// What workers say of the request, errors in the client's words.
fn events<S: Shape>(gateway: &Gateway, record: Record, params: &mut Params<S>) -> ChoiceEvents {
    let asked = record.asked();
    let request = |input| upstream::Request {
        asked: asked.clone(),
        model: params.model.clone(),
        generate: GenerateRequest { input: Some(input), ..params.generate.clone() },
        keep_alive: params.keep_alive,
    };
    let requests = params.inputs.iter().cloned().map(request).collect();
    let events = choices::generate(gateway.upstream.clone(), record, requests, params.n_each);
    let names = params.names.clone();
    Box::pin(events.map(move |said| said.map_err(|error| names.of(error))))
}

/// An answer whose head is sent as soon as there is nothing more to refuse, or has not been for `Limits::keep_alive`:
/// an error has a status only before the head, but some clients give up on a server that sends none.
async fn streamed<S: Shape>(
    gateway: &Gateway,
    params: Params<S>,
    mut events: ChoiceEvents,
) -> Result<Response, Refusal> {
    let keep_alive = gateway.limits.keep_alive;
    let count = params.count();
    let mut beginning = Beginning::default();
    // An elapsed timeout means that a model is being loaded, or that others are in turn.
    timeout(keep_alive, beginning.wait(&mut events, count.total())).await.unwrap_or(Ok(()))?;
    let model = match &beginning.model {
        Some(model) => model.to_string(),
        None => name_of(gateway, params.model.clone()).await,
    };
    let envelope = Envelope::of(&params, S::CHUNK_OBJECT, model);
    let head = Head { envelope, shape: params.shape, delivery: params.delivery, count, keep_alive };
    let events = stream::iter(beginning.said.into_iter().map(Ok)).chain(events);
    Ok(event_stream(Body::from_stream(body(head, events))))
}

/// An answer as one value.
pub(super) fn whole<S: Shape>(
    envelope: Envelope,
    shape: &S,
    completed: Completed,
) -> impl Serialize + use<S> {
    let choices = (0..).zip(completed.choices).map(|(index, choice)| shape.whole(index, choice)).collect();
    let (usage, timings) = (Usage::of(&completed.cost), Timings::of(&completed.cost));
    Whole::<S::Whole> { envelope, choices, usage, timings }
}

/// The canonical name of a model that no worker has spoken for yet.
pub(super) async fn name_of(gateway: &Gateway, model: String) -> String {
    gateway.upstream.model(&model).await.map_or(model, |status| status.name)
}
