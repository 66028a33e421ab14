//! `GET /admin/status`: how the whole server stands.

use axum::{Json, extract::State};
use impetus_proto::supervisor::{
    ExitCount, GatewayStatus, LoadTimes, ModelStatus, PoolShare, PoolStatus, StatusReply, WorkerStatus,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{known, some};
use crate::{
    dialect::Refusal,
    overview::{Now, measured, used},
    server::Gateway,
};

/// How the whole server stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Status {
    /// When this was so. Ages count from here.
    unix_ms: u64,
    version: String,
    uptime_s: u64,
    supervisor_pid: u32,
    gateway: Option<GatewayState>,
    workers: Vec<WorkerState>,
    models: Vec<ModelState>,
    pools: Vec<PoolState>,
    exits: Vec<Exits>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct GatewayState {
    pid: Option<u32>,
    /// starting, ready, backoff or stopped
    state: String,
    listen: String,
    url: String,
    restarts: u32,
    last_exit: Option<String>,
    rss_bytes: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct WorkerState {
    id: String,
    format: String,
    /// null: a standby
    model: Option<String>,
    /// standby, loading, ready, draining, stopping, backoff, failed or stopped
    state: String,
    detail: Option<String>,
    pid: Option<u32>,
    restarts: u32,
    last_exit: Option<String>,
    rss_bytes: Option<u64>,
    slots: Slots,
    uptime_s: Option<u64>,
    leases: u32,
    /// null: it serves its model; next, alone or retiring
    role: Option<String>,
    footprint_bytes: Option<u64>,
    peak_bytes: Option<u64>,
    limit_bytes: Option<u64>,
    limited_by: Option<String>,
    sandbox: Option<String>,
    prefix_bytes: Option<u64>,
    prefix_room_bytes: Option<u64>,
    load: Option<Load>,
    draft: Option<String>,
    waiting: u32,
    prompt_tokens: u64,
    completion_tokens: u64,
    serving_s: Option<u64>,
    stay_s: Option<u64>,
    leaves_in_s: Option<u64>,
    pools: Vec<WorkerPool>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Slots {
    busy: Option<u32>,
    total: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LoadTimes")]
struct Load {
    room_ms: u64,
    standby_ms: u64,
    open_ms: u64,
    load_ms: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct WorkerPool {
    name: String,
    footprint_bytes: u64,
    /// The most that it held.
    peak_bytes: Option<u64>,
}

/// A model as it is served.
#[derive(Debug, Serialize, JsonSchema)]
struct ModelState {
    name: String,
    format: Option<String>,
    /// available, loading, ready, draining, backoff, failed or broken
    state: String,
    path: String,
    size_bytes: u64,
    detail: Option<String>,
    aliases: Vec<String>,
    architecture: Option<String>,
    quantization: Option<String>,
    parameters: Option<u64>,
    /// That a slot gets here.
    context_tokens: Option<u32>,
    trained_context_tokens: Option<u32>,
    chat_template: bool,
    modified_unix_s: Option<u64>,
    default: bool,
    description: Option<String>,
    /// generate, embed or rerank
    task: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PoolState {
    name: String,
    /// That workers may be placed within, now.
    limit_bytes: u64,
    /// Footprints of the workers that are up.
    placed_bytes: u64,
    total_bytes: Option<u64>,
    /// That nobody uses, now.
    available_bytes: Option<u64>,
    /// Held by workers and gateway; null where that is not measured.
    measured_bytes: Option<u64>,
    /// Held by others.
    foreign_bytes: Option<u64>,
}

/// How often workers ended since the supervisor's start.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExitCount")]
struct Exits {
    format: String,
    model: Option<String>,
    cause: String,
    count: u64,
}

/// The status, asked anew.
pub(super) async fn read(State(gateway): State<Gateway>) -> Result<Json<Status>, Refusal> {
    let Now { unix_ms, status } = Now::ask(&gateway.upstream).await;
    Ok(Json(Status::of(unix_ms, &status?)))
}

impl Status {
    pub(super) fn of(unix_ms: u64, reply: &StatusReply) -> Self {
        Self {
            unix_ms,
            version: reply.version.clone(),
            uptime_s: reply.uptime_s,
            supervisor_pid: reply.supervisor_pid,
            gateway: reply.gateway.as_ref().map(Into::into),
            workers: reply.workers.iter().map(Into::into).collect(),
            models: reply.models.iter().map(Into::into).collect(),
            pools: reply.pools.iter().map(|pool| PoolState::of(pool, reply)).collect(),
            exits: reply.exits.iter().map(Into::into).collect(),
        }
    }
}

impl From<&GatewayStatus> for GatewayState {
    fn from(gateway: &GatewayStatus) -> Self {
        let scheme = if gateway.tls { "https" } else { "http" };
        Self {
            pid: known(gateway.pid),
            state: gateway.state.clone(),
            listen: gateway.listen.clone(),
            url: format!("{scheme}://{}", gateway.listen),
            restarts: gateway.restarts,
            last_exit: some(&gateway.last_exit),
            rss_bytes: known(gateway.rss_bytes),
        }
    }
}

impl From<&WorkerStatus> for WorkerState {
    fn from(worker: &WorkerStatus) -> Self {
        let has_process = known(worker.pid);
        Self {
            id: worker.id.clone(),
            format: worker.format.clone(),
            model: some(&worker.model),
            state: worker.state.clone(),
            detail: some(&worker.detail),
            pid: known(worker.pid),
            restarts: worker.restarts,
            last_exit: some(&worker.last_exit),
            rss_bytes: known(worker.rss_bytes),
            slots: Slots {
                busy: known(worker.slots_total).map(|_| worker.slots_busy),
                total: known(worker.slots_total),
            },
            uptime_s: has_process.map(|_| worker.uptime_s),
            leases: worker.leases,
            role: some(&worker.role),
            footprint_bytes: known(worker.footprint_bytes),
            peak_bytes: known(worker.peak_bytes),
            limit_bytes: known(worker.limit_bytes),
            limited_by: some(&worker.limited_by),
            sandbox: some(&worker.sandbox),
            prefix_bytes: known(worker.prefix_bytes),
            prefix_room_bytes: known(worker.prefix_room_bytes),
            load: worker.load.as_ref().map(Into::into),
            draft: some(&worker.draft),
            waiting: worker.waiting,
            prompt_tokens: worker.prompt_tokens,
            completion_tokens: worker.completion_tokens,
            serving_s: known(worker.serving_s),
            stay_s: worker.stay_s,
            leaves_in_s: worker.leaves_in_s,
            pools: worker.pools.iter().map(Into::into).collect(),
        }
    }
}

impl From<&LoadTimes> for Load {
    fn from(times: &LoadTimes) -> Self {
        let LoadTimes { room_ms, standby_ms, open_ms, load_ms } = *times;
        Self { room_ms, standby_ms, open_ms, load_ms }
    }
}

impl From<&PoolShare> for WorkerPool {
    fn from(share: &PoolShare) -> Self {
        Self {
            name: share.name.clone(),
            footprint_bytes: share.footprint_bytes,
            peak_bytes: known(share.peak_bytes),
        }
    }
}

impl From<&ModelStatus> for ModelState {
    fn from(model: &ModelStatus) -> Self {
        Self {
            name: model.name.clone(),
            format: some(&model.format),
            state: model.state.clone(),
            path: model.path.clone(),
            size_bytes: model.size_bytes,
            detail: some(&model.detail),
            aliases: model.aliases.clone(),
            architecture: some(&model.architecture),
            quantization: some(&model.quantization),
            parameters: known(model.parameters),
            context_tokens: known(model.context_tokens),
            trained_context_tokens: known(model.trained_context_tokens),
            chat_template: model.chat_template,
            modified_unix_s: known(model.modified_unix_s),
            default: model.is_default,
            description: some(&model.description),
            task: some(&model.task),
        }
    }
}

impl PoolState {
    fn of(pool: &PoolStatus, reply: &StatusReply) -> Self {
        let measured_bytes = measured(&pool.name, reply);
        let foreign = used(pool).map(|used| used.saturating_sub(measured_bytes.unwrap_or(pool.placed_bytes)));
        Self {
            name: pool.name.clone(),
            limit_bytes: pool.limit_bytes,
            placed_bytes: pool.placed_bytes,
            total_bytes: known(pool.total_bytes),
            available_bytes: known(pool.total_bytes).map(|_| pool.available_bytes),
            measured_bytes,
            foreign_bytes: foreign,
        }
    }
}

impl From<&ExitCount> for Exits {
    fn from(exit: &ExitCount) -> Self {
        Self {
            format: exit.format.clone(),
            model: some(&exit.model),
            cause: exit.cause.clone(),
            count: exit.count,
        }
    }
}
