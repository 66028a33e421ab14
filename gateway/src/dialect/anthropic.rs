//! Anthropic's API: messages, their tokens counted, and models.

mod error;

use axum::http::{HeaderName, request::Parts};

use super::Wording;

/// By which a request says which of Anthropic's APIs it was written for.
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// How this dialect words what is refused of a request, if the request is one of its own.
pub(super) fn wording(head: &Parts) -> Option<Wording> {
    let path = head.uri.path();
    let is_ours = path == "/v1/messages" || path.starts_with("/v1/messages/") || is_spoken(head);
    is_ours.then_some(error::worded)
}

/// Whether a request for a path that another dialect has as well is of this one.
pub(super) fn is_spoken(head: &Parts) -> bool {
    head.headers.contains_key(VERSION)
}
