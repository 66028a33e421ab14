//! `GET /admin/pulls`, `POST /admin/pulls` and `DELETE /admin/pulls/{id}`

use std::convert::Infallible;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, Request, State},
    response::{
        IntoResponse, Response,
        sse::{Event as SseEvent, KeepAlive, Sse},
    },
};
use futures::{StreamExt, stream};
use impetus_proto::{
    Error,
    fetch::{FetchProgress, Plan},
    store::{CancelPullRequest, PullEvent, PullRequest, PullStatus, PullsRequest, pull_event::Event},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tonic::Streaming;

use super::{file, none_if_empty, stored};
use crate::{
    dialect::Refusal,
    error::Failure,
    server::{Gateway, read_body},
};

/// What can be asked for. Whoever asks over HTTP names models of the configured servers, no addresses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    model: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    format: Option<String>,
    /// Says what would be fetched.
    #[serde(default)]
    dry_run: bool,
    /// Whether events are answered until it is done; else it goes on by itself, and the plan is answered.
    #[serde(default = "yes")]
    stream: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancel {
    #[serde(default)]
    discard: bool,
}

/// Pulls that run or can be gone on with.
pub(super) async fn list(State(gateway): State<Gateway>) -> Result<Json<Value>, Refusal> {
    let listed = gateway.upstream.store().await?.pulls(PullsRequest {}).await.map_err(Error::from)?;
    let pulls: Vec<Value> = listed.into_inner().pulls.iter().map(status).collect();
    Ok(Json(json!({ "pulls": pulls })))
}

/// Fetches a model. A client that goes away stops what it has not asked to go on by itself.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let body = read_body(request, gateway.limits).await?;
    let wish: Wish = serde_json::from_slice(&body)
        .map_err(|error| Error::invalid("", format!("the body is no wish for a model: {error}")))?;
    let follows = wish.stream && !wish.dry_run;
    let request = PullRequest {
        reference: wish.model,
        name: wish.name.unwrap_or_default(),
        format: wish.format.unwrap_or_default(),
        plan_only: wish.dry_run,
        detach: !wish.stream,
        local: false,
    };
    let events = gateway.upstream.store().await?.pull(request).await.map_err(Error::from)?.into_inner();
    if follows {
        return Ok(streamed(events, &gateway));
    }
    Ok(Json(planned(events).await?).into_response())
}

/// Stops a pull; what has come is kept unless it is to be discarded.
pub(super) async fn cancel(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    Query(Cancel { discard }): Query<Cancel>,
) -> Result<Json<Value>, Refusal> {
    let request = CancelPullRequest { id, discard };
    let cancelled = gateway.upstream.store().await?.cancel_pull(request).await.map_err(Error::from)?;
    Ok(Json(cancelled.into_inner().pull.as_ref().map_or(Value::Null, status)))
}

/// What will be fetched, or what is there already.
async fn planned(mut events: Streaming<PullEvent>) -> Result<Value, Error> {
    while let Some(PullEvent { event }) = events.message().await? {
        match event {
            Some(Event::Plan(_) | Event::Done(_)) => return Ok(event.as_ref().map_or(Value::Null, as_json)),
            Some(Event::Progress(_)) | None => {}
        }
    }
    Err(Error::internal("the supervisor did not say what would be fetched"))
}

/// Every event as it comes; an error is the last one.
fn streamed(events: Streaming<PullEvent>, gateway: &Gateway) -> Response {
    let events = stream::unfold(Some(events), |events| async {
        let mut events = events?;
        match events.message().await {
            Ok(Some(PullEvent { event })) => {
                let value = event.as_ref().map(as_json);
                let is_last = matches!(event, Some(Event::Done(_)));
                Some((value, (!is_last).then_some(events)))
            }
            Ok(None) => Some((Some(failed(&Error::internal("the pull ended without a word").into())), None)),
            Err(status) => Some((Some(failed(&Error::from(status).into())), None)),
        }
    });
    let events = events.filter_map(|value| async move {
        Some(Ok::<_, Infallible>(SseEvent::default().data(value?.to_string())))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(gateway.limits.keep_alive)).into_response()
}

fn failed(failure: &Failure) -> Value {
    let param = none_if_empty(&failure.param);
    json!({
        "event": "error",
        "error": { "message": failure.message, "type": failure.kind, "code": failure.code, "param": param,
                   "retryable": failure.is_retryable },
    })
}

fn as_json(event: &Event) -> Value {
    match event {
        Event::Plan(plan) => of_plan(plan),
        Event::Progress(FetchProgress { bytes, waiting, verifying }) => {
            json!({ "event": "progress", "bytes": bytes, "waiting": none_if_empty(waiting), "verifying": verifying })
        }
        Event::Done(model) => json!({ "event": "done", "model": stored(model) }),
    }
}

fn of_plan(plan: &Plan) -> Value {
    json!({
        "event": "plan",
        "name": plan.name,
        "source": plan.source,
        "revision": plan.revision,
        "format": plan.format,
        "quantization": none_if_empty(&plan.quantization),
        "why": none_if_empty(&plan.why),
        "files": plan.files.iter().map(file).collect::<Vec<_>>(),
        "total_bytes": plan.total_bytes,
        "present_bytes": plan.present_bytes,
        "need_bytes": plan.need_bytes,
        "notes": plan.notes,
    })
}

fn status(pull: &PullStatus) -> Value {
    json!({
        "id": pull.id,
        "model": pull.reference,
        "name": none_if_empty(&pull.name),
        "state": pull.state,
        "detail": none_if_empty(&pull.detail),
        "bytes": pull.bytes,
        "total_bytes": (pull.total_bytes > 0).then_some(pull.total_bytes),
        "detached": pull.detached,
        "started_unix_s": pull.started_unix_s,
    })
}

fn yes() -> bool {
    true
}
