//! How requests of this API are read: a query or a body that has what is not known is refused by name.

use axum::{
    body::Body,
    extract::{FromRequestParts, Query, Request},
    http::request::Parts,
};
use impetus_proto::Error;
use serde::de::DeserializeOwned;

use crate::{
    dialect::Refusal,
    server::{Gateway, read_body},
};

/// The query of a path.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let Query(asked) = Query::try_from_uri(&parts.uri)
            .map_err(|error| Error::invalid("", format!("the query of the path: {}", innermost(&error))))?;
        Ok(Self(asked))
    }
}

/// The body, which is an object of these fields; one that is empty has none.
pub(super) async fn body<T: DeserializeOwned>(
    request: Request<Body>,
    gateway: &Gateway,
) -> Result<T, Refusal> {
    let bytes = read_body(request, gateway.limits).await?;
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    Ok(serde_json::from_slice(bytes).map_err(|error| Error::invalid("", format!("the body: {error}")))?)
}

fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}
