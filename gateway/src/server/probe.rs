//! `/health`, `/ready` and `/metrics`: for those who watch the server.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use impetus_config::Scope;
use impetus_proto::{Code, Error};
use serde_json::json;

use super::{Gateway, Routes};
use crate::{access::Need, dialect::Refusal, metrics};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route_for(Need::Nothing, "/health", get(health))
        .route_for(Need::Key, "/ready", get(ready))
        .route_for(Need::Scope(Scope::Admin), "/metrics", get(scrape))
}

async fn health() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// Whether a request that names no model would be served.
async fn ready(State(gateway): State<Gateway>) -> Result<Response, Refusal> {
    let model = gateway.upstream.model("").await.map_err(not_ready)?;
    if !is_servable(&model.state) {
        let message = format!("the default model {:?} is {}: {}", model.name, model.state, model.detail);
        return Err(not_ready(Error::new(Code::ModelLoadFailed, message)));
    }
    Ok(Json(json!({"status": "ready", "model": model.name, "state": model.state})).into_response())
}

/// Anything that keeps the server from being ready is said with 503, which is what a balancer understands.
fn not_ready(error: Error) -> Refusal {
    let mut failure = crate::error::Failure::from(error);
    failure.status = StatusCode::SERVICE_UNAVAILABLE;
    Refusal(failure)
}

fn is_servable(state: &str) -> bool {
    !matches!(state, "broken" | "failed")
}

async fn scrape(State(gateway): State<Gateway>) -> Response {
    let status = gateway.upstream.status().await.ok();
    let mut text = gateway.metrics.render();
    text.push_str(&metrics::render_stages());
    text.push_str(&metrics::render_fleet(status.as_ref()));
    let text_format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(CONTENT_TYPE, text_format)], text).into_response()
}
