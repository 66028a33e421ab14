//! Manifests of Ollama's, which are those of the Open Container Initiative
//! (<https://github.com/opencontainers/distribution-spec>): in its registry and on disks.

use serde::Deserialize;

/// What one name of Ollama's stands for.
#[derive(Debug, Clone, Deserialize)]
pub struct OllamaManifest {
    /// Its contents, each a file by its digest.
    #[serde(default)]
    pub layers: Vec<OllamaLayer>,
}

/// One of the contents.
#[derive(Debug, Clone, Deserialize)]
pub struct OllamaLayer {
    /// What it is.
    #[serde(rename = "mediaType")]
    pub media_type: String,
    /// Its SHA-256 as it was written.
    pub digest: String,
    /// Bytes of it; 0: the manifest does not say.
    #[serde(default)]
    pub size: u64,
}

impl OllamaManifest {
    /// The layers that are GGUF files.
    pub fn models(&self) -> impl Iterator<Item = &OllamaLayer> {
        self.of_kind("model")
    }

    /// The layers that are called `kind`, such as `adapter` or `template`.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &OllamaLayer> {
        let is_one = move |layer: &&OllamaLayer| {
            layer.media_type.strip_prefix("application/vnd.ollama.image.").is_some_and(|own| own == kind)
        };
        self.layers.iter().filter(is_one)
    }
}
