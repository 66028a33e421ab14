//! A name of Ollama's library: a manifest of its registry, one of whose layers is a GGUF file.

use impetus_models::{OllamaLayer, OllamaManifest, RelativePath};

use super::{Listing, Remote, RemoteFile};
use crate::{
    digest::Digest,
    error::FetchError,
    web::{Ask, Web, bare},
};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Layers with what the model's file says itself.
const OWN: [&str; 3] = ["template", "params", "system"];

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
    let manifest: OllamaManifest =
        serde_json::from_slice(&answer).map_err(|error| garbled(error.to_string()))?;
    let has = |kind: &str| manifest.of_kind(kind).next().is_some();
    let nothing = |why: &str| FetchError::Nothing { what: what.clone(), why: why.into() };
    if has("adapter") {
        return Err(nothing("it is an adapter, which needs a model to be merged into"));
    }
    let models: Vec<&OllamaLayer> = manifest.models().collect();
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
        version: None,
        bytes: model.size,
        digest: Some(digest),
        path,
    };
    let is_ollamas = OWN.iter().any(|kind| has(kind));
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
