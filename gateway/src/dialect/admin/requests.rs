//! `GET /admin/requests` and `GET /admin/requests/{id}`: requests that are over, and their ways through the processes.

use axum::{
    Json,
    extract::{Path, State},
};
use impetus_proto::{Code, Error};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ask::Asked;
use crate::{
    dialect::Refusal,
    server::Gateway,
    trace::{RequestSummary, RequestTrace},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Last {
    #[serde(default = "fifty")]
    limit: usize,
}

/// The latest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Requests {
    requests: Vec<RequestSummary>,
}

/// The requests that ended last, and that models worked for.
pub(super) async fn list(
    State(gateway): State<Gateway>,
    Asked(Last { limit }): Asked<Last>,
) -> Json<Requests> {
    Json(Requests { requests: gateway.recent().list(limit) })
}

/// One of them.
pub(super) async fn show(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Json<RequestTrace>, Refusal> {
    let message = || {
        let message = format!(
            "no request {id:?} is remembered: it runs, or was too long ago, or the gateway was replaced; see \
             /admin/logs?request_id="
        );
        Error::new(Code::NotFound, message).with_param("id")
    };
    Ok(Json(gateway.recent().find(&id).ok_or_else(message)?))
}

fn fifty() -> usize {
    50
}
