//! `GET /admin/crashes` and `GET /admin/crashes/{id}`: why processes died.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use impetus_proto::{
    Error,
    event::{self, ListCrashesRequest, ShowCrashRequest},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::some;
use crate::{dialect::Refusal, server::Gateway};

/// Reports, the latest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Crashes {
    crashes: Vec<Crash>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Crash {
    id: String,
    unix_ms: u64,
    /// gateway or a worker's id
    process: String,
    model: Option<String>,
    /// A sentence without its subject.
    cause: String,
    /// Of the report.
    path: String,
}

/// A report, with its name.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CrashReport {
    id: String,
    #[serde(flatten)]
    report: Report,
}

/// What the supervisor has written.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Report {
    unix_ms: u64,
    process: String,
    pid: Option<u32>,
    version: String,
    cause: String,
    exit: Exit,
    /// For how long it had been known.
    uptime_ms: u64,
    #[serde(default)]
    worker: Option<Serving>,
    /// What it logged last.
    last_lines: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CrashExit")]
struct Exit {
    #[serde(default)]
    code: Option<i32>,
    #[serde(default)]
    signal: Option<i32>,
    memory: bool,
    may_be_request: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CrashedWorker")]
struct Serving {
    format: String,
    #[serde(default)]
    model: Option<Model>,
    state: String,
    sandbox: String,
    sequences: u32,
    waiting: u32,
    leases: u32,
    peak_bytes: u64,
    #[serde(default)]
    limit_bytes: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CrashedModel")]
struct Model {
    name: String,
    path: String,
    slots: u32,
    context_tokens: u32,
    threads: u32,
    options: BTreeMap<String, String>,
    #[serde(default)]
    draft: Option<String>,
}

/// All reports.
pub(super) async fn list(State(gateway): State<Gateway>) -> Result<Json<Crashes>, Refusal> {
    let listed = gateway.upstream.crashes().await?.list(ListCrashesRequest {}).await.map_err(Error::from)?;
    Ok(Json(Crashes { crashes: listed.into_inner().crashes.into_iter().map(Crash::from).collect() }))
}

/// One report.
pub(super) async fn show(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Json<CrashReport>, Refusal> {
    let shown = gateway.upstream.crashes().await?.show(ShowCrashRequest { id: id.clone() }).await;
    let json = shown.map_err(Error::from)?.into_inner().json;
    let report = serde_json::from_str(&json)
        .map_err(|error| Error::internal(format!("the report {id} is another version's: {error}")))?;
    Ok(Json(CrashReport { id, report }))
}

impl From<event::Crash> for Crash {
    fn from(crash: event::Crash) -> Self {
        let event::Crash { id, unix_ms, process, model, cause, path } = crash;
        Self { id, unix_ms, process, model: some(&model), cause, path }
    }
}
