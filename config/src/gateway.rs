//! `[gateway]`

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The HTTP side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Address and port that HTTP is served on.
    pub listen: SocketAddr,
    /// The gateway's program; a bare name is looked up beside the supervisor's own program.
    pub command: PathBuf,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
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
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            command: "gateway".into(),
            max_body_bytes: 32 << 20,
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
        }
    }
}
