//! `[telemetry]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Traces of requests, for a collector of OpenTelemetry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// The address of the collector, such as `http://127.0.0.1:4317`; absent: no traces.
    pub otlp_endpoint: Option<String>,
    /// How the collector is spoken to. Over HTTP, `/v1/traces` is added to the endpoint.
    pub otlp_protocol: OtlpProtocol,
    /// A file with headers for the collector, such as a key: one `name: value` a line.
    pub otlp_headers: Option<PathBuf>,
    /// The certificates that vouch for an `https` collector, in PEM; absent: the system's.
    pub otlp_ca: Option<PathBuf>,
    /// Seconds that the collector may take to answer.
    pub otlp_timeout_s: u64,
    /// The part of requests that is traced, from 0.0 to 1.0. A request with a `traceparent` is traced where that says so,
    /// and only there.
    pub sample_ratio: f64,
    /// Requests whose traces may wait to be sent; those of more are dropped, and counted.
    pub max_queue: usize,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OtlpProtocol {
    /// gRPC; collectors listen on port 4317.
    #[serde(rename = "grpc")]
    Grpc,
    /// Protobuf over HTTP; collectors listen on port 4318.
    #[serde(rename = "http/protobuf")]
    Http,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            otlp_protocol: OtlpProtocol::Grpc,
            otlp_headers: None,
            otlp_ca: None,
            otlp_timeout_s: 10,
            sample_ratio: 1.0,
            max_queue: 1024,
        }
    }
}
