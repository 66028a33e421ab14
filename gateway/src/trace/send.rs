//! The way to a collector: OTLP over gRPC or HTTP, with TLS or without.

mod connect;
mod setup;

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use impetus_config::{OtlpProtocol, TelemetryConfig};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse, trace_service_client::TraceServiceClient,
};
use prost::Message;
use tokio::time::timeout;
use tonic::{
    Code,
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};
use tower::service_fn;

use connect::{Connection, Target};
pub(crate) use setup::TraceError;

/// The most that is read of a collector's answer, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// The path of traces under an endpoint, over HTTP.
const HTTP_PATH: &str = "v1/traces";

/// How traces get to the collector.
#[derive(Debug)]
pub(super) struct Way {
    kind: Transport,
    /// Of one try.
    timeout: Duration,
}

#[derive(Debug)]
enum Transport {
    Grpc { client: TraceServiceClient<Channel>, metadata: MetadataMap },
    Http { target: Arc<Target>, uri: Uri, headers: HeaderMap },
}

/// Traces were not taken.
#[derive(Debug)]
pub(super) enum Failed {
    /// The same traces may be taken later.
    ForNow(String),
    /// They will never be.
    ForGood(String),
}

impl Way {
    /// As configured; none where there is no endpoint.
    pub(super) fn of(config: &TelemetryConfig) -> Result<Option<Self>, TraceError> {
        let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
        let uri = setup::endpoint(endpoint)?;
        let headers = setup::headers(config.otlp_headers.as_deref())?;
        let is_grpc = config.otlp_protocol == OtlpProtocol::Grpc;
        let target = Arc::new(Target::of(&uri, config.otlp_ca.as_deref(), is_grpc)?);
        let kind = if is_grpc {
            let connector = service_fn(move |_: Uri| connect::connect(target.clone()));
            let channel = Endpoint::from(uri).connect_with_connector_lazy(connector);
            Transport::Grpc {
                client: TraceServiceClient::new(channel),
                metadata: MetadataMap::from_headers(headers),
            }
        } else {
            Transport::Http { target, uri: setup::with_path(&uri, HTTP_PATH)?, headers }
        };
        Ok(Some(Self { kind, timeout: Duration::from_secs(config.otlp_timeout_s.max(1)) }))
    }

    /// Sends once. Answers how many spans the collector did not want.
    pub(super) async fn send(&mut self, message: ExportTraceServiceRequest) -> Result<u64, Failed> {
        let sent = async {
            match &mut self.kind {
                Transport::Grpc { client, metadata } => by_grpc(client, metadata, message).await,
                Transport::Http { target, uri, headers } => by_http(target, uri, headers, &message).await,
            }
        };
        let seconds = self.timeout.as_secs();
        let late = || Failed::ForNow(format!("the collector did not answer within {seconds} s"));
        let answer = timeout(self.timeout, sent).await.map_err(|_| late())??;
        Ok(answer.partial_success.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0)))
    }
}

async fn by_grpc(
    client: &mut TraceServiceClient<Channel>,
    metadata: &MetadataMap,
    message: ExportTraceServiceRequest,
) -> Result<ExportTraceServiceResponse, Failed> {
    let mut request = tonic::Request::new(message);
    *request.metadata_mut() = metadata.clone();
    let answer = client.export(request).await.map_err(|status| {
        let cause = format!("{:?}: {}", status.code(), status.message());
        match status.code() {
            // As the standard sorts them; `Unknown` is what a connection that breaks is called here.
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
            | Code::Unknown => Failed::ForNow(cause),
            _ => Failed::ForGood(cause),
        }
    })?;
    Ok(answer.into_inner())
}

async fn by_http(
    target: &Arc<Target>,
    uri: &Uri,
    headers: &HeaderMap,
    message: &ExportTraceServiceRequest,
) -> Result<ExportTraceServiceResponse, Failed> {
    let broken = |error: &dyn std::error::Error| Failed::ForNow(error.to_string());
    let connection: Connection = connect::connect(target.clone()).await.map_err(|error| broken(&error))?;
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake(connection).await.map_err(|error| broken(&error))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::post(path)
        .header(header::HOST, target.authority())
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(message.encode_to_vec())))
        .expect("the parts of an address make a request");
    request.headers_mut().extend(headers.clone());
    let ask = async {
        let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        Ok((status, body.map(http_body_util::Collected::to_bytes).unwrap_or_default()))
    };
    // The connection ends with its one answer.
    let (answer, _) = tokio::join!(ask, driver);
    let (status, body) = answer?;
    match status {
        status if status.is_success() => Ok(ExportTraceServiceResponse::decode(body).unwrap_or_default()),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Err(Failed::ForNow(format!("the collector answered {status}"))),
        status => Err(Failed::ForGood(format!("the collector answered {status}"))),
    }
}
