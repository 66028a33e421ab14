//! `GET /admin/models` and `DELETE /admin/models/{name}`

use axum::{
    Json,
    extract::{Path, State},
};
use impetus_proto::{
    Error,
    store::{ListRequest, RemoveRequest},
};
use serde_json::{Value, json};

use super::stored;
use crate::{dialect::Refusal, server::Gateway};

/// The models of the store, and the room that there is.
pub(super) async fn list(State(gateway): State<Gateway>) -> Result<Json<Value>, Refusal> {
    let listed =
        gateway.upstream.store().await?.list(ListRequest {}).await.map_err(Error::from)?.into_inner();
    Ok(Json(json!({
        "models": listed.models.iter().map(stored).collect::<Vec<_>>(),
        "disk_bytes": listed.disk_bytes,
        "free_bytes": listed.free_bytes,
    })))
}

/// Removes a model that no request uses.
pub(super) async fn remove(
    State(gateway): State<Gateway>,
    Path(model): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let removed = gateway.upstream.store().await?.remove(RemoveRequest { model }).await;
    let removed = removed.map_err(Error::from)?.into_inner();
    Ok(Json(json!({ "name": removed.model, "removed": true, "freed_bytes": removed.freed_bytes })))
}
