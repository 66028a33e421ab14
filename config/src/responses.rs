//! `[responses]`

use serde::{Deserialize, Serialize};

use crate::Size;

/// Responses that are kept, so that conversations go on from them and what runs in the background can be fetched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponsesConfig {
    /// Whether any are kept; without, there are neither `previous_response_id` nor `background`.
    pub store: bool,
    /// Seconds that a response is kept after it was made or last continued.
    pub retention_s: u64,
    /// Responses kept at most; of whoever keeps most the one that was used longest ago goes first.
    pub max_responses: u64,
    /// Bytes that they may have together, likewise; one may have a quarter of them.
    pub max_bytes: Size,
    /// Responses that are generated in the background at once; more are refused.
    pub max_background: usize,
}

impl Default for ResponsesConfig {
    fn default() -> Self {
        Self {
            store: true,
            retention_s: 30 * 24 * 3600,
            max_responses: 100_000,
            max_bytes: Size(1 << 30),
            max_background: 64,
        }
    }
}
