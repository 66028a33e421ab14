//! One file at an address.

use impetus_models::{Reference, RelativePath};
use reqwest::{Response, StatusCode, Url, header};

use super::{Listing, RemoteFile, Version};
use crate::{
    digest::Digest,
    error::FetchError,
    web::{Ask, Web, bare},
};

pub(super) async fn list(web: &Web, text: &str) -> Result<Listing, FetchError> {
    // It may have what opens a door in it.
    let shown = text.parse().map_or_else(|_| String::new(), |reference: Reference| reference.shown());
    let not_one = |why: &str| FetchError::Setting { what: "the address", why: format!("{why}: {shown:?}") };
    let mut url: Url = text.parse().map_err(|_| not_one("it cannot be read"))?;
    // What the content has to be can be said behind a #.
    let fragment = url.fragment().map(str::to_owned);
    url.set_fragment(None);
    let expected = fragment.as_deref().map(|fragment| {
        let digits = fragment.strip_prefix("sha256=").or_else(|| fragment.strip_prefix("sha256:"));
        digits
            .and_then(Digest::sha256)
            .ok_or_else(|| not_one("what follows # has to be sha256= and 64 digits"))
    });
    let digest = expected.transpose()?;
    let what = bare(&url);
    let last = url.path_segments().and_then(|mut steps| steps.next_back()).unwrap_or_default();
    let path = RelativePath::new(last).ok_or_else(|| not_one("it does not end with the name of a file"))?;
    let ask = Ask::new(url, &what);
    let answer = web.get(&ask.range(0, 1)).await?;
    let bytes = length(&answer).ok_or_else(|| FetchError::Garbled {
        url: what.clone(),
        why: "it does not say how long the file is".into(),
    })?;
    let version = Version::of(answer.headers());
    let mut notes = Vec::new();
    if digest.is_none() {
        notes.push("add #sha256=… to the address to have the content checked".to_owned());
        if version.is_none() {
            notes.push(
                "the server does not say when it changes: after a stop it comes from its beginning"
                    .to_owned(),
            );
        }
    }
    let identity = match (&digest, &version) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(version)) => format!("{what} {} {bytes}", version.as_str()),
        // What came before may have been of another state of the file.
        (None, None) => format!("{what} {bytes} {:032x}", rand::random::<u128>()),
    };
    let tag = answer.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
    let revision = tag.trim_matches('"').to_owned();
    let version = version.filter(|_| digest.is_none());
    Ok(Listing {
        name: path.name().to_owned(),
        revision,
        variant: None,
        files: vec![RemoteFile { path, bytes, digest, identity, version, ask }],
        notes,
        what,
    })
}

/// Of the whole file.
fn length(answer: &Response) -> Option<u64> {
    if answer.status() == StatusCode::PARTIAL_CONTENT {
        let range = answer.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
        return range.rsplit_once('/')?.1.parse().ok();
    }
    answer.content_length()
}
