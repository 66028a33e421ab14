//! `GET /admin/models`, and `GET` and `DELETE /admin/models/{name}`

use axum::{
    Json,
    extract::{Path, State},
};
use impetus_proto::{
    Error,
    store::{ListRequest, Part, RemoveRequest, ShowReply, ShowRequest},
    supervisor::StatusReply,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{StoredModel, known, some};
use crate::{dialect::Refusal, server::Gateway};

/// The models of the store, and the room that there is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StoredModels {
    models: Vec<StoredModel>,
    /// That their files take, each content once.
    disk_bytes: u64,
    /// Of that disk.
    free_bytes: u64,
}

/// Everything that is known of a model.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ModelInfo {
    name: String,
    /// null: it lies in a folder of the configuration
    stored: Option<StoredModel>,
    path: String,
    format: Option<String>,
    architecture: Option<String>,
    quantization: Option<String>,
    parameters: Option<u64>,
    /// That a slot gets here.
    context_tokens: Option<u32>,
    trained_context_tokens: Option<u32>,
    chat_template: Option<String>,
    description: Option<String>,
    task: Option<String>,
    state: String,
    detail: Option<String>,
    aliases: Vec<String>,
    bytes: u64,
    /// null: as many as there is memory for
    slots: Option<u32>,
    files: Vec<String>,
    /// null: nobody knows what it will hold
    footprint: Option<FootprintParts>,
    fits: Option<Fits>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FootprintParts {
    ram: MemoryPart,
    gpus: Vec<MemoryPart>,
}

/// What a worker with the model holds of one kind of memory.
#[derive(Debug, Serialize, JsonSchema)]
struct MemoryPart {
    weights_bytes: u64,
    kv_bytes: u64,
    compute_bytes: u64,
    process_bytes: u64,
    full_bytes: u64,
}

/// Whether something has room in the budget.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Fits {
    verdict: Verdict,
    need_bytes: u64,
    /// That are free of the budget now.
    room_bytes: u64,
    /// Of the whole budget.
    limit_bytes: u64,
}

#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Now,
    AfterOthersLeave,
    Never,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RemovedModel {
    name: String,
    removed: bool,
    freed_bytes: u64,
}

/// The models of the store, and the room that there is.
pub(super) async fn list(State(gateway): State<Gateway>) -> Result<Json<StoredModels>, Refusal> {
    let listed =
        gateway.upstream.store().await?.list(ListRequest {}).await.map_err(Error::from)?.into_inner();
    Ok(Json(StoredModels {
        models: listed.models.iter().map(Into::into).collect(),
        disk_bytes: listed.disk_bytes,
        free_bytes: listed.free_bytes,
    }))
}

/// Any model, by its name or an alias.
pub(super) async fn show(
    State(gateway): State<Gateway>,
    Path(model): Path<String>,
) -> Result<Json<ModelInfo>, Refusal> {
    let shown = gateway.upstream.store().await?.show(ShowRequest { model }).await.map_err(Error::from)?;
    let status = gateway.upstream.status().await?;
    Ok(Json(ModelInfo::of(shown.into_inner(), &status)))
}

/// Removes a model that no request uses.
pub(super) async fn remove(
    State(gateway): State<Gateway>,
    Path(model): Path<String>,
) -> Result<Json<RemovedModel>, Refusal> {
    let removed = gateway.upstream.store().await?.remove(RemoveRequest { model }).await;
    let removed = removed.map_err(Error::from)?.into_inner();
    Ok(Json(RemovedModel { name: removed.model, removed: true, freed_bytes: removed.freed_bytes }))
}

impl ModelInfo {
    fn of(shown: ShowReply, status: &StatusReply) -> Self {
        let is_up = status.workers.iter().any(|worker| worker.model == shown.name && worker.pid > 0);
        let gpus: Vec<MemoryPart> = shown.gpus.iter().map(Into::into).collect();
        let footprint = shown.ram.as_ref().map(|ram| FootprintParts { ram: ram.into(), gpus });
        let need = footprint.as_ref().map(|parts| {
            parts.gpus.iter().fold(parts.ram.full_bytes, |sum, part| sum.saturating_add(part.full_bytes))
        });
        let fits = need.map(|need| match Fits::of(need, status, !shown.gpus.is_empty()) {
            // It has its room already.
            fits if is_up => Fits { verdict: Verdict::Now, ..fits },
            fits => fits,
        });
        Self {
            stored: shown.stored.as_ref().map(Into::into),
            path: shown.path,
            format: some(&shown.format),
            architecture: some(&shown.architecture),
            quantization: some(&shown.quantization),
            parameters: known(shown.parameters),
            context_tokens: known(shown.context_tokens),
            trained_context_tokens: known(shown.trained_context_tokens),
            chat_template: some(&shown.chat_template),
            description: some(&shown.description),
            task: some(&shown.task),
            state: shown.state,
            detail: some(&shown.detail),
            aliases: shown.aliases,
            bytes: shown.bytes,
            slots: known(shown.slots),
            files: shown.files,
            footprint,
            fits,
            name: shown.name,
        }
    }
}

impl From<&Part> for MemoryPart {
    fn from(part: &Part) -> Self {
        Self {
            weights_bytes: part.weights,
            kv_bytes: part.kv,
            compute_bytes: part.compute,
            process_bytes: part.process,
            full_bytes: part.full,
        }
    }
}

impl Fits {
    /// Whether so many bytes have room: in RAM, and in GPUs where they count.
    pub(super) fn of(need_bytes: u64, status: &StatusReply, with_gpus: bool) -> Self {
        let pools = || status.pools.iter().filter(|pool| with_gpus || pool.name == "ram");
        let limit_bytes = pools().fold(0, |sum: u64, pool| sum.saturating_add(pool.limit_bytes));
        let free = pools().map(|pool| pool.limit_bytes.saturating_sub(pool.placed_bytes));
        let room_bytes = free.fold(0, u64::saturating_add);
        let verdict = match need_bytes {
            need if need <= room_bytes => Verdict::Now,
            need if need <= limit_bytes => Verdict::AfterOthersLeave,
            _ => Verdict::Never,
        };
        Self { verdict, need_bytes, room_bytes, limit_bytes }
    }
}

#[cfg(test)]
mod tests {
    use impetus_proto::supervisor::PoolStatus;

    use super::*;

    #[test]
    fn what_fits_is_held_against_the_budget() {
        let pool = |name: &str, limit_bytes, placed_bytes| PoolStatus {
            name: name.into(),
            limit_bytes,
            placed_bytes,
            ..PoolStatus::default()
        };
        let pools = vec![pool("ram", 100, 60), pool("cuda0", 50, 50)];
        let status = StatusReply { pools, ..StatusReply::default() };
        let check = |need, with_gpus, verdict, room_bytes, limit_bytes| {
            let expected = Fits { verdict, need_bytes: need, room_bytes, limit_bytes };
            assert_eq!(Fits::of(need, &status, with_gpus), expected);
        };
        check(40, false, Verdict::Now, 40, 100);
        check(41, false, Verdict::AfterOthersLeave, 40, 100);
        check(101, false, Verdict::Never, 40, 100);
        check(101, true, Verdict::AfterOthersLeave, 40, 150);
    }
}
