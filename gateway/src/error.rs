//! The only mapping of our errors to HTTP. How an error looks in a body is the dialect's concern.

use axum::http::StatusCode;
use impetus_proto::{Code, Error};

/// An error as HTTP knows it, before a dialect gives it a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    /// The family of the error, in the words that clients of every dialect share.
    pub(crate) kind: &'static str,
    /// The error itself, for programs.
    pub(crate) code: &'static str,
    /// The error itself, for people.
    pub(crate) message: String,
    /// The field of the request that it is about, or empty.
    pub(crate) param: String,
    /// Seconds after which trying again may help.
    pub(crate) retry_after_s: Option<u32>,
    /// Whether the same request, sent again as it is, may succeed without anybody acting: what failed it was the state
    /// of the server or of the connection at that time. Not so where the request itself is at fault (its values, the
    /// model that it names, that it crashes workers), nor where nothing changes by itself (a model that cannot be
    /// loaded, a defect of ours).
    pub(crate) is_retryable: bool,
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";

/// How long a client should wait for a process that is being restarted, in seconds.
const RESTART_S: u32 = 1;

impl Failure {
    /// The path is not served.
    pub(crate) fn no_such_path(path: &str) -> Self {
        let path: String = path.chars().take(256).collect();
        Self::request(StatusCode::NOT_FOUND, "not_found", format!("nothing is served at {path}"))
    }

    /// The path is served, but not with this method.
    pub(crate) fn no_such_method(method: &str, path: &str) -> Self {
        let message = format!("{path} does not take {method}");
        Self::request(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    /// The body is longer than `gateway.max_body_bytes`.
    pub(crate) fn body_too_large(limit_bytes: usize) -> Self {
        let message = format!("the request body is larger than {limit_bytes} bytes (gateway.max_body_bytes)");
        Self::request(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    /// The body did not arrive within `gateway.body_timeout_s`.
    pub(crate) fn body_too_slow(seconds: u64) -> Self {
        let message = format!("the request body did not arrive within {seconds} s (gateway.body_timeout_s)");
        Self { is_retryable: true, ..Self::request(StatusCode::REQUEST_TIMEOUT, "request_timeout", message) }
    }

    /// What came is not HTTP.
    pub(crate) fn malformed_request() -> Self {
        let message = "the request is not HTTP/1.1 as this server reads it".to_owned();
        Self::request(StatusCode::BAD_REQUEST, "malformed_request", message)
    }

    /// The request's head is longer than what is read of one.
    pub(crate) fn headers_too_large(limit_bytes: usize) -> Self {
        let message = format!("the head of the request is larger than {limit_bytes} bytes");
        Self::request(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", message)
    }

    /// The body is said to be something else than JSON.
    pub(crate) fn body_not_json(kind: &str) -> Self {
        let kind: String = kind.chars().take(100).collect();
        let message = format!(
            "the body is said to be {kind:?}; send JSON, with the header Content-Type: application/json"
        );
        Self::request(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// The connection broke while the body was read.
    pub(crate) fn body_broken(cause: &str) -> Self {
        let message = format!("the request body could not be read: {cause}");
        Self { is_retryable: true, ..Self::request(StatusCode::BAD_REQUEST, "invalid_body", message) }
    }

    /// A defect of ours; the log says more.
    pub(crate) fn defect() -> Self {
        Error::internal("the gateway failed on this request; its log has the cause under the request's id")
            .into()
    }

    fn request(status: StatusCode, code: &'static str, message: String) -> Self {
        let (param, retry_after_s) = (String::new(), None);
        Self { status, kind: INVALID, code, message, param, retry_after_s, is_retryable: false }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (status, kind, code) = match error.code() {
            Code::Unspecified | Code::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, SERVER, "internal_error")
            }
            Code::InvalidRequest => (StatusCode::BAD_REQUEST, INVALID, "invalid_value"),
            Code::UnsupportedParameter => (StatusCode::BAD_REQUEST, INVALID, "unsupported_parameter"),
            Code::ModelNotFound => (StatusCode::NOT_FOUND, INVALID, "model_not_found"),
            Code::ContextLengthExceeded => (StatusCode::BAD_REQUEST, INVALID, "context_length_exceeded"),
            Code::ModelLoadFailed => (StatusCode::SERVICE_UNAVAILABLE, SERVER, "model_load_failed"),
            Code::WorkerCrashed => (StatusCode::INTERNAL_SERVER_ERROR, SERVER, "worker_crashed"),
            Code::NoCapacity => (StatusCode::SERVICE_UNAVAILABLE, SERVER, "no_capacity"),
            Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, SERVER, "unavailable"),
            Code::WrongModel => (StatusCode::SERVICE_UNAVAILABLE, SERVER, "wrong_model"),
            Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, SERVER, "deadline_exceeded"),
            Code::Conflict => (StatusCode::CONFLICT, INVALID, "conflict"),
            Code::QueueFull => (StatusCode::TOO_MANY_REQUESTS, SERVER, "queue_full"),
            Code::QueueTimeout => (StatusCode::TOO_MANY_REQUESTS, SERVER, "queue_timeout"),
            Code::NotFound => (StatusCode::NOT_FOUND, INVALID, "not_found"),
            Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "authentication_error", "invalid_api_key"),
            Code::Forbidden => (StatusCode::FORBIDDEN, "permission_error", "forbidden"),
            Code::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_exceeded"),
            Code::Unprocessable => (StatusCode::UNPROCESSABLE_ENTITY, INVALID, "unprocessable"),
        };
        let is_retryable = is_retryable(error.code());
        let retry_after_s = match error.retry_after_s {
            0 => is_retryable.then_some(RESTART_S),
            seconds => Some(seconds),
        };
        let Error { message, param, .. } = error;
        Self { status, kind, code, message, param, retry_after_s, is_retryable }
    }
}

fn is_retryable(code: Code) -> bool {
    match code {
        Code::NoCapacity
        | Code::Unavailable
        | Code::WrongModel
        | Code::DeadlineExceeded
        | Code::QueueFull
        | Code::QueueTimeout
        | Code::RateLimited => true,
        Code::Unspecified
        | Code::Internal
        | Code::InvalidRequest
        | Code::UnsupportedParameter
        | Code::ModelNotFound
        | Code::ContextLengthExceeded
        | Code::ModelLoadFailed
        | Code::WorkerCrashed
        | Code::Conflict
        | Code::NotFound
        | Code::Unauthenticated
        | Code::Forbidden
        | Code::Unprocessable => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_status() {
        let check = |code: Code, retry_after_s: u32, status: u16, name: &str, retry: Option<u32>| {
            let failure =
                Failure::from(Error::new(code, "m").with_param("p").with_retry_after(retry_after_s));
            assert_eq!((failure.status.as_u16(), failure.code), (status, name), "{code:?}");
            assert_eq!(failure.retry_after_s, retry, "{code:?}");
            // A load that failed carries a hint when to look again, though nothing will have changed by itself.
            assert_eq!(failure.is_retryable, retry.is_some() && code != Code::ModelLoadFailed, "{code:?}");
            assert_eq!((failure.message.as_str(), failure.param.as_str()), ("m", "p"));
        };
        check(Code::Unspecified, 0, 500, "internal_error", None);
        check(Code::Internal, 0, 500, "internal_error", None);
        check(Code::InvalidRequest, 0, 400, "invalid_value", None);
        check(Code::UnsupportedParameter, 0, 400, "unsupported_parameter", None);
        check(Code::ModelNotFound, 0, 404, "model_not_found", None);
        check(Code::ContextLengthExceeded, 0, 400, "context_length_exceeded", None);
        check(Code::ModelLoadFailed, 0, 503, "model_load_failed", None);
        check(Code::ModelLoadFailed, 20, 503, "model_load_failed", Some(20));
        check(Code::WorkerCrashed, 0, 500, "worker_crashed", None);
        check(Code::NoCapacity, 0, 503, "no_capacity", Some(1));
        check(Code::NoCapacity, 7, 503, "no_capacity", Some(7));
        check(Code::Unavailable, 0, 503, "unavailable", Some(1));
        check(Code::WrongModel, 0, 503, "wrong_model", Some(1));
        check(Code::DeadlineExceeded, 0, 504, "deadline_exceeded", Some(1));
        check(Code::Conflict, 0, 409, "conflict", None);
        check(Code::QueueFull, 0, 429, "queue_full", Some(1));
        check(Code::QueueTimeout, 5, 429, "queue_timeout", Some(5));
        check(Code::NotFound, 0, 404, "not_found", None);
        check(Code::Unauthenticated, 0, 401, "invalid_api_key", None);
        check(Code::Forbidden, 0, 403, "forbidden", None);
        check(Code::RateLimited, 9, 429, "rate_limit_exceeded", Some(9));
        check(Code::Unprocessable, 0, 422, "unprocessable", None);
    }

    #[test]
    fn every_code_has_its_place_on_the_page() {
        let page = include_str!("../../docs/errors.md");
        let mut failures: Vec<Failure> = (0..)
            .map_while(|number| Code::try_from(number).ok())
            .map(|code| Failure::from(Error::new(code, "m")))
            .collect();
        failures.extend([
            Failure::no_such_path("/"),
            Failure::no_such_method("PUT", "/"),
            Failure::body_too_large(1),
            Failure::body_too_slow(1),
            Failure::body_broken("reset"),
            Failure::body_not_json("text/plain"),
            Failure::malformed_request(),
            Failure::headers_too_large(1),
        ]);
        let mut codes = std::collections::BTreeSet::new();
        for Failure { status, kind, code, is_retryable, .. } in failures {
            let again = if is_retryable { "yes" } else { "no" };
            let row = format!("| [`{code}`](#{code}) | {} | `{kind}` | {again} |", status.as_u16());
            assert!(page.lines().any(|line| line == row), "the page lacks {row}");
            assert!(
                page.lines().any(|line| line == format!("## {code}")),
                "the page lacks a section of {code}"
            );
            codes.insert(code);
        }
        let sections = page.lines().filter_map(|line| line.strip_prefix("## "));
        assert_eq!(sections.collect::<std::collections::BTreeSet<_>>(), codes);
    }

    #[test]
    fn what_the_connection_did_to_a_request_is_not_its_fault() {
        let check =
            |failure: Failure, expected: bool| assert_eq!(failure.is_retryable, expected, "{failure:?}");
        check(Failure::body_too_slow(30), true);
        check(Failure::body_broken("reset"), true);
        check(Failure::body_too_large(1), false);
        check(Failure::no_such_path("/x"), false);
        check(Failure::no_such_method("PUT", "/x"), false);
        check(Failure::defect(), false);
    }
}
