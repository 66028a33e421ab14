//! The stable form of a status for programs. Fields are only ever added.

use impetus_proto::supervisor::{
    EntranceStatus, GatewayStatus, LoadTimes, ModelStatus, PoolStatus, StatusReply, WorkerStatus,
};
use serde_json::{Value, json};

/// For a program that also a person looks at.
pub(super) fn pretty(reply: &StatusReply) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&value(reply)).map(|text| text + "\n")
}

/// One line.
pub(super) fn line(reply: &StatusReply) -> Result<String, serde_json::Error> {
    serde_json::to_string(&value(reply)).map(|text| text + "\n")
}

fn value(reply: &StatusReply) -> Value {
    json!({
        "gateway": reply.gateway.as_ref().map(gateway),
        "workers": reply.workers.iter().map(worker).collect::<Vec<_>>(),
        "models": reply.models.iter().map(model).collect::<Vec<_>>(),
        "pools": reply.pools.iter().map(pool).collect::<Vec<_>>(),
    })
}

fn gateway(gateway: &GatewayStatus) -> Value {
    json!({
        "pid": known(gateway.pid),
        "state": gateway.state,
        "listen": gateway.listen,
        "url": super::url(gateway, &gateway.listen),
        "entrances": gateway.entrances.iter().map(|found| entrance(gateway, found)).collect::<Vec<_>>(),
    })
}

fn entrance(gateway: &GatewayStatus, entrance: &EntranceStatus) -> Value {
    json!({
        "name": entrance.name,
        "listen": entrance.listen,
        "url": super::url(gateway, &entrance.listen),
    })
}

fn worker(worker: &WorkerStatus) -> Value {
    let slots = known(worker.slots_total).map(|total| json!({ "busy": worker.slots_busy, "total": total }));
    json!({
        "id": worker.id,
        "format": worker.format,
        "model": some(&worker.model),
        "state": worker.state,
        "detail": some(&worker.detail),
        "pid": known(worker.pid),
        "restarts": worker.restarts,
        "last_exit": some(&worker.last_exit),
        "rss_bytes": known(worker.rss_bytes),
        "slots": slots.unwrap_or_else(|| json!({ "busy": null, "total": null })),
        "uptime_s": known(worker.pid).map(|_| worker.uptime_s),
        "leases": worker.leases,
        "role": some(&worker.role),
        "footprint_bytes": known(worker.footprint_bytes),
        "peak_bytes": known(worker.peak_bytes),
        "limit_bytes": known(worker.limit_bytes),
        "limited_by": some(&worker.limited_by),
        "sandbox": some(&worker.sandbox),
        "prefix_bytes": known(worker.prefix_bytes),
        "prefix_room_bytes": known(worker.prefix_room_bytes),
        "load": worker.load.as_ref().map(load),
        "draft": some(&worker.draft),
    })
}

fn load(load: &LoadTimes) -> Value {
    json!({
        "room_ms": load.room_ms,
        "standby_ms": load.standby_ms,
        "open_ms": load.open_ms,
        "load_ms": load.load_ms,
    })
}

fn model(model: &ModelStatus) -> Value {
    json!({
        "name": model.name,
        "format": some(&model.format),
        "state": model.state,
        "path": model.path,
        "size_bytes": model.size_bytes,
        "detail": some(&model.detail),
    })
}

fn pool(pool: &PoolStatus) -> Value {
    json!({
        "name": pool.name,
        "limit_bytes": pool.limit_bytes,
        "placed_bytes": pool.placed_bytes,
        "total_bytes": known(pool.total_bytes),
        "available_bytes": known(pool.total_bytes).map(|_| pool.available_bytes),
    })
}

fn known<N: Default + PartialEq>(number: N) -> Option<N> {
    (number != N::default()).then_some(number)
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
