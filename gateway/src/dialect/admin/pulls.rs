//! `GET /admin/pulls`, `POST /admin/pulls` and `DELETE /admin/pulls/{id}`

use std::convert::Infallible;

use axum::{
    Json,
    body::Body,
    extract::{Path, Request, State},
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
    supervisor::StatusReply,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tonic::Streaming;

use super::{
    ModelFile, StoredModel,
    ask::{Asked, body},
    known,
    models::Fits,
    some,
};
use crate::{dialect::Refusal, error::Failure, overview::Pulling, server::Gateway};

/// What can be asked for. Whoever asks over HTTP names models of the configured servers, no addresses.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PullWish")]
pub(super) struct Wish {
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
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Pulls {
    pub(super) pulls: Vec<Pull>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Pull {
    id: String,
    /// What was asked for.
    model: String,
    /// That it is to have.
    name: Option<String>,
    /// running, stopped or failed
    state: String,
    /// Why.
    detail: Option<String>,
    bytes: u64,
    total_bytes: Option<u64>,
    /// Goes on by itself.
    detached: bool,
    started_unix_s: u64,
    /// Only where pulls are followed.
    bytes_per_s: Option<u64>,
}

/// What happens to a pull.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum PullNews {
    Plan(PullPlan),
    Progress { bytes: u64, waiting: Option<String>, verifying: bool },
    Done { model: StoredModel },
    Error { error: PullFailure },
}

/// What will be fetched.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PullPlan {
    name: String,
    source: String,
    revision: String,
    format: String,
    quantization: Option<String>,
    /// This one and no other.
    why: Option<String>,
    files: Vec<ModelFile>,
    total_bytes: u64,
    /// That are here already.
    present_bytes: u64,
    /// Of memory; 0: not known.
    need_bytes: u64,
    /// What a person should know.
    notes: Vec<String>,
    fits: Option<Fits>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PullFailure {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    code: &'static str,
    param: Option<String>,
    retryable: bool,
}

/// Pulls that run or can be gone on with.
pub(super) async fn list(State(gateway): State<Gateway>) -> Result<Json<Pulls>, Refusal> {
    let listed = gateway.upstream.store().await?.pulls(PullsRequest {}).await.map_err(Error::from)?;
    Ok(Json(Pulls { pulls: listed.into_inner().pulls.iter().map(Pull::from).collect() }))
}

/// Fetches a model. A client that goes away stops what it has not asked to go on by itself.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let wish: Wish = body(request, &gateway).await?;
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
    let status = gateway.upstream.status().await?;
    if follows {
        return Ok(streamed(events, status, &gateway));
    }
    Ok(Json(planned(events, &status).await?).into_response())
}

/// Stops a pull; what has come is kept unless it is to be discarded.
pub(super) async fn cancel(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    Asked(Cancel { discard }): Asked<Cancel>,
) -> Result<Json<Option<Pull>>, Refusal> {
    let request = CancelPullRequest { id, discard };
    let cancelled = gateway.upstream.store().await?.cancel_pull(request).await.map_err(Error::from)?;
    Ok(Json(cancelled.into_inner().pull.as_ref().map(Pull::from)))
}

/// What will be fetched, or what is there already.
async fn planned(mut events: Streaming<PullEvent>, status: &StatusReply) -> Result<PullNews, Error> {
    while let Some(PullEvent { event }) = events.message().await? {
        if let Some(event @ (Event::Plan(_) | Event::Done(_))) = event {
            return Ok(PullNews::of(&event, status));
        }
    }
    Err(Error::internal("the supervisor did not say what would be fetched"))
}

/// Every event as it comes; an error is the last one.
fn streamed(events: Streaming<PullEvent>, status: StatusReply, gateway: &Gateway) -> Response {
    let events = stream::unfold(Some((events, status)), |events| async {
        let (mut events, status) = events?;
        match events.message().await {
            Ok(Some(PullEvent { event })) => {
                let news = event.as_ref().map(|event| PullNews::of(event, &status));
                let is_last = matches!(event, Some(Event::Done(_)));
                Some((news, (!is_last).then_some((events, status))))
            }
            Ok(None) => Some((Some(failed(Error::internal("the pull ended without a word").into())), None)),
            Err(status) => Some((Some(failed(Error::from(status).into())), None)),
        }
    });
    let events = events.filter_map(|news| async move {
        let data = serde_json::to_string(&news?).expect("our own events serialize into memory");
        Some(Ok::<_, Infallible>(SseEvent::default().data(data)))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(gateway.limits.keep_alive)).into_response()
}

fn failed(failure: Failure) -> PullNews {
    let Failure { message, kind, code, param, is_retryable: retryable, .. } = failure;
    PullNews::Error { error: PullFailure { message, kind, code, param: some(&param), retryable } }
}

impl PullNews {
    fn of(event: &Event, status: &StatusReply) -> Self {
        match event {
            Event::Plan(plan) => Self::Plan(PullPlan::of(plan, status)),
            Event::Progress(FetchProgress { bytes, waiting, verifying }) => {
                Self::Progress { bytes: *bytes, waiting: some(waiting), verifying: *verifying }
            }
            Event::Done(model) => Self::Done { model: model.into() },
        }
    }
}

impl PullPlan {
    fn of(plan: &Plan, status: &StatusReply) -> Self {
        Self {
            name: plan.name.clone(),
            source: plan.source.clone(),
            revision: plan.revision.clone(),
            format: plan.format.clone(),
            quantization: some(&plan.quantization),
            why: some(&plan.why),
            files: plan.files.iter().map(Into::into).collect(),
            total_bytes: plan.total_bytes,
            present_bytes: plan.present_bytes,
            need_bytes: plan.need_bytes,
            notes: plan.notes.clone(),
            fits: known(plan.need_bytes).map(|need| Fits::of(need, status, true)),
        }
    }
}

impl From<&PullStatus> for Pull {
    fn from(pull: &PullStatus) -> Self {
        Self {
            id: pull.id.clone(),
            model: pull.reference.clone(),
            name: some(&pull.name),
            state: pull.state.clone(),
            detail: some(&pull.detail),
            bytes: pull.bytes,
            total_bytes: known(pull.total_bytes),
            detached: pull.detached,
            started_unix_s: pull.started_unix_s,
            bytes_per_s: None,
        }
    }
}

impl From<&Pulling> for Pull {
    fn from(pulling: &Pulling) -> Self {
        Self { bytes_per_s: pulling.bytes_per_s, ..Self::from(&pulling.status) }
    }
}

fn yes() -> bool {
    true
}
