//! The HTTP dialects. A dialect is a folder here, and nothing outside it knows its shapes.
//!
//! To add one:
//! 1. `dialect/<name>.rs` with the `routes()` of its paths, merged below; one file for each endpoint.
//! 2. An endpoint reads its body with `server::read_body` and narrows it to an `upstream::Request`: every field
//!    that the dialect defines is honoured or refused by name.
//!    A model that the caller may not use is refused by `Gateway::permit`.
//! 3. It calls `upstream::generate`, wrapped in `Record::observe`, and turns `upstream::Event`s into its own
//!    answers: written one by one when streamed, folded into one value when not. There is no second path.
//!    What comes as a whole, as from `upstream::embed`, is wrapped in `Record::observe_whole`.
//! 4. Errors arrive as `impetus_proto::Error`; `error::Failure` says their HTTP status and whether trying again helps,
//!    the dialect their body. After the head of a stream, a failure is an error event of the dialect, never a clean
//!    end.
//! 5. While a stream is silent it sends an event that carries nothing, every `Limits::keep_alive`.
//!
//! Cancelling needs nothing: a client that leaves drops the response, which drops the events.

mod admin;
mod anthropic;
mod call;
mod choices;
mod cost;
mod field;
mod fold;
mod frames;
mod ignored;
mod keep_alive;
mod names;
mod ollama;
mod openai;
mod parameter;
mod silence;
mod thought;

pub(crate) use ollama::{Blobs, Presets};
pub(crate) use openai::{Refusal, Responses, no_such_method, no_such_path, written};

use axum::{
    body::Body,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
        request::Parts,
    },
    response::Response,
};
use serde::Serialize;

use crate::{error::Failure, server::Routes};

/// Says a refusal in the words of a dialect: what `Refusal` answers with, what failed, and the request's id.
pub(crate) type Wording = fn(Response, &Failure, &str) -> Response;

/// How what is refused of a request is to be worded; absent: as `Refusal` does by itself.
pub(crate) fn wording(head: &Parts) -> Option<Wording> {
    anthropic::wording(head).or_else(|| ollama::wording(head))
}

/// A refusal of that status with another body, and with the other headers that it has.
fn reworded(mut refusal: Response, status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).expect("our own errors serialize into memory");
    *refusal.status_mut() = status;
    let headers = refusal.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *refusal.body_mut() = Body::from(body);
    refusal
}

/// What models do for a request to this path, in the words of OpenTelemetry's conventions for generative AI, and in ours
/// where these have none.
pub(crate) fn operation(path: &str) -> Option<&'static str> {
    openai::operation(path).or_else(|| ollama::operation(path))
}

/// The paths of all dialects.
pub(crate) fn routes() -> Routes {
    openai::routes().merge(ollama::routes()).merge(admin::routes())
}
