//! What is collected of a request, as the collector gets it.

use axum::http::{HeaderMap, HeaderValue, Method};
use impetus_config::TelemetryConfig;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use super::*;
use crate::metrics;

struct Collector(mpsc::Sender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.send(request.into_inner()).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A tracer, the collector that hears it, and what makes it stop.
struct Site {
    tracer: Tracer,
    heard: mpsc::Receiver<ExportTraceServiceRequest>,
    stop: watch::Sender<bool>,
    exporter: JoinHandle<()>,
}

impl Site {
    async fn new(change: impl FnOnce(&mut TelemetryConfig)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, heard) = mpsc::channel(16);
        let server =
            tonic::transport::Server::builder().add_service(TraceServiceServer::new(Collector(sender)));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let mut config = TelemetryConfig {
            otlp_endpoint: Some(format!("http://{address}")),
            ..TelemetryConfig::default()
        };
        change(&mut config);
        let tracer = Tracer::new(&config).unwrap();
        let (stop, stopped) = watch::channel(false);
        let exporter = tokio::spawn(tracer.exporter().unwrap().run(stopped));
        Self { tracer, heard, stop, exporter }
    }

    /// Everything that was told until the end, by process.
    async fn told(mut self) -> Vec<(String, Vec<Span>)> {
        self.stop.send_replace(true);
        self.exporter.await.unwrap();
        let mut told = Vec::new();
        while let Ok(message) = self.heard.try_recv() {
            for of_process in message.resource_spans {
                let attributes = of_process.resource.unwrap().attributes;
                let name = attributes.iter().find(|pair| pair.key == "service.name").unwrap();
                let name = format!("{:?}", name.value.clone().unwrap().value.unwrap());
                told.push((name, of_process.scope_spans.into_iter().flat_map(|scope| scope.spans).collect()));
            }
        }
        told
    }
}

fn headers(traceparent: &str) -> HeaderMap {
    [("traceparent", traceparent)].into_iter().fold(HeaderMap::new(), |mut headers, (name, value)| {
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    })
}

#[tokio::test]
async fn spans_of_three_processes_are_one_tree_within_the_clients() {
    let site = Site::new(|_| {}).await;
    let parent = headers("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let trace = site.tracer.begin(&Method::POST, "/v1/chat/completions", &parent);
    assert_eq!(trace.id().unwrap(), "0af7651916cd43dd8448eb211c80319c");
    let call = trace.open(Process::Gateway, Kind::Client, "generate");
    let work = call.open(Process::Worker, Kind::Server, "generate");
    work.part(Process::Worker, "decode", Instant::now(), Instant::now());
    work.fail("crash", "killed by SIGSEGV");
    drop((work, call));
    drop(trace.open(Process::Supervisor, Kind::Server, "acquire"));
    trace.end(503, Some("no_capacity"));
    drop(trace);
    let told = site.told().await;
    let names: Vec<_> = told.iter().map(|(name, spans)| (name.as_str(), spans.len())).collect();
    let expected = [("gateway", 2), ("supervisor", 1), ("worker", 2)];
    assert_eq!(names.len(), 3, "{names:?}");
    for ((name, n_spans), (process, n)) in names.iter().zip(expected) {
        assert!(name.contains(&format!("impetus-{process}")) && *n_spans == n, "{names:?}");
    }
    let spans: Vec<_> = told.iter().flat_map(|(_, spans)| spans).collect();
    let root = spans.iter().find(|span| span.name == "POST /v1/chat/completions").unwrap();
    assert_eq!(root.parent_span_id, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
    assert!(root.status.is_some());
    let known: Vec<_> = spans.iter().map(|span| &span.span_id).collect();
    for span in &spans {
        assert_eq!(span.trace_id, root.trace_id);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        assert!(span.span_id == root.span_id || known.contains(&&span.parent_span_id), "{span:?}");
    }
}

#[tokio::test]
async fn who_says_whether_to_record_decides_and_else_the_ratio_does() {
    let site = Site::new(|config| config.sample_ratio = 0.0).await;
    let check = |header: Option<&str>, expected: bool| {
        let headers = header.map(headers).unwrap_or_default();
        let trace = site.tracer.begin(&Method::POST, "/", &headers);
        assert_eq!(trace.id().is_some(), expected, "{header:?}");
    };
    check(None, false);
    check(Some("nonsense"), false);
    check(Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), true);
    check(Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"), false);
    let site = Site::new(|_| {}).await;
    assert!(site.tracer.begin(&Method::POST, "/", &HeaderMap::new()).id().is_some());
    assert!(Tracer::default().begin(&Method::POST, "/", &HeaderMap::new()).id().is_none());
}

#[tokio::test]
async fn what_the_queue_has_no_room_for_is_dropped_and_counted() {
    let text = metrics::install().unwrap();
    let counted = || -> u64 {
        let line = "impetus_trace_spans_total{outcome=\"queue_full\"} ";
        text.render().lines().find_map(|known| known.strip_prefix(line)).map_or(0, |n| n.parse().unwrap())
    };
    let config = TelemetryConfig {
        otlp_endpoint: Some("http://127.0.0.1:9".into()),
        max_queue: 2,
        ..TelemetryConfig::default()
    };
    // Nobody takes anything from the queue.
    let tracer = Tracer::new(&config).unwrap();
    let before = counted();
    for _ in 0..5 {
        drop(tracer.begin(&Method::POST, "/", &HeaderMap::new()));
    }
    assert_eq!(counted() - before, 3);
}
