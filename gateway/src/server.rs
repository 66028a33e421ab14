//! HTTP itself: connections and their limits, request ids, and the endpoints that belong to no dialect.

mod body;
mod connection;
mod course;
mod probe;
mod request_id;
mod write_timeout;

use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response},
    response::IntoResponse,
};
use futures::FutureExt;
use impetus_config::Config;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{net::TcpListener, sync::watch, time::MissedTickBehavior};
use tower::ServiceExt;
use tracing::{Instrument, error, field::Empty, info_span};

pub(crate) use body::read as read_body;
pub(crate) use course::Course;

use crate::{
    dialect,
    error::Failure,
    metrics::{self, MetricsError},
    record::Record,
    upstream::Upstream,
};

/// How often metrics are condensed when nobody scrapes them.
const UPKEEP_PERIOD: Duration = Duration::from_secs(5);

/// What every request handler works with.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) limits: Limits,
    /// Whether inputs that an embedding model cannot take whole are cut.
    pub(crate) truncate_inputs: bool,
    metrics: PrometheusHandle,
}

/// Numbers that bind a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_body_bytes: usize,
    pub(crate) body_timeout: Duration,
    /// Silence after which a stream gets an event that carries nothing.
    pub(crate) keep_alive: Duration,
    max_connections: usize,
    header_timeout: Duration,
    write_timeout: Duration,
}

impl Gateway {
    /// A gateway for the supervisor that listens on `socket`.
    pub(crate) fn new(config: &Config, socket: &str) -> Result<Self, MetricsError> {
        let upstream = Arc::new(Upstream::new(socket, config.into()));
        let config = &config.gateway;
        let seconds = |value: u64| Duration::from_secs(value.max(1));
        Ok(Self {
            upstream,
            limits: Limits {
                max_body_bytes: config.max_body_bytes,
                body_timeout: seconds(config.body_timeout_s),
                keep_alive: seconds(config.keep_alive_s),
                max_connections: config.max_connections.max(1),
                header_timeout: seconds(config.header_timeout_s),
                write_timeout: seconds(config.write_timeout_s),
            },
            truncate_inputs: config.truncate_inputs,
            metrics: metrics::install()?,
        })
    }
}

/// Serves as long as `course` says so, then until every request that has begun is finished.
pub(crate) async fn serve(listener: TcpListener, gateway: Gateway, course: watch::Receiver<Course>) {
    let limits = gateway.limits;
    let router = router(gateway.clone());
    tokio::select! {
        () = connection::accept(listener, limits, course, move |request| answer(router.clone(), request)) => {}
        () = upkeep(gateway.metrics) => {}
    }
}

fn router(gateway: Gateway) -> Router {
    dialect::router()
        .merge(probe::router())
        .fallback(dialect::no_such_path)
        .method_not_allowed_fallback(dialect::no_such_method)
        .with_state(gateway)
}

/// One request through the router. Whatever happens, there is an answer, and it carries the request's id.
async fn answer(router: Router, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let id = request_id::of(request.headers());
    let span = info_span!("request", request_id = &*id, model = Empty);
    let record = Record::open(id.clone(), endpoint(request.uri().path()), span.clone());
    let mut request = request;
    request.extensions_mut().insert(record.clone());

    let handled = AssertUnwindSafe(router.oneshot(request)).catch_unwind().instrument(span).await;
    let mut response = match handled {
        Ok(Ok(response)) => response,
        Err(_panic) => {
            error!(request_id = &*id, "a request handler panicked");
            dialect::Refusal(Failure::defect()).into_response()
        }
    };
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    record.answered(response.status());
    Ok(response)
}

/// The name of an endpoint in logs and metrics; what clients make up has no name of its own.
fn endpoint(path: &str) -> &'static str {
    const ENDPOINTS: [&str; 7] = [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/models",
        "/health",
        "/ready",
        "/metrics",
    ];
    ENDPOINTS.into_iter().find(|known| path == *known).unwrap_or(if path.starts_with("/v1/models/") {
        "/v1/models/{model}"
    } else {
        "other"
    })
}

async fn upkeep(metrics: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}

#[cfg(test)]
mod tests;
