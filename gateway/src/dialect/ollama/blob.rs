//! `HEAD` and `POST /api/blobs/{digest}`: files that are sent before a model is made of them.

mod digest;
mod pile;

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{StatusCode, header::CONTENT_LENGTH},
};
use futures::StreamExt;

pub(crate) use pile::Blobs;

pub(super) use digest::Digest;

use crate::{dialect::Refusal, server::Gateway};

/// Whether a blob is here.
pub(super) async fn head(
    State(gateway): State<Gateway>,
    Path(digest): Path<String>,
) -> Result<StatusCode, Refusal> {
    let digest = Digest::of_path(&digest)?;
    Ok(if gateway.blobs.has(&digest).await { StatusCode::OK } else { StatusCode::NOT_FOUND })
}

/// Takes a blob in.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Path(digest): Path<String>,
    request: Request<Body>,
) -> Result<StatusCode, Refusal> {
    let digest = Digest::of_path(&digest)?;
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let pieces = request.into_body().into_data_stream().map(|piece| piece.map_err(|error| error.to_string()));
    gateway.blobs.take(&digest, announced.unwrap_or_default(), pieces, gateway.limits).await?;
    Ok(StatusCode::CREATED)
}
