//! A name of Ollama's library: a manifest of a registry as the Open Container Initiative specifies it
//! (<https://github.com/opencontainers/distribution-spec>), one of whose layers is a GGUF file.

use impetus_models::RelativePath;
use serde::Deserialize;

use super::{Listing, Remote, RemoteFile};
use crate::{
    digest::Digest,
    error::FetchError,
    web::{Ask, Web, bare},
};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const MODEL: &str = "application/vnd.ollama.image.model";
const ADAPTER: &str = "application/vnd.ollama.image.adapter";
/// Layers with what the model's file says itself.
const OWN: [&str; 3] = [
    "application/vnd.ollama.image.template",
    "application/vnd.ollama.image.params",
    "application/vnd.ollama.image.system",
];

#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Debug, Deserialize)]
struct Layer {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    size: u64,
}

pub(super) async fn list(
    web: &Web,
    registry: &Remote,
    namespace: &str,
    name: &str,
    tag: &str,
) -> Result<Listing, FetchError> {
    let what =
        if namespace == "library" { format!("{name}:{tag}") } else { format!("{namespace}/{name}:{tag}") };
    let ask = registry.ask(["v2", namespace, name, "manifests", tag], &what);
    let ask = Ask { accept: Some(MANIFEST), ..ask };
    let answer = web.text(&ask).await?;
    let garbled = |why: String| FetchError::Garbled { url: bare(&ask.url), why };
    let manifest: Manifest = serde_json::from_slice(&answer).map_err(|error| garbled(error.to_string()))?;
    let has = |media: &str| manifest.layers.iter().any(|layer| layer.media_type == media);
    let nothing = |why: &str| FetchError::Nothing { what: what.clone(), why: why.into() };
    if has(ADAPTER) {
        return Err(nothing("it is an adapter, which needs a model to be merged into"));
    }
    let models: Vec<&Layer> = manifest.layers.iter().filter(|layer| layer.media_type == MODEL).collect();
    let [model] = models.as_slice() else {
        return Err(nothing(if models.is_empty() {
            "no layer of it is a model"
        } else {
            "it has several models"
        }));
    };
    let digest = Digest::sha256(&model.digest).ok_or_else(|| garbled("a layer has no SHA-256".into()))?;
    let file = format!("{name}-{tag}.gguf");
    let path = RelativePath::new(&file).ok_or_else(|| nothing("its name cannot be that of a file"))?;
    let file = RemoteFile {
        ask: registry.ask(["v2", namespace, name, "blobs", &digest.to_string()], &what),
        identity: digest.to_string(),
        bytes: model.size,
        digest: Some(digest),
        path,
    };
    let is_ollamas = OWN.iter().any(|media| has(media));
    let note = "Ollama's template and parameters of it are not used: the model's file has its own";
    Ok(Listing {
        name: format!("{name}:{tag}"),
        revision: digest.to_string(),
        variant: None,
        files: vec![file],
        notes: is_ollamas.then(|| note.to_owned()).into_iter().collect(),
        what,
    })
}
