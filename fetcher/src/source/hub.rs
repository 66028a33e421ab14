//! A repository of the Hugging Face hub, or of a mirror of it: <https://huggingface.co/docs/hub/api>.

use impetus_models::{NoSha256, RelativePath};
use impetus_proto::fetch;
use serde::{Deserialize, Deserializer};

use super::{Listing, Remote, RemoteFile};
use crate::{
    digest::Digest,
    error::FetchError,
    web::{Web, bare},
};

/// More files than any repository of one model has.
const MAX_FILES: usize = 20_000;
/// The longest name of a commit, in bytes: that of git with SHA-256.
const MAX_COMMIT_BYTES: usize = 64;

#[derive(Debug, Deserialize)]
struct Repository {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default, rename = "blobId")]
    blob_id: Option<String>,
    #[serde(default)]
    lfs: Option<Lfs>,
}

#[derive(Debug, Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

impl Sibling {
    /// What its content is, where the server says so. An error: its SHA-256 is none.
    fn digest(&self) -> Result<Option<Digest>, NoSha256> {
        match (&self.lfs, &self.blob_id) {
            (Some(lfs), _) => Digest::sha256(&lfs.sha256).map(Some).ok_or(NoSha256),
            // Mirrors call contents otherwise.
            (None, blob) => Ok(blob.as_deref().and_then(Digest::git_blob)),
        }
    }
}

/// A repository as a search shows it.
#[derive(Debug, Deserialize)]
struct Found {
    id: String,
    #[serde(default)]
    downloads: u64,
    #[serde(default)]
    likes: u64,
    #[serde(default, rename = "lastModified")]
    modified: String,
    #[serde(default, deserialize_with = "is_gated")]
    gated: bool,
    #[serde(default)]
    tags: Vec<String>,
}

/// `false`, or by whom one is let in.
fn is_gated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(serde_json::Value::deserialize(deserializer)?.as_bool() != Some(false))
}

/// The repositories that match, those that are fetched most first.
pub(super) async fn search(
    web: &Web,
    hub: &Remote,
    search: &fetch::Search,
) -> Result<Vec<fetch::Repository>, FetchError> {
    let mut ask = hub.ask(["api/models"], &format!("models like {:?}", search.query));
    let tag = match search.format.as_str() {
        "candle" => "safetensors",
        format => format,
    };
    ask.url
        .query_pairs_mut()
        .append_pair("search", &search.query)
        .append_pair("limit", &search.limit.to_string())
        .append_pair("sort", "downloads")
        .append_pair("direction", "-1")
        .append_pair("full", "true");
    if !tag.is_empty() {
        ask.url.query_pairs_mut().append_pair("filter", tag);
    }
    let answer = web.text(&ask).await?;
    let found: Vec<Found> = serde_json::from_slice(&answer)
        .map_err(|error| FetchError::Garbled { url: bare(&ask.url), why: error.to_string() })?;
    let repository = |found: Found| fetch::Repository {
        name: found.id,
        downloads: found.downloads,
        likes: found.likes,
        modified: found.modified,
        gated: found.gated,
        tags: found.tags,
    };
    Ok(found.into_iter().take(search.limit as usize).map(repository).collect())
}

pub(super) async fn list(
    web: &Web,
    hub: &Remote,
    repository: &str,
    revision: &str,
    variant: Option<String>,
) -> Result<Listing, FetchError> {
    let what = match revision {
        impetus_models::MAIN => repository.to_owned(),
        revision => format!("{repository}@{revision}"),
    };
    let mut ask = hub.ask(["api/models", repository, "revision"], &what);
    // One step, whatever is in it.
    if let Ok(mut path) = ask.url.path_segments_mut() {
        path.push(revision);
    }
    ask.url.set_query(Some("blobs=true"));
    let answer = web.text(&ask).await?;
    let garbled = |why: String| FetchError::Garbled { url: bare(&ask.url), why };
    let found: Repository = serde_json::from_slice(&answer).map_err(|error| garbled(error.to_string()))?;
    let is_commit = (1..=MAX_COMMIT_BYTES).contains(&found.sha.len())
        && found.sha.chars().all(|c| c.is_ascii_alphanumeric());
    if !is_commit || found.siblings.len() > MAX_FILES {
        return Err(garbled("it has no commit, or too many files".into()));
    }
    let mut files = Vec::new();
    for sibling in &found.siblings {
        let Some(path) = RelativePath::new(&sibling.rfilename) else { continue };
        let Some(bytes) = sibling.lfs.as_ref().map(|lfs| lfs.size).or(sibling.size) else { continue };
        let unread = |error: NoSha256| garbled(format!("what it says of {path} cannot be read: {error}"));
        let digest = sibling.digest().map_err(unread)?;
        let ask = hub.ask([repository, "resolve", &found.sha, path.as_str()], &format!("{path} of {what}"));
        let identity = digest.map_or_else(|| format!("{} {path}", found.sha), |digest| digest.to_string());
        files.push(RemoteFile { path, bytes, digest, identity, version: None, ask });
    }
    Ok(Listing {
        name: repository.rsplit('/').next().unwrap_or(repository).to_owned(),
        files,
        revision: found.sha.clone(),
        what,
        variant,
        notes: Vec::new(),
    })
}
