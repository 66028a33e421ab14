//! `[gateway]`

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The HTTP side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Address and port that HTTP is served on.
    pub listen: SocketAddr,
    /// The gateway's program; a bare name is looked up beside the supervisor's own program.
    pub command: PathBuf,
    /// Names under which clients may ask for this server, beside its address, in their `Host` header; `*`: any.
    pub allowed_hosts: Vec<String>,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// The most headers of a request.
    pub max_headers: usize,
    /// The most bytes that a request's headers have together.
    pub max_header_bytes: usize,
    /// How deep objects and lists of a request's body may be nested.
    pub max_depth: usize,
    /// The most messages of a chat, or items of a response's input.
    pub max_messages: usize,
    /// Connections served at once; more wait to be accepted.
    pub max_connections: usize,
    /// Seconds a client may take to send its headers.
    pub header_timeout_s: u64,
    /// Seconds a client may take to send its body.
    pub body_timeout_s: u64,
    /// Seconds a client may leave its answer unread before its request is cancelled.
    pub write_timeout_s: u64,
    /// Seconds a request may wait for its model to become ready.
    pub acquire_timeout_s: u64,
    /// Requests for one model that may wait while others are generated; more are refused.
    pub max_queue: usize,
    /// Seconds that a request may wait for its turn once its model is ready.
    pub queue_timeout_s: u64,
    /// Seconds that a request may take in all, lost workers and waiting included; 0 is without bound.
    pub request_timeout_s: u64,
    /// Seconds that a request which crashed a worker alone is remembered, and refused at once when it comes again.
    pub poison_memory_s: u64,
    /// Seconds of silence after which a stream gets an event that carries nothing.
    pub keep_alive_s: u64,
    /// Inputs of an embedding model that are too long are cut, and named in the answer's head, instead of refused.
    pub truncate_inputs: bool,
    /// Models for names that no model has, by patterns with `*` for any characters.
    #[serde(default)]
    pub names: BTreeMap<String, String>,
    /// TLS, in place of plain HTTP.
    pub tls: TlsConfig,
    /// Web pages that may ask.
    pub cors: CorsConfig,
}

/// `[gateway.tls]`: with both files HTTPS is served, else HTTP.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate and those that vouch for it, in PEM, the server's own first.
    pub cert: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    pub key: Option<PathBuf>,
}

/// `[gateway.cors]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsConfig {
    /// The origins of web pages that may ask from elsewhere, such as `https://chat.example.org`, with `*` for any
    /// characters.
    pub origins: Vec<String>,
    /// Seconds that browsers may remember that they may.
    pub max_age_s: u64,
}

impl Default for CorsConfig {
    fn default() -> Self {
        Self { origins: Vec::new(), max_age_s: 600 }
    }
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            command: "gateway".into(),
            allowed_hosts: Vec::new(),
            max_body_bytes: 32 << 20,
            max_headers: 100,
            max_header_bytes: 64 << 10,
            max_depth: 128,
            max_messages: 4096,
            max_connections: 1024,
            header_timeout_s: 10,
            body_timeout_s: 30,
            write_timeout_s: 30,
            acquire_timeout_s: 600,
            max_queue: 256,
            queue_timeout_s: 600,
            request_timeout_s: 0,
            poison_memory_s: 600,
            keep_alive_s: 10,
            truncate_inputs: false,
            names: BTreeMap::new(),
            tls: TlsConfig::default(),
            cors: CorsConfig::default(),
        }
    }
}
