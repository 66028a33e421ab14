//! Responses: OpenAI's API for agents. A request's items become a chat, what a worker says becomes items and typed
//! events (`transcript`), and what is over is kept (`store`), for whoever goes on from it.

mod asked;
mod background;
mod choice;
mod conversation;
mod create;
mod event;
mod generation;
mod history;
mod id;
mod item;
mod keeper;
mod output;
mod params;
pub(super) mod query;
mod response;
mod store;
mod stored;
mod tokens;
mod tool;
mod transcript;

use std::path::Path;

use axum::routing::{get, post};
use impetus_config::Config;

use self::{background::Background, store::Store};
use crate::server::Routes;

/// What outlives a request: the responses that are kept, and those that run in the background.
#[derive(Debug, Clone)]
pub(crate) struct Responses {
    store: Store,
    background: Background,
}

impl Responses {
    /// What this configuration says of them.
    pub(crate) fn new(config: &Config) -> Self {
        let background = Background::new(config.responses.max_background);
        let state_dir = Path::new(&config.supervisor.state_dir);
        Self { store: Store::new(state_dir, &config.responses, background.clone()), background }
    }

    /// Resolves when nothing runs in the background.
    pub(crate) async fn idle(&self) {
        self.background.idle().await;
    }
}

/// The paths of responses.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/v1/responses", post(create::create))
        .route("/v1/responses/input_tokens", post(tokens::count))
        .route("/v1/responses/{id}", get(stored::get).delete(stored::delete))
        .route("/v1/responses/{id}/cancel", post(stored::cancel))
        .route("/v1/responses/{id}/input_items", get(stored::input_items))
}

/// Reads a body and leaves it at that.
pub(super) fn check(body: &[u8]) -> Result<(), impetus_proto::Error> {
    params::Params::read(body).map(drop)
}

#[cfg(test)]
mod tests;
