//! What becomes of requests that are not let in: they are counted, written down and answered.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header::WWW_AUTHENTICATE},
    response::IntoResponse,
};
use impetus_proto::Error;

use crate::{access::Refused, dialect, metrics};

/// The answer to a request that is not let in.
pub(super) fn answer(refused: Refused) -> Response<Body> {
    let mut response = dialect::Refusal::from(note(refused)).into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Counts a refusal and writes it down; what is left is what the client is told.
pub(super) fn note(refused: Refused) -> Error {
    metrics::refused(refused.reason.name());
    refused.error
}
