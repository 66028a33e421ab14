//! HTTP itself: connections and their limits, request ids, and the endpoints that belong to no dialect.

mod body;
mod connection;
mod course;
mod permit;
mod plain_refusal;
mod probe;
mod refusal;
mod request_id;
mod routes;
mod tls;
mod write_timeout;

use std::{convert::Infallible, panic::AssertUnwindSafe, path::Path, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response},
    response::IntoResponse,
};
use futures::FutureExt;
use impetus_config::{Config, Entrance, Scope};
use impetus_proto::key::KeySet;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tower::{Layer, ServiceExt, service_fn};
use tracing::{Instrument, Span, error, field::Empty, info_span};

pub(crate) use body::read as read_body;
pub(crate) use course::Course;
pub(crate) use routes::Routes;

pub(crate) use crate::access::Caller;

use connection::Door;
use refusal::Seen;
use routes::{Route, Table};
use tls::{Tls, TlsError};

use crate::{
    access::{self, Access, Addresses, Need},
    dashboard,
    dialect::{self, Blobs, Presets, Responses},
    error::Failure,
    metrics::{self, MetricsError},
    names::ChosenNames,
    overview::Overview,
    record::Record,
    trace::{Recent, RequestId, Trace, TraceError, Tracer},
    upstream::Upstream,
};

/// How often metrics are condensed when nobody scrapes them.
const UPKEEP_PERIOD: Duration = Duration::from_secs(5);

/// How long the last traces may take when the process ends.
const LAST_TRACES: Duration = Duration::from_secs(2);

/// How long the news of a key may be on its way.
const KEY_PATIENCE: Duration = Duration::from_secs(2);

/// What logs and metrics call a path that nothing is served at.
const OTHER: &str = "other";

/// What every request handler works with.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) limits: Limits,
    /// Whether inputs that an embedding model cannot take whole are cut.
    pub(crate) truncate_inputs: bool,
    pub(crate) responses: Responses,
    /// Models for names that no model has.
    names: ChosenNames,
    /// The models that were made of others by `/api/create`.
    pub(crate) presets: Presets,
    /// Files that were sent to make models of.
    pub(crate) blobs: Blobs,
    /// How the whole server stands.
    pub(crate) overview: Overview,
    access: Arc<Access>,
    addresses: Arc<Addresses>,
    tls: Option<Tls>,
    tracer: Tracer,
    /// Of the supervisor.
    socket: Arc<str>,
    metrics: PrometheusHandle,
}

/// A gateway cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    #[error("metrics cannot be set up: {0}")]
    Metrics(#[from] MetricsError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Trace(#[from] TraceError),
}

/// What requests go through: who may come in, then the handlers.
#[derive(Debug, Clone)]
struct App {
    router: Router,
    table: Table,
    access: Arc<Access>,
    tracer: Tracer,
}

/// Numbers that bind a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_body_bytes: usize,
    pub(crate) body_timeout: Duration,
    /// Silence after which a stream gets an event that carries nothing.
    pub(crate) keep_alive: Duration,
    /// How deep objects and lists of a body may be nested.
    pub(crate) max_depth: usize,
    /// The most objects in one list of a body.
    pub(crate) max_messages: usize,
    max_headers: usize,
    max_header_bytes: usize,
    max_connections: usize,
    header_timeout: Duration,
    write_timeout: Duration,
}

impl Gateway {
    /// A gateway for the supervisor that listens on `socket`.
    pub(crate) fn new(config: &Config, socket: &str) -> Result<Self, GatewayError> {
        let upstream = Arc::new(Upstream::new(socket, config.into()));
        let access = Arc::new(Access::new(config));
        let responses = Responses::new(config);
        let presets = Presets::new(Path::new(&config.supervisor.state_dir));
        let addresses = Arc::new(Addresses::new(&config.auth));
        let tracer = Tracer::new(&config.telemetry)?;
        let blobs = Blobs::new(config);
        let limits = Limits::new(config);
        let overview = Overview::new(&config.supervisor.state_dir);
        let config = &config.gateway;
        Ok(Self {
            upstream,
            limits,
            truncate_inputs: config.truncate_inputs,
            names: ChosenNames::new(&config.names),
            responses,
            presets,
            blobs,
            overview,
            access,
            addresses,
            tls: Tls::load(&config.tls)?,
            tracer,
            socket: socket.into(),
            metrics: metrics::install()?,
        })
    }

    /// Waits until a key that was made opens this gateway, or one that was revoked does not any more, for as long as that
    /// takes with a supervisor that is well.
    pub(crate) async fn until_key(&self, name: &str, is_made: bool) {
        // By then it is told by nobody but the next supervisor, whenever that comes.
        let _ = tokio::time::timeout(KEY_PATIENCE, self.access.until_made(name, is_made)).await;
    }

    /// The requests that ended last.
    pub(crate) fn recent(&self) -> &Recent {
        self.tracer.recent()
    }

    /// The keys that were made so far. Later ones are learned while it serves.
    pub(crate) fn set_keys(&self, keys: KeySet) {
        self.access.set_keys(keys, Instant::now());
    }
}

impl Limits {
    /// Those that are configured.
    pub(crate) fn new(config: &Config) -> Self {
        let config = &config.gateway;
        let seconds = |value: u64| Duration::from_secs(value.max(1));
        Self {
            max_body_bytes: config.max_body_bytes,
            body_timeout: seconds(config.body_timeout_s),
            keep_alive: seconds(config.keep_alive_s),
            max_depth: config.max_depth,
            max_messages: config.max_messages,
            max_headers: config.max_headers,
            max_header_bytes: config.max_header_bytes,
            max_connections: config.max_connections.max(1),
            header_timeout: seconds(config.header_timeout_s),
            write_timeout: seconds(config.write_timeout_s),
        }
    }
}

impl App {
    /// The trace of a request for what models do; the rest would only be noise.
    fn trace(&self, request: &Request<Body>, id: &str, route: Option<Route>, span: &Span) -> Trace {
        let Some(route) = route.filter(|route| route.need == Need::Scope(Scope::Inference)) else {
            return Trace::default();
        };
        let trace = self.tracer.begin(request.method(), route.path, request.headers());
        if let Some(trace_id) = trace.id() {
            span.record("trace_id", trace_id);
        }
        trace.set("impetus.request_id", id);
        if let Some(operation) = dialect::operation(route.path) {
            trace.set("gen_ai.operation.name", operation);
            trace.set("gen_ai.provider.name", "impetus");
        }
        trace
    }

    async fn handle(&self, request: Request<Body>, need: Need, record: &Record) -> Response<Body> {
        let (head, body) = request.into_parts();
        match self.access.check_origin(&head) {
            Ok(None) => self.admit(Request::from_parts(head, body), need, record).await,
            Ok(Some(cors)) => {
                let inner = service_fn(|request| async {
                    Ok::<_, Infallible>(self.admit(request, need, record).await)
                });
                let Ok(response) = cors.layer(inner).oneshot(Request::from_parts(head, body)).await;
                response
            }
            Err(refused) => refusal::answer(refused, &Seen::of(&head)),
        }
    }

    async fn admit(&self, request: Request<Body>, need: Need, record: &Record) -> Response<Body> {
        let (mut head, body) = request.into_parts();
        let caller = match self.access.admit(&head, need) {
            Ok(caller) => caller,
            Err(refused) => return refusal::answer(refused, &Seen::of(&head)),
        };
        record.identify(caller.clone());
        head.extensions.insert(caller.clone());
        head.extensions.insert(record.clone());
        let Ok(mut response) = self.router.clone().oneshot(Request::from_parts(head, body)).await;
        caller.standing().write(response.headers_mut());
        response
    }
}

/// Serves at every entrance as long as `course` says so, then until every request that has begun is finished, those
/// included that nobody waits for.
pub(crate) async fn serve(
    listeners: Vec<(Entrance, TcpListener)>,
    gateway: Gateway,
    course: watch::Receiver<Course>,
) {
    let Gateway { limits, addresses, tls, access, socket, responses, blobs, metrics, tracer, .. } =
        gateway.clone();
    let (overview, upstream, steered) = (gateway.overview.clone(), gateway.upstream.clone(), course.clone());
    let last_words = overview.clone();
    let (stop, stopped) = watch::channel(false);
    let exporting = tracer.exporter().map(|exporter| tokio::spawn(exporter.run(stopped)));
    let door = Door { limits, addresses, tls: tls.clone() };
    let handled = |(entrance, listener)| {
        let app = app(gateway.clone(), entrance);
        (listener, move |request| answer(app.clone(), request))
    };
    let listeners = listeners.into_iter().map(handled).collect();
    let finished = async {
        connection::accept(listeners, door, course).await;
        responses.idle().await;
    };
    let certificates = async {
        match &tls {
            Some(tls) => tls.follow().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = finished => {}
        () = upkeep(metrics) => {}
        () = blobs.upkeep() => {}
        () = overview.run(upstream, steered) => {}
        () = access::follow(access, socket.to_string()) => {}
        () = certificates => {}
    }
    last_words.exchange().await;
    if let Some(exporting) = exporting {
        stop.send_replace(true);
        // A collector that does not listen must not keep the process.
        let _ = tokio::time::timeout(LAST_TRACES, exporting).await;
    }
}

fn app(gateway: Gateway, entrance: Entrance) -> App {
    let routes = dialect::routes().merge(dialect::routes_of(entrance)).merge(probe::routes());
    let routes = if entrance == Entrance::Gateway { routes.merge(dashboard::routes()) } else { routes };
    let (router, table) = routes.into_parts();
    let (access, tracer) = (gateway.access.clone(), gateway.tracer.clone());
    let router = router
        .fallback(dialect::no_such_path)
        .method_not_allowed_fallback(dialect::no_such_method)
        .with_state(gateway);
    App { router, table, access, tracer }
}

/// One request through the router. Whatever happens, there is an answer, and it carries the request's id.
async fn answer(app: App, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let id = request_id::of(request.headers());
    let span = info_span!("request", request_id = &*id, trace_id = Empty, key = Empty, model = Empty);
    let route = app.table.find(request.uri().path());
    let trace = app.trace(&request, &id, route, &span);
    let name = RequestId::new(id.clone(), trace);
    let record = Record::open(name, route.map_or(OTHER, |route| route.path), span.clone());
    // What nothing is served at is nobody's business without a key either.
    let need = route.map_or(Need::Key, |route| route.need);
    let (head, body) = request.into_parts();
    let wording = dialect::wording(&head);
    let request = Request::from_parts(head, body);

    let handled = AssertUnwindSafe(app.handle(request, need, &record)).catch_unwind().instrument(span).await;
    let mut response = handled.unwrap_or_else(|_panic| {
        error!(request_id = &*id, "a request handler panicked");
        dialect::Refusal(Failure::defect()).into_response()
    });
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        record.refused(failure.code);
        if let Some(worded) = wording {
            response = worded(response, &failure, &id);
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    record.answered(response.status());
    Ok(response)
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
