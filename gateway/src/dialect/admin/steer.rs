//! What is done to models and processes: load, unload, keep, swap, restart.

use axum::{
    Json,
    body::Body,
    extract::{Path, Request, State},
};
use impetus_proto::{
    Code, Error,
    supervisor::{
        AcquireRequest, LoadRequest, Ready, RestartRequest, SwapRequest, UnloadRequest, acquire_event::Event,
    },
};
use impetus_telemetry::AUDIT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::{ask::body, some};
use crate::{dialect::Refusal, server::Gateway, upstream::Upstream};

/// How long a model stays when nobody uses it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadWish {
    /// Seconds; 0: it goes at once, negative: it stays, absent: as configured.
    keep_alive_s: Option<i64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeepWish {
    /// Seconds; 0: it goes at once, negative: it stays.
    keep_alive_s: i64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SwapWish {
    /// A name or an alias.
    model: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RestartWish {
    /// A model, a worker's id, or `gateway`.
    target: String,
}

/// A model that serves.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Loaded {
    model: String,
    worker_id: String,
    /// How long it stays when nobody uses it; null: until it is told to go.
    stay_s: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Unloaded {
    model: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Swapped {
    alias: String,
    model: String,
    /// What the alias meant before.
    former: Option<String>,
    /// Whether both were up for a while.
    beside: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Restarted {
    target: String,
}

/// Answers when the model serves, whatever became of it before.
pub(super) async fn load(
    State(gateway): State<Gateway>,
    Path(model): Path<String>,
    request: Request<Body>,
) -> Result<Json<Loaded>, Refusal> {
    let LoadWish { keep_alive_s } = body(request, &gateway).await?;
    let loaded = carried_through(async move {
        let upstream = &gateway.upstream;
        let loaded = upstream.supervisor().await?.load(LoadRequest { model }).await?.into_inner();
        if let Some(keep_alive_s) = keep_alive_s {
            return keep_for(upstream, loaded.model, keep_alive_s).await;
        }
        told(upstream, loaded.model, loaded.worker_id).await
    });
    Ok(Json(loaded.await?))
}

/// Says how long a model stays, and loads it where it is not up.
pub(super) async fn keep(
    State(gateway): State<Gateway>,
    Path(model): Path<String>,
    request: Request<Body>,
) -> Result<Json<Loaded>, Refusal> {
    let KeepWish { keep_alive_s } = body(request, &gateway).await?;
    let kept = carried_through(async move { keep_for(&gateway.upstream, model, keep_alive_s).await });
    Ok(Json(kept.await?))
}

/// Answers when the model's worker is gone.
pub(super) async fn unload(
    State(gateway): State<Gateway>,
    Path(model): Path<String>,
) -> Result<Json<Unloaded>, Refusal> {
    let unloaded = carried_through(async move {
        let mut supervisor = gateway.upstream.supervisor().await?;
        Ok(supervisor.unload(UnloadRequest { model }).await?.into_inner())
    });
    Ok(Json(Unloaded { model: unloaded.await?.model }))
}

/// Answers when the alias means another model, which serves.
pub(super) async fn swap(
    State(gateway): State<Gateway>,
    Path(alias): Path<String>,
    request: Request<Body>,
) -> Result<Json<Swapped>, Refusal> {
    let SwapWish { model } = body(request, &gateway).await?;
    let swapped = carried_through(async move {
        let mut supervisor = gateway.upstream.supervisor().await?;
        Ok(supervisor.swap(SwapRequest { alias, model }).await?.into_inner())
    });
    let swapped = swapped.await?;
    let former = some(&swapped.former);
    Ok(Json(Swapped { alias: swapped.alias, model: swapped.model, former, beside: swapped.beside }))
}

/// Answers when the process has been replaced.
pub(super) async fn restart(
    State(gateway): State<Gateway>,
    request: Request<Body>,
) -> Result<Json<Restarted>, Refusal> {
    let RestartWish { target } = body(request, &gateway).await?;
    let restarted = carried_through(async move {
        let mut supervisor = gateway.upstream.supervisor().await?;
        Ok(supervisor.restart(RestartRequest { target }).await?.into_inner())
    });
    Ok(Json(Restarted { target: restarted.await?.target }))
}

/// Has the model's worker held for a moment, with the wish.
async fn keep_for(upstream: &Upstream, model: String, keep_alive_s: i64) -> Result<Loaded, Error> {
    let request = AcquireRequest { model, keep_alive_s: Some(keep_alive_s), ..AcquireRequest::default() };
    let mut events = upstream.supervisor().await?.acquire(request).await?.into_inner();
    while let Some(event) = events.message().await? {
        match event.event {
            Some(Event::Ready(Ready { model, worker_id, .. })) => {
                info!(target: AUDIT, act = "keep_alive", subject = model, keep_alive_s, "done");
                return told(upstream, model, worker_id).await;
            }
            Some(Event::Ended(ended)) => {
                let message = format!("its worker is gone: {}; try again", ended.cause);
                return Err(Error::new(Code::Unavailable, message));
            }
            _ => {}
        }
    }
    Err(Error::new(Code::Unavailable, "the supervisor ended the wait for a worker; try again"))
}

async fn told(upstream: &Upstream, model: String, worker_id: String) -> Result<Loaded, Error> {
    let status = upstream.status().await?;
    let stay_s = status.workers.iter().find(|worker| worker.id == worker_id).and_then(|worker| worker.stay_s);
    Ok(Loaded { model, worker_id, stay_s })
}

/// Goes on when the client leaves: what was begun is carried through.
pub(super) async fn carried_through<T: Send + 'static>(
    task: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(task).await.unwrap_or_else(|error| {
        Err(Error::internal(format!("it could not be carried through: {error}; look at the log")))
    })
}
