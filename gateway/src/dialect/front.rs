//! What a dialect's clients find at `/` of the entrance that is theirs.

use axum::routing::get;

use crate::{access::Need, server::Routes};

/// By these words Ollama's clients know that somebody is there, whatever they may do then.
const OLLAMA: &str = "Ollama is running";

pub(super) fn ollama() -> Routes {
    Routes::new().route_for(Need::Nothing, "/", get(|| async { OLLAMA }))
}
