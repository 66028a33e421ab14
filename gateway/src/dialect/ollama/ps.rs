//! `GET /api/ps`: the models that are loaded, and for how long.

use std::time::{Duration, SystemTime};

use axum::{Extension, Json, extract::State};
use impetus_proto::supervisor::{ModelStatus, WorkerStatus};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::timeout;

use super::{details::Details, digest::Digests, line::rfc3339, named::tagged};
use crate::{
    dialect::Refusal,
    server::{Caller, Gateway},
};

/// How long the supervisor may take to say what a model holds of graphics memory.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// When a model goes that stays: about 292 years from now, as far as clients count in nanoseconds.
const NEVER: Duration = Duration::from_nanos(i64::MAX as u64);

/// The models that are loaded.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OllamaRunning")]
pub(in crate::dialect) struct Running {
    models: Vec<Loaded>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OllamaLoaded")]
struct Loaded {
    name: String,
    model: String,
    /// Bytes of RAM and of graphics memory.
    size: u64,
    digest: String,
    details: Details,
    expires_at: String,
    /// Bytes of graphics memory, as far as they are foreseen.
    size_vram: u64,
    /// Tokens that a request has.
    context_length: u32,
}

/// Lists them.
pub(super) async fn list(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Running>, Refusal> {
    let status = gateway.upstream.status().await?;
    let models = caller.only_allowed(status.models);
    let digests = Digests::read(&gateway).await;
    let mut loaded = Vec::new();
    for worker in status.workers.iter().filter(|worker| worker.role.is_empty() && worker.state == "ready") {
        if let Some(model) = models.iter().find(|model| model.name == worker.model) {
            let size_vram = graphics_bytes(&gateway, &model.name).await;
            loaded.push(Loaded::of(model, worker, size_vram, &digests));
        }
    }
    Ok(Json(Running { models: loaded }))
}

/// What a worker with the model holds of all cards, as the supervisor foresees it.
async fn graphics_bytes(gateway: &Gateway, model: &str) -> u64 {
    match timeout(ANSWER_TIMEOUT, gateway.upstream.show(model)).await {
        Ok(Ok(shown)) => shown.gpus.iter().map(|part| part.full).sum(),
        // Nobody knows.
        _ => 0,
    }
}

impl Loaded {
    fn of(model: &ModelStatus, worker: &WorkerStatus, size_vram: u64, digests: &Digests) -> Self {
        let name = tagged(&model.name);
        Self {
            model: name.clone(),
            name,
            size: worker.footprint_bytes.saturating_add(size_vram),
            digest: digests.of(model),
            details: Details::of(model, None),
            expires_at: rfc3339(SystemTime::now() + stays(worker)),
            size_vram,
            context_length: model.context_tokens,
        }
    }
}

/// For how long a worker stays if nobody asks for it any more.
fn stays(worker: &WorkerStatus) -> Duration {
    worker.leaves_in_s.or(worker.stay_s).map_or(NEVER, Duration::from_secs).min(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_in_use_stays_from_its_last_request_on() {
        let check = |leaves_in_s: Option<u64>, stay_s: Option<u64>, expected: Duration| {
            let worker = WorkerStatus { leaves_in_s, stay_s, ..WorkerStatus::default() };
            assert_eq!(stays(&worker), expected);
        };
        check(Some(7), Some(300), Duration::from_secs(7));
        check(None, Some(300), Duration::from_mins(5));
        check(None, None, NEVER);
        check(Some(u64::MAX), None, NEVER);
    }
}
