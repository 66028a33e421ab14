//! Ollama's API: chats, completions and vectors, the models that there are, and those that are made of others.

mod answer;
mod blob;
mod capability;
mod changing;
mod chat;
mod context;
mod copy;
mod create;
mod delete;
mod details;
mod digest;
mod embed;
mod error;
mod format;
mod generate;
mod line;
mod load;
mod logprob;
mod message;
mod modelfile;
mod named;
mod option;
mod parameter;
mod params;
mod preset;
mod ps;
mod pull;
mod show;
mod stream;
mod tags;
mod think;
mod told;
mod version;

use axum::routing::{get, post};

pub(crate) use blob::Blobs;
pub(crate) use preset::Presets;

pub(super) use self::{
    answer::check,
    chat::{Chat, Said as ChatSaid},
    embed::{Embedded, Embedding, check as check_embed, check_one as check_embedding},
    error::{ErrorBody, wording},
    generate::{Generate, Said as GenerateSaid},
    line::Line,
    ps::Running,
    show::{Shown, check as check_show},
    tags::Tags,
    version::Version,
};

use crate::{access::Need, server::Routes};

/// The paths of this dialect.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/chat", post(answer::create::<Chat>))
        .route("/api/generate", post(answer::create::<Generate>))
        .route("/api/embed", post(embed::create))
        .route("/api/embeddings", post(embed::create_one))
        .route("/api/tags", get(tags::list))
        .route("/api/show", post(show::create))
        .route("/api/ps", get(ps::list))
        .route_for(Need::Key, "/api/version", get(version::read))
        .merge(changing::routes())
}

/// What models do for a request to this path.
pub(super) fn operation(path: &str) -> Option<&'static str> {
    Some(match path {
        "/api/chat" => "chat",
        "/api/generate" => "text_completion",
        "/api/embed" | "/api/embeddings" => "embeddings",
        _ => return None,
    })
}
