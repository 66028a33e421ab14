//! How this dialect shows an error.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use impetus_proto::Error;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Failure;

/// By which OpenAI's own clients let a server decide whether they try again.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// A request that ends in an error before its answer has begun.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) Failure);

/// `{"error": {...}}`, as a body and as the last event of a stream that failed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct ErrorBody<'a> {
    error: Detail<'a>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ErrorDetail")]
struct Detail<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: &'a str,
    /// Whether the same request may succeed when it is sent again as it is.
    retryable: bool,
}

/// An answer as it goes over a connection, for what is refused before there is a request to answer; the connection
/// closes behind it.
pub(crate) fn written(failure: &Failure) -> Bytes {
    let body = serde_json::to_string(&ErrorBody::of(failure)).expect("our own errors serialize into memory");
    let (status, length) = (failure.status, body.len());
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         {SHOULD_RETRY}: {}\r\nconnection: close\r\n\r\n",
        failure.is_retryable
    );
    Bytes::from(head + &body)
}

impl<'a> ErrorBody<'a> {
    pub(super) fn of(failure: &'a Failure) -> Self {
        let param = (!failure.param.is_empty()).then_some(failure.param.as_str());
        let Failure { message, kind, code, is_retryable: retryable, .. } = failure;
        Self { error: Detail { message, kind, param, code, retryable: *retryable } }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error.into())
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.0.status, Json(ErrorBody::of(&self.0))).into_response();
        let should_retry = if self.0.is_retryable { "true" } else { "false" };
        response.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static(should_retry));
        if let Some(seconds) = self.0.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        // For whoever accounts for it, and for dialects that word it otherwise.
        response.extensions_mut().insert(self.0);
        response
    }
}
