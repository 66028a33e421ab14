//! OpenAI's API: models, chat completions, completions and embeddings.

mod answer;
mod bookkeeping;
mod chat_completions;
mod completions;
pub(super) mod embeddings;
mod error;
mod llama;
pub(super) mod logprobs;
mod message;
mod models;
pub(super) mod openapi;
mod parameter;
mod prompt;
mod reasoning;
mod request;
mod rerank;
mod responses;
mod sampling;
mod shape;
mod stream;
mod structure;
pub(super) mod tool;
mod usage;

use axum::{
    http::{Method, Uri},
    routing::{get, post},
};

pub(crate) use error::{Refusal, written};
pub(super) use models::{List as Models, Model};
pub(crate) use responses::Responses;

use chat_completions::ChatCompletions;
use completions::Completions;

use crate::{error::Failure, server::Routes};

/// The paths of this dialect.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/v1/chat/completions", post(answer::create::<ChatCompletions>))
        .route("/v1/completions", post(answer::create::<Completions>))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/v1/rerank", post(rerank::create))
        .route("/rerank", post(rerank::create))
        .route("/v1/reranking", post(rerank::create))
        .route("/reranking", post(rerank::create))
        .route("/v1/chat/completions/input_tokens", post(llama::input_tokens))
        .merge(llama::routes())
        .route("/openapi.json", get(openapi::read))
        .merge(responses::routes())
}

/// What models do for a request to this path.
pub(super) fn operation(path: &str) -> Option<&'static str> {
    Some(match path {
        "/v1/chat/completions" | "/v1/responses" => "chat",
        "/v1/completions" | "/completion" | "/infill" => "text_completion",
        "/v1/embeddings" => "embeddings",
        "/v1/rerank" | "/rerank" | "/v1/reranking" | "/reranking" => "rerank",
        _ => return None,
    })
}

/// The answer on a path that nothing serves.
pub(crate) async fn no_such_path(uri: Uri) -> Refusal {
    Refusal(Failure::no_such_path(uri.path()))
}

/// The answer to a method that the path does not take.
pub(crate) async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    Refusal(Failure::no_such_method(method.as_str(), uri.path()))
}
