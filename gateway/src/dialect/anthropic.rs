//! Anthropic's API: messages, their tokens counted, and models.

mod block;
mod conversation;
mod count_tokens;
mod error;
mod message;
mod messages;
pub(super) mod models;
mod params;
mod setting;
mod thinking;
mod tool;
mod transcript;

use axum::{
    http::{HeaderMap, HeaderName, request::Parts},
    routing::post,
};

use super::Wording;
use crate::server::Routes;

pub(super) use self::{
    count_tokens::Counted,
    error::ErrorBody,
    message::Message,
    params::{check_count, check_message},
};

/// By which a request says which of Anthropic's APIs it was written for.
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The paths of this dialect alone.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/v1/messages", post(messages::create))
        .route("/v1/messages/count_tokens", post(count_tokens::create))
}

/// What models do for a request to this path.
pub(super) fn operation(path: &str) -> Option<&'static str> {
    (path == "/v1/messages").then_some("chat")
}

/// How this dialect words what is refused of a request, if the request is one of its own.
pub(super) fn wording(head: &Parts) -> Option<Wording> {
    let path = head.uri.path();
    let is_ours = path == "/v1/messages" || path.starts_with("/v1/messages/") || is_spoken(&head.headers);
    is_ours.then_some(error::worded)
}

/// Whether a request for a path that another dialect has as well is of this one.
pub(super) fn is_spoken(headers: &HeaderMap) -> bool {
    headers.contains_key(VERSION)
}
