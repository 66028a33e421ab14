//! How this dialect shows an error.

use std::borrow::Cow;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{dialect::reworded, error::Failure};

/// In which answers carry their request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// What the API answers with where a server has more to do than it can; no status of HTTP's own.
const OVERLOADED: u16 = 529;

/// Our code of a prompt that the context has no room for.
const TOO_LONG: &str = "context_length_exceeded";

/// `{"type": "error", "error": {...}}`, as a body and as the last event of a stream that failed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AnthropicError")]
pub(in crate::dialect) struct ErrorBody<'a> {
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
    message: Cow<'a, str>,
}

impl<'a> ErrorBody<'a> {
    pub(super) fn of(failure: &'a Failure, request_id: &'a str) -> Self {
        let (_, kind) = status(failure);
        Self { kind: "error", error: Detail { kind, message: message(failure) }, request_id }
    }
}

/// The answer to a request that is refused, in this dialect's words.
pub(super) fn worded(refusal: Response, failure: &Failure, request_id: &str) -> Response {
    let (status, _) = status(failure);
    let mut response = reworded(refusal, status, &ErrorBody::of(failure, request_id));
    identify(&mut response, request_id);
    response
}

/// Puts the request's id where this API has it.
pub(super) fn identify(response: &mut Response, request_id: &str) {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}

/// What a failure says. Clients are told the field that it is about in no other way.
fn message(failure: &Failure) -> Cow<'_, str> {
    let Failure { message, param, .. } = failure;
    if failure.code == TOO_LONG
        && let Some((limit, given)) = lengths(message)
    {
        // By these words Claude Code knows that it has to make the conversation shorter.
        return format!("prompt is too long: {given} tokens > {limit} maximum").into();
    }
    if param.is_empty() || message.contains(param) {
        return message.into();
    }
    format!("{param}: {message}").into()
}

/// The numbers of tokens in a message that has two: the context's and the prompt's.
fn lengths(message: &str) -> Option<(u64, u64)> {
    let mut numbers = message.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok());
    Some((numbers.next()?, numbers.next()?))
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

#[cfg(test)]
mod tests {
    use impetus_proto::{Code, Error};

    use super::*;

    #[test]
    fn every_failure_has_the_apis_status_and_type() {
        let check = |failure: Failure, expected: (u16, &str)| {
            let (status, kind) = status(&failure);
            assert_eq!((status.as_u16(), kind), expected, "{failure:?}");
        };
        for (code, status, kind) in [
            (Code::InvalidRequest, 400, "invalid_request_error"),
            (Code::UnsupportedParameter, 400, "invalid_request_error"),
            (Code::ContextLengthExceeded, 400, "invalid_request_error"),
            (Code::Unauthenticated, 401, "authentication_error"),
            (Code::Forbidden, 403, "permission_error"),
            (Code::ModelNotFound, 404, "not_found_error"),
            (Code::NotFound, 404, "not_found_error"),
            (Code::Conflict, 409, "invalid_request_error"),
            (Code::Unprocessable, 422, "invalid_request_error"),
            (Code::RateLimited, 429, "rate_limit_error"),
            (Code::Internal, 500, "api_error"),
            (Code::WorkerCrashed, 500, "api_error"),
            (Code::ModelLoadFailed, 503, "api_error"),
            (Code::DeadlineExceeded, 504, "timeout_error"),
            (Code::NoCapacity, 529, "overloaded_error"),
            (Code::QueueFull, 529, "overloaded_error"),
            (Code::QueueTimeout, 529, "overloaded_error"),
            (Code::Unavailable, 529, "overloaded_error"),
        ] {
            check(Error::new(code, "m").into(), (status, kind));
        }
        check(Failure::body_too_large(1), (413, "request_too_large"));
        check(Failure::body_too_slow(1), (408, "timeout_error"));
        check(Failure::no_such_path("/"), (404, "not_found_error"));
        check(Failure::no_such_method("PUT", "/"), (405, "invalid_request_error"));
        check(Failure::body_not_json("text/plain"), (415, "invalid_request_error"));
    }

    #[test]
    fn a_message_says_which_field_it_is_about() {
        let check = |code: Code, param: &str, said: &str, expected: &str| {
            let failure = Failure::from(Error::new(code, said).with_param(param));
            assert_eq!(message(&failure), expected);
        };
        check(Code::InvalidRequest, "", "no", "no");
        check(Code::InvalidRequest, "top_k", "top_k is no number", "top_k is no number");
        check(Code::InvalidRequest, "messages", "it is empty", "messages: it is empty");
        let long = "This model's maximum context length is 8192 tokens. However, your prompt has at least 12000 tokens.";
        let expected = "prompt is too long: 12000 tokens > 8192 maximum";
        check(Code::ContextLengthExceeded, "messages", long, expected);
        check(Code::ContextLengthExceeded, "messages", "too long", "messages: too long");
    }
}
