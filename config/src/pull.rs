//! `[pull]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Size;

/// How models are fetched from elsewhere, which happens only when somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullConfig {
    /// The program that fetches; a bare name is looked up beside the supervisor's own program.
    pub command: PathBuf,
    /// The Hugging Face hub, or a mirror of it.
    pub hub: String,
    /// Ollama's registry, or a mirror of it.
    pub ollama: String,
    /// The proxy that everything is fetched through.
    pub proxy: Option<String>,
    /// Certificates of authorities to trust besides the usual ones, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Connections at once.
    pub connections: u32,
    /// What one request asks for; no more than that is fetched again after a stop.
    pub chunk: Size,
    /// The most that comes in a second; nothing is without bound.
    pub max_rate: Size,
    /// Room on the disk that stays free.
    pub reserve: Size,
}

impl Default for PullConfig {
    fn default() -> Self {
        Self {
            command: "fetcher".into(),
            hub: "https://huggingface.co".into(),
            ollama: "https://registry.ollama.ai".into(),
            proxy: None,
            ca_file: None,
            connections: 4,
            chunk: Size(8 << 20),
            max_rate: Size(0),
            reserve: Size(1 << 30),
        }
    }
}
