//! A repository of the Hugging Face hub, or of a mirror of it: <https://huggingface.co/docs/hub/api>.

use impetus_models::RelativePath;
use serde::Deserialize;

use super::{Listing, Remote, RemoteFile};
use crate::{
    digest::Digest,
    error::FetchError,
    web::{Web, bare},
};

/// More files than any repository of one model has.
const MAX_FILES: usize = 20_000;

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
    let is_commit = !found.sha.is_empty() && found.sha.chars().all(|c| c.is_ascii_alphanumeric());
    if !is_commit || found.siblings.len() > MAX_FILES {
        return Err(garbled("it has no commit, or too many files".into()));
    }
    let files = found.siblings.iter().filter_map(|sibling| {
        let path = RelativePath::new(&sibling.rfilename)?;
        let ask = hub.ask([repository, "resolve", &found.sha, path.as_str()], &format!("{path} of {what}"));
        let digest = match (&sibling.lfs, &sibling.blob_id) {
            (Some(lfs), _) => Digest::sha256(&lfs.sha256),
            (None, Some(blob)) => Digest::git_blob(blob),
            (None, None) => None,
        };
        let bytes = sibling.lfs.as_ref().map(|lfs| lfs.size).or(sibling.size)?;
        let identity = digest.map_or_else(|| format!("{} {path}", found.sha), |digest| digest.to_string());
        Some(RemoteFile { path, bytes, digest, identity, ask })
    });
    Ok(Listing {
        name: repository.rsplit('/').next().unwrap_or(repository).to_owned(),
        files: files.collect(),
        revision: found.sha.clone(),
        what,
        variant,
        notes: Vec::new(),
    })
}
