//! What a collector of OpenTelemetry gets to see: one tree of spans for each request, whatever became of its workers, and
//! nothing of what was said in it.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{future::join_all, stream};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value as Any},
    trace::v1::Span,
};
use prost::Message;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::Method;
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
    transport::server::{Connected, TcpIncoming},
};

use crate::{
    chat::with,
    crash::{endless, kill_worker},
    harness::{EventStream, Server, Setup, chat, eventually},
};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What was exported at once, and under which headers.
type Export = (MetadataMap, ExportTraceServiceRequest);

struct Service(mpsc::Sender<Export>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (headers, _, message) = request.into_parts();
        self.0.send((headers, message)).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector, and what it has heard so far.
struct Collector {
    address: SocketAddr,
    exports: mpsc::Receiver<Export>,
    headers: MetadataMap,
    spans: Vec<Told>,
}

/// A connection with TLS, as tonic takes one.
struct Secure(TlsStream<TcpStream>);

impl Connected for Secure {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Secure {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Secure {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A span, and the service that it is of.
#[derive(Debug, Clone)]
struct Told {
    service: String,
    span: Span,
}

impl Told {
    fn attribute(&self, key: &str) -> Option<String> {
        value(&self.span.attributes, key)
    }

    fn is_child_of(&self, other: &Self) -> bool {
        self.span.parent_span_id == other.span.span_id && self.span.trace_id == other.span.trace_id
    }

    fn has_failed(&self) -> bool {
        self.span.status.as_ref().is_some_and(|status| status.code == 2)
    }
}

fn value(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|pair| pair.key == key)?.value.clone()?.value?;
    Some(match value {
        Any::StringValue(text) => text,
        Any::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

impl Collector {
    fn start() -> Self {
        let (sender, exports) = mpsc::channel(64);
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let server =
            tonic::transport::Server::builder().add_service(TraceServiceServer::new(Service(sender)));
        tokio::spawn(server.serve_with_incoming(incoming));
        Self { address, exports, headers: MetadataMap::new(), spans: Vec::new() }
    }

    /// One that is spoken to with TLS, by a certificate for localhost that it writes to `cert`.
    async fn start_with_tls(cert: &Path) -> Self {
        let CertifiedKey { cert: own, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(cert, own.pem()).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = stream::unfold((listener, acceptor), |(listener, acceptor)| async move {
            let (stream, _) = listener.accept().await.unwrap();
            Some((acceptor.accept(stream).await.map(Secure), (listener, acceptor)))
        });
        let (sender, exports) = mpsc::channel(64);
        let server =
            tonic::transport::Server::builder().add_service(TraceServiceServer::new(Service(sender)));
        tokio::spawn(server.serve_with_incoming(incoming));
        Self { address, exports, headers: MetadataMap::new(), spans: Vec::new() }
    }

    /// A server that exports to it.
    fn setup(&self) -> Setup {
        Setup::new().set(&format!("telemetry.otlp_endpoint='http://{}'", self.address))
    }

    /// The spans of the request of this id, once its own one is here.
    async fn request(&mut self, id: &str) -> Vec<Told> {
        loop {
            let is_it = |told: &&Told| told.attribute("impetus.request_id").as_deref() == Some(id);
            if let Some(root) = self.spans.iter().find(is_it) {
                let trace = root.span.trace_id.clone();
                return self.spans.iter().filter(|told| told.span.trace_id == trace).cloned().collect();
            }
            let (headers, message) = self.exports.recv().await.expect("the collector runs");
            self.headers = headers;
            self.spans.extend(spans(message));
        }
    }
}

fn spans(message: ExportTraceServiceRequest) -> Vec<Told> {
    let mut all = Vec::new();
    for of_process in message.resource_spans {
        let service = value(&of_process.resource.unwrap().attributes, "service.name").unwrap();
        let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
        all.extend(spans.map(|span| Told { service: service.clone(), span }));
    }
    all
}

/// The one span of this name that `service` has.
fn only<'a>(spans: &'a [Told], service: &str, name: &str) -> &'a Told {
    let found: Vec<_> =
        spans.iter().filter(|told| told.service == service && told.span.name == name).collect();
    assert_eq!(found.len(), 1, "{service} {name} in {:?}", names(spans));
    found[0]
}

fn names(spans: &[Told]) -> Vec<(&str, &str)> {
    spans.iter().map(|told| (&*told.service, &*told.span.name)).collect()
}

async fn ask(server: &Server, id: &str, body: &Value) -> reqwest::Response {
    let request = server.http.request(Method::POST, "/v1/chat/completions");
    request.header("x-request-id", id).header("traceparent", TRACEPARENT).json(body).send().await.unwrap()
}

#[tokio::test]
async fn a_request_is_one_tree_of_three_processes_within_its_clients_trace() {
    let mut collector = Collector::start();
    let server = collector.setup().start().await;
    let body = chat("Repeat after me: xyzzy plugh");
    let answer: Value = ask(&server, "trace-1", &body).await.json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "xyzzy plugh");
    let spans = collector.request("trace-1").await;

    let (gateway, supervisor, worker) = ("impetus-gateway", "impetus-supervisor", "impetus-worker");
    let root = only(&spans, gateway, "POST /v1/chat/completions");
    assert_eq!(root.span.parent_span_id, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
    let lease = only(&spans, gateway, "lease");
    let acquire = only(&spans, supervisor, "impetus.supervisor.v1.Supervisor/Acquire");
    let call = only(&spans, gateway, "impetus.worker.v1.Worker/Generate");
    let work = only(&spans, worker, "impetus.worker.v1.Worker/Generate");
    for (child, parent) in [(lease, root), (acquire, lease), (call, root), (work, call)] {
        assert!(child.is_child_of(parent), "{child:?} is not in {parent:?}");
        assert!(!child.has_failed(), "{child:?}");
    }
    for stage in ["tokenize", "queue", "prefill", "decode"] {
        let stage = only(&spans, worker, stage);
        assert!(stage.is_child_of(work) && stage.span.start_time_unix_nano <= stage.span.end_time_unix_nano);
    }
    let usage = |name: &str| answer["usage"][name].to_string();
    let check = |key: &str, expected: &str| {
        assert_eq!(root.attribute(key).as_deref(), Some(expected), "{key} of {root:?}");
    };
    check("http.request.method", "POST");
    check("http.route", "/v1/chat/completions");
    check("http.response.status_code", "200");
    check("gen_ai.operation.name", "chat");
    check("gen_ai.response.model", "impetus-tiny");
    check("gen_ai.usage.input_tokens", &usage("prompt_tokens"));
    check("gen_ai.usage.output_tokens", &usage("completion_tokens"));
    let all = format!("{spans:?}");
    assert!(!all.contains("xyzzy") && !all.contains("plugh"), "what was said is in {all}");

    let logged = || async {
        let logs = std::fs::read_dir(server.path("state/logs")).unwrap().flatten();
        let texts: String = logs.filter_map(|entry| std::fs::read_to_string(entry.path()).ok()).collect();
        let is_it = |line: &&str| line.contains("request ended") && line.contains("trace-1");
        texts.lines().find(is_it).map(str::to_owned)
    };
    let line = eventually("the request is in the log", logged).await;
    assert!(line.contains(TRACE_ID), "{line}");
}

#[tokio::test]
async fn a_lost_worker_and_its_successor_are_in_the_trace_of_the_request() {
    let mut collector = Collector::start();
    let server = collector.setup().start().await;
    let body = with(endless(), &json!({"stream": true, "stream_options": {"include_usage": true}}));
    let mut stream = EventStream::of(ask(&server, "trace-2", &body).await);
    stream.read_texts(8).await;
    kill_worker(&server, "impetus-tiny").await;
    assert_eq!(stream.whole().await.finish_reason, "length");

    let spans = collector.request("trace-2").await;
    let root = only(&spans, "impetus-gateway", "POST /v1/chat/completions");
    let lost: Vec<_> = root.span.events.iter().filter(|event| event.name == "impetus.worker.lost").collect();
    assert_eq!(lost.len(), 1, "{root:?}");
    assert_eq!(value(&lost[0].attributes, "impetus.lost.cause").as_deref(), Some("outside"));
    let mut parts: Vec<_> = spans.iter().filter(|told| told.service == "impetus-worker").collect();
    parts.retain(|told| told.span.name == "impetus.worker.v1.Worker/Generate");
    parts.sort_by_key(|told| told.span.start_time_unix_nano);
    let [first, second] = parts[..] else { panic!("{:?}", names(&spans)) };
    assert!(first.has_failed() && !second.has_failed(), "{first:?} {second:?}");
    assert!(first.span.status.as_ref().unwrap().message.contains("SIGKILL"), "{first:?}");
    assert_ne!(first.attribute("impetus.worker.id"), second.attribute("impetus.worker.id"));
    let n_resumed: u64 = second.attribute("impetus.resumed").unwrap().parse().unwrap();
    assert!(n_resumed >= 8, "{second:?}");
    assert!(!root.has_failed(), "the client saw nothing of it");
    let n_leases = spans.iter().filter(|told| told.span.name == "lease").count();
    assert_eq!(n_leases, 2, "{:?}", names(&spans));
}

#[tokio::test]
async fn a_refused_request_is_traced_and_one_that_is_not_sampled_is_not() {
    let mut collector = Collector::start();
    let server = collector.setup().set("telemetry.sample_ratio=0.0").start().await;
    let unsampled =
        server.http.request(Method::POST, "/v1/chat/completions").header("x-request-id", "trace-0");
    assert_eq!(unsampled.json(&chat("Say PONG")).send().await.unwrap().status(), 200);
    let check = async |id: &str, body: &Value, code: &str, collector: &mut Collector| {
        let status = ask(&server, id, body).await.status().as_u16();
        let spans = collector.request(id).await;
        let is_root = |told: &&Told| told.attribute("impetus.request_id").as_deref() == Some(id);
        let root = spans.iter().find(is_root).unwrap();
        assert_eq!(root.attribute("http.response.status_code"), Some(status.to_string()));
        assert_eq!(root.attribute("error.type").as_deref(), Some(code), "{root:?}");
        assert!(!root.has_failed(), "the client is at fault: {root:?}");
    };
    let nobody = with(chat("Say PONG"), &json!({"model": "nobody"}));
    check("trace-3", &nobody, "model_not_found", &mut collector).await;
    check("trace-4", &with(chat("Say PONG"), &json!({"temperature": -1})), "invalid_value", &mut collector)
        .await;
    assert!(
        collector.spans.iter().all(|told| told.attribute("impetus.request_id").as_deref() != Some("trace-0"))
    );
}

#[tokio::test]
async fn a_collector_that_is_not_there_costs_no_request_anything() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    drop(taken);
    let server = Setup::new()
        .set(&format!("telemetry.otlp_endpoint='http://{address}'"))
        .set("telemetry.max_queue=1")
        .start()
        .await;
    let body = chat("Say PONG");
    let count = eventually("traces are dropped", || async {
        let answers = join_all((0..4).map(|_| server.http.ask(&body))).await;
        assert!(answers.iter().all(|answer| answer.text == answers[0].text));
        let metrics = server.http.get("/metrics").await.text().await.unwrap();
        let counter = "impetus_trace_spans_total{outcome=\"queue_full\"} ";
        metrics.lines().find_map(|line| line.strip_prefix(counter)).map(|n| n.parse::<u64>().unwrap())
    })
    .await;
    assert!(count > 0);
    let warnings = || async {
        let logs = std::fs::read_dir(server.path("state/logs")).unwrap().flatten();
        let texts: String = logs.filter_map(|entry| std::fs::read_to_string(entry.path()).ok()).collect();
        let n = texts.lines().filter(|line| line.contains("traces are not taken")).count();
        (n > 0).then_some(n)
    };
    assert_eq!(eventually("the log says so", warnings).await, 1);
}

#[tokio::test]
async fn a_reload_turns_traces_on() {
    let mut collector = Collector::start();
    let server = Setup::new().start().await;
    assert_eq!(ask(&server, "untraced", &chat("Say PONG")).await.status(), 200);
    let path = server.path("impetus.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let telemetry = format!("\n[telemetry]\notlp_endpoint = 'http://{}'\n", collector.address);
    std::fs::write(&path, config + &telemetry).unwrap();
    let reload = server.ctl(&["reload"]).await;
    assert_eq!(
        (reload.code, reload.out.as_str()),
        (0, "telemetry.otlp_endpoint is in force\n"),
        "{reload:?}"
    );
    // The connection is the former gateway's, which answers on it once more.
    assert_eq!(ask(&server, "last", &chat("Say PONG")).await.status(), 200);
    assert_eq!(ask(&server, "traced", &chat("Say PONG")).await.status(), 200);
    let spans = collector.request("traced").await;
    only(&spans, "impetus-gateway", "POST /v1/chat/completions");
    assert!(
        collector
            .spans
            .iter()
            .all(|told| told.attribute("impetus.request_id").as_deref() != Some("untraced"))
    );
}

#[tokio::test]
async fn a_collector_is_known_by_its_certificate() {
    let setup = Setup::new();
    let mut collector = Collector::start_with_tls(&setup.path("collector.pem")).await;
    std::fs::write(setup.path("headers"), "# of the collector\nx-team: seven\n").unwrap();
    let server = setup
        .table(&format!(
            "[telemetry]\notlp_endpoint = 'https://localhost:{}'\notlp_ca = 'collector.pem'\notlp_headers = 'headers'",
            collector.address.port()
        ))
        .start()
        .await;
    assert_eq!(ask(&server, "secure", &chat("Say PONG")).await.status(), 200);
    let spans = collector.request("secure").await;
    only(&spans, "impetus-worker", "impetus.worker.v1.Worker/Generate");
    assert_eq!(collector.headers.get("x-team").unwrap(), "seven");
}

#[tokio::test]
async fn traces_go_over_http_with_the_headers_of_a_file() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let setup = Setup::new();
    std::fs::write(setup.path("headers"), "authorization: Bearer for-the-collector\n").unwrap();
    let server = setup
        .table(&format!(
            "[telemetry]\notlp_endpoint = 'http://{address}/in'\notlp_protocol = 'http/protobuf'\notlp_headers = 'headers'"
        ))
        .start()
        .await;
    server.http.ask(&chat("Say PONG")).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut read = Vec::new();
    let (head, body) = loop {
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "the request is cut off: {read:?}");
        read.extend_from_slice(&buffer[..n]);
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(read[..end].to_vec()).unwrap();
        let fields: BTreeMap<String, String> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length: usize = fields["content-length"].parse().unwrap();
        let body = &read[end + 4..];
        if body.len() >= length {
            assert_eq!(fields["authorization"], "Bearer for-the-collector");
            assert_eq!(fields["content-type"], "application/x-protobuf");
            break (head, body.to_vec());
        }
    };
    assert!(head.starts_with("POST /in/v1/traces HTTP/1.1"), "{head}");
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let spans = spans(ExportTraceServiceRequest::decode(&*body).unwrap());
    only(&spans, "impetus-gateway", "POST /v1/chat/completions");
    let shown = server.ctl(&["logs", "gateway"]).await;
    assert!(!shown.out.contains("for-the-collector"), "{shown:?}");
}
