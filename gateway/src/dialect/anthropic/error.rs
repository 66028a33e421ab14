//! How this dialect shows an error.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{dialect::reworded, error::Failure};

/// In which answers carry their request's id.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// What the API answers with where a server has more to do than it can; no status of HTTP's own.
const OVERLOADED: u16 = 529;

/// `{"type": "error", "error": {...}}`, as a body and as the last event of a stream that failed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AnthropicError")]
pub(super) struct ErrorBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: Detail<'a>,
    request_id: &'a str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AnthropicErrorDetail")]
struct Detail<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

impl<'a> ErrorBody<'a> {
    pub(super) fn of(failure: &'a Failure, request_id: &'a str) -> Self {
        let (_, kind) = status(failure);
        Self { kind: "error", error: Detail { kind, message: &failure.message }, request_id }
    }
}

/// The answer to a request that is refused, in this dialect's words.
pub(super) fn worded(refusal: Response, failure: &Failure, request_id: &str) -> Response {
    let (status, _) = status(failure);
    let mut response = reworded(refusal, status, &ErrorBody::of(failure, request_id));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The status of a failure and the API's word for it.
fn status(failure: &Failure) -> (StatusCode, &'static str) {
    let overloaded = StatusCode::from_u16(OVERLOADED).expect("it is within the range of statuses");
    match (failure.status.as_u16(), failure.code) {
        // What has no room now may have it soon: clients wait for longer than with other errors.
        (_, "no_capacity" | "queue_full" | "queue_timeout" | "unavailable" | "wrong_model") => {
            (overloaded, "overloaded_error")
        }
        (401, _) => (failure.status, "authentication_error"),
        (403, _) => (failure.status, "permission_error"),
        (404, _) => (failure.status, "not_found_error"),
        (408 | 504, _) => (failure.status, "timeout_error"),
        (413, _) => (failure.status, "request_too_large"),
        (429, _) => (failure.status, "rate_limit_error"),
        (400..500, _) => (failure.status, "invalid_request_error"),
        _ => (failure.status, "api_error"),
    }
}
