//! How this dialect shows an error.

use axum::{
    http::{StatusCode, request::Parts},
    response::Response,
};
use impetus_proto::{Code, Error};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    dialect::{Wording, reworded},
    error::Failure,
};

/// `{"error": "…"}`, as a body and as the last line of a stream that failed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OllamaError")]
pub(in crate::dialect) struct ErrorBody<'a> {
    error: &'a str,
}

impl<'a> ErrorBody<'a> {
    pub(super) fn of(failure: &'a Failure) -> Self {
        Self { error: &failure.message }
    }
}

/// How this dialect words what is refused of a request, if the request is one of its own.
pub(in crate::dialect) fn wording(head: &Parts) -> Option<Wording> {
    head.uri.path().starts_with("/api/").then_some(worded)
}

fn worded(refusal: Response, failure: &Failure, _: &str) -> Response {
    // What a model cannot do is a wrong request here.
    let status = match failure.status {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    reworded(refusal, status, &ErrorBody::of(failure))
}

/// A model that does not exist, in words that clients look for.
pub(super) fn not_found(model: &str) -> Error {
    let message = format!("model {model:?} not found, try pulling it first");
    Error::new(Code::ModelNotFound, message).with_param("model")
}

/// A model that cannot do what a field asks for.
pub(super) fn cannot(model: &str, what: &str, param: &str) -> Error {
    Error::invalid(param, format!("{model:?} does not support {what}"))
}
