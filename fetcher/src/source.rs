//! What a server has of a model.

mod address;
mod hub;
mod ollama;

use std::sync::Arc;

use impetus_models::{Reference, RelativePath};
use impetus_proto::fetch::{FetchSpec, RemoteSpec, Repository, Search};
use reqwest::{
    Url,
    header::{self, HeaderMap},
};

use crate::{
    digest::Digest,
    error::FetchError,
    web::{Ask, Web},
};

/// Files of one repository, or of one name.
#[derive(Debug)]
pub(crate) struct Listing {
    /// What a model in it is called that has no better name.
    pub(crate) name: String,
    /// What a person calls it.
    pub(crate) what: String,
    /// What the server has now; empty: it does not say.
    pub(crate) revision: String,
    /// Which of the models in it is wanted: a quantization, a format or a file.
    pub(crate) variant: Option<String>,
    pub(crate) files: Vec<RemoteFile>,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

/// A file that a server has.
#[derive(Debug, Clone)]
pub(crate) struct RemoteFile {
    pub(crate) path: RelativePath,
    pub(crate) bytes: u64,
    /// What its content is; absent: the server does not say.
    pub(crate) digest: Option<Digest>,
    /// Two files with the same one have the same content, as far as the server knows.
    pub(crate) identity: String,
    /// What each answer has to say that it is of, where no digest tells; absent: nothing does.
    pub(crate) version: Option<Version>,
    pub(crate) ask: Ask,
}

/// How a server tells one state of a file from another: a tag, or when it was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version(String);

/// Asks the server that the reference names.
pub(crate) async fn list(web: &Web, spec: &FetchSpec) -> Result<Listing, FetchError> {
    match spec.reference.parse()? {
        Reference::Hub { repository, revision, variant } => {
            let hub = Remote::new(spec.hub.as_ref(), "pull.hub")?;
            hub::list(web, &hub, &repository, &revision, variant).await
        }
        Reference::Ollama { namespace, name, tag } => {
            let registry = Remote::new(spec.ollama.as_ref(), "pull.ollama")?;
            ollama::list(web, &registry, &namespace, &name, &tag).await
        }
        Reference::Url(url) => address::list(web, &url).await,
    }
}

impl Version {
    /// That which an answer is of.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let said = headers.get(header::ETAG).or_else(|| headers.get(header::LAST_MODIFIED))?;
        said.to_str().ok().map(|text| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The server that the reference names; absent where neither can be read.
pub(crate) fn server(spec: &FetchSpec) -> Option<Url> {
    let configured = |remote: Option<&RemoteSpec>| remote.and_then(|remote| remote.url.parse().ok());
    match spec.reference.parse().ok()? {
        Reference::Hub { .. } => configured(spec.hub.as_ref()),
        Reference::Ollama { .. } => configured(spec.ollama.as_ref()),
        Reference::Url(url) => url.parse().ok(),
    }
}

/// Asks the hub for repositories.
pub(crate) async fn search(
    web: &Web,
    spec: &FetchSpec,
    search: &Search,
) -> Result<Vec<Repository>, FetchError> {
    hub::search(web, &Remote::new(spec.hub.as_ref(), "pull.hub")?, search).await
}

/// A configured server.
#[derive(Debug)]
struct Remote {
    url: Url,
    token: Option<Arc<str>>,
}

impl Remote {
    fn new(spec: Option<&RemoteSpec>, what: &'static str) -> Result<Self, FetchError> {
        let spec = spec.cloned().unwrap_or_default();
        let wrong = |why: String| FetchError::Setting { what, why };
        let url: Url = spec.url.parse().map_err(|error| wrong(format!("{:?}: {error}", spec.url)))?;
        if url.cannot_be_a_base() {
            return Err(wrong(format!("{:?} is no address of a server", spec.url)));
        }
        Ok(Self { url, token: (!spec.token.is_empty()).then(|| spec.token.into()) })
    }

    /// A request for what lies at these steps, each of which may hold slashes where it is a path.
    fn ask<'s>(&self, steps: impl IntoIterator<Item = &'s str>, what: &str) -> Ask {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(steps.into_iter().flat_map(|step| step.split('/')));
        }
        Ask { token: self.token.clone(), ..Ask::new(url, what) }
    }
}
