//! From finished traces to a collector: a bounded queue, batches, and patience where nobody listens. A request never
//! waits for any of it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, Method};
use impetus_config::TelemetryConfig;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout_at},
};
use tracing::{debug, info, warn};

use super::{
    Trace,
    context::Parent,
    recent::Recent,
    running::{Finished, Running},
    send::{Failed, TraceError, Way},
    wire,
};
use crate::metrics;

/// How long a trace waits for others that go with it.
const LINGER: Duration = Duration::from_secs(1);

/// Spans after which a batch is sent at once.
const MAX_BATCH_SPANS: usize = 512;

/// Pauses between tries to reach a collector that is away; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Has requests traced, and decides which traces are sent: none where no collector is set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tracer {
    sending: Option<Arc<Shared>>,
    recent: Recent,
}

#[derive(Debug)]
struct Shared {
    sample_ratio: f64,
    queue: mpsc::Sender<Arc<Finished>>,
    exporter: Mutex<Option<Exporter>>,
}

/// What sends traces off.
#[derive(Debug)]
pub(crate) struct Exporter {
    queue: mpsc::Receiver<Arc<Finished>>,
    way: Way,
    /// The last try failed, which has been logged.
    is_failing: bool,
}

impl Tracer {
    /// As configured: off where there is no endpoint.
    pub(crate) fn new(config: &TelemetryConfig) -> Result<Self, TraceError> {
        let Some(way) = Way::of(config)? else { return Ok(Self::default()) };
        let (sender, queue) = mpsc::channel(config.max_queue.max(1));
        let exporter = Exporter { queue, way, is_failing: false };
        let shared =
            Shared { sample_ratio: config.sample_ratio, queue: sender, exporter: Mutex::new(Some(exporter)) };
        Ok(Self { sending: Some(Arc::new(shared)), recent: Recent::default() })
    }

    /// The trace of a request that has come in: the client's, where it is part of one, else a new one. A client that
    /// says whether it records its part decides for ours as well.
    pub(crate) fn begin(&self, method: &Method, route: &str, headers: &HeaderMap) -> Trace {
        let parent = Parent::of(headers);
        let sending = self.sending.as_ref().filter(|shared| match &parent {
            Some(parent) => parent.is_sampled,
            None => rand::random::<f64>() < shared.sample_ratio,
        });
        let queue = sending.map(|shared| shared.queue.clone());
        let running = Running::begin(parent, format!("{method} {route}"), queue, self.recent.clone());
        let trace = Trace(Some(Arc::new(running)));
        trace.set("http.request.method", method.as_str());
        trace.set("http.route", route);
        trace
    }

    /// The requests that ended last.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// What sends the traces off, once.
    pub(crate) fn exporter(&self) -> Option<Exporter> {
        self.sending.as_ref()?.exporter.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Exporter {
    /// Sends traces until `stop` says that there will be no more; what is there by then is tried once.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let batch = self.batch(&mut stop).await;
            if batch.is_empty() {
                return;
            }
            self.deliver(&batch, &mut stop).await;
        }
    }

    /// The next traces. None: there will be no more.
    async fn batch(&mut self, stop: &mut watch::Receiver<bool>) -> Vec<Arc<Finished>> {
        let first = tokio::select! {
            biased;
            first = self.queue.recv() => first,
            () = told(stop) => self.queue.try_recv().ok(),
        };
        let mut batch = Vec::from_iter(first);
        let mut n_spans = batch.first().map_or(0, |trace| trace.spans.len());
        let until = Instant::now() + if *stop.borrow() { Duration::ZERO } else { LINGER };
        while !batch.is_empty() && n_spans < MAX_BATCH_SPANS {
            let next = tokio::select! {
                biased;
                next = timeout_at(until, self.queue.recv()) => next.ok().flatten(),
                () = told(stop) => self.queue.try_recv().ok(),
            };
            let Some(next) = next else { break };
            n_spans += next.spans.len();
            batch.push(next);
        }
        batch
    }

    async fn deliver(&mut self, batch: &[Arc<Finished>], stop: &mut watch::Receiver<bool>) {
        let message = wire::message(batch);
        let n_spans: u64 = batch.iter().map(|trace| trace.spans.len() as u64).sum();
        let mut pause = FIRST_PAUSE;
        loop {
            match self.way.send(message.clone()).await {
                Ok(n_rejected) => {
                    let n_rejected = n_rejected.min(n_spans);
                    metrics::spans("exported", n_spans - n_rejected);
                    metrics::spans("rejected", n_rejected);
                    if std::mem::take(&mut self.is_failing) {
                        info!("the trace collector takes traces again");
                    }
                    return;
                }
                Err(Failed::ForGood(cause)) => {
                    metrics::spans("rejected", n_spans);
                    self.warn(&cause);
                    return;
                }
                Err(Failed::ForNow(cause)) => self.warn(&cause),
            }
            let stops = tokio::select! {
                () = sleep(pause) => *stop.borrow(),
                () = told(stop) => true,
            };
            if stops {
                metrics::spans("shutdown", n_spans);
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Says it once, until it has gone well again.
    fn warn(&mut self, cause: &str) {
        if std::mem::replace(&mut self.is_failing, true) {
            debug!(cause, "traces are not taken");
        } else {
            warn!(
                cause,
                "traces are not taken; check telemetry.otlp_endpoint, telemetry.otlp_protocol and telemetry.otlp_headers"
            );
        }
    }
}

/// Resolves when there will be no more traces.
async fn told(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone has nothing more to say either.
    let _ = stop.wait_for(|stop| *stop).await;
}
