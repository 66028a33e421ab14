//! `GET /admin/hub/search`: what the hub has. The fetcher asks, the only process that may connect to the outside.

use axum::{Json, extract::State};
use impetus_proto::{
    Error,
    fetch::{Repository, Search},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ask::Asked, some};
use crate::{dialect::Refusal, server::Gateway};

/// Repositories that are told unless somebody says how many, and the most.
const REPOSITORIES: u32 = 20;
const MAX_REPOSITORIES: u32 = 100;

/// The longest question, in bytes.
const MAX_BYTES: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    q: String,
    #[serde(default)]
    format: String,
    limit: Option<u32>,
}

/// Repositories of the hub, those that are fetched most first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct HubModels {
    models: Vec<HubModel>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct HubModel {
    /// As a pull takes it.
    model: String,
    downloads: u64,
    likes: u64,
    /// As the hub writes it.
    modified: Option<String>,
    /// Only for those whom its owner lets in.
    gated: bool,
    tags: Vec<String>,
}

/// Asks the hub.
pub(super) async fn ask(
    State(gateway): State<Gateway>,
    Asked(Question { q, format, limit }): Asked<Question>,
) -> Result<Json<HubModels>, Refusal> {
    if q.trim().is_empty() || q.len() > MAX_BYTES {
        return Err(Error::invalid("q", format!("expected a text of at most {MAX_BYTES} bytes")).into());
    }
    if !["", "gguf", "candle", "onnx"].contains(&format.as_str()) {
        return Err(Error::invalid("format", "expected gguf, candle or onnx").into());
    }
    let limit = limit.unwrap_or(REPOSITORIES);
    if !(1..=MAX_REPOSITORIES).contains(&limit) {
        return Err(Error::invalid("limit", format!("expected 1 to {MAX_REPOSITORIES}")).into());
    }
    let found = gateway.upstream.store().await?.search(Search { query: q, format, limit }).await;
    let repositories = found.map_err(Error::from)?.into_inner().repositories;
    Ok(Json(HubModels { models: repositories.into_iter().map(HubModel::from).collect() }))
}

impl From<Repository> for HubModel {
    fn from(repository: Repository) -> Self {
        let Repository { name, downloads, likes, modified, gated, tags } = repository;
        Self { model: name, downloads, likes, modified: some(&modified), gated, tags }
    }
}
